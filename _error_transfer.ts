// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Thrown values on their way between two threads. Structured clone drops the
 * class of an error, its own properties and the `errors` of an `AggregateError`,
 * and it fails for what cannot be cloned. So an error travels as a plain object,
 * and is made again on the other side.
 *
 * What arrives is not trusted: {@linkcode isSerializedError} checks all of it
 * before {@linkcode deserializeError} makes anything of it.
 */

/** A thrown value as `postMessage()` can carry it. */
export type SerializedError = { value: unknown } | SerializedErrorObject;

interface SerializedErrorObject {
  error: { name: string; message: string; stack?: string | undefined };
  isDOMException: boolean;
  /** The error's own enumerable properties that can be cloned. */
  data: Record<string, unknown>;
  cause?: SerializedError | undefined;
  /** The errors of an `AggregateError`. */
  errors?: SerializedError[] | undefined;
}

/** How many errors one thrown value can hold, with all causes; the others become strings. */
export const MAX_ERRORS = 1_000;

/** Replaces what not even `String()` can show. */
const UNREADABLE = "what was thrown cannot be shown";

/** The classes that an error keeps, by name: a map, as names come from another thread. */
const CLASSES = new Map<string, ErrorConstructor>(
  [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]
    .map((constructor) => [constructor.name, constructor]),
);

/** Makes a thrown value ready for `postMessage()`; never throws. */
export function serializeError(value: unknown): SerializedError {
  return new Serializer().serialize(value, []);
}

class Serializer {
  #left = MAX_ERRORS;

  /** `ancestors` are the errors that have `value` as a cause or a member. */
  serialize(value: unknown, ancestors: readonly unknown[]): SerializedError {
    try {
      if (!(value instanceof Error)) {
        return tryClone(value) ?? { value: String(value) };
      }
      if (ancestors.includes(value) || this.#left === 0) {
        return { value: String(value) };
      }
      this.#left--;
      return this.#serializeObject(value, [...ancestors, value]);
    } catch {
      // an object without a prototype, or a getter that throws
      return { value: UNREADABLE };
    }
  }

  #serializeObject(
    error: Error,
    ancestors: readonly unknown[],
  ): SerializedErrorObject {
    const { name, message, stack, cause, ...data } = error;
    const { errors } = error as Partial<AggregateError>;
    const isAggregate = error instanceof AggregateError &&
      Array.isArray(errors);
    return {
      error: {
        name: String(name),
        message: String(message),
        stack: stack && String(stack),
      },
      isDOMException: error instanceof DOMException,
      data: cloneEntries(data),
      ...("cause" in error && { cause: this.serialize(cause, ancestors) }),
      ...(isAggregate && {
        errors: errors!.map((member) => this.serialize(member, ancestors)),
      }),
    };
  }
}

/** A clone in a box, or `undefined` if the value cannot be cloned. */
function tryClone(value: unknown): { value: unknown } | undefined {
  try {
    return { value: structuredClone(value) };
  } catch {
    return undefined;
  }
}

/** Clones an object without those of its properties that cannot be cloned. */
function cloneEntries(object: object): Record<string, unknown> {
  const clones = Object.entries(object).flatMap(([key, value]) => {
    const clone = tryClone(value);
    return clone ? [[key, clone.value] as const] : [];
  });
  return Object.fromEntries(clones);
}

/** Whether {@linkcode deserializeError} can make a value of this, whoever posted it. */
export function isSerializedError(value: unknown): value is SerializedError {
  if (!isRecord(value)) return false;
  // a loop, as a forged message can be its own cause
  const unchecked = [value];
  for (let count = 0; unchecked.length > 0;) {
    const next = unchecked.pop()!;
    if (Object.hasOwn(next, "value")) continue;
    if (!isSerializedErrorObject(next) || ++count > MAX_ERRORS) return false;
    const { cause = { value: undefined }, errors = [] } = next;
    // checked one by one, as a forged list can be of any length
    if (!isRecord(cause)) return false;
    unchecked.push(cause);
    for (const member of errors) {
      if (!isRecord(member)) return false;
      unchecked.push(member);
    }
  }
  return true;
}

/** Checks one object; its cause and members are still unknown. */
function isSerializedErrorObject(
  value: Record<string, unknown>,
): value is Record<string, unknown> & { cause?: unknown; errors?: unknown[] } {
  const { error, isDOMException, data, errors } = value;
  return isRecord(error) &&
    typeof error.name === "string" &&
    typeof error.message === "string" &&
    (error.stack === undefined || typeof error.stack === "string") &&
    typeof isDOMException === "boolean" &&
    isRecord(data) &&
    (errors === undefined || Array.isArray(errors));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Makes a thrown value again. */
export function deserializeError(serialized: SerializedError): unknown {
  if ("value" in serialized) return serialized.value;
  const { error: { name, message, stack }, data } = serialized;
  const error = createError(serialized);
  for (const [key, value] of Object.entries({ name, message, stack })) {
    if (error[key as "name"] === value) continue;
    define(error, key, value, false);
  }
  // not assigned: a property can have the name `__proto__`
  for (const [key, value] of Object.entries(data)) {
    define(error, key, value, true);
  }
  return error;
}

function createError(serialized: SerializedErrorObject): Error {
  const { error: { name, message }, isDOMException } = serialized;
  const options = serialized.cause &&
    { cause: deserializeError(serialized.cause) };
  if (isDOMException) {
    const error = new DOMException(message, name);
    if (options) define(error, "cause", options.cause, false);
    return error;
  }
  const errors = serialized.errors?.map(deserializeError);
  if (errors) return new AggregateError(errors, message, options);
  return new (CLASSES.get(name) ?? Error)(message, options);
}

function define(
  error: Error,
  key: string,
  value: unknown,
  enumerable: boolean,
) {
  Object.defineProperty(error, key, {
    value,
    enumerable,
    configurable: true,
    writable: true,
  });
}
