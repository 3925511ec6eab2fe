// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Find the silence of a stream: {@linkcode HeartbeatMonitor} passes a stream
 * on and errors when it goes silent, {@linkcode watch} guards a worker.
 *
 * @module
 */

import { MAX_DELAY_MS } from "./_timers.ts";
import { checkDuration, checkFunction, checkStream } from "./_validate.ts";
import type { Heartbeat, WorkerStreams } from "./worker.ts";

/** How often a window is looked at; an absence between two looks is noticed. */
const LOOKS = 4;
/** How many late looks in a row one silence can be excused for. */
const EXCUSES = 8;
/** Lateness below this (ms) is what every timer has. */
const USUAL_LATENESS = 10;
/** How often (ms) a `writable` that was put aside is asked for its lock. */
const POLL = 1_000;

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
}

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
 */
export class HeartbeatTimeoutError<T = unknown> extends Error {
  /** The name of the error, `"HeartbeatTimeoutError"`. */
  override readonly name = "HeartbeatTimeoutError";
  /** The limit that was passed: `timeout`, or `firstTimeout` where `count` is 0. In milliseconds. */
  readonly timeout: number;
  /**
   * How long the silence was by the monitor's clock, in milliseconds: at least
   * `timeout`. The time in which the clock stood still is not in it.
   */
  readonly elapsed: number;
  /** How many heartbeats came before the silence. */
  readonly count: number;
  /** The last heartbeat, `undefined` if none came. The `detail` of a worker's heartbeat tells where it hung. */
  readonly last: T | undefined;

  /**
   * Constructs a new instance.
   *
   * @param options What is known of the silence.
   */
  constructor(options: HeartbeatTimeoutErrorOptions<T>) {
    const { timeout, elapsed, count, last } = options;
    super(
      `No heartbeat for ${elapsed} ms after ${count} ${
        count === 1 ? "heartbeat" : "heartbeats"
      }: the timeout is ${timeout} ms`,
      options,
    );
    this.timeout = timeout;
    this.elapsed = elapsed;
    this.count = count;
    this.last = last;
  }
}

/** Options of {@linkcode HeartbeatMonitor} and {@linkcode watch}. */
export interface HeartbeatMonitorOptions<T = unknown> {
  /**
   * How long the producer may be silent between two heartbeats, in
   * milliseconds: a positive number, `Infinity` for no limit. Give at least
   * twice the time that usually passes between two heartbeats.
   */
  timeout: number;
  /**
   * How long the producer may be silent before its first heartbeat, in
   * milliseconds: a positive number, `Infinity` for no limit.
   *
   * @default {timeout}
   */
  firstTimeout?: number | undefined;
  /**
   * Says which chunks are heartbeats. The others pass and leave the clock
   * alone. If it throws, the stream errors with what it threw.
   *
   * @default {() => true}
   */
  isHeartbeat?: ((chunk: T) => boolean) | undefined;
}

/** The clock of a monitor: it runs on the producer's turn, and the verdict is its. */
class SilenceClock<T> {
  /** Chunks that arrived and were not handed on yet. */
  #waiting = 0;
  #count = 0;
  #last: T | undefined;
  /** When the running silence began, by `Date.now()`. */
  #since = 0;
  /** Silence from before the clock was last stopped by a chunk that is no heartbeat. */
  #spent = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #armed = 0;
  #due = 0;
  /** Whether the silence is long enough, and what has arrived is being let in before the verdict. */
  #lastTurn = false;
  #countAtLook = 0;
  #excuses = EXCUSES;
  #ended = false;
  #first: number;
  #timeout: number;
  #isHeartbeat: ((chunk: T) => boolean) | undefined;
  fail!: (error: HeartbeatTimeoutError<T>) => void;
  writable!: WritableStream<T>;

  constructor(
    first: number,
    timeout: number,
    isHeartbeat?: (chunk: T) => boolean,
  ) {
    this.#first = first;
    this.#timeout = timeout;
    this.#isHeartbeat = isHeartbeat;
  }

