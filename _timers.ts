// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The longest delay (ms) of a platform timer; `setTimeout()` fires at once for a longer one. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** Cancels a timer. Calling it again does nothing. */
export type CancelTimer = () => void;

/**
 * As `setTimeout()`, for a delay of any length.
 *
 * @param callback Called once, after the delay.
 * @param delay In milliseconds; `Infinity` never calls.
 * @returns Cancels the timer.
 */
export function startTimer(callback: () => void, delay: number): CancelTimer {
  if (delay === Infinity) return () => {};
  let timer: ReturnType<typeof setTimeout>;
  function arm(rest: number) {
    const step = Math.min(rest, MAX_DELAY_MS);
    timer = setTimeout(
      () => rest > step ? arm(rest - step) : callback(),
      Math.ceil(step),
    );
  }
  arm(delay);
  return () => clearTimeout(timer);
}

/**
 * Waits until the promise resolves or rejects, or the delay is over. It never rejects.
 *
 * @param promise What is waited for.
 * @param delay In milliseconds, of any length.
 */
export async function waitAtMost(promise: Promise<unknown>, delay: number) {
  const limit = new AbortController();
  await Promise.race([promise.catch(() => {}), sleep(delay, limit.signal)]);
  limit.abort();
}

/**
 * Resolves after the delay, or as soon as `signal` aborts. It never rejects.
 *
 * @param delay In milliseconds, of any length; `Infinity` waits for the abort.
 * @param signal Ends the wait early.
 */
export function sleep(delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    function end() {
      cancelTimer();
      signal.removeEventListener("abort", end);
      resolve();
    }
    const cancelTimer = startTimer(end, delay);
    signal.addEventListener("abort", end, { once: true });
  });
}
