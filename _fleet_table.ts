// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Who is in a fleet, and when their last heartbeats came. There are no timers,
 * no streams and no events in it. A worker is a row in an array of numbers: at a
 * million, objects and their garbage collection would cost more than the work.
 *
 * What a worker is follows from its row:
 *
 * | position | last seen | the worker is |
 * | --- | --- | --- |
 * | finite | none | expected: no heartbeat came yet |
 * | finite | a time | up |
 * | infinite | either | down, or new: nobody waits for it |
 * | NaN | either | has left: nobody waits for it |
 *
 * Each of these changes it:
 *
 * | | new | expected | up | down | left |
 * | --- | --- | --- | --- | --- | --- |
 * | `startWaiting()` | → expected | | | → expected or up | → expected or up |
 * | `record()` | | → up | up | | |
 * | `markDown()` | | → down | → down | | |
 * | `markLeft()` | | → left | → left | | |
 * | `clear()` | | | | | → new |
 * | `remove()` | gone | gone | gone | gone | gone |
 *
 * @module
 */

import type { FleetClock } from "./_fleet_clock.ts";
import { isSmallDetail } from "./_fleet_detail.ts";
import type { RefusalReason } from "./_fleet_events.ts";
import type { Goodbye } from "./_fleet_goodbye.ts";
import { FleetGroups } from "./_fleet_groups.ts";
import { contentsOf, fromPayload, toPayload } from "./_fleet_seq.ts";
import type { FleetWorker, LastBeat } from "./fleet.ts";
import type { Heartbeat } from "./worker.ts";

/**
 * The fields of a row, side by side, so that a heartbeat touches one line of the
 * memory. ID: which worker the row belongs to, as rows are used again. POSITION:
 * when the last heartbeat came, or since when one is expected, by the clock of
 * the fleet. LAST_SEEN: the same by the wall clock, NaN if none came. SEQ: its
 * number, or that of its payload.
 */
const [ID, POSITION, LAST_SEEN, SEQ, FIELDS] = [0, 1, 2, 3, 4] as const;
/** For how many workers there is room at first. */
const INITIAL_ROWS = 64;
/**
 * The most workers in any case. A `Map` throws at 2^24 entries, with many
 * deletions at half of that, and there may be two unread events for a worker.
 */
export const MAX_WORKERS = 2 ** 22;
/** The most characters of a detail, as JSON, that is kept of a worker that is down or has left. */
const MAX_KEPT_DETAIL = 4_096;

/** Limits of a {@linkcode FleetTable}. */
export interface FleetTableLimits {
  /** The most workers. */
  maxWorkers: number;
  /** The longest name. */
  maxNameLength: number;
}

/** The workers of a fleet. */
export class FleetTable {
  #rows = new Map<string, number>();
  #fields = new Float64Array(INITIAL_ROWS * FIELDS);
  #names: (string | undefined)[] = [];
  /** Has no more entries than are needed: most fleets have no details. */
  #details: unknown[] = [];
  #freeRows: number[] = [];
  #groups = new FleetGroups();
  /** Decodes the payload with a number; set by who keeps undecoded heartbeats. */
  decode!: (number: number) => Pick<Heartbeat, "seq" | "detail">;
  #lastId = 0;
  #waiting = 0;
  /** No position is less, by group. */
  #oldest = [Infinity];
  /** Who is down or has left, and will be forgotten, and since when; the longest comes first. */
  #goneSince = new Map<number, number>();
  /** Goodbyes that count if nothing more is heard. */
  #goodbyes = new Map<number, Goodbye>();
  #maxWorkers: number;
  #maxNameLength: number;

  constructor({ maxWorkers, maxNameLength }: FleetTableLimits) {
    this.#maxWorkers = Math.min(maxWorkers, MAX_WORKERS);
    this.#maxNameLength = maxNameLength;
  }

  /** How many workers there are. */
  get size(): number {
    return this.#rows.size;
  }

  /** How many workers are waited for: who is expected or up. */
  get waiting(): number {
    return this.#waiting;
  }

  /** How many workers of a group are waited for. */
  waitingOf(group: number): number {
    return this.#groups.waitingOf(group);
  }

  /** How many workers are down or have left, and will be forgotten. */
  get toForget(): number {
    return this.#goneSince.size;
  }

  rowOf(worker: string): number | undefined {
    return this.#rows.get(worker);
  }

  nameOf(row: number): string {
    return this.#names[row]!;
  }

  /** Identifies the worker in a row; no other worker ever has the same. */
  idOf(row: number): number {
    return this.#fields[row * FIELDS + ID]!;
  }