  get #window() {
    return this.#count === 0 ? this.#first : this.#timeout;
  }

  /** `writable` is being looked at, perhaps taken: what takes it does so before the next microtask. */
  look() {
    if (this.#ended || this.writable.locked) return;
    this.#since = Date.now();
    queueMicrotask(() => this.#seek());
  }

  #seek() {
    if (this.#ended) return;
    if (this.writable.locked) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return this.#arm();
    }
    if (this.#timer !== undefined || this.#window === Infinity) return;
    // where Transformer.cancel is missing, nothing else tells of the end
    const writer = this.writable.getWriter();
    const { desiredSize } = writer;
    writer.releaseLock();
    if (desiredSize === null) return this.stop();
    // no event tells of a lock, so ask for it, with nothing kept alive: neither this clock nor the process
    const weak = new WeakRef(this);
    this.#timer = setTimeout(
      () => weak.deref()?.poll(),
      Math.min(this.#window, POLL),
    );
    (this.#timer as { unref?(): void }).unref?.();
  }

  poll() {
    this.#timer = undefined;
    this.#since = Date.now();
    this.#seek();
  }

  arrive(): number {
    if (this.#waiting++ === 0 && this.#isHeartbeat !== undefined) {
      const now = Date.now();
      this.#spent = this.#wasAway(now, this.#armed) ? 0 : now - this.#since;
    }
    return 1;
  }

  handOn(chunk: T) {
    if (this.#isHeartbeat === undefined || this.#isHeartbeat(chunk)) {
      this.#last = chunk;
      this.#spent = 0;
      if (this.#count++ === 0 && this.#first !== this.#timeout) {
        clearTimeout(this.#timer);
        this.#timer = undefined;
      }
    }
    if (--this.#waiting === 0) {
      this.#since = Date.now() - this.#spent;
      if (this.#timer === undefined) this.#arm();
    }
  }

  #arm() {
    const window = this.#window;
    if (window === Infinity || this.#ended) return;
    const now = Date.now();
    const delay = Math.ceil(
      Math.min(window / LOOKS, this.#since + window - now, MAX_DELAY_MS),
    );
    this.#set(Math.max(delay, 0), now);
  }

  #set(delay: number, now: number) {
    this.#armed = now;
    this.#due = now + delay;
    this.#timer = setTimeout(() => this.#tick(), delay);
  }

  /**
   * Whether this process was away (or its clock set) since the timer was armed,
   * so that the silence is no evidence; bounded, so that a loop that is always
   * late hides no stall.
   */
  #wasAway(now: number, earliest: number): boolean {
    if (this.#count !== this.#countAtLook) {
      this.#countAtLook = this.#count;
      this.#excuses = EXCUSES;
    }
    const usual = Math.max(this.#window / (2 * LOOKS), USUAL_LATENESS);
    return (now < earliest - usual || now > this.#due + usual) &&
      this.#excuses-- > 0;
  }

  #tick() {
    this.#timer = undefined;
    // the consumer's turn: the clock stands still until handOn() starts it again
    if (this.#waiting > 0) return;
    if (!this.writable.locked) return this.#seek();
    const now = Date.now();
    const window = this.#window;
    const late = now - this.#due;
    if (this.#wasAway(now, this.#due)) this.#since = now;
    // a short absence, or a small step of the clock: a look counts for what it was planned for
    else if (Math.abs(late) > USUAL_LATENESS) this.#since += late;
    const elapsed = now - this.#since;
    if (elapsed < window) {
      this.#lastTurn = false;
      this.#arm();
    } else if (!this.#lastTurn) {
      this.#lastTurn = true;
      this.#set(0, now);
    } else {
      this.stop();
      this.fail(
        new HeartbeatTimeoutError({
          timeout: window,
          elapsed,
          count: this.#count,
          last: this.#last,
        }),
      );
    }
  }

  stop() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/**
 * A `TransformStream` that passes every chunk and errors when none comes for
 * too long: a stream that goes quiet closes nothing, this one makes silence an
 * error. It is for heartbeats, and for any stream at all.
 *
 * What it promises:
 *
 * 1. Every chunk passes, in order, with normal backpressure. A silence never
 *    costs a chunk: what the consumer has not asked for yet waits where no
 *    error drops it, and while it waits there is no silence.
 * 2. The clock runs only on the producer's turn: from the moment that
 *    `writable` is taken (by `pipeThrough()`, `pipeTo()` or a writer) until
 *    the first heartbeat, and from each heartbeat handed on until the next
 *    arrives. It stands still while a chunk waits for a slow consumer. A
 *    monitor that was never attached holds no timer. If `writable` was put
 *    aside and is piped to in a later turn, that is noticed within a second.
 * 3. On silence the readable side errors with a
 *    {@linkcode HeartbeatTimeoutError}, and the source is cancelled with the
 *    same object.
 * 4. No false alarm from the monitor's own absence: a look at the clock that
 *    comes late says that this process was blocked, stopped or asleep, so the
 *    producer gets a fresh window (at most 8 times in one silence, so that a
 *    loop that is late for ever hides nothing). The same holds after the wall
 *    clock was set.
 * 5. A stall is reported no earlier than the timeout and, while the event loop
 *    is free, one turn after it.
 * 6. No timer is set or cleared per chunk, and none is left however the stream
 *    ends. Where `Transformer.cancel` is not supported (Node.js before 20.14,
 *    Chromium), a cancelled monitor's timer is left until it is next due, or for
 *    `timeout` if a writer still holds `writable`.
 *
 * A monitor that is transferred to another thread goes on watching from this one;
 * there it is a plain `TransformStream`.
 *
 * The clocks of Pekko Streams' `idleTimeout` and undici's `bodyTimeout` are the
 * closest relatives; the one counts a slow consumer as silence, and a stall drops
 * what waits for it with the other.
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
  #clock: SilenceClock<T>;

  /**
   * Constructs a new instance.
   *
   * @param options The limits, and what counts as a heartbeat.
   * @throws {TypeError} If `timeout` or `firstTimeout` is not a number, or
   * `isHeartbeat` not a function.
   * @throws {RangeError} If `timeout` or `firstTimeout` is `NaN`, zero or
   * negative.
   */
  constructor(options: HeartbeatMonitorOptions<T>) {
    const { timeout, firstTimeout = timeout, isHeartbeat } = options ?? {};
    checkDuration("monitor", "timeout", timeout);
    checkDuration("monitor", "firstTimeout", firstTimeout);
    if (isHeartbeat !== undefined) {
      checkFunction("monitor", "isHeartbeat", isHeartbeat);
    }
    const clock = new SilenceClock<T>(firstTimeout, timeout, isHeartbeat);
    // 4 and 0 by measurement (bench/monitor_bench.ts): more than 4 gains nothing,
    // and a chunk in the readable side's queue would be dropped by a stall
    super(
      {
        start(controller) {
          clock.fail = (error) => controller.error(error);
        },
        transform(chunk, controller) {
          controller.enqueue(chunk);
          try {
            clock.handOn(chunk);
          } catch (error) {
            clock.stop();
            throw error;
          }
        },
        flush: () => clock.stop(),
        cancel: () => clock.stop(),
      },
      { highWaterMark: 4, size: () => clock.arrive() },
      { highWaterMark: 0 },
    );
    clock.writable = super.writable;
    this.#clock = clock;
  }

  /** Takes the chunks. The clock starts when it is locked, by a pipe or a writer. */
  override get writable(): WritableStream<T> {
    this.#clock.look();
    return super.writable;
  }
}

/**
 * Watches over a worker: returns its results, which error with a
 * {@linkcode HeartbeatTimeoutError} when its heartbeats stop. The heartbeats
 * are drained through a {@linkcode HeartbeatMonitor}; on a stall the worker
 * is cancelled with that same error. Heartbeats that close before the results
 * end the watch: the results go on, unguarded.
 *
 * Both streams of the worker are locked. The results are read one at a time,
 * when they are asked for. Cancelling the returned stream stops the worker.
 *
 * @typeParam R The type of a result.
 * @param worker The worker, or any pair of streams.
 * @param options The limits, and which heartbeats count.
 * @returns The results.
 * @throws {TypeError} If `worker` is not a pair of unlocked streams, or an
 * option is of the wrong kind.
 * @throws {RangeError} If `timeout` or `firstTimeout` is `NaN`, zero or
 * negative.
 *
 * @example Usage
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
): ReadableStream<R> {
  checkStream("watch", "worker.results", worker?.results);
  checkStream("watch", "worker.heartbeats", worker?.heartbeats);
  const beats = worker.heartbeats.pipeThrough(new HeartbeatMonitor(options));
  const reader = worker.results.getReader();
  const over = new AbortController();
  let toResults!: ReadableStreamDefaultController<R>;

  function pass({ done, value }: ReadableStreamReadResult<R>) {
    if (!done) return toResults.enqueue(value);
    toResults.close();
    over.abort();
  }

  function fail(error: unknown) {
    toResults.error(error);
    over.abort();
  }

  return new ReadableStream<R>({
    start(controller) {
      toResults = controller;
      beats.pipeTo(new WritableStream(), { signal: over.signal }).catch(
        (error) => {
          controller.error(error);
          reader.cancel(error).catch(() => {});
        },
      );
    },
    // where a stall or a cancel came first, what pass() throws is no news
    pull: () => reader.read().then(pass, fail),
    cancel(reason) {
      over.abort(reason);
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
