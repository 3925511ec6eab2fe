// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * For code that takes a signal, and for promises: {@linkcode Watchdog} is a
 * timeout that progress resets, {@linkcode withHeartbeat} guards a promise.
 *
 * @module
 */

import { HeartbeatRecord } from "./_heartbeat_record.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
import { SilenceClock } from "./_silence_clock.ts";
import { type CancelTimer, startTimer } from "./_timers.ts";
import {
  checkDuration,
  checkFunction,
  checkSignal,
  checkSilenceReport,
  checkString,
} from "./_validate.ts";

/**
 * Options of {@linkcode Watchdog} and {@linkcode withHeartbeat}.
 *
 * @typeParam D The type of a detail.
 */
export interface WatchdogOptions<D = unknown> {
  /**
   * How long there may be no `beat()`, in milliseconds: a positive number,
   * `Infinity` for no limit.
   */
  timeout: number;
  /**
   * How long everything may take, in milliseconds: a positive number. Progress
   * does not move it.
   *
   * @default {Infinity}
   */
  totalTimeout?: number | undefined;
  /** Aborts the watchdog's signal, with the same reason. */
  signal?: AbortSignal | undefined;
  /** Who is watched: the `source` of the {@linkcode HeartbeatTimeoutError}, also in its message. */
  name?: string | undefined;
  /**
   * Called when a silence passes `warnAfter`, and once more when it ends; not if
   * it ends as a stall. If it throws, the signal aborts with what it threw. With
   * a `timeout` of `Infinity` and a `warnAfter`, silences are reported and nothing
   * is aborted.
   */
  onSilence?: ((event: SilenceEvent<D>) => void) | undefined;
  /**
   * After how much silence `onSilence` is called, in milliseconds: a positive
   * number, `Infinity` for never.
   *
   * @default {timeout / 2}
   */
  warnAfter?: number | undefined;
}

/**
 * A timeout that progress resets: its `signal` aborts when there was no `beat()`
 * for too long. The platform has no such signal: `AbortSignal.timeout()` cannot
 * be reset ([whatwg/dom#1263](https://github.com/whatwg/dom/issues/1263)).
 *
 * | phase | `beat()` | silence | `totalTimeout` passes | the given `signal` aborts | `stop()`, dispose |
 * | --- | --- | --- | --- | --- | --- |
 * | watching | a new silence begins | → ended: abort with a {@linkcode HeartbeatTimeoutError} | → ended: abort with a `TimeoutError` | → ended: abort with its reason | → ended: never abort |
 * | ended | | | | | |
 *
 * What it promises:
 *
 * 1. The signal aborts no earlier than `timeout` after the last `beat()`, and
 *    not because this process was away: after a blocked event loop, a suspended
 *    process or a sleeping machine the work gets a fresh `timeout`, as with
 *    `HeartbeatMonitor`.
 * 2. A `beat()` sets no timer.
 * 3. However it ends, no timer is left, and no listener on the given `signal`.
 *
 * It keeps the process alive until it ends, so stop it or dispose of it.
 *
 * @typeParam D The type of a detail.
 *
 * @example A download that stops is aborted, a slow one is not
 * ```ts
 * import { Watchdog } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * using dog = new Watchdog({ timeout: 30_000 });
 * const response = await fetch("data:text/plain,alive", { signal: dog.signal });
 * let size = 0;
 * for await (const chunk of response.body!) {
 *   dog.beat();
 *   size += chunk.length;
 * }
 *
 * assertEquals(size, 5);
 * ```
 *
 * @example The last detail says where it hung
 * ```ts
 * import { HeartbeatTimeoutError, Watchdog } from "@heartbeat/heartbeat";
 * import { assertEquals, assertInstanceOf } from "@std/assert";
 * import { FakeTime } from "@std/testing/time";
 *
 * using time = new FakeTime();
 * using dog = new Watchdog<string>({ timeout: 1_000 });
 * dog.beat("table users");
 * for (let i = 0; i < 5; i++) await time.tickAsync(250);
 *
 * assertInstanceOf(dog.signal.reason, HeartbeatTimeoutError);
 * assertEquals(dog.signal.reason.last, "table users");
 * ```
 */
export class Watchdog<D = unknown> implements Disposable {
  #aborter = new AbortController();
  #clock: SilenceClock;
  #parent: AbortSignal | undefined;
  #cancelTotal: CancelTimer = () => {};
  #record = new HeartbeatRecord<D>();
  #onParentAborted = () => this.#end(this.#parent!.reason);

