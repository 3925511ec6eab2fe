// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Many workers, one monitor: {@linkcode FleetMonitor} takes the heartbeats of
 * any number of workers and tells which of them went down and came back.
 *
 * @module
 */

import { EvidenceClock, TIMER_JITTER_MS } from "./_evidence.ts";
import { MAX_DELAY_MS } from "./_timers.ts";
import {
  checkDuration,
  checkNumber,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import type { Heartbeat } from "./worker.ts";

/** The finest and the coarsest resolution (ms) that are chosen without being asked for. */
const [FINEST, COARSEST] = [10, 10_000] as const;
/** How many ticks there are in one `resolution`: the verdict needs three at most. */
const TICKS = 3;
/** Every timer is late by up to this (ms), if the ticks are so close that more cannot be told from it. */
const MIN_JITTER_MS = 2;
/** Added to the time of the last tick, for a heartbeat that came at any time before the next one. */
const UNKNOWN = 0.5;
/** For how many timeouts a loop is known for being late. */
const LATE_TIMEOUTS = 2;
/** What errors say. */
const ACTION = "watch fleet";
/** For how many workers there is room at first. */
const ROOM = 64;
/**
 * The most workers in any case. A `Map` throws at 2^24 entries, and one with
 * many deletions at half of that; the unread events may be twice as many.
 */
const WORKERS_LIMIT = 2 ** 22;
/** The most characters of a detail, as JSON, that is kept of a worker that is down. */
const MAX_KEPT_DETAIL = 4_096;

/** Options of {@linkcode FleetMonitor}. */
export interface FleetMonitorOptions {
  /**
   * How long a worker may be silent before it is down, in milliseconds: a
   * positive number, `Infinity` for no limit. Give at least twice the time that
   * usually passes between two heartbeats.
   */
  timeout: number;
  /**
   * How long a worker that is down is remembered, in milliseconds: a positive
   * number, `Infinity` for ever. Time in which nobody is declared down does not
   * count.
   *
   * @default {Infinity}
   */
  forgetAfter?: number | undefined;
  /**
   * How much later than `timeout` a verdict may come, in milliseconds: a
   * positive number. The clock of the fleet ticks three times in it, and once a
   * millisecond at most; of less than 10, expect a few more, as timers are late
   * by one or two themselves.
   *
   * @default {Math.min(Math.max(timeout / 10, 10), 10_000)}
   */
  resolution?: number | undefined;
  /**
   * How many workers are watched at most: a positive integer, or `Infinity`. The
   * heartbeats of a new name beyond it are refused. More than 4,194,304 (2^22)
   * are refused in any case, as a `Map` cannot hold many more for long.
   *
   * @default {1_000_000}
   */
  maxWorkers?: number | undefined;
  /**
   * How long a worker's name may be, in UTF-16 code units, as `length` counts
   * them: a positive integer, or `Infinity` for no limit. The heartbeats of a
   * longer name are refused.
   *
   * @default {256}
   */
  maxNameLength?: number | undefined;
}

/** What every event tells. */
export interface FleetEventBase {
  /** The name of the worker. */
  worker: string;
  /** When it was found, in milliseconds since the epoch, by this process's clock. */
  time: number;
}

/** What is known of the last heartbeat of a worker. */
export interface LastBeat {
  /**
   * When it arrived, in milliseconds since the epoch, by this process's clock;
   * of one told by `beat()`, when the clock last ticked before it. Absent if
   * none came.
   */
  lastSeen?: number;
  /** Its `seq`; absent if it had none. */
  seq?: number;
  /** Its `detail`, such as the step that it tells; absent if it had none. */
  detail?: unknown;
}

/**
 * What happened to a worker: plain data, that survives `JSON.stringify()` if the
 * details of the heartbeats do.
 *
 * @example Who is down
 * ```ts
 * import type { FleetEvent } from "@heartbeat/heartbeat/fleet";
 * import { assertEquals } from "@std/assert";
 *
 * const down = new Set<string>();
 * function take({ type, worker }: FleetEvent) {
 *   if (type === "down") down.add(worker);
 *   else down.delete(worker);
 * }
 *
 * take({ type: "down", worker: "alpha", time: 5_000, lastSeen: 1_900, seq: 2 });
 * take({ type: "down", worker: "beta", time: 5_000 }); // it never showed up
 * take({ type: "recovered", worker: "alpha", time: 9_000, outage: 7_100, missed: 6, seq: 9 });
 *
 * assertEquals([...down], ["beta"]);
 * ```
 */
export type FleetEvent =
  & FleetEventBase
  & (
    /** Its first heartbeat came. */
    | { type: "up"; seq?: number; detail?: unknown }
    /** None came for `timeout`; what the last one told is here. */
    | { type: "down" } & LastBeat
    /**
     * One came after all, `outage` ms after the last; `missed` are those between
     * the two, by their `seq`: absent if they have none or count anew. Both count
     * from the last heartbeat, be it of a short return that was not told.
     */
    | {
      type: "recovered";
      outage: number;
      missed?: number;
      seq?: number;
      detail?: unknown;
    }
    /** It is watched no more: it was removed, or down for `forgetAfter`. */
    | { type: "forgotten" }
    /**
     * A new name was not taken: the fleet has `maxWorkers` already (`"full"`), or
     * the name is longer than `maxNameLength` (`"name"`; `worker` is its first
     * `maxNameLength` characters). `count` heartbeats and expected names were
     * refused for that reason so far. It is reported at the first refusal, again
     * when `count` is ten times what was reported last, and, if the fleet was
     * full, when it is full again after a worker left.
     */
    | { type: "refused"; reason: "full" | "name"; count: number }
  );

/** The state of a worker, as the iterator of a {@linkcode FleetMonitor} tells it. */
export interface FleetWorker extends LastBeat {
  /** The name of the worker. */
  worker: string;
  /** What it is; `"expected"` until its first heartbeat. */
  state: "expected" | "up" | "down";
}

/** Stands for one worker, so that its heartbeats need no look-up. */
export interface FleetHandle {
  /** The name of the worker. */
  readonly worker: string;
  /**
   * Takes a heartbeat of the worker.
   *
   * @param seq Counts the heartbeats, where they are counted.
   * @param detail What it tells.
   */
  beat(seq?: number, detail?: unknown): void;
}

/** The fields of a worker, side by side: one look at the memory, not four. */
const [SEEN, LAST_SEEN, SEQ, ID, FIELDS] = [0, 1, 2, 3, 4] as const;

/** What the reader of the events was last told of a worker. */
const [NOTHING, UP, DOWN] = [0, 1, 2] as const;

/** The options, checked, with their defaults. */
type Limits = { [K in keyof FleetMonitorOptions]-?: number };

/** The row of a name that was refused. */
const REFUSED = -1;

/** Why names are refused. */
type Reason = (FleetEvent & { type: "refused" })["reason"];

/** How often names were refused for one reason. */
class Refusals {
  count = 0;
  /** At which count an event reports it; Infinity while one waits to be read. */
  reportAt = 1;
}

/**
 * Whether a detail is plain data that takes up to `limit` characters or so as
 * JSON; looks at no more of it than that.
 */
function isSmall(detail: unknown, limit: number): boolean {
  let left = limit;
  function take(value: unknown) {
    left -= typeof value === "string" ? value.length + 2 : 8;
    if (typeof value === "bigint" || typeof value === "function") left = -1;
    if (left < 0 || typeof value !== "object" || value === null) return;
    const proto = Object.getPrototypeOf(value);
    // what else there is may hold anything in a private place
    if (proto !== Object.prototype && proto !== null && !Array.isArray(value)) {
      left = -1;
    }
    for (const key in value) {
      if (left < 0) return;
      left -= key.length + 4;
      take(value[key as never]);
    }
  }
  try {
    take(detail);
    return left >= 0;
  } catch {
    return false; // a getter
  }
}

/**
 * Who is in the fleet. A worker is a row in an array: at a million, objects and
 * their garbage collection would cost more than the work.
 */
class Roll {
  /** The rows of the workers. */
  readonly rows = new Map<string, number>();
  /**
   * SEEN: the tick before the last heartbeat, by the evidence clock; Infinity for who is
   * not waited for. LAST_SEEN: when that was by the wall clock, NaN if none came.
   * SEQ: its number, NaN if it had none. ID: whose row it is.
   */
  #fields = new Float64Array(ROOM * FIELDS);
  #names: (string | undefined)[] = [];
  /** Grows only where details are told. */
  #details: unknown[] = [];
  #told = new Uint8Array(ROOM);
  #free: number[] = [];
  #ids = 0;
  #clock: EvidenceClock;
  /** The time of the heartbeats that arrive now, by the evidence clock. */
  #position = UNKNOWN;
  #isLoopLate = false;
  /** Until here, by the evidence clock, the loop is known for being late. */
  #lateUntil = -Infinity;
  /** The wall clock, as of the last tick or batch. */
  now = 0;
  /** No SEEN is less. */
  #oldest = Infinity;
  /** How many are waited for. */
  #awaited = 0;
  /** Who is down and to be forgotten, since when, the first first. */
  #fallen = new Map<number, number>();
  /** When the next tick is due, by the wall clock. */
  #due = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #paused = false;
  /** Nobody is forgotten before, by the time that this process was present. */
  #forgetNotBefore = 0;
  #ended = false;
  /** By the row; `forgotten` by the name, as the row may be somebody else's already. */
  #pending = new Map<number | string | Refusals, FleetEvent>();
  #unread: MapIterator<[number | string | Refusals, FleetEvent]> | undefined;
  /** How often `#pending` changed since `#unread` moved. */
  #changes = 0;
  #period: number;
  /** When a heartbeat is too old, from the tick before it: it came at any time before the next one. */
  #patience: number;
  #timeout: number;
  #forgetAfter: number;
  #maxWorkers: number;
  #maxNameLength: number;
  #refusals = { full: new Refusals(), name: new Refusals() };
  /** Called when there is an event, or the end. */
  wake = () => {};

  constructor(options: Limits) {
    const { timeout, forgetAfter, resolution } = options;
    const period = Math.floor(resolution / TICKS);
    this.#period = Math.min(Math.max(period, 1), MAX_DELAY_MS);
    const jitter = Math.max(
      Math.min(this.#period / 2, TIMER_JITTER_MS),
      MIN_JITTER_MS,
    );
    this.#clock = new EvidenceClock({ timeout, period: this.#period, jitter });
    this.#patience = timeout + this.#period + jitter - UNKNOWN;
    this.#timeout = timeout;
    this.#forgetAfter = forgetAfter;
    this.#maxWorkers = Math.min(options.maxWorkers, WORKERS_LIMIT);
    this.#maxNameLength = options.maxNameLength;
  }

  /** A heartbeat, of which nobody says when it arrived. */
  beat(worker: string, seq: number | undefined, detail: unknown) {
    if (this.#isLoopLate) this.#readClock();
    this.#take(worker, seq, detail);
  }

  /** Heartbeats that are there now. */
  beatAll(beats: readonly Heartbeat[]) {
    this.#readClock();
    for (const beat of beats) {
      checkString(ACTION, "worker", beat?.worker);
      this.#take(beat.worker, beat.seq, beat.detail);
    }
    this.#position = this.#clock.now + UNKNOWN;
  }

  #take(worker: string, seq: number | undefined, detail: unknown) {
    if (this.#ended) return;
    const row = this.rows.get(worker) ?? this.#add(worker);
    if (row !== REFUSED) this.#beatAt(row, seq, detail);
  }

  /** As `beat()`, for who knows the row; false if it is not that worker's any more. */
  beatBy(id: number, row: number, seq: number | undefined, detail: unknown) {
    if (this.#fields[row * FIELDS + ID] !== id || this.#ended) return false;
    if (this.#isLoopLate) this.#readClock();
    this.#beatAt(row, seq, detail);
    return true;
  }

  idOf(row: number): number {
    return this.#fields[row * FIELDS + ID]!;
  }

  #beatAt(row: number, seq: unknown, detail: unknown) {
    // no tick tells the time while there is nobody to wait for
    if (this.#timer === undefined) this.now = Date.now();
    const count = typeof seq === "number" ? seq : NaN;
    const fields = this.#fields;
    const at = row * FIELDS;
    if (
      fields[at + SEEN] === Infinity || Number.isNaN(fields[at + LAST_SEEN])
    ) {
      this.#rise(row, count, detail);
    }
    fields[at + SEEN] = this.#position;
    fields[at + LAST_SEEN] = this.now;
    fields[at + SEQ] = count;
    if (detail !== undefined || row < this.#details.length) {
      this.#setDetail(row, detail);
    }
  }

  #setDetail(row: number, detail: unknown) {
    const details = this.#details;
    while (details.length < row) details.push(undefined);
    details[row] = detail;
  }

  expect(worker: string) {
    if (this.rows.has(worker) || this.#ended) return;
    const row = this.#add(worker);
    if (row !== REFUSED) this.#await(row);
  }

  /** How many heartbeats and expected names were refused. */
  get refused(): number {
    return this.#refusals.full.count + this.#refusals.name.count;
  }

  #refuse(worker: string, reason: Reason) {
    const refusals = this.#refusals[reason];
    const count = ++refusals.count;
    if (count < refusals.reportAt) return;
    refusals.reportAt = Infinity;
    if (reason === "name") {
      // a copy, as a slice would keep the whole name alive
      worker = JSON.parse(JSON.stringify(worker.slice(0, this.#maxNameLength)));
    }
    const time = Date.now();
    this.#put(refusals, { type: "refused", worker, time, reason, count });
    this.wake();
  }

  /** Gives a new worker a row, or refuses it. */
  #add(worker: string): number {
    const reason = worker.length > this.#maxNameLength
      ? "name"
      : this.rows.size >= this.#maxWorkers
      ? "full"
      : undefined;
    if (reason) {
      this.#refuse(worker, reason);
      return REFUSED;
    }
    const row = this.#free.pop() ?? this.#names.length;
    if (row === this.#told.length) {
      const [fields, told] = [this.#fields, this.#told];
      this.#fields = new Float64Array(2 * fields.length);
      this.#fields.set(fields);
      this.#told = new Uint8Array(2 * told.length);
      this.#told.set(told);
    }
    this.rows.set(worker, row);
    this.#names[row] = worker;
    this.#fields.set([Infinity, NaN, NaN, ++this.#ids], row * FIELDS);
    return row;
  }

  #await(row: number) {
    this.#awaited++;
    if (this.#timer === undefined && this.#needsTimer) this.#start();
    this.#fields[row * FIELDS + SEEN] = this.#position;
    this.#oldest = Math.min(this.#oldest, this.#position);
  }

  #rise(row: number, seq: number, detail: unknown) {
    const at = row * FIELDS;
    if (this.#fields[at + SEEN] === Infinity) this.#await(row);
    this.#fallen.delete(row);
    const time = Date.now();
    const last = this.#fields[at + LAST_SEEN]!;
    const worker = this.#names[row]!;
    const told = {
      ...(!Number.isNaN(seq) && { seq }),
      ...(detail !== undefined && { detail }),
    };
    if (Number.isNaN(last)) {
      return this.#tell(row, { type: "up", worker, time, ...told });
    }
    const outage = Math.max(time - last, 0);
    const missed = seq - this.#fields[at + SEQ]! - 1;
    this.#tell(row, {
      ...{ type: "recovered", worker, time, outage },
      ...(missed >= 0 && { missed }),
      ...told,
    });
  }

  #fall(row: number) {
    this.#fields[row * FIELDS + SEEN] = Infinity;
    this.#awaited--;
    if (this.#forgetAfter < Infinity) {
      this.#fallen.set(row, this.#clock.present);
    }
    const worker = this.#names[row]!;
    const last = this.#last(row);
    this.#tell(row, { type: "down", worker, time: Date.now(), ...last });
    if (!isSmall(last.detail, MAX_KEPT_DETAIL)) this.#setDetail(row, undefined);
  }

  #last(row: number): LastBeat {
    const at = row * FIELDS;
    const lastSeen = this.#fields[at + LAST_SEEN]!;
    const seq = this.#fields[at + SEQ]!;
    const detail = this.#details[row];
    return {
      ...(!Number.isNaN(lastSeen) && { lastSeen }),
      ...(!Number.isNaN(seq) && { seq }),
      ...(detail !== undefined && { detail }),
    };
  }

  remove(worker: string): boolean {
    const row = this.rows.get(worker);
    if (row === undefined || this.#ended) return false;
    const { full } = this.#refusals;
    // if it is full again, that is news
    if (full.reportAt < Infinity) full.reportAt = full.count + 1;
    const at = row * FIELDS;
    if (this.#fields[at + SEEN]! < Infinity) this.#awaited--;
    this.#fields[at + SEEN] = Infinity;
    this.#fields[at + ID] = 0;
    this.rows.delete(worker);
    this.#fallen.delete(row);
    this.#names[row] = undefined;
    if (row < this.#details.length) this.#details[row] = undefined;
    this.#free.push(row);
    this.#pending.delete(row);
    // who was never told of it need not be told of its end
    if (this.#told[row] !== NOTHING) {
      const time = Date.now();
      this.#put(worker, { type: "forgotten", worker, time });
    }
    this.#told[row] = NOTHING;
    if (!this.#needsTimer) this.#disarm();
    this.wake();
    return true;
  }

  /** Puts an event in the place of an unread one: the reader is told what is still true, and news only. */
  #tell(row: number, event: FleetEvent) {
    this.#pending.delete(row);
    const told = this.#told[row];
    if (told === (event.type === "down" ? DOWN : UP)) return;
    if (told === NOTHING && event.type === "recovered") {
      const { outage: _, missed: __, ...what } = event;
      event = { ...what, type: "up" };
    }
    this.#put(row, event);
    this.wake();
  }

  #put(key: number | string | Refusals, event: FleetEvent) {
    this.#pending.set(key, event);
    // an iterator that stands still keeps every table that the map ever had
    if (this.#changes++ > this.#pending.size) this.#unread = undefined;
  }

  next(): FleetEvent | undefined {
    // one iterator for all: a new one would pass by all that were deleted
    const { done, value } = (this.#unread ??= this.#pending.entries()).next();
    this.#changes = 0;
    if (done) return this.#unread = undefined;
    const [key, event] = value;
    this.#pending.delete(key);
    if (event.type === "refused") {
      const refusals = this.#refusals[event.reason];
      event.count = refusals.count;
      refusals.reportAt = 10 * refusals.count;
    }
    if (typeof key === "number") {
      this.#told[key] = event.type === "down" ? DOWN : UP;
    }
    return event;
  }

  *workers(): Generator<FleetWorker> {
    for (const [worker, row] of this.rows) {
      const awaited = this.#fields[row * FIELDS + SEEN]! < Infinity;
      const last = this.#last(row);
      const known = last.lastSeen !== undefined;
      const state = awaited ? known ? "up" : "expected" : "down";
      yield { worker, state, ...last };
    }
  }

  pause() {
    this.#paused = true;
  }

  resume() {
    this.#paused = false;
    this.#clock.restart();
    this.#forgetNotBefore = this.#clock.present + this.#patience;
  }

  get #needsTimer() {
    const awaited = this.#timeout < Infinity ? this.#awaited : 0;
    return awaited + this.#fallen.size > 0;
  }

  #start() {
    this.now = Date.now();
    this.#clock.start(this.now);
    this.#arm();
  }

  #arm() {
    this.#due = this.now + this.#period;
    this.#timer = setTimeout(() => this.#tick(), this.#period);
  }

  #disarm() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tick() {
    const clock = this.#clock;
    this.now = Date.now();
    this.#check();
    this.#arm();
    if (this.#paused) return clock.restart();
    if (this.#timeout < Infinity) this.#scan(clock.limit(this.#patience));
    else clock.restart();
    this.#forgetOld();
    if (!this.#needsTimer) this.#disarm();
  }

  #check() {
    const clock = this.#clock;
    const isLate = this.now - this.#due > clock.tolerance;
    clock.check(this.#due, this.now);
    if (isLate) this.#lateUntil = clock.now + LATE_TIMEOUTS * this.#timeout;
    this.#isLoopLate = clock.now < this.#lateUntil;
    this.#position = clock.now + UNKNOWN;
  }

  /** For heartbeats that are there now. */
  #readClock() {
    this.now = Date.now();
    const late = this.now - this.#due;
    if (this.#timer !== undefined && late > this.#clock.tolerance) {
      // they came after this delay, not before it
      this.#check();
      // the tick comes at once: on time, then
      this.#due = this.now;
    }
    this.#position = this.#clock.now;
  }

  #forgetOld() {
    const { present } = this.#clock;
    if (present < this.#forgetNotBefore) return;
    for (const [row, since] of this.#fallen) {
      if (present - since < this.#forgetAfter) break;
      this.remove(this.#names[row]!);
    }
  }

  #scan(limit: number) {
    if (this.#oldest > limit) return;
    const fields = this.#fields;
    const end = this.#names.length * FIELDS;
    let oldest = Infinity;
    for (let at = SEEN; at < end; at += FIELDS) {
      const seen = fields[at]!;
      if (seen <= limit) this.#fall(at / FIELDS);
      else if (seen < oldest) oldest = seen;
    }
    this.#oldest = oldest;
  }

  /** Ends it; what was not read yet is still there. */
  end() {
    this.#ended = true;
    this.#disarm();
    this.wake();
  }
}

/** Throws unless `value` is a positive integer, or `Infinity`. */
function checkLimit(action: string, option: string, value: number) {
  const accepted = "a positive integer";
  checkNumber(
    action,
    option,
    value,
    accepted,
    (value) => value > 0 && (value === Infinity || Number.isInteger(value)),
  );
}

class Handle implements FleetHandle {
  readonly worker: string;
  #roll: Roll;
  #id = -1;
  #row = 0;

  constructor(roll: Roll, worker: string) {
    this.worker = worker;
    this.#roll = roll;
  }

  beat(seq?: number, detail?: unknown) {
    const roll = this.#roll;
    if (roll.beatBy(this.#id, this.#row, seq, detail)) return;
    roll.beat(this.worker, seq, detail);
    const row = roll.rows.get(this.worker);
    if (row === undefined) return; // refused, or the fleet has ended
    this.#row = row;
    this.#id = roll.idOf(row);
  }
}

/**
 * A `TransformStream` that takes the heartbeats of any number of workers, one by
 * one or in batches, and tells what happens to them: `up`, `down`, `recovered`,
 * `forgotten`. A stream and a timer for each worker cost too much at a hundred
 * thousand; here a worker is a few numbers.
 *
 * What it promises:
 *
 * 1. A worker is down no earlier than `timeout` after its last heartbeat and,
 *    while the event loop is free, no later than `timeout` + `resolution`.
 * 2. One timer for the whole fleet; none while there is nobody to wait for.
 * 3. No false alarm from this process's own absence: a tick that is unusually
 *    late says that it was blocked, stopped or asleep, so that time does not
 *    count and everybody gets a fresh `timeout`. A loop that is late as a rule
 *    is no absence: by up to `timeout` / 3 each time, a silent worker is down
 *    within 1.5 `timeout` + `resolution` + twice that lag, by more within
 *    3 `timeout` + `resolution` + twice the lag. A wall clock that is set back
 *    costs nothing, one set forward at most one window.
 *    {@linkcode FleetMonitor.pause} says that it is blind for another reason,
 *    such as a lost connection.
 * 4. Events never delay heartbeats and never pile up. While nobody reads them,
 *    those of one worker collapse to what is still true: who was told that a
 *    worker is up hears nothing of an outage that is over, who was told that it
 *    is down nothing of a short return. What is read is always in order:
 *    `up` or `down` first, then `down` and `recovered` by turns (`up` instead, if
 *    it is the first heartbeat), then `forgotten`. At most one event a worker
 *    waits, and one `forgotten` for each that the reader was told of.
 * 5. It is bounded, as names come from a network: those beyond `maxWorkers` or
 *    `maxNameLength` are refused; {@linkcode FleetMonitor.refused} counts them,
 *    a `refused` event reports them. They end nothing: no method and no chunk
 *    throws for them. What is known of a worker is dropped when it is forgotten,
 *    its last detail already when it is down, if that is longer than 4,096
 *    characters; the `down` event has it.
 * 6. When `writable` closes, the events that wait are told, then `readable`
 *    closes. No timer is left however the stream ends. From then on heartbeats
 *    are ignored.
 *
 * To watch several streams, pipe each with `{ preventClose: true }`.
 *
 * Its clock is the number of the ticks that were *executed*, as in the timing
 * wheels of Varghese and Lauck; but as a wheel would move every worker at every
 * turn, it scans an array, and only if somebody can be due.
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
  #roll: Roll;
  #events: ReadableStream<FleetEvent>;

  /**
   * Constructs a new instance.
   *
   * @param options The limits.
   * @throws {TypeError} If an option is not a number.
   * @throws {RangeError} If an option is `NaN`, zero or negative, `resolution`
   * is not finite, or `maxWorkers` or `maxNameLength` is no integer.
   */
  constructor(options: FleetMonitorOptions) {
    const { timeout, forgetAfter = Infinity } = options ?? {};
    checkDuration(ACTION, "timeout", timeout);
    const usual = Math.min(Math.max(timeout / 10, FINEST), COARSEST);
    const { resolution = usual } = options;
    checkDuration(ACTION, "forgetAfter", forgetAfter);
    checkNumber(
      ACTION,
      "resolution",
      resolution,
      "a finite positive number",
      (value) => value > 0 && value < Infinity,
    );
    const { maxWorkers = 1_000_000, maxNameLength = 256 } = options;
    checkLimit(ACTION, "maxWorkers", maxWorkers);
    checkLimit(ACTION, "maxNameLength", maxNameLength);
    const roll = new Roll({
      ...{ timeout, forgetAfter, resolution, maxWorkers, maxNameLength },
    });
    super(
      {
        transform(chunk) {
          roll.beatAll(Array.isArray(chunk) ? chunk : [chunk]);
        },
      },
      undefined,
      { highWaterMark: 1 },
    );
    this.#roll = roll;
    // nothing is enqueued there, so that it never holds heartbeats back; it tells how writable ends
    const inner = super.readable.getReader();
    let wanted = false;
    let ended = false;
    this.#events = new ReadableStream<FleetEvent>({
      start(controller) {
        roll.wake = () => {
          if (!wanted) return;
          const event = roll.next();
          if (event) {
            wanted = false;
            controller.enqueue(event);
          } else if (ended) controller.close();
        };
        inner.closed.then(() => {
          ended = true;
          roll.end();
        }, (error) => {
          wanted = false;
          roll.end();
          controller.error(error);
        });
      },
      pull() {
        wanted = true;
        roll.wake();
      },
      cancel(reason) {
        wanted = false;
        roll.end();
        return inner.cancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** The events. Cancelling them ends the fleet, and what is piped into it. */
  override get readable(): ReadableStream<FleetEvent> {
    return this.#events;
  }

  /** How many workers are watched: those that are expected, up and down. */
  get size(): number {
    return this.#roll.rows.size;
  }

  /**
   * How many heartbeats, and names given to `expect()`, were refused, as the
   * fleet was full or the name too long; a `refused` event reports it, too.
   */
  get refused(): number {
    return this.#roll.refused;
  }

  /**
   * Takes a heartbeat, of a caller that has no stream.
   *
   * @param worker The name of the worker.
   * @param seq Counts the heartbeats of the worker, where they are counted.
   * @param detail What the worker tells.
   * @throws {TypeError} If `worker` is not a string.
   */
  beat(worker: string, seq?: number, detail?: unknown) {
    checkString("take heartbeat", "worker", worker);
    this.#roll.beat(worker, seq, detail);
  }

  /**
   * Stands for one worker, which needs no look-up then: for callers with many
   * heartbeats. It may be kept for ever; it does not make the worker a member.
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
    return new Handle(this.#roll, worker);
  }

  /**
   * Tells who must show up: a worker of which no heartbeat comes within `timeout`
   * is down, too. Those that are known already are left as they are.
   *
   * @param workers The names of the workers.
   * @throws {TypeError} If `workers` is not an iterable of strings; none is expected then.
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
      throwInvalid(
        TypeError,
        action,
        "workers",
        "an iterable of strings",
        workers,
      );
    }
    const names = [...workers];
    for (const name of names) checkString(action, "worker", name);
    for (const name of names) this.#roll.expect(name);
  }

  /**
   * Watches a worker no more, without an alarm; its next heartbeat makes it a
   * member again. A `forgotten` event tells it to who was told of the worker.
   *
   * @param worker The name of the worker.
   * @returns Whether it was watched.
   */
  remove(worker: string): boolean {
    return this.#roll.remove(worker);
  }

  /**
   * Declares nobody down from now on: for who knows that no heartbeat can arrive,
   * as the connection that they come by was lost.
   */
  pause() {
    this.#roll.pause();
  }

  /** Ends a {@linkcode FleetMonitor.pause}: from now on everybody has a fresh `timeout`. */
  resume() {
    this.#roll.resume();
  }

  /**
   * The workers and their state, in the order in which they came; `[...fleet]` is
   * a snapshot.
   *
   * @returns The workers.
   */
  [Symbol.iterator](): Generator<FleetWorker> {
    return this.#roll.workers();
  }
}