  /** Why a new worker of this name cannot be added, if that is so. */
  refusalOf(worker: string): RefusalReason | undefined {
    // nobody could see an empty one
    if (worker === "" || worker.length > this.#maxNameLength) return "name";
    return this.#rows.size >= this.#maxWorkers ? "full" : undefined;
  }

  /** The part of a name that may be kept. */
  shorten(worker: string): string {
    const part = worker.slice(0, this.#maxNameLength);
    // a copy, as a slice would keep the whole name alive
    return JSON.parse(JSON.stringify(part));
  }

  /** The group of the worker in a row: those with the same timeout. */
  groupOf(row: number): number {
    return this.#groups.of(row);
  }

  /** Adds a worker, for which nobody waits yet, and returns its row. */
  add(worker: string, group = 0): number {
    const row = this.#freeRows.pop() ?? this.#names.length;
    if (row * FIELDS === this.#fields.length) {
      const old = this.#fields;
      this.#fields = new Float64Array(2 * old.length);
      this.#fields.set(old);
    }
    this.#rows.set(worker, row);
    this.#names[row] = worker;
    this.#fields.set([++this.#lastId, Infinity, NaN, NaN], row * FIELDS);
    this.#groups.set(row, group, this.#fields.length / FIELDS);
    return row;
  }

  /** Removes the worker in a row, with all that is known of it. */
  remove(row: number) {
    const at = row * FIELDS;
    if (this.isWaitedFor(row)) this.#count(row, -1);
    this.#fields[at + POSITION] = Infinity;
    this.#fields[at + ID] = 0;
    this.#rows.delete(this.nameOf(row));
    this.#goneSince.delete(row);
    this.#goodbyes.delete(row);
    this.#names[row] = undefined;
    this.#setDetail(row, undefined);
    this.#freeRows.push(row);
  }

  isWaitedFor(row: number): boolean {
    return this.#fields[row * FIELDS + POSITION]! < Infinity;
  }

  /** Whether the worker said goodbye, and that was the last of it. */
  hasLeft(row: number): boolean {
    return Number.isNaN(this.#fields[row * FIELDS + POSITION]);
  }

  /** Whether the row belongs to the worker with this id, and it is up. */
  isUp(row: number, id: number): boolean {
    const fields = this.#fields;
    const at = row * FIELDS;
    return fields[at + ID] === id && fields[at + POSITION]! < Infinity &&
      !Number.isNaN(fields[at + LAST_SEEN]);
  }

  /** From now on the worker is expected to beat. */
  startWaiting(row: number, position: number) {
    if (!this.isWaitedFor(row)) this.#count(row, 1);
    this.#fields[row * FIELDS + POSITION] = position;
    const group = this.groupOf(row);
    const oldest = this.#oldest[group] ?? Infinity;
    this.#oldest[group] = Math.min(oldest, position);
    this.#goneSince.delete(row);
  }

  /** One more is waited for, or one fewer. */
  #count(row: number, change: 1 | -1) {
    this.#waiting += change;
    this.#groups.count(row, change);
  }

  /** Records a heartbeat of a worker that is waited for; `seq` is NaN if it has none. */
  record(
    row: number,
    position: number,
    lastSeen: number,
    seq: number,
    detail: unknown,
  ) {
    const fields = this.#fields;
    const at = row * FIELDS;
    fields[at + POSITION] = position;
    fields[at + LAST_SEEN] = lastSeen;
    fields[at + SEQ] = seq;
    this.#setDetail(row, detail);
    if (this.#goodbyes.size > 0) this.#goodbyes.delete(row);
  }

  /** Records a heartbeat of a worker that is up, whose last one has this payload; returns false if there is none. */
  touch(row: number, id: number, clock: FleetClock, payload: number): boolean {
    const fields = this.#fields;
    const at = row * FIELDS;
    if (fields[at + ID] !== id) return false;
    // not that of another subject with the same worker
    if (fields[at + SEQ] !== fromPayload(payload)) return false;
    fields[at + POSITION] = clock.position;
    fields[at + LAST_SEEN] = clock.wall;
    if (this.#goodbyes.size > 0) this.#goodbyes.delete(row);
    return true;
  }

  /** The last heartbeat of the worker, which is up, is what a payload says whenever it is decoded. */
  keepUndecoded(row: number, payload: number) {
    this.#fields[row * FIELDS + SEQ] = fromPayload(payload);
    this.#setDetail(row, undefined);
  }

  /** Decodes the last heartbeat of the worker in a row, if it was not. */
  decodeNow(row: number) {
    const { seq, detail } = this.#contentsOf(row);
    this.#fields[row * FIELDS + SEQ] = seq;
    this.#setDetail(row, detail);
  }

  /** Keeps a goodbye until the next heartbeat of the worker. */
  keepGoodbye(row: number, goodbye: Goodbye) {
    this.#goodbyes.set(row, goodbye);
  }

  /** The goodbye after which nothing more was heard, if one is kept. */
  goodbyeOf(row: number): Goodbye | undefined {
    return this.#goodbyes.get(row);
  }

  #setDetail(row: number, detail: unknown) {
    const details = this.#details;
    if (detail === undefined && row >= details.length) return;
    while (details.length < row) details.push(undefined);
    details[row] = detail;
  }

  /**
   * Nobody waits for the worker any more, as it is down. A large detail is dropped,
   * as the worker may be down for ever.
   *
   * @param since When that is, for `rowsToForget()`; `Infinity` if it is never
   * forgotten.
   */
  markDown(row: number, since: number) {
    this.#stopWaiting(row, Infinity, since);
  }

  /** Nobody waits for the worker any more, as it said goodbye; the rest is as for `markDown()`. */
  markLeft(row: number, since: number) {
    this.#stopWaiting(row, NaN, since);
  }

  #stopWaiting(row: number, position: number, since: number) {
    this.decodeNow(row);
    this.#fields[row * FIELDS + POSITION] = position;
    this.#count(row, -1);
    this.#goodbyes.delete(row);
    if (since < Infinity) this.#goneSince.set(row, since);
    if (!isSmallDetail(this.#details[row], MAX_KEPT_DETAIL)) {
      this.#setDetail(row, undefined);
    }
  }

  /** Nothing is known any more of a worker that has left. */
  clear(row: number) {
    const at = row * FIELDS;
    this.#fields.fill(NaN, at + LAST_SEEN, at + FIELDS);
    this.#setDetail(row, undefined);
  }

  /** The rows of those who are down, or have left, since `limit` or longer. */
  *rowsToForget(limit: number): Generator<number> {
    for (const [row, since] of this.#goneSince) {
      if (since > limit) return;
      yield row;
    }
  }

  /** The rows of those who are waited for since the limit of their group, or longer. */
  silentRows(limits: readonly number[]): number[] {
    // `every()` skips the groups of which nobody was waited for yet
    const isEarly = this.#oldest.every((oldest, i) => oldest > limits[i]!);
    if (isEarly) return [];
    const silent: number[] = [];
    const groups = this.#groups.all;
    this.#oldest = groups === undefined
      ? [this.#scan(limits[0]!, silent)]
      : this.#scanGroups(groups, limits, silent);
    return silent;
  }

  /** Adds the rows with a position up to `limit`; returns the oldest position. */
  #scan(limit: number, silent: number[]): number {
    const fields = this.#fields;
    const end = this.#names.length * FIELDS;
    let oldest = Infinity;
    for (let at = POSITION; at < end; at += FIELDS) {
      const position = fields[at]!;
      if (position <= limit) silent.push((at - POSITION) / FIELDS);
      if (position < oldest) oldest = position;
    }
    return oldest;
  }

  /** The same, by group. */
  #scanGroups(
    groups: Uint16Array,
    limits: readonly number[],
    silent: number[],
  ): number[] {
    const oldest = limits.map(() => Infinity);
    for (let row = 0; row < this.#names.length; row++) {
      const group = groups[row]!;
      const position = this.#fields[row * FIELDS + POSITION]!;
      if (position <= limits[group]!) silent.push(row);
      if (position < oldest[group]!) oldest[group] = position;
    }
    return oldest;
  }

  /** How many are waited for since the limit of their group, or longer. */
  countSilent(limits: readonly number[]): number {
    let count = 0;
    for (let row = 0; row < this.#names.length; row++) {
      const position = this.#fields[row * FIELDS + POSITION]!;
      if (position <= limits[this.groupOf(row)]!) count++;
    }
    return count;
  }

  /** What is known of the last heartbeat of the worker in a row. */
  lastBeat(row: number): LastBeat {
    const lastSeen = this.#fields[row * FIELDS + LAST_SEEN]!;
    const { seq, detail } = this.#contentsOf(row);
    return {
      ...(!Number.isNaN(lastSeen) && { lastSeen }),
      ...contentsOf(seq, detail),
    };
  }

  #contentsOf(row: number): Pick<Heartbeat, "seq" | "detail"> {
    const seq = this.#fields[row * FIELDS + SEQ]!;
    const payload = toPayload(seq);
    if (payload !== undefined) return this.decode(payload);
    return { seq, detail: this.#details[row] };
  }

  /** The workers, in the order in which they were added. */
  *[Symbol.iterator](): Generator<FleetWorker> {
    for (const [worker, row] of this.#rows) {
      const last = this.lastBeat(row);
      const state = this.hasLeft(row)
        ? "left"
        : !this.isWaitedFor(row)
        ? "down"
        : last.lastSeen === undefined
        ? "expected"
        : "up";
      yield { worker, state, ...last };
    }
  }
}
