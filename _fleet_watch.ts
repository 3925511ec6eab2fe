// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Watches the workers of a fleet: takes their heartbeats, looks for those who
 * are silent at each tick of its one timer, and reports what happens to them.
 *
 * | phase | heartbeat, goodbye, `expect()` | a tick | `pause()` | `resume()` | `end()` |
 * | --- | --- | --- | --- | --- | --- |
 * | watching | is taken | who is silent is down, or has left, if that is believed; who is gone for long is forgotten | → paused | a fresh window for all | → ended |
 * | paused | is taken | nobody is silent | | → watching, a fresh window for all | → ended |
 * | ended | is ignored | | | | |
 *
 * The timer runs while somebody is waited for, or is gone and will be forgotten.
 *
 * @module
 */

import type { FleetClock } from "./_fleet_clock.ts";
import { FleetClocks } from "./_fleet_clocks.ts";
import type { FleetEvents } from "./_fleet_events.ts";
import { type Goodbye, isGoodbye, judgeGoodbye } from "./_fleet_goodbye.ts";
import { FleetRoster } from "./_fleet_roster.ts";
import { toSeq } from "./_fleet_seq.ts";
import {
  FleetSight,
  type FleetSightOptions,
  type WatchedWorkers,
} from "./_fleet_sight.ts";
import type { FleetTable, FleetTableLimits } from "./_fleet_table.ts";
import { checkString } from "./_validate.ts";
import type { Heartbeat } from "./worker.ts";

/** Limits of a {@linkcode FleetWatch}, as those of a `FleetMonitor`. */
export interface FleetWatchOptions extends FleetTableLimits, FleetSightOptions {
  timeout: number | ((worker: string) => number);
  forgetAfter: number;
  resolution: number;
  /** Whether what is seen is believed, if several watches decide that together. */
  sight?: FleetSight | undefined;
}

/** Watches the workers of a fleet. */
export class FleetWatch {
  readonly table: FleetTable;
  readonly events: FleetEvents;
  #roster: FleetRoster;
  #phase: "watching" | "paused" | "ended" = "watching";
  #clocks: FleetClocks;
  /** The only clock, if all workers have the same timeout. */
  #clock: FleetClock | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #forgetAfter: number;
  #sight: FleetSight;
  /**
   * When every silence last began anew, as `present` of the first clock. Until a
   * window after that, nobody is forgotten.
   */
  #refreshedAt = -Infinity;

