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

import { FleetClock } from "./_fleet_clock.ts";
import type { FleetEvents } from "./_fleet_events.ts";
import { type Goodbye, isGoodbye, judgeGoodbye } from "./_fleet_goodbye.ts";
import { FleetRoster } from "./_fleet_roster.ts";
import {
  FleetSight,
  type FleetSightOptions,
  type WatchedWorkers,
} from "./_fleet_sight.ts";
import type { FleetTable, FleetTableLimits } from "./_fleet_table.ts";
import { checkString } from "./_validate.ts";
import type { FleetHandle } from "./fleet.ts";
import type { Heartbeat } from "./worker.ts";

/** Limits of a {@linkcode FleetWatch}, as those of a `FleetMonitor`. */
export interface FleetWatchOptions extends FleetTableLimits, FleetSightOptions {
  timeout: number;
  forgetAfter: number;
  resolution: number;
  /** Whether what is seen is believed, if several watches decide that together. */
  sight?: FleetSight | undefined;
}

/** The number of a heartbeat; NaN if it has none. */
function toNumber(seq: unknown): number {
  return typeof seq === "number" ? seq : NaN;
}

/** Watches the workers of a fleet. */
export class FleetWatch {
  readonly table: FleetTable;
  readonly events: FleetEvents;
  #roster: FleetRoster;
  #phase: "watching" | "paused" | "ended" = "watching";
  #clock: FleetClock;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timeout: number;
  #forgetAfter: number;
  #sight: FleetSight;
  /** Nobody is forgotten before, by `#clock.present`. */
  #forgetNotBefore = 0;

  constructor(options: FleetWatchOptions) {
    const { timeout, forgetAfter, resolution } = options;
    this.#roster = new FleetRoster(options);
    this.table = this.#roster.table;
    this.events = this.#roster.events;
    this.#clock = new FleetClock(timeout, resolution);
    this.#timeout = timeout;
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
    if (this.#clock.mustRead) this.#clock.read(Date.now());
    this.#take(worker, seq, detail);
  }

  /** Takes a heartbeat of the worker in a row; returns false if that is not the worker with this id. */
  beatRow(
    row: number,
    id: number,
    seq: number | undefined,
    detail: unknown,
  ): boolean {
    const clock = this.#clock;
    if (clock.mustRead) {
      if (this.#phase === "ended") return false;
      clock.read(Date.now());
    }
    const { table } = this;
    if (!table.isUp(row, id)) return false;
    table.record(row, clock.position, clock.wall, toNumber(seq), detail);
    return true;
  }

  /** Takes heartbeats that came now. */
  beatAll(action: string, beats: readonly Heartbeat[]) {
    this.#clock.read(Date.now());
    for (const beat of beats) {
      checkString(action, "worker", beat?.worker);
      if (isGoodbye(beat.ended)) this.#onGoodbye(beat, beat.ended);
      else this.#take(beat.worker, beat.seq, beat.detail);
    }
    this.#clock.endRead();
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
      // each time, as the timer may be started by the first one
      this.#clock.read(Date.now());
      if (row !== undefined) this.#startWaiting(row);
    }
    this.#clock.endRead();
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
    this.#clock.restart();
    this.#forgetNotBefore = this.#clock.present + this.#clock.window;
  }

  /** How many are waited for, and how many of them would be down within half a timeout. */
  countWorkers(): WatchedWorkers {
    const limit = this.#clock.limit() + this.#timeout / 2;
    const { table } = this;
    return { silent: table.countSilent(limit), watched: table.waiting };
  }

  /** Ends it. What was not read yet can still be read. */
  end() {
    this.#phase = "ended";
    this.#sight.remove(this);
    this.#stopTimer();
  }

  #take(worker: string, seq: number | undefined, detail: unknown) {
    if (this.#phase === "ended") return;
    const row = this.table.rowOf(worker) ?? this.#roster.add(worker);
    if (row !== undefined) this.#record(row, seq, detail);
  }

  #record(row: number, seq: unknown, detail: unknown) {
    const { table } = this;
    const count = toNumber(seq);
    if (!table.isUp(row, table.idOf(row))) {
      this.#roster.reportBeat(row, count, detail);
      if (!table.isWaitedFor(row)) this.#startWaiting(row);
    }
    const { position, wall } = this.#clock;
    table.record(row, position, wall, count, detail);
  }

