// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** What is known when a {@linkcode HeartbeatTimeoutError} is made. */
export interface HeartbeatTimeoutErrorOptions<T = unknown>
  extends ErrorOptions {
  /** The limit that was passed, in milliseconds. */
  timeout: number;
  /** How long the silence was, in milliseconds. */
  elapsed: number;
  /** How many heartbeats came before it. */
  count: number;
  /** The last heartbeat, where there was one. */
  last?: T | undefined;
  /** Who fell silent, where that is known. */
  source?: string | undefined;
  /**
   * Which of the limits it was.
   *
   * @default {"silence"}
   */
  limit?: TimeoutLimit | undefined;
}

/**
 * Which limit was passed: `firstTimeout`, `timeout`, or the `progressTimeout` of
 * a guarded `fetch`.
 */
export type TimeoutLimit = "first" | "silence" | "progress";

/** What the limits are called in a message. */
const LIMIT_NAMES = {
  first: "first timeout",
  silence: "timeout",
  progress: "progress timeout",
} as const;

/**
 * A stall: no heartbeat came for longer than the timeout.
 *
 * @typeParam T The type of a heartbeat.
 *
 * @example Usage
 * ```ts
 * import { HeartbeatTimeoutError } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new HeartbeatTimeoutError({ timeout: 3000, elapsed: 3002, count: 7 });
 *
 * assertEquals(error.name, "HeartbeatTimeoutError");
 * assertEquals(error.message, "No heartbeat for 3002 ms after 7 heartbeats: the timeout is 3000 ms");
 * ```
 *
 * @example With the name of the worker
 * ```ts
 * import { HeartbeatTimeoutError } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const { message, source } = new HeartbeatTimeoutError({
 *   timeout: 300,
 *   elapsed: 300,
 *   count: 2,
 *   source: "crawl",
 * });
 *
 * assertEquals(source, "crawl");
 * assertEquals(message, "No heartbeat from 'crawl' for 300 ms after 2 heartbeats: the timeout is 300 ms");
 * ```
 */
export class HeartbeatTimeoutError<T = unknown> extends Error {
  /** The name of the error, `"HeartbeatTimeoutError"`. */
  override readonly name = "HeartbeatTimeoutError";
  /** The limit that was passed, `timeout` or `firstTimeout`, in milliseconds. */
  readonly timeout: number;
  /**
   * How long the silence was by the monitor's clock, in milliseconds: at least
   * `timeout`. The time in which the clock stood still is not in it.
   */
  readonly elapsed: number;
  /** How many heartbeats came before the silence. */
  readonly count: number;
  /** Who fell silent: the `name` of the monitor, or that of the worker; `undefined` if it is not known. */
  readonly source: string | undefined;
  /** Which of the limits it was. */
  readonly limit: TimeoutLimit;
  #last: T | undefined;

  /**
   * Constructs a new instance.
   *
   * @param options What is known of the silence.
   */
  constructor(options: HeartbeatTimeoutErrorOptions<T>) {
    const { timeout, elapsed, count, last, source, limit = "silence" } =
      options;
    const from = source === undefined ? "" : ` from '${source}'`;
    const heartbeats = count === 1 ? "heartbeat" : "heartbeats";
    super(
      `No heartbeat${from} for ${elapsed} ms after ${count} ${heartbeats}: the ${
        LIMIT_NAMES[limit]
      } is ${timeout} ms`,
      options,
    );
    this.timeout = timeout;
    this.elapsed = elapsed;
    this.count = count;
    this.source = source;
    this.limit = limit;
    this.#last = last;
  }

  /**
   * The last heartbeat, `undefined` if none came. The `detail` of a worker's
   * heartbeat says where it hung. It may hold data of users, so it is not
   * enumerable: a logger does not print it.
   */
  get last(): T | undefined {
    return this.#last;
  }
}
