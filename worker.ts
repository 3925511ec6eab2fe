// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Work that shows signs of life: {@linkcode startWorker} turns a function into
 * a pair of streams, results and heartbeats.
 *
 * @module
 */

import {
  checkDuration,
  checkFunction,
  checkOptions,
  checkSignal,
  checkString,
} from "./_validate.ts";
import { WorkerRun } from "./_worker_run.ts";
import type {
  Heartbeat,
  Work,
  WorkContext,
  WorkerStreams,
} from "./_worker_types.ts";

export type { Heartbeat, Work, WorkContext, WorkerStreams };

/** Options of {@linkcode startWorker}. */
export interface StartWorkerOptions {
  /**
   * The name that the heartbeats carry.
   *
   * @default {work.name || "worker"}
   */
  name?: string | undefined;
  /**
   * The time between two heartbeats, in milliseconds: a positive number, or
   * `Infinity` for a single beat at the start.
   *
   * @default {1000}
   */
  interval?: number | undefined;
  /** Stops the worker gracefully: the unit in flight may finish, then both streams close. */
  signal?: AbortSignal | undefined;
  /** The checkpoint to resume from: `context.lastDetail`, and the detail of the first heartbeats. */
  lastDetail?: unknown;
}

/**
 * Starts work and returns its results and its signs of life.
 *
 * What it promises:
 *
 * 1. A heartbeat proves progress. There is one at the start. Then, at each
 *    `interval`, there is one if a unit settled or `beat()` was called since the
 *    last tick, or if the worker is idle because its consumer has not asked for
 *    more. While a unit is in flight and silent there is none: a timer that
 *    ticks beside hung work would hide the hang.
 * 2. Heartbeats never block the work and never queue: a newer beat replaces an
 *    unread one.
 * 3. Results are lossless and backpressured: at most one unit runs ahead of
 *    the consumer.
 *
 * How it ends:
 *
 * | what ends it | `results` | `heartbeats` | `context.signal` | the work | `finished` resolves |
 * | --- | --- | --- | --- | --- | --- |
 * | the work returns | close | close | does not abort | has ended | at once |
 * | the work throws | deliver what is queued, then error with what it threw | error with the same | does not abort | has ended | at once |
 * | `signal` aborts between two units | close | close | aborts, same reason | its `finally` runs, then the streams close | with the streams |
 * | `signal` aborts during a unit | deliver its result, then close | close with them | aborts, same reason | the unit may finish, its `finally` runs, then the streams close | with the streams |
 * | … and the work throws the reason or an `AbortError` | close | close | as above | has ended | with the streams |
 * | … and the work or its `finally` throws anything else | deliver what is queued, then error with it | error with it | as above | has ended | with the streams |
 * | … and the work ignores it | stay open | stay open, and silent unless the work calls `beat()`: a monitor sees the hung shutdown | as above | goes on | when it ends |
 * | `signal` had aborted before the start | close | close, empty | aborted | is not called | at once |
 * | `heartbeats` is cancelled (a stall) | error with that reason, at once | closed | aborts, same reason | `return()` is called on its iterator, nothing waits for it | when the work ends, if ever |
 * | `results` is cancelled | closed | close, at once | aborts, same reason | as above | as above |
 *
 * Work that computes without ever awaiting anything real blocks the event
 * loop, the heartbeats and every monitor in it: run it in a thread.
 *
 * The pattern is from *Concurrency in Go* by Katherine Cox-Buday.
 *
 * @typeParam R The type of a result.
 * @param work The work. It is called once, right after the start: one result is
 * made ahead of the first read.
 * @param options The name, the interval and the signal.
 * @returns The worker's streams.
 * @throws {TypeError} If `work` is not a function, or an option is of the
 * wrong kind.
 * @throws {RangeError} If `interval` is `NaN`, zero or negative.
 *
 * @example Results and heartbeats
 * ```ts
 * import { startWorker } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const { results, heartbeats } = startWorker(async function* double({ beat }) {
 *   for (const n of [1, 2, 3]) {
 *     beat({ n });
 *     yield await Promise.resolve(2 * n);
 *   }
 * });
 *
 * assertEquals(await Array.fromAsync(results), [2, 4, 6]);
 * const [first] = await Array.fromAsync(heartbeats);
 * assertEquals(first?.worker, "double");
 * ```
 */
export function startWorker<R>(
  work: Work<R>,
  options: StartWorkerOptions = {},
): WorkerStreams<R> {
  const action = "start worker";
  checkFunction(action, "work", work);
  checkOptions(action, options);
  const { name = work.name || "worker", interval = 1000, signal, lastDetail } =
    options;
  checkString(action, "name", name);
  checkDuration(action, "interval", interval);
  checkSignal(action, signal);
  return new WorkerRun(work, { name, interval, signal, lastDetail }).start();
}