  #startWaiting(row: number) {
    this.table.startWaiting(row, this.#clock.position);
    this.#adjustTimer();
  }

  #onGoodbye({ worker, seq, detail }: Heartbeat, ended: Goodbye["ended"]) {
    if (this.#phase === "ended") return;
    const { table } = this;
    const row = table.rowOf(worker) ?? this.#roster.add(worker);
    if (row === undefined) return;
    const lastSeen = this.#clock.wall;
    const goodbye = { ended, lastSeen, seq: toNumber(seq), detail };
    const lastSeq = table.lastBeat(row).seq ?? NaN;
    const isUp = table.isUp(row, table.idOf(row));
    const worth = judgeGoodbye(goodbye.seq, lastSeq, isUp);
    if (worth === "certain") this.#markEnded(row, goodbye);
    else if (worth === "unsure") table.keepGoodbye(row, goodbye);
  }

  #markEnded(row: number, { ended, lastSeen, seq, detail }: Goodbye) {
    const { table } = this;
    const { position } = this.#clock;
    table.startWaiting(row, position);
    table.record(row, position, lastSeen, seq, detail);
    if (ended === "done") this.#roster.markLeft(row, this.#now());
    else this.#roster.markDown(row, this.#now(), "failed");
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
    this.#clock.start(Date.now());
    this.#startTimer();
  }

  #needsTimer(): boolean {
    const waiting = this.#timeout < Infinity ? this.table.waiting : 0;
    return waiting + this.table.toForget > 0;
  }

  #startTimer() {
    this.#timer = setTimeout(() => this.#onTick(), this.#clock.period);
  }

  #stopTimer() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#clock.stop();
  }

  #onTick() {
    this.#clock.tick(Date.now());
    // at once, as what follows may take a while
    this.#startTimer();
    if (this.#phase === "paused") return this.#clock.restart();
    const silent = this.table.silentRows(this.#clock.limit());
    if (this.#believes(silent)) {
      for (const row of silent) this.#onSilent(row);
      this.#forgetOld();
    }
    this.#adjustTimer();
  }

  #believes(silent: number[]): boolean {
    if (silent.length === 0 && !this.#sight.isBlind) return true;
    const { wall, period } = this.#clock;
    return this.#sight.believes(wall, this.#timeout, period);
  }

  #onSilent(row: number) {
    const goodbye = this.table.goodbyeOf(row);
    if (goodbye) this.#markEnded(row, goodbye);
    else this.#roster.markDown(row, this.#now(), "silent");
  }

  /** Since when a worker is gone that goes now; `Infinity` if it is never forgotten. */
  #now(): number {
    return this.#forgetAfter < Infinity ? this.#clock.present : Infinity;
  }

  #forgetOld() {
    const { present } = this.#clock;
    if (present < this.#forgetNotBefore) return;
    for (const row of this.table.rowsToForget(present - this.#forgetAfter)) {
      this.#forget(row);
    }
  }

  #forget(row: number) {
    this.#roster.remove(row);
    this.#adjustTimer();
  }
}

/** Takes the heartbeats of one worker, whose row it remembers. */
export class WorkerHandle implements FleetHandle {
  readonly worker: string;
  #watch: FleetWatch;
  #id = -1;
  #row = 0;

  constructor(watch: FleetWatch, worker: string) {
    this.worker = worker;
    this.#watch = watch;
  }

  beat(seq?: number, detail?: unknown) {
    const watch = this.#watch;
    if (watch.beatRow(this.#row, this.#id, seq, detail)) return;
    watch.beat(this.worker, seq, detail);
    const row = watch.table.rowOf(this.worker);
    if (row === undefined) return; // it was refused, or the fleet has ended
    this.#row = row;
    this.#id = watch.table.idOf(row);
  }
}
