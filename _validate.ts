// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** A value as text for a message; never throws. */
export function formatValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}

/** Throws the error for a bad argument. */
export function throwInvalid(
  kind: ErrorConstructor,
  action: string,
  option: string,
  accepted: string,
  value: unknown,
  shown = formatValue(value),
): never {
  throw new kind(
    `Cannot ${action} as '${option}' must be ${accepted}: current value is ${shown}`,
  );
}

/** Throws unless `value` is a number for which `accepts` returns true. */
export function checkNumber(
  action: string,
  option: string,
  value: number,
  accepted: string,
  accepts: (value: number) => boolean,
) {
  if (typeof value !== "number") {
    throwInvalid(TypeError, action, option, accepted, value);
  }
  if (!accepts(value)) {
    throwInvalid(RangeError, action, option, accepted, value);
  }
}

/** Throws unless `value` is a duration: a positive number of milliseconds, or `Infinity`. */
export function checkDuration(action: string, option: string, value: number) {
  checkNumber(action, option, value, "a positive number", (value) => value > 0);
}

/** Throws unless `value` is an options object. An array does not count: it is usually a misplaced argument. */
export function checkOptions(
  action: string,
  value: object,
  option = "options",
) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throwInvalid(TypeError, action, option, "an object", value);
  }
}

/** Throws unless `value` is a function. */
export function checkFunction(action: string, option: string, value: unknown) {
  if (typeof value !== "function") {
    throwInvalid(TypeError, action, option, "a function", value);
  }
}

/** Throws unless `value` is a string. */
export function checkString(action: string, option: string, value: unknown) {
  if (typeof value !== "string") {
    throwInvalid(TypeError, action, option, "a string", value);
  }
}

/** Throws unless `signal` is an `AbortSignal` or `undefined`. */
export function checkSignal(action: string, signal: AbortSignal | undefined) {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throwInvalid(TypeError, action, "signal", "an AbortSignal", signal);
  }
}

/** Throws unless `value` is an unlocked `ReadableStream`. */
export function checkStream(
  action: string,
  option: string,
  value: unknown,
  accepted = "an unlocked ReadableStream",
) {
  if (!(value instanceof ReadableStream)) {
    throwInvalid(TypeError, action, option, accepted, value);
  }
  if (value.locked) {
    throwInvalid(TypeError, action, option, accepted, value, "locked");
  }
}

/** Throws unless what reports long silences is a function, and its time a duration; both may be absent. */
export function checkSilenceReport(
  action: string,
  onSilence: unknown,
  warnAfter: number | undefined,
) {
  if (onSilence !== undefined) checkFunction(action, "onSilence", onSilence);
  if (warnAfter !== undefined) checkDuration(action, "warnAfter", warnAfter);
}
