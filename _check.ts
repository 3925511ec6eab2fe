// This module is browser compatible.

/** The longest delay that a timer of the platform keeps; a longer one fires at once. */
export const LONGEST_DELAY = 2 ** 31 - 1;

/** Throws unless `value` is a duration: a positive number of milliseconds, or `Infinity`. */
export function checkDuration(action: string, option: string, value: number) {
  const problem =
    `Cannot ${action} as '${option}' must be a positive number: current value is ${
      typeof value === "string" ? JSON.stringify(value) : String(value)
    }`;
  if (typeof value !== "number") throw new TypeError(problem);
  if (!(value > 0)) throw new RangeError(problem);
}

/** Throws unless `signal` is an `AbortSignal`, or is not given. */
export function checkSignal(action: string, signal: AbortSignal | undefined) {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(
      `Cannot ${action} as 'signal' must be an AbortSignal: current value is ${
        String(signal)
      }`,
    );
  }
}