  constructor(options: FleetWatchOptions) {
    const { timeout, forgetAfter, resolution } = options;
    const isByName = typeof timeout === "function";
    // the clock of group 0 always exists: it measures all that depends on no timeout.
    // If timeouts are chosen by name, its own is infinite, and it may have no workers.
    this.#clocks = new FleetClocks(isByName ? Infinity : timeout, resolution);
    this.#clock = isByName ? undefined : this.#clocks.first;
    this.#roster = new FleetRoster(
      options,
      isByName ? (worker) => this.#clocks.findGroup(timeout, worker) : () => 0,
    );
    this.table = this.#roster.table;
    this.events = this.#roster.events;
    this.#forgetAfter = forgetAfter;
    this.#sight = options.sight ?? this.#createSight(options);
    this.#sight.add(this);
  }

  #createSight(options: FleetSightOptions): FleetSight {
    const sight = new FleetSight(options);
    sight.onEvent = (event) => {
      this.events.reportSight(event);
      this.#roster.onEvent();
    };
    return sight;
  }

  /** Is called when there may be an event to read. */
  set onEvent(listener: () => void) {
    this.#roster.onEvent = listener;
  }

  /** Takes a heartbeat. */
  beat(worker: string, seq: number | undefined, detail: unknown) {
    if (this.#clocks.mustRead) this.#clocks.read(Date.now());
    this.#takeBeat(worker, seq, detail);
  }

  /**
   * Takes a heartbeat of the worker in a row. Returns false, and takes nothing, if the
   * worker with this id is not up: `beat()` then looks for it by its name.
   */
  beatRow(
    row: number,
    id: number,
    seq: number | undefined,
    detail: unknown,
  ): boolean {
    const clocks = this.#clocks;
    if (clocks.mustRead) {
      if (this.#phase === "ended") return false;
      clocks.read(Date.now());
    }
    const { table } = this;
    if (!table.isUp(row, id)) return false;
    const { position, wall } = this.#clockOf(row);
    table.record(row, position, wall, toSeq(seq), detail);
    return true;
  }

  /** Takes heartbeats that came now. */
  beatAll(action: string, beats: readonly Heartbeat[]) {
    this.beginBatch();
    for (const beat of beats) {
      checkString(action, "worker", beat?.worker);
      this.take(beat);
    }
    this.endBatch();
  }

  /** Begins a batch: the clock is read once, for all heartbeats until its end. */
  beginBatch() {
    this.#clocks.read(Date.now());
  }

  /** Ends a batch: later heartbeats count as of any time before the next tick. */
  endBatch() {
    this.#clocks.endRead();
  }

  /** Takes a heartbeat of a batch; returns the row of its worker if that is up. */
  take(beat: Heartbeat): number | undefined {
    if (isGoodbye(beat.ended)) this.#onGoodbye(beat, beat.ended);
    else return this.#takeBeat(beat.worker, beat.seq, beat.detail);
  }

  /**
   * Takes a heartbeat of the worker in a row, which stays undecoded. Returns false, and
   * takes nothing, if the worker with this id is not up.
   */
  touch(row: number, id: number, payload: number): boolean {
    if (this.#phase === "ended") return false;
    return this.table.touch(row, id, this.#clockOf(row), payload);
  }

  /** Waits for heartbeats of workers from now on, unless they are known already. */
  expectAll(workers: readonly string[]) {
    if (this.#phase === "ended") return;
    const { table } = this;
    for (const worker of workers) {
      const known = table.rowOf(worker);
      if (known !== undefined) {
        if (!table.hasLeft(known)) continue;
        table.clear(known);
      }
      const row = known ?? this.#roster.add(worker);
      // again for each: the first one may start the timer, which ends the reading
      this.#clocks.read(Date.now());
      if (row !== undefined) this.#startWaiting(row);
    }
    this.#clocks.endRead();
  }

  /** Removes a worker; returns whether it was there. */
  remove(worker: string): boolean {
    const row = this.table.rowOf(worker);
    if (row === undefined || this.#phase === "ended") return false;
    this.#forget(row);
    return true;
  }

  /** Nobody is down from now on. */
  pause() {
    if (this.#phase === "watching") this.#phase = "paused";
  }

  /** Every worker has a fresh window from now on. */
  resume() {
    if (this.#phase === "ended") return;
    this.#phase = "watching";
    this.#sight.reset();
    this.refresh();
  }

  /** Every silence begins anew. */
  refresh() {
    this.#clocks.restart();
    this.#refreshedAt = this.#clocks.first.present;
  }

  /** How many are waited for, and how many of them would be down within half a timeout. */
  countWorkers(): WatchedWorkers {
    const { table } = this;
    const silent = table.countSilent(this.#clocks.limitsAhead());
    return { silent, watched: table.waiting };
  }

  /** Ends it. What was not read yet can still be read. */
  end() {
    this.#phase = "ended";
    this.#sight.remove(this);
    this.#stopTimer();
  }

  #takeBeat(
    worker: string,
    seq: number | undefined,
    detail: unknown,
  ): number | undefined {
    if (this.#phase === "ended") return undefined;
    const row = this.table.rowOf(worker) ?? this.#roster.add(worker);
    if (row !== undefined) this.#record(row, seq, detail);
    return row;
  }

  #record(row: number, seq: unknown, detail: unknown) {
    const { table } = this;
    const count = toSeq(seq);
    if (!table.isUp(row, table.idOf(row))) {
      this.#roster.reportBeat(row, count, detail);
      if (!table.isWaitedFor(row)) this.#startWaiting(row);
    }
    const { position, wall } = this.#clockOf(row);
    table.record(row, position, wall, count, detail);
  }

  #clockOf(row: number): FleetClock {
    return this.#clock ?? this.#clocks.of(this.table.groupOf(row));
  }

  #startWaiting(row: number) {
    const { position } = this.#clockOf(row);
    this.table.startWaiting(row, position);
    this.#adjustTimer();
  }

  #onGoodbye({ worker, seq, detail }: Heartbeat, ended: Goodbye["ended"]) {
    if (this.#phase === "ended") return;
    const { table } = this;
    const row = table.rowOf(worker) ?? this.#roster.add(worker);
    if (row === undefined) return;
    const lastSeen = this.#clocks.first.wall;
    const goodbye = { ended, lastSeen, seq: toSeq(seq), detail };
    const isWaitedFor = table.isWaitedFor(row);
    const { lastSeen: seen, seq: lastSeq = NaN } = table.lastBeat(row);
    const isExpected = isWaitedFor && seen === undefined;
    const worth = judgeGoodbye(
      goodbye.seq,
      isExpected ? 0 : lastSeq,
      isWaitedFor,
    );
    if (worth === "certain") this.#markEnded(row, goodbye);
    else if (worth === "unsure") table.keepGoodbye(row, goodbye);
  }

  #markEnded(row: number, { ended, lastSeen, seq, detail }: Goodbye) {
    const { table } = this;
    const { position } = this.#clockOf(row);
    table.startWaiting(row, position);
    table.record(row, position, lastSeen, seq, detail);
    if (ended === "done") this.#roster.markLeft(row, this.#goneSince());
    else this.#roster.markDown(row, this.#goneSince(), "failed");
    this.#adjustTimer();
  }

  /** Starts or stops the timer, if that is due. */
  #adjustTimer() {
    const needsTimer = this.#needsTimer();
    if (needsTimer === (this.#timer !== undefined)) return;
    if (!needsTimer) {
      this.#stopTimer();
      return this.#sight.onIdle();
    }
    this.#clocks.start(Date.now());
    this.#startTimer();
  }

  #needsTimer(): boolean {
    const { table } = this;
    const neverDown = this.#clocks.isFirstInfinite ? table.waitingOf(0) : 0;
    return table.waiting - neverDown + table.toForget > 0;
  }

  #startTimer() {
    const { period } = this.#clocks.first;
    this.#timer = setTimeout(() => this.#onTick(), period);
  }

  #stopTimer() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#clocks.stop();
  }

  #onTick() {
    this.#clocks.tick(Date.now());
    // at once, as what follows may take a while
    this.#startTimer();
    if (this.#phase === "paused") return this.#clocks.restart();
    const silent = this.table.silentRows(this.#clocks.limits());
    if (this.#believes(silent)) {
      for (const row of silent) this.#onSilent(row);
      this.#forgetOld();
    }
    this.#adjustTimer();
  }

  #believes(silent: number[]): boolean {
    if (silent.length === 0 && !this.#sight.isBlind) return true;
    const { first: { wall, period }, longest, shortest } = this.#clocks;
    return this.#sight.believes(wall, longest, period, shortest);
  }

  #onSilent(row: number) {
    const goodbye = this.table.goodbyeOf(row);
    if (goodbye) this.#markEnded(row, goodbye);
    else this.#roster.markDown(row, this.#goneSince(), "silent");
  }

  /** Since when a worker is gone, if it goes now; `Infinity` if it is never forgotten. */
  #goneSince(): number {
    return this.#forgetAfter < Infinity ? this.#clocks.first.present : Infinity;
  }

  #forgetOld() {
    const { first: { present }, window } = this.#clocks;
    if (present < this.#refreshedAt + window) return;
    for (const row of this.table.rowsToForget(present - this.#forgetAfter)) {
      this.#forget(row);
    }
  }

  #forget(row: number) {
    this.#roster.remove(row);
    this.#adjustTimer();
  }
}
