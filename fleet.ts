// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Many workers, one monitor: {@linkcode FleetMonitor} takes the heartbeats of
 * any number of workers and reports which of them went down and came back.
 *
 * @module
 */

import { FleetEventStream } from "./_fleet_events.ts";
import { WorkerHandle } from "./_fleet_handle.ts";
import {
  type FleetSight,
  type FleetSightOptions,
  SIGHT,
} from "./_fleet_sight.ts";
import { FleetWatch, type FleetWatchOptions } from "./_fleet_watch.ts";
import { FIND_WATCH } from "./_watch_finder.ts";
import {
  checkDuration,
  checkNumber,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import type { Heartbeat } from "./worker.ts";

/** The default `resolution` lies between these. */
const [MIN_RESOLUTION_MS, MAX_RESOLUTION_MS] = [10, 10_000] as const;
/** The default if each worker has a timeout of its own. */
const USUAL_RESOLUTION_MS = 1_000;
/** What is said of bad options and chunks. */
const ACTION = "watch fleet";

/** Options of {@linkcode FleetMonitor}. */
export interface FleetMonitorOptions {
  /**
   * How long a worker may be silent before it is down, in milliseconds: a
   * positive number, `Infinity` for no limit. Use at least twice the usual time
   * between two heartbeats.
   *
   * It may be a function of the worker's name, which is called once when the name
   * is new. It cannot end the watcher: the heartbeats of a name for which it throws,
   * or returns anything else, are refused, for the reason `"timeout"`. So are those
   * of a name with one more than 1,000 different timeouts.
   */
  timeout: number | ((worker: string) => number);
  /**
   * How long a worker that is down or has left is remembered, in milliseconds: a
   * positive number, `Infinity` for ever. Time in which this process was not there does
   * not count, and nobody is forgotten during a pause, or within a `timeout`
   * after it.
   *
   * @default {Infinity}
   */
  forgetAfter?: number | undefined;
  /**
   * How much later than `timeout` a verdict may come, in milliseconds: a
   * positive number. The fleet looks for silent workers three times in it, and
   * once a millisecond at most. With less than 10, expect a few milliseconds
   * more, as every timer is late by one or two.
   *
   * @default {Math.min(Math.max(timeout / 10, 10), 10_000)}, 1,000 if `timeout` is
   * a function
   */
  resolution?: number | undefined;
  /**
   * Above which share of silent workers the watcher doubts itself: a positive
   * number, 1 for never. It counts, of the workers that are expected or up, those
   * that would go down within half a `timeout` if nothing more is heard; that is
   * why workers must beat twice in a `timeout`. If there are at least 10 workers,
   * and that share of them is exceeded when somebody is to be reported as `down`,
   * nobody is. One `blind` event says so.
   *
   * It ends with `sees` as soon as the share is not exceeded any more: everybody
   * then has a fresh `timeout`. What a worker says itself is still reported.
   *
   * @default {1}
   */
  blindAbove?: number | undefined;
  /**
   * After how long those who are still silent are reported after all, in
   * milliseconds: a positive number, `Infinity` for never. It counts from `blind`,
   * and goes on if it is blind again within two `timeout`s of `sees`. So nobody is
   * reported later than `blindFor` and a `timeout` after that.
   *
   * @default {10 * timeout}, of the longest one
   */
  blindFor?: number | undefined;
  /**
   * How many workers are watched at most: a positive integer, or `Infinity`. The
   * heartbeats of any other name are refused. More than 4,194,304 (2^22) are
   * refused in any case, as a `Map` cannot hold many more for long.
   *
   * @default {1_000_000}
   */
  maxWorkers?: number | undefined;
  /**
   * How long the name of a worker may be, in UTF-16 code units, as `length`
   * counts them: a positive integer, or `Infinity` for no limit. The heartbeats
   * of a longer name are refused, and those of an empty one, which nobody could see.
   *
   * @default {256}
   */
  maxNameLength?: number | undefined;
}

/** What every event about a worker contains. */
export interface FleetEventBase {
  /** The name of the worker. */
  worker: string;
  /** When it was found, in milliseconds since the epoch, by this process's clock. */
  time: number;
}

/** What is known of the last heartbeat of a worker. */
export interface LastBeat {
  /**
   * When it arrived, in milliseconds since the epoch, by this process's clock.
   * For a heartbeat that was passed to `beat()`, this is the time at which the
   * fleet last looked for silent workers before it. Absent if none came.
   */
  lastSeen?: number;
  /** Its `seq`; absent if it had none. */
  seq?: number;
  /** Its `detail`, such as the step of the work; absent if it had none. */
  detail?: unknown;
}

/**
 * Whether the watcher sees the fleet. From `blind` to `sees`, nobody is reported
 * because of silence. It is plain data.
 */
export type SightEvent =
  & {
    /** When it was found, in milliseconds since the epoch, by this process's clock. */
    time: number;
    /** It is about no worker. */
    worker?: undefined;
  }
  & (
    /** Nothing can be heard: the round trip to the server is lost. */
    | { type: "blind"; reason: "connection" }
    /**
     * Too many are silent to be believed: `silent` of the `watched` workers that are
     * expected or up, which is above `blindAbove`.
     */
    | { type: "blind"; reason: "share"; silent: number; watched: number }
    /**
     * It is over, and everybody has a fresh `timeout`; or it has lasted for
     * `blindFor`, and those who are still silent are reported after all.
     */
    | { type: "sees" }
  );

/**
 * What happened to a worker, or to the sight of the watcher. It is plain data and
 * survives `JSON.stringify()` if the details of the heartbeats do.
 *
 * @example Who is down
 * ```ts
 * import type { FleetEvent } from "@heartbeat/heartbeat/fleet";
 * import { assertEquals } from "@std/assert";
 *
 * const down = new Set<string>();
 * function take({ type, worker }: FleetEvent) {
 *   if (type === "down") down.add(worker);
 *   else if (worker !== undefined) down.delete(worker);
 * }
 *
 * const beat = { lastSeen: 1_900, seq: 2 };
 * take({ type: "down", worker: "alpha", time: 5_000, ...beat, reason: "silent" });
 * // it never showed up
 * take({ type: "down", worker: "beta", time: 5_000, reason: "silent" });
 * take({ type: "recovered", worker: "alpha", time: 9_000, outage: 7_100, missed: 6, seq: 9 });
 *
 * assertEquals([...down], ["beta"]);
 * ```
 */
export type FleetEvent = WorkerEvent | SightEvent;

/** What happened to a worker. */
export type WorkerEvent =
  & FleetEventBase
  & (
    /** Its first heartbeat came. */
    | { type: "up"; seq?: number; detail?: unknown }
    /**
     * No heartbeat came for `timeout` (`"silent"`), or the worker said that it
     * failed (`"failed"`). The event contains the last heartbeat.
     */
    | { type: "down" } & LastBeat & { reason: "silent" | "failed" }
    /**
     * A heartbeat came after all, `outage` milliseconds after the last one.
     * `missed` is how many are missing between the two by their `seq`; it is
     * absent if they have none, or if the worker counts from the start again.
     * Both count from the last heartbeat that came, even if the reader never
     * heard of it because the worker was back for a short time only.
     */
    | {
      type: "recovered";
      outage: number;
      missed?: number;
      seq?: number;
      detail?: unknown;
    }
    /** It said that it ends as planned. The event contains that heartbeat. */
    | { type: "left" } & LastBeat
    /** It is no longer watched: it was removed, or was down, or had left, for `forgetAfter`. */
    | { type: "forgotten" }
    /**
     * A new name was refused: the fleet has `maxWorkers` already (`"full"`), the
     * name is empty or longer than `maxNameLength` (`"name"`; `worker` is the first
     * `maxNameLength` characters of it), or it has no valid timeout (`"timeout"`).
     * `count` is how many heartbeats and expected names were refused for that reason
     * so far. The first refusal is reported; the next report comes when `count` is ten times what it was at
     * the last one, or, for a fleet that was full, when a worker left since that
     * was read and it is full again.
     */
    | { type: "refused"; reason: "full" | "name" | "timeout"; count: number }
  );

/** The state of a worker, as iterating over a {@linkcode FleetMonitor} yields it. */
export interface FleetWorker extends LastBeat {
  /** The name of the worker. */
  worker: string;
  /** What it is; `"expected"` until its first heartbeat, `"left"` after one that says goodbye. */
  state: "expected" | "up" | "down" | "left";
}

/** Stands for one worker, so that its heartbeats need no look-up. */
export interface FleetHandle {
  /** The name of the worker. */
  readonly worker: string;
  /**
   * Takes a heartbeat of the worker.
   *
   * @param seq Counts the heartbeats, if they are counted.
   * @param detail Anything that the worker wants to add.
   */
  beat(seq?: number, detail?: unknown): void;
}

/** Throws unless `value` is a positive integer, or `Infinity`. */
function checkLimit(option: string, value: number) {
  const accepted = "a positive integer";
  checkNumber(
    ACTION,
    option,
    value,
    accepted,
    (value) => value > 0 && (value === Infinity || Number.isInteger(value)),
  );
}

/** How late a verdict may be by default. */
function getResolution(timeout: FleetMonitorOptions["timeout"]): number {
  if (typeof timeout === "function") return USUAL_RESOLUTION_MS;
  return Math.min(
    Math.max(timeout / 10, MIN_RESOLUTION_MS),
    MAX_RESOLUTION_MS,
  );
}

/** Checks the options, and adds the defaults. */
function checkFleetOptions(options: FleetMonitorOptions): FleetWatchOptions {
  const { timeout, forgetAfter = Infinity } = options ?? {};
  if (typeof timeout !== "function") {
    checkDuration(ACTION, "timeout", timeout);
  }
  checkDuration(ACTION, "forgetAfter", forgetAfter);
  const {
    resolution = getResolution(timeout),
    maxWorkers = 1_000_000,
    maxNameLength = 256,
  } = options;
  checkNumber(
    ACTION,
    "resolution",
    resolution,
    "a finite positive number",
    (value) => value > 0 && value < Infinity,
  );
  checkLimit("maxWorkers", maxWorkers);
  checkLimit("maxNameLength", maxNameLength);
  return {
    ...{ timeout, forgetAfter, resolution, maxWorkers, maxNameLength },
    ...checkSightOptions(options),
    sight: (options as { [SIGHT]?: FleetSight })[SIGHT],
  };
}

/** Checks the options that say when the watcher doubts itself. */
function checkSightOptions(
  { blindAbove, blindFor }: FleetMonitorOptions,
): FleetSightOptions {
  if (blindAbove !== undefined) {
    checkNumber(
      ACTION,
      "blindAbove",
      blindAbove,
      "a positive number, at most 1",
      (value) => value > 0 && value <= 1,
    );
  }
  if (blindFor !== undefined) checkDuration(ACTION, "blindFor", blindFor);
  return { blindAbove, blindFor };
}

/**
 * A `TransformStream` that takes the heartbeats of any number of workers, one by
 * one or in batches, and reports what happens to them: `up`, `down`,
 * `recovered`, `left`, `forgotten`. A stream and a timer for each worker would cost too
 * much at a hundred thousand workers; here a worker is a few numbers.
 *
 * What it promises:
 *
 * 1. A worker is down no earlier than `timeout` after its last heartbeat and,
 *    while the event loop is free, no later than `timeout` + `resolution`.
 * 2. The whole fleet has one timer, and none while nobody is waited for.
 * 3. No false alarm from this process's own absence. If this process was blocked,
 *    stopped or asleep, that time does not count, and if it was more than an eighth
 *    of the `timeout`, everybody gets a fresh one. An event loop that is late as a
 *    rule is not absent: if each turn takes up to `timeout` / 3, a silent worker is
 *    down within 1.5 `timeout` + `resolution` + twice that lag; if it takes longer,
 *    within 3 `timeout` + `resolution` + twice the lag. Setting the wall clock back has no effect;
 *    setting it forward delays a verdict by at most one window. Call
 *    {@linkcode FleetMonitor.pause} if heartbeats cannot arrive for another
 *    reason, such as a lost connection.
 * 4. Events never delay heartbeats and never pile up. While nobody reads, the
 *    events of one worker collapse to what is still true: a reader who knows that
 *    a worker is up does not hear of an outage that is over, and a reader who
 *    knows that it is down does not hear of a short return. The order is always
 *    the same: `up` or `down`, then `down` and `recovered` by turns (`up` instead
 *    of `recovered` for the first heartbeat), then `left`, after which it begins
 *    anew, then `forgotten`. At most one event of each worker waits, and one
 *    `forgotten` for each worker that the reader knows.
 * 5. A heartbeat with `ended` is a goodbye, and is reported at once: `left` if the
 *    work is done, `down` if it failed. Only a goodbye that directly follows the
 *    last heartbeat, by their `seq`, is taken at its word: if another process has
 *    taken over the name, the goodbye of the one before may come late. Any other
 *    goodbye decides what is reported if nothing more is heard for `timeout`.
 * 6. It is bounded, as names come from a network. Names beyond `maxWorkers` or
 *    `maxNameLength` are refused, and so is an empty one. No method and no chunk throws for that:
 *    {@linkcode FleetMonitor.refused} counts it, and a `refused` event reports
 *    it. When a worker is forgotten, everything about it is dropped. Its last
 *    detail is dropped when it goes down, if it is longer than 4,096 characters or
 *    is no plain data; the `down` event still contains it.
 * 7. When `writable` closes, the unread events can still be read, then `readable`
 *    closes. However the stream ends, no timer is left, and later heartbeats are
 *    ignored.
 *
 * To watch several streams, pipe each with `{ preventClose: true }`.
 *
 * Time passes in ticks that were *executed*, as in the timing wheels of Varghese
 * and Lauck. A wheel would move each worker at each heartbeat, so the fleet scans
 * an array instead, and only if somebody can be due.
 *
 * @example Which workers are silent
 * ```ts
 * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
 * import { assertEquals } from "@std/assert";
 * import { FakeTime } from "@std/testing/time";
 *
 * using time = new FakeTime();
 * const fleet = new FleetMonitor({ timeout: 3_000 });
 * const events: string[] = [];
 * fleet.readable.pipeTo(
 *   new WritableStream({
 *     write: ({ type, worker }) => void events.push(`${worker} ${type}`),
 *   }),
 * );
 *
 * fleet.beat("alpha");
 * fleet.beat("beta");
 * for (let second = 1; second <= 4; second++) {
 *   await time.tickAsync(1_000);
 *   fleet.beat("beta");
 * }
 * fleet.beat("alpha");
 * await time.runMicrotasks();
 *
 * assertEquals(events, ["alpha up", "beta up", "alpha down", "alpha recovered"]);
 * fleet.remove("alpha");
 * fleet.remove("beta");
 * ```
 *
 * @example Batches of heartbeats
 * ```ts
 * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
 * import { assertEquals } from "@std/assert";
 *
 * const time = Date.now();
 * const batches = ReadableStream.from([
 *   [{ worker: "alpha", seq: 1, time }, { worker: "beta", seq: 1, time }],
 *   { worker: "alpha", seq: 2, time },
 * ]);
 *
 * const events = batches.pipeThrough(new FleetMonitor({ timeout: 3_000 }));
 * assertEquals(
 *   (await Array.fromAsync(events)).map(({ type, worker }) => `${worker} ${type}`),
 *   ["alpha up", "beta up"],
 * );
 * ```
 */
export class FleetMonitor
  extends TransformStream<Heartbeat | readonly Heartbeat[], FleetEvent> {
  #watch: FleetWatch;
  #events: ReadableStream<FleetEvent>;

  /**
   * Constructs a new instance.
   *
   * @param options The limits.
   * @throws {TypeError} If an option is not a number.
   * @throws {RangeError} If an option is `NaN`, zero or negative, `resolution`
   * is not finite, or `maxWorkers` or `maxNameLength` is not an integer.
   */
  constructor(options: FleetMonitorOptions) {
    const watch = new FleetWatch(checkFleetOptions(options));
    super(
      {
        transform: (chunk) =>
          watch.beatAll(ACTION, Array.isArray(chunk) ? chunk : [chunk]),
      },
      undefined,
      { highWaterMark: 1 },
    );
    // Nothing is enqueued there, so it never delays heartbeats; it shows how `writable` ends.
    const inner = super.readable.getReader();
    const events = new FleetEventStream(watch.events, (reason) => {
      watch.end();
      return inner.cancel(reason);
    });
    watch.onEvent = () => events.deliver();
    inner.closed.then(() => {
      watch.end();
      events.close();
    }, (error) => {
      watch.end();
      events.error(error);
    });
    this.#watch = watch;
    this.#events = events.readable;
    // no part of the interface: for heartbeats that need not be parsed
    Object.defineProperty(this, FIND_WATCH, { value: () => watch });
  }

  /** The events. Cancelling this stream ends the fleet, and cancels what is piped into it. */
  override get readable(): ReadableStream<FleetEvent> {
    return this.#events;
  }

  /** How many workers there are: those that are expected or up, are down, or have left. */
  get size(): number {
    return this.#watch.table.size;
  }

  /**
   * How many heartbeats, and names given to `expect()`, were refused because the
   * fleet was full, or the name was not valid or had no valid timeout. A `refused`
   * event reports it, too.
   */
  get refused(): number {
    return this.#watch.events.refused;
  }

  /**
   * Takes a heartbeat, from a caller without a stream.
   *
   * @param worker The name of the worker.
   * @param seq Counts the heartbeats of the worker, if they are counted.
   * @param detail Anything that the worker wants to add.
   * @throws {TypeError} If `worker` is not a string.
   */
  beat(worker: string, seq?: number, detail?: unknown) {
    checkString("take heartbeat", "worker", worker);
    this.#watch.beat(worker, seq, detail);
  }

  /**
   * Returns a handle for one worker, whose heartbeats then need no look-up: for
   * callers with many heartbeats. It can be kept for ever. The worker becomes a
   * member with its first heartbeat.
   *
   * @param worker The name of the worker.
   * @returns The handle.
   * @throws {TypeError} If `worker` is not a string.
   *
   * @example Usage
   * ```ts
   * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
   * import { assertEquals } from "@std/assert";
   *
   * const fleet = new FleetMonitor({ timeout: 3_000 });
   * const alpha = fleet.handle("alpha");
   * for (let seq = 1; seq <= 3; seq++) alpha.beat(seq);
   *
   * assertEquals([...fleet].map(({ worker, seq }) => [worker, seq]), [["alpha", 3]]);
   * fleet.remove("alpha");
   * ```
   */
  handle(worker: string): FleetHandle {
    checkString("make handle", "worker", worker);
    return new WorkerHandle(this.#watch, worker);
  }

  /**
   * Names workers that must show up: if no heartbeat of one comes within
   * `timeout`, it is down. Workers that are known already stay as they are, unless
   * they have left.
   *
   * @param workers The names of the workers.
   * @throws {TypeError} If `workers` is not an iterable of strings; then none of
   * them is expected.
   *
   * @example Usage
   * ```ts
   * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
   * import { assertEquals } from "@std/assert";
   *
   * const fleet = new FleetMonitor({ timeout: 3_000 });
   * fleet.expect(["alpha", "beta"]);
   * fleet.beat("alpha");
   *
   * assertEquals([...fleet].map(({ worker, state }) => `${worker} ${state}`), [
   *   "alpha up",
   *   "beta expected",
   * ]);
   * fleet.remove("alpha");
   * fleet.remove("beta");
   * ```
   */
  expect(workers: Iterable<string>) {
    const action = "expect workers";
    if (
      typeof workers === "string" ||
      typeof Object(workers)[Symbol.iterator] !== "function"
    ) {
      const accepted = "an iterable of strings";
      throwInvalid(TypeError, action, "workers", accepted, workers);
    }
    const names = [...workers];
    for (const name of names) checkString(action, "worker", name);
    this.#watch.expectAll(names);
  }

  /**
   * Stops watching a worker, without an alarm. A reader who knows the worker gets
   * a `forgotten` event. Its next heartbeat makes it a member again. Use it when
   * work in this process ends as planned; to have that reported as `left`, write a
   * last heartbeat with `ended` instead.
   *
   * @param worker The name of the worker.
   * @returns Whether it was watched.
   */
  remove(worker: string): boolean {
    return this.#watch.remove(worker);
  }

  /**
   * Declares nobody down until {@linkcode FleetMonitor.resume} is called. Use it
   * when no heartbeat can arrive, for instance because the connection is lost.
   */
  pause() {
    this.#watch.pause();
  }

  /** Ends a {@linkcode FleetMonitor.pause}: everybody has a fresh `timeout` from now on. */
  resume() {
    this.#watch.resume();
  }

  /**
   * Iterates over the workers and their state, in the order in which they came.
   * `[...fleet]` is a snapshot.
   *
   * @returns The workers.
   */
  [Symbol.iterator](): Generator<FleetWorker> {
    return this.#watch.table[Symbol.iterator]();
  }
}
