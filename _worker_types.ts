// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The types that all modules share: a heartbeat, a worker, and its work. The
 * public modules re-export them.
 *
 * @module
 */

/** Proof of progress: plain data, small, and worthless when late. */
export interface Heartbeat {
  /** The name of the worker. */
  worker: string;
  /** Counts every beat of the worker from 1, so a gap shows how many were dropped unread. */
  seq: number;
  /** When the beat was made, in milliseconds since the epoch. */
  time: number;
  /** The last detail that the work gave to {@linkcode WorkContext.beat}; absent if it gave none. */
  detail?: unknown;
  /**
   * Set while a supervisor waits to start the attempt with this number. No
   * attempt runs then: the heartbeat is a sign of life of the supervisor, and no
   * progress of the work. Its `detail` is the work's last checkpoint. Absent from
   * all other heartbeats.
   */
  restarting?: {
    /** The number of the attempt that comes next. */
    attempt: number;
  };
  /**
   * Set on the last heartbeat of a worker, where heartbeats go to another machine:
   * whether its work ended as planned or failed. Absent from all other heartbeats.
   */
  ended?: "done" | "failed";
}

/**
 * A worker is a pair of streams, whatever runs behind it: a function, a
 * thread, a process, a remote host.
 *
 * @typeParam R The type of a result.
 *
 * @example A worker of your own
 * ```ts
 * import { watch, type WorkerStreams } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const remote: WorkerStreams<string> = {
 *   results: ReadableStream.from(["a", "b"]),
 *   heartbeats: ReadableStream.from([{ worker: "remote", seq: 1, time: Date.now() }]),
 *   finished: Promise.resolve(),
 * };
 *
 * assertEquals(await Array.fromAsync(watch(remote, { timeout: 3_000 })), ["a", "b"]);
 * ```
 */
export interface WorkerStreams<R> {
  /** The results. Cancelling them stops the worker and closes `heartbeats`. */
  readonly results: ReadableStream<R>;
  /** The heartbeats. Cancelling them stops the worker at once: `results` errors with the reason. */
  readonly heartbeats: ReadableStream<Heartbeat>;
  /**
   * Resolves when the work itself has really ended, however it ended; never
   * rejects. It stays pending for work that was stopped and did not end.
   */
  readonly finished: Promise<void>;
}

/** The argument of the work. */
export interface WorkContext {
  /** Aborts when the worker has to stop, with the reason that was given. */
  readonly signal: AbortSignal;
  /**
   * Reports progress inside a long unit. The next heartbeat carries the latest
   * detail, such as a checkpoint or the name of a step. The detail is not
   * copied, so pass a new value each time.
   */
  readonly beat: (detail?: unknown) => void;
  /** The detail of an earlier attempt's last heartbeat: where to resume. */
  readonly lastDetail?: unknown;
}

/**
 * The user's code: a function that returns an iterable of results. What
 * happens between two results is a unit, the smallest thing that can hang.
 *
 * @typeParam R The type of a result.
 * @param context The signal, the function `beat()` and the last checkpoint.
 * @returns The results: an async iterable (an async generator, a
 * `ReadableStream`, …) or an iterable, of values or of promises; or a promise of
 * one, as the clients of LLM APIs return. The wait for that promise belongs to
 * the first unit.
 *
 * @example Work that is one long unit
 * ```ts
 * import { startWorker, type Work } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const sum: Work<number> = function* ({ beat }) {
 *   let total = 0;
 *   for (let n = 1; n <= 1_000; n++) {
 *     total += n;
 *     if (n % 100 === 0) beat({ n }); // alive, and this far
 *   }
 *   yield total;
 * };
 *
 * assertEquals(await Array.fromAsync(startWorker(sum).results), [500500]);
 * ```
 */
export type Work<R> = (
  context: WorkContext,
) =>
  | AsyncIterable<R>
  | Iterable<R | PromiseLike<R>>
  | PromiseLike<AsyncIterable<R> | Iterable<R | PromiseLike<R>>>;