  /**
   * Constructs a new instance; the silence begins.
   *
   * @param options The limits, and the signal to follow.
   * @throws {TypeError} If an option is of the wrong kind.
   * @throws {RangeError} If `timeout` or `totalTimeout` is `NaN`, zero or
   * negative.
   */
  constructor(options: WatchdogOptions<D>) {
    const { totalTimeout, signal, name, onSilence, ...limits } = readOptions(
      options,
    );
    this.#parent = signal;
    this.#clock = new SilenceClock({
      ...limits,
      onStall: (stall) => this.#end(this.#record.createError(stall, name)),
      onSilence: onSilence && ((report) => {
        try {
          onSilence(this.#record.createEvent(report));
        } catch (error) {
          this.#end(error);
        }
      }),
    });
    if (signal?.aborted) this.#end(signal.reason);
    else this.#start(totalTimeout);
  }

  #start(totalTimeout: number) {
    this.#parent?.addEventListener("abort", this.#onParentAborted, {
      once: true,
    });
    this.#clock.attach();
    this.#cancelTotal = startTimer(
      () => this.#onTotalTimeout(totalTimeout),
      totalTimeout,
    );
  }

  /** Aborts when the work was silent for too long, took too long in all, or was aborted. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /**
   * Reports progress: a new silence begins.
   *
   * @param detail Where the work is; the last one is on the error. It is not
   * copied.
   */
  beat(detail?: D) {
    this.#record.count++;
    if (detail !== undefined) this.#record.last = detail;
    this.#clock.beat();
  }

  /** Ends the watch. The signal never aborts after that. */
  stop() {
    this.#clock.stop();
    this.#cancelTotal();
    this.#parent?.removeEventListener("abort", this.#onParentAborted);
  }

  /** As {@linkcode Watchdog.stop}, for `using`. */
  [Symbol.dispose]() {
    this.stop();
  }

  #onTotalTimeout(totalTimeout: number) {
    const message = `The work took longer than ${totalTimeout} ms`;
    this.#end(new DOMException(message, "TimeoutError"));
  }

  #end(reason: unknown) {
    this.stop();
    this.#aborter.abort(reason);
  }
}

function readOptions<D>(options: WatchdogOptions<D>) {
  const action = "watch";
  const { timeout, totalTimeout = Infinity, signal, name } = options ?? {};
  const { onSilence, warnAfter } = options ?? {};
  checkDuration(action, "timeout", timeout);
  checkDuration(action, "totalTimeout", totalTimeout);
  checkSignal(action, signal);
  if (name !== undefined) checkString(action, "name", name);
  checkSilenceReport(action, onSilence, warnAfter);
  const limits = { timeout, firstTimeout: timeout, warnAfter };
  return { ...limits, totalTimeout, signal, name, onSilence };
}

/**
 * The argument of the function that {@linkcode withHeartbeat} guards.
 *
 * @typeParam D The type of a detail.
 */
export interface HeartbeatContext<D = unknown> {
  /** Aborts when the work was silent for too long, took too long in all, or was aborted. */
  readonly signal: AbortSignal;
  /** Reports progress, with a detail that says where the work is. */
  readonly beat: (detail?: D) => void;
}

/**
 * Runs work that returns a promise, and rejects when it is silent for too long.
 *
 * It rejects at the verdict, whether or not the work reacts to its `signal`. What
 * the work returns or throws after that is ignored, and causes no unhandled
 * rejection. If the signal has aborted before, the work is not called.
 *
 * @typeParam T The type of the result.
 * @typeParam D The type of a detail.
 * @param work The work. What it throws rejects the promise.
 * @param options The limits, and the signal to follow.
 * @returns What the work returns.
 * @throws {TypeError} If `work` is not a function, or an option is of the wrong
 * kind.
 * @throws {RangeError} If `timeout` or `totalTimeout` is `NaN`, zero or
 * negative.
 * @throws {HeartbeatTimeoutError} If there was no `beat()` for `timeout`.
 * @throws {DOMException} A `TimeoutError`, if the work took longer than
 * `totalTimeout`.
 *
 * @example Usage
 * ```ts
 * import { withHeartbeat } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const sum = await withHeartbeat(async ({ signal, beat }) => {
 *   let sum = 0;
 *   for (const url of ["data:,1", "data:,2"]) {
 *     beat(url); // on the error, if the next line hangs
 *     sum += Number(await (await fetch(url, { signal })).text());
 *   }
 *   return sum;
 * }, { timeout: 30_000 });
 *
 * assertEquals(sum, 3);
 * ```
 */
export async function withHeartbeat<T, D = unknown>(
  work: (context: HeartbeatContext<D>) => PromiseLike<T> | T,
  options: WatchdogOptions<D>,
): Promise<T> {
  checkFunction("watch", "work", work);
  const dog = new Watchdog<D>(options);
  const { signal } = dog;
  try {
    return await new Promise<T>((resolve, reject) => {
      signal.throwIfAborted();
      signal.addEventListener("abort", () => reject(signal.reason), {
        once: true,
      });
      const beat = (detail?: D) => dog.beat(detail);
      // not resolve(promise): the verdict could not reject any more
      Promise.resolve(work({ signal, beat })).then(resolve, reject);
    });
  } finally {
    dog.stop();
  }
}
