// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import {
  HeartbeatTimeoutError,
  type TimeoutLimit,
} from "./_heartbeat_timeout_error.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
import type { SilenceReport, Stall } from "./_silence_clock.ts";

/** The heartbeats of one producer, as errors and events report them. */
export class HeartbeatRecord<T> {
  /** How many came. */
  count = 0;
  /** The last one. */
  last: T | undefined;
  #isHeartbeat: ((chunk: T) => boolean) | undefined;

  /** @param isHeartbeat Says what counts; all does by default. */
  constructor(isHeartbeat?: ((chunk: T) => boolean) | undefined) {
    this.#isHeartbeat = isHeartbeat;
  }

  /** Counts a chunk, if it is a heartbeat, and returns whether it is. Throws what `isHeartbeat` throws. */
  take(chunk: T): boolean {
    const isHeartbeat = this.#isHeartbeat;
    if (isHeartbeat !== undefined && !isHeartbeat(chunk)) return false;
    this.last = chunk;
    this.count++;
    return true;
  }

  /** The error for a stall of `source`. */
  createError(
    stall: Stall,
    source: string | undefined,
    limit: TimeoutLimit = stall.limit,
  ): HeartbeatTimeoutError<T> {
    const { count, last } = this;
    return new HeartbeatTimeoutError({ ...stall, count, last, source, limit });
  }

  /** The event for `onSilence`. */
  createEvent({ type, timeout, elapsed }: SilenceReport): SilenceEvent<T> {
    const { count, last } = this;
    return { type, elapsed, timeout, count, last };
  }
}
