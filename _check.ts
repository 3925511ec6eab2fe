// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The longest delay that a timer of the platform keeps; a longer one fires at once. */
export const LONGEST_DELAY = 2 ** 31 - 1;

/** A value in a message, which must not fail for what cannot be said as a string. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}

/** Throws what is said of a bad option. */
export function refuse(
  kind: ErrorConstructor,
  action: string,
  option: string,
  accepted: string,
  value: unknown,
  shown = show(value),
): never {
  throw new kind(
    `Cannot ${action} as '${option}' must be ${accepted}: current value is ${shown}`,
  );
}

/** Throws unless `value` is a number that `accepts` accepts; it is asked about numbers only. */
export function checkNumber(
  action: string,
  option: string,
  value: number,
  accepted: string,
  accepts: (value: number) => boolean,
) {
  if (typeof value !== "number") {
    refuse(TypeError, action, option, accepted, value);
  }
  if (!accepts(value)) refuse(RangeError, action, option, accepted, value);
}

/** Throws unless `value` is a duration: a positive number of milliseconds, or `Infinity`. */
export function checkDuration(action: string, option: string, value: number) {
  checkNumber(action, option, value, "a positive number", (value) => value > 0);
}

/** Throws unless `value` holds options; a list of arguments is taken for them easily. */
export function checkOptions(
  action: string,
  value: object,
  option = "options",
) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse(TypeError, action, option, "an object", value);
  }
}

/** Throws unless `value` is a function. */
export function checkFunction(action: string, option: string, value: unknown) {
  if (typeof value !== "function") {
    refuse(TypeError, action, option, "a function", value);
  }
}

/** Throws unless `value` is a string. */
export function checkString(action: string, option: string, value: unknown) {
  if (typeof value !== "string") {
    refuse(TypeError, action, option, "a string", value);
  }
}

/** Throws unless `signal` is an `AbortSignal`, or is not given. */
export function checkSignal(action: string, signal: AbortSignal | undefined) {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    refuse(TypeError, action, "signal", "an AbortSignal", signal);
  }
}

/** Throws unless `value` is a `ReadableStream` that nobody reads. */
export function checkStream(
  action: string,
  option: string,
  value: unknown,
  accepted = "an unlocked ReadableStream",
) {
  if (!(value instanceof ReadableStream)) {
    refuse(TypeError, action, option, accepted, value);
  }
  if (value.locked) {
    refuse(TypeError, action, option, accepted, value, "locked");
  }
}
