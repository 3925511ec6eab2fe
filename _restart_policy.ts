// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** What is known when a {@linkcode RestartLimitError} is made. */
export interface RestartLimitErrorOptions extends ErrorOptions {
  /** How many restarts were allowed. */
  maxRestarts: number;
  /** Within how many milliseconds. */
  within: number;
}

/**
 * A supervisor gave up: one more restart would have been too many. Its `cause`
 * is the last stall or failure.
 *
 * @example Usage
 * ```ts
 * import { RestartLimitError } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RestartLimitError({ maxRestarts: 5, within: 60_000, cause: new Error("lost") });
 *
 * assertEquals(error.message, "Gave up after 5 restarts within 60000 ms");
 * ```
 */
export class RestartLimitError extends Error {
  /** The name of the error, `"RestartLimitError"`. */
  override readonly name = "RestartLimitError";
  /** How many restarts were allowed. */
  readonly maxRestarts: number;
  /** Within how many milliseconds. */
  readonly within: number;

  /**
   * Constructs a new instance.
   *
   * @param options The limit, and the last failure.
   */
  constructor(options: RestartLimitErrorOptions) {
    const { maxRestarts, within } = options;
    super(
      `Gave up after ${maxRestarts} ${
        maxRestarts === 1 ? "restart" : "restarts"
      } within ${within} ms`,
      options,
    );
    this.maxRestarts = maxRestarts;
    this.within = within;
  }
}

/** The numbers of a {@linkcode RestartPolicy}; durations are in milliseconds. */
export interface RestartLimits {
  /** How many restarts there may be `within` the window. */
  maxRestarts: number;
  /** The length of the sliding window. */
  within: number;
  /** The delay before the first restart. */
  min: number;
  /** The longest delay. */
  max: number;
  /** What each restart in the window multiplies the delay by. */
  factor: number;
  /** The share of a delay that is left to chance, from 0 to 1. */
  jitter: number;
}

/** What to do about a failure: restart after a delay, or error with `error`. */
export type Decision =
  | { type: "restart"; delay: number }
  | { type: "give-up"; error: unknown };

/**
 * Decides whether and when to restart: restart intensity as in Erlang/OTP,
 * exponential backoff with jitter. It has no timer and reads no clock.
 */
export class RestartPolicy {
  readonly #limits: RestartLimits;
  /** When the restarts in the window were decided, the oldest first. */
  readonly #restarts: number[] = [];

  constructor(limits: RestartLimits) {
    this.#limits = limits;
  }

  /**
   * Decides what follows a failure. A restart counts from now on.
   *
   * @param cause The failure.
   * @param now In milliseconds.
   * @param chance From 0 (the longest delay) to 1 (the shortest).
   */
  decide(cause: unknown, now: number, chance = Math.random()): Decision {
    const { maxRestarts, within } = this.#limits;
    while (now - this.#restarts[0]! >= within) this.#restarts.shift();
    const count = this.#restarts.length;
    if (count >= maxRestarts) {
      const error = new RestartLimitError({ maxRestarts, within, cause });
      return { type: "give-up", error };
    }
    this.#restarts.push(now);
    return { type: "restart", delay: getDelay(this.#limits, count, chance) };
  }
}

/** The delay before a restart, when there were `count` of them in the window. */
function getDelay(limits: RestartLimits, count: number, chance: number) {
  const { min, max, factor, jitter } = limits;
  // 0 apart, as the power is Infinity past some 1,000 restarts, and 0 * Infinity is NaN
  const longest = min === 0 ? 0 : Math.min(max, min * factor ** count);
  return Math.round(longest * (1 - jitter * chance));
}
