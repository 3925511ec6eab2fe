// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { startTimer } from "./_timers.ts";

/** How long an answer is waited for. */
export interface AnswerLimits {
  /** Who answers, for the error: `"bucket"`. */
  from: string;
  /** How long it may take, in milliseconds; `Infinity` for no limit. */
  timeout: number;
  /** Ends the wait early. */
  signal?: AbortSignal | undefined;
}

/**
 * An answer that must come in time: whoever asks something foreign must not hang
 * with it.
 *
 * @param answer The answer.
 * @param limits How long it is waited for.
 * @returns The answer. It rejects with a `TimeoutError` if it does not come in time,
 * and with the reason of the signal if that aborts.
 */
export function boundAnswer<T>(
  answer: Promise<T>,
  { from, timeout, signal }: AnswerLimits,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => end(() => reject(signal!.reason));
    const cancelTimer = startTimer(() => {
      const message = `The ${from} did not answer within ${timeout} ms`;
      end(() => reject(new DOMException(message, "TimeoutError")));
    }, timeout);
    function end(settle: () => void) {
      cancelTimer();
      signal?.removeEventListener("abort", onAbort);
      settle();
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    answer.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
  });
}
