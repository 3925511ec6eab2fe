// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Work that shows signs of life: {@linkcode startWorker} turns a function into
 * a pair of streams, results and heartbeats.
 *
 * @module
 */

import { MAX_DELAY_MS } from "./_timers.ts";
import {
  checkIteratorResult,
  isThenable,
  openSource,
  type WorkSource,
} from "./_work_source.ts";
import type {
  Heartbeat,
  Work,
  WorkContext,
  WorkerStreams,
} from "./_worker_types.ts";
import {
  checkDuration,
  checkFunction,
  checkOptions,
  checkSignal,
  checkString,
} from "./_validate.ts";
import { ConflatedStream } from "./_conflated_stream.ts";

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
   * The time between two heartbeats, in milliseconds: a positive number,
   * `Infinity` for one beat at the start and no more.
   *
   * @default {1000}
   */
  interval?: number | undefined;
  /** Stops the worker gracefully: the unit in flight may finish, then both streams close. */
  signal?: AbortSignal | undefined;
  /** Handed to the work as `context.lastDetail`, and the detail of the first heartbeats. */
  lastDetail?: unknown;
}

/** Whether the work threw because it was told to stop. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  try {
    return error === signal.reason ||
      (error as Error | null)?.name === "AbortError";
  } catch {
    // a getter named `name` threw
    return false;
  }
}

/**
 * Starts work and returns its results and its signs of life.
 *
 * What it promises:
 *
 * 1. A heartbeat proves progress. There is one at the start; then, at each
 *    `interval`, one if since the last tick a unit settled or `beat()` was
 *    called, or if the worker is idle because its consumer has not asked for
 *    more. While a unit is in flight and silent there is none: a timer that
 *    ticks beside hung work would hide it.
 * 2. Heartbeats never block the work and never queue: an unread beat is
 *    replaced by a newer one.
 * 3. Results are lossless and backpressured: at most one unit runs ahead of
 *    the consumer.
 *
 * How it ends:
 *
 * | what ends it | `results` | `heartbeats` | `context.signal` | the work | `finished` resolves |
 * | --- | --- | --- | --- | --- | --- |
 * | the work returns | close | close | stays | ended by itself | at once |
 * | the work throws | error with what it threw | error with the same | stays | ended by itself | at once |
 * | `signal` aborts, no unit in flight | close | close | aborts, same reason | its `finally` runs, then the streams close | with the streams |
 * | `signal` aborts, a unit in flight | deliver its result, then close | close with them | aborts, same reason | the unit may finish, its `finally` runs, then the streams close | with the streams |
 * | … and the work throws the reason or an `AbortError` | close | close | as above | ended by itself | with the streams |
 * | … and the work or its `finally` throws anything else | deliver what waits, then error with it | error with it | as above | ended by itself | with the streams |
 * | … and the work ignores it | stay open | stay open, silent: a monitor sees the hung shutdown | as above | goes on | when it ends |
 * | `signal` was aborted before the start | close | close, empty | aborted | is not called | at once |
 * | `heartbeats` is cancelled (a stall) | error with that reason, at once | closed | aborts, same reason | `return()` is called on its iterator, nothing waits for it | when the work ends, if ever |
 * | `results` is cancelled | closed | close, at once | aborts, same reason | as above | as above |
 *
 * Work that computes without ever awaiting anything real blocks the event
 * loop, the heartbeats and every monitor in it.
 *
 * The pattern is from *Concurrency in Go* by Katherine Cox-Buday.
 *
 * @typeParam R The type of a result.
 * @param work The work; it is called once, and pulled as results are asked for.
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
  checkFunction("start worker", "work", work);
  checkOptions("start worker", options);
  const { name = work.name || "worker", interval = 1000, signal, lastDetail } =
    options;
  checkString("start worker", "name", name);
  checkDuration("start worker", "interval", interval);
  checkSignal("start worker", signal);

  const aborter = new AbortController();
  let source: WorkSource<R> | undefined;
  let detail = lastDetail;
  let seq = 0;
  let inFlight = false;
  let progress = false;
  let ended = false;
  let stopped = false;
  let failure: { error: unknown } | undefined;
  let told = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let toResults!: ReadableStreamDefaultController<R>;
  let finish!: () => void;
  const finished = new Promise<void>((resolve) => finish = resolve);

  function emit() {
    const beat: Heartbeat = { worker: name, seq: ++seq, time: Date.now() };
    if (detail !== undefined) beat.detail = detail;
    told = false;
    heartbeats.put(beat);
  }

  function wait(rest: number) {
    const delay = Math.ceil(Math.min(rest, MAX_DELAY_MS));
    timer = setTimeout(() => {
      if (rest > delay) return wait(rest - delay);
      wait(interval);
      if (progress || !inFlight) emit();
      progress = false;
    }, delay);
  }

  function cleanup() {
    ended = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }

  function close() {
    if (ended) return;
    cleanup();
    toResults.close();
    heartbeats.close();
  }

  function fail(error: unknown) {
    if (ended) return;
    if (isAbort(error, aborter.signal)) return close();
    cleanup();
    // where it failed, for who starts it again
    if (told) emit();
    heartbeats.error(error);
    // an error would drop a result that waits
    if (toResults.desiredSize! > 0) toResults.error(error);
    else failure = { error };
  }

  /** Ends the source between two units; a cleanup that hangs is silent, as a unit is. */
  async function wind() {
    inFlight = true;
    try {
      await source?.close(signal!.reason);
      close();
    } catch (error) {
      fail(error);
    }
    finish();
  }

  function onAbort() {
    aborter.abort(signal!.reason);
    if (!inFlight) wind();
  }

  /** Stops without waiting for anything. */
  async function halt(reason: unknown) {
    cleanup();
    aborter.abort(reason);
    try {
      // a generator cannot be left while it runs: it may be what stops its own worker
      await undefined;
      await source?.close(aborter.signal.reason);
    } catch {
      // the streams have ended: there is nobody left to tell
    }
    stopped = true;
    if (!inFlight) finish();
  }

  // three functions, as an async pull() costs more (bench/worker_bench.ts)
  function take(result: IteratorResult<R>) {
    try {
      checkIteratorResult(result);
      const { done, value } = result;
      progress = true;
      if (done) close();
      else if (!ended) toResults.enqueue(value);
      land(done);
    } catch (error) {
      lose(error);
    }
  }

  function lose(error: unknown) {
    fail(error);
    land(true);
  }

  function land(over: boolean | undefined) {
    inFlight = false;
    if (over || stopped) finish();
    else if (!ended && aborter.signal.aborted) wind();
  }

  const results = new ReadableStream<R>({
    start(controller) {
      toResults = controller;
    },
    pull() {
      if (failure) toResults.error(failure.error);
      if (ended || aborter.signal.aborted) return;
      inFlight = true;
      try {
        source ??= openSource(
          work({ signal: aborter.signal, beat, lastDetail }),
        );
        const result = source.next();
        if (isThenable(result)) return Promise.resolve(result).then(take, lose);
        take(result);
      } catch (error) {
        lose(error);
      }
    },
    cancel(reason) {
      if (ended) return;
      halt(reason);
      heartbeats.close();
    },
  }, { highWaterMark: 1 });

  const heartbeats = new ConflatedStream<Heartbeat>((reason) => {
    if (ended) return;
    halt(reason);
    toResults.error(reason ?? aborter.signal.reason);
  });

  function beat(news?: unknown) {
    progress = true;
    if (news === undefined) return;
    detail = news;
    told = true;
  }

  if (signal?.aborted) {
    aborter.abort(signal.reason);
    close();
    finish();
  } else {
    signal?.addEventListener("abort", onAbort, { once: true });
    emit();
    if (interval !== Infinity) wait(interval);
  }
  return { results, heartbeats: heartbeats.readable, finished };
}
