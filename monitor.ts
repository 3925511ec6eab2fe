// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Detect silence: {@linkcode HeartbeatMonitor} passes a stream on and errors when
 * it goes silent, {@linkcode watch} guards a worker, work or a stream.
 *
 * @module
 */

import { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import {
  HeartbeatTimeoutError,
  type HeartbeatTimeoutErrorOptions,
  type TimeoutLimit,
} from "./_heartbeat_timeout_error.ts";
import {
  type HeartbeatMonitorOptions,
  readMonitorOptions,
  type SilenceEvent,
} from "./_monitor_options.ts";
import { MonitorTransformer } from "./_monitor_transformer.ts";
import { checkStream, throwInvalid } from "./_validate.ts";
import { WatchedResults } from "./_watched_results.ts";
import { watchStream } from "./_watched_stream.ts";
import type { Heartbeat, Work, WorkerStreams } from "./_worker_types.ts";
import { startWorker } from "./worker.ts";

export { HeartbeatGaps, HeartbeatTimeoutError };
export type {
  HeartbeatMonitorOptions,
  HeartbeatTimeoutErrorOptions,
  SilenceEvent,
  TimeoutLimit,
};

/**
 * A `TransformStream` that passes every chunk and errors when none comes for
 * too long. Use it for heartbeats, and for any other stream.
 *
 * What it promises:
 *
 * 1. Every chunk passes, in order, with normal backpressure. A stall drops no
 *    chunk: chunks that the consumer has not asked for wait on the writable side,
 *    where an error does not drop them. While one waits, there is no silence.
 * 2. The clock runs only on the producer's turn: from the moment that
 *    `writable` is taken (by `pipeThrough()`, `pipeTo()` or a writer) until
 *    the first heartbeat, and from each heartbeat that was forwarded until the
 *    next arrives. It stands still while a chunk waits for a slow consumer. A
 *    monitor that was never attached holds no timer. If `writable` is stored and
 *    piped to in a later turn, the monitor notices within a second.
 * 3. On silence the readable side errors with a
 *    {@linkcode HeartbeatTimeoutError}, and the source is cancelled with the
 *    same object.
 * 4. No false alarm from the monitor's own absence: if a check is unusually late,
 *    this process was blocked, stopped or asleep, so the producer gets a whole new
 *    window. An event loop that is always late does not count as an absence.
 *    A wall clock that is set back costs nothing, one that is set forward costs
 *    at most one window.
 * 5. A stall is reported no earlier than `timeout` and, while the event loop is
 *    free, one turn after it. Where the loop is late at every turn, or every
 *    second one, that is within 1.5 × `timeout` + 2 × lag, for a lag of up to
 *    `timeout` / 3; whatever the loop does, within 3 × `timeout` + 2 × its longest
 *    lateness. These times count from the moment at which the last heartbeat was
 *    forwarded. Every timer may be 10 ms late besides.
 * 6. No timer is set or cleared per chunk, and none is left however the stream
 *    ends. Where `Transformer.cancel` is not supported (Node.js before 20.14,
 *    Chromium), a cancelled monitor's timer is left until it is next due, or for
 *    `timeout` if a writer still holds `writable`.
 * 7. `onSilence` is called once at half of the limit, or at `warnAfter`, and once
 *    when that silence ends, so that a long silence is seen before it is a stall.
 *
 * A monitor that is transferred to another thread keeps watching from this one.
 * In the other thread it is a plain `TransformStream`.
 *
 * Its closest relatives are the `idleTimeout` of Pekko Streams, which counts a slow
 * consumer as silence, and the `bodyTimeout` of undici, which drops waiting chunks
 * at a stall.
 *
 * @typeParam T The type of a chunk.
 *
 * @example Guard the body of a response
 * ```ts
 * import { HeartbeatMonitor } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const response = new Response("alive");
 * const body = response.body!.pipeThrough(new HeartbeatMonitor({ timeout: 30_000 }));
 *
 * assertEquals(await new Response(body).text(), "alive");
 * ```
 *
 * @example A stream that goes silent
 * ```ts
 * import { HeartbeatMonitor, HeartbeatTimeoutError } from "@heartbeat/heartbeat";
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { FakeTime } from "@std/testing/time";
 *
 * using time = new FakeTime();
 * let cancelled: unknown;
 * const silent = new ReadableStream({ cancel: (reason) => void (cancelled = reason) });
 * const reader = silent.pipeThrough(new HeartbeatMonitor({ timeout: 3000 })).getReader();
 * const read = assertRejects(() => reader.read(), HeartbeatTimeoutError);
 * for (let i = 0; i < 4; i++) await time.tickAsync(750);
 *
 * const error = await read;
 * assertEquals(error.elapsed, 3000);
 * assertEquals(error, cancelled);
 * ```
 */
export class HeartbeatMonitor<T = unknown> extends TransformStream<T, T> {
  #transformer: MonitorTransformer<T>;

  /**
   * Constructs a new instance.
   *
   * @param options The limits, what counts as a heartbeat, and who is watched.
   * @throws {TypeError} If `timeout` or `firstTimeout` is not a number,
   * `isHeartbeat` not a function, or `name` not a string.
   * @throws {RangeError} If `timeout` or `firstTimeout` is `NaN`, zero or
   * negative.
   */
  constructor(options: HeartbeatMonitorOptions<T>) {
    const transformer = new MonitorTransformer<T>(options);
    // 4 and 0 by measurement (bench/monitor_bench.ts): more than 4 gains nothing,
    // and a chunk in the readable side's queue would be dropped by a stall
    super(
      transformer,
      { highWaterMark: 4, size: () => transformer.size() },
      { highWaterMark: 0 },
    );
    transformer.watch(super.writable);
    this.#transformer = transformer;
  }

  /** How long the silences were, with `observe`; `undefined` without. */
  get gaps(): HeartbeatGaps | undefined {
    return this.#transformer.gaps;
  }

  /** Takes the chunks. The clock starts when this is locked, by a pipe or a writer. */
  override get writable(): WritableStream<T> {
    this.#transformer.onAccess();
    return super.writable;
  }
}

/** Options of {@linkcode watch} for work that it starts itself. */
export interface WatchWorkOptions extends HeartbeatMonitorOptions<Heartbeat> {
  /**
   * How often the watch looks for a `beat()` of the work, in milliseconds: a
   * positive number, `Infinity` for never.
   *
   * @default {Math.min(timeout / 4, 1000)}
   */
  interval?: number | undefined;
  /** Stops the work gracefully: the unit in flight may finish, then the results close. */
  signal?: AbortSignal | undefined;
}

/**
 * Watches a worker: returns its results, which error with a
 * {@linkcode HeartbeatTimeoutError} when it is silent for too long. Its results
 * are signs of life as well as its heartbeats; on a stall both of its streams are
 * cancelled with that same error, whose `last` is the last heartbeat. The rules of
 * the clock are those of {@linkcode HeartbeatMonitor}, and the heartbeats are read
 * at once. If the heartbeats close before the results, the watch ends, and the
 * results go on unguarded.
 *
 * The first window, `firstTimeout`, ends with the first progress: a result, or a
 * heartbeat after the first one. `isHeartbeat` says which heartbeats count.
 *
 * Both streams of the worker are locked. The results are read one at a time,
 * when they are asked for. Cancelling the returned stream stops the worker.
 *
 * `watch()` takes work and streams, too: see below.
 *
 * @typeParam R The type of a result.
 * @param worker The worker, or any pair of streams.
 * @param options The limits, and which heartbeats count.
 * @returns The results.
 * @throws {TypeError} If `worker` is not a pair of unlocked streams, or an
 * option is of the wrong kind.
 * @throws {RangeError} If a duration is `NaN`, zero or negative.
 *
 * @example A worker
 * ```ts
 * import { startWorker, watch } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const worker = startWorker(() => [1, 2, 3]);
 *
 * assertEquals(await Array.fromAsync(watch(worker, { timeout: 3000 })), [1, 2, 3]);
 * ```
 */
export function watch<R>(
  worker: Pick<WorkerStreams<R>, "results" | "heartbeats">,
  options: HeartbeatMonitorOptions<Heartbeat>,
): ReadableStream<R>;
/**
 * Starts work, a function as `startWorker()` takes it, and watches it, in one step. The clock starts before the function is called, so that it covers what
 * happens before the first result, such as a connection: `firstTimeout` is for
 * that. On a stall the `signal` of the work aborts with the error before anything
 * waits for its iterator, so a request ends although a generator waits in
 * `next()`. The results error with it even if the work takes the abort for a clean
 * end, as some clients do.
 *
 * @typeParam R The type of a result.
 * @param work The work; it is called soon.
 * @param options The limits, and the signal.
 * @returns The results.
 * @throws {TypeError} If an option is of the wrong kind.
 * @throws {RangeError} If a duration is `NaN`, zero or negative.
 *
 * @example The answer of a client that takes a signal
 * ```ts
 * import { watch } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const words = watch(
 *   async ({ signal }) => {
 *     const response = await fetch("data:text/plain,alive", { signal });
 *     return response.body!.pipeThrough(new TextDecoderStream());
 *   },
 *   { timeout: 10_000, firstTimeout: 60_000 },
 * );
 *
 * assertEquals(await Array.fromAsync(words), ["alive"]);
 * ```
 */
export function watch<R>(
  work: Work<R>,
  options: WatchWorkOptions,
): ReadableStream<R>;
/**
 * Passes any stream on, and errors if it is silent for too long. The promises
 * are those of a {@linkcode HeartbeatMonitor}, without a `TransformStream`: it
 * costs less, and a byte stream stays one. The clock runs while a read of the
 * consumer waits for a chunk.
 *
 * @typeParam T The type of a chunk.
 * @param stream The stream. It is locked.
 * @param options The limits, and which chunks count.
 * @returns The stream.
 * @throws {TypeError} If `stream` is locked, or an option is of the wrong kind.
 * @throws {RangeError} If a duration is `NaN`, zero or negative.
 *
 * @example The body of a response
 * ```ts
 * import { watch } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const { body } = new Response("alive");
 *
 * assertEquals(await new Response(watch(body!, { timeout: 30_000 })).text(), "alive");
 * ```
 */
export function watch<T>(
  stream: ReadableStream<T>,
  options: HeartbeatMonitorOptions<T>,
): ReadableStream<T>;
export function watch<R>(
  what:
    | Pick<WorkerStreams<R>, "results" | "heartbeats">
    | Work<R>
    | ReadableStream<R>,
  // deno-lint-ignore no-explicit-any -- each overload has its own
  options: any,
): ReadableStream<R> {
  if (what instanceof ReadableStream) {
    checkStream("watch", "stream", what);
    return watchStream(what, options);
  }
  if (typeof what === "function") return watchWork(what, options);
  if (what?.results === undefined) {
    const accepted = "a function, a worker or a ReadableStream";
    throwInvalid(TypeError, "watch", "work", accepted, what);
  }
  checkStream("watch", "worker.results", what.results);
  checkStream("watch", "worker.heartbeats", what.heartbeats);
  return new WatchedResults(what, options).readable;
}

function watchWork<R>(
  work: Work<R>,
  options: WatchWorkOptions,
): ReadableStream<R> {
  const { timeout, name } = readMonitorOptions(options);
  const { interval = Math.min(timeout / 4, 1000), signal } = options;
  // it calls the work in a microtask, when the clock runs already
  const worker = startWorker(work, { name, interval, signal });
  return new WatchedResults(worker, options).readable;
}
