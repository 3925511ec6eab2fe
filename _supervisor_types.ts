// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { TimeoutLimit } from "./_heartbeat_timeout_error.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** What `start` is given for an attempt. */
export interface AttemptContext {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /**
   * Aborts when the supervisor's signal does, and when the attempt is given
   * up. Pass it on to what is started.
   */
  readonly signal: AbortSignal;
  /** The last checkpoint: the detail of the last heartbeat so far. Where to resume. */
  readonly lastDetail?: unknown;
  /** How many results of the attempts before were delivered. */
  readonly delivered: number;
  /** Why the attempt before was given up; absent in the first. */
  readonly cause?: unknown;
}

/** An error, as an event shows it. */
export interface ErrorData {
  /** The name of its class. */
  name: string;
  /** Its message. */
  message: string;
}

/** What every event has. */
export interface SupervisorEventBase {
  /** When, in milliseconds since the epoch. */
  time: number;
  /** The number of the attempt that it is about. */
  attempt: number;
}

/**
 * A decision of a supervisor: plain data that survives `JSON.stringify()` if
 * the details of the heartbeats do.
 *
 * @example Distinguish a stall from a failure
 * ```ts
 * import { startWorker, supervise, type SupervisorEvent } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * function onEvent(event: SupervisorEvent) {
 *   if (event.type === "stalled") log.push(`silent for ${event.elapsed} ms`);
 *   else if (event.type === "failed") log.push(event.error.message);
 *   else log.push(event.type);
 * }
 * const { results } = supervise(
 *   ({ attempt }) =>
 *     startWorker(() => {
 *       if (attempt === 1) throw new Error("connection lost");
 *       return [attempt];
 *     }),
 *   { timeout: 3_000, backoff: { max: 10, min: 10 }, onEvent },
 * );
 *
 * assertEquals(await Array.fromAsync(results), [2]);
 * assertEquals(log, ["started", "connection lost", "restarting", "started", "ended"]);
 * ```
 */
export type SupervisorEvent =
  & SupervisorEventBase
  & (
    /** An attempt was started, to resume at `lastDetail`. */
    | { type: "started"; lastDetail?: unknown }
    /**
     * There was no sign of life for `elapsed` ms, longer than `limit`. Before
     * that, `count` heartbeats came; `last` is the last of them.
     */
    | {
      type: "stalled";
      limit: TimeoutLimit;
      elapsed: number;
      timeout: number;
      count: number;
      last?: Heartbeat | undefined;
    }
    /** The work threw, or could not be started. */
    | { type: "failed"; error: ErrorData }
    /**
     * The next attempt follows after `delay` ms, but not before this one has
     * stopped or had its `stopTimeout`.
     */
    | { type: "restarting"; delay: number }
    /** The attempt was given up and did not stop within `stopTimeout`. It is left behind. */
    | { type: "unstopped" }
    /** There is no further attempt: both streams error. */
    | { type: "gave-up"; error: ErrorData }
    /** The work returned, the signal aborted, or a stream was cancelled. */
    | { type: "ended" }
  );
