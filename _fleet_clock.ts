// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The clock of a fleet, without a timer: which time a heartbeat is kept with,
 * and how old it must be for its worker to be down.
 *
 * A fleet has one timer. Most heartbeats are kept with the time of the tick
 * before them, as reading the wall clock for each would cost more than the rest.
 * Such a heartbeat came at any time before the next tick, so its time is that
 * tick's and {@linkcode BETWEEN_TICKS}: if the next tick is late, the policy of
 * evidence then takes it for as late as it can have been. Heartbeats for which
 * the wall clock is read are kept with the exact time of a tick; one is made for
 * them if the timer is overdue.
 *
 * @module
 */

import { EvidenceClock, TIMER_JITTER_MS } from "./_evidence.ts";
import { MAX_DELAY_MS } from "./_timers.ts";

/** How many ticks there are in one `resolution`: a verdict needs three at most. */
const TICKS_PER_RESOLUTION = 3;
/** However short the period is, each timer may be late by this. */
const MIN_JITTER_MS = 2;
/** Added to the time of a tick, for what came at any time before the next one. */
const BETWEEN_TICKS = 0.5;
/** Lateness up to this share of the timeout is no absence, as for a single stream. */
const LEAST_ABSENCE_SHARE = 1 / 8;
/**
 * Lateness above this share of the timeout matters for how soon a verdict comes.
 * The loop is known for it after two such ticks that are no further apart than
 * LATE_TICKS, and for so many ticks after them.
 */
const [LATE_SHARE, LATE_TICKS] = [1 / 6, 8] as const;

/** The clock of a fleet. Its own time passes only at ticks; `wall` is the time by `Date.now()`. */
export class FleetClock {
  /** How long a worker may be silent. */
  readonly timeout: number;
  /** The time between two ticks, in milliseconds. */
  readonly period: number;
  /** A timeout from now on takes this long at most, counted from the last tick. */
  readonly window: number;
  /** What a heartbeat that comes now is kept with. */
  position = BETWEEN_TICKS;
  /** The wall clock when it was last read. */
  wall = 0;
  /** Whether `read()` is to be called before a heartbeat is taken. */
  mustRead = true;
  #evidence: EvidenceClock;
  #isRunning = false;
  /** When the next tick is due, by the wall clock. */
  #due = 0;
  /** How late a tick is that counts as late for `#isLoopLate`. */
  #lateness: number;
  #isLoopLate = false;
  #ticksSinceLate = Infinity;

  constructor(timeout: number, resolution: number) {
    this.timeout = timeout;
    const period = Math.floor(resolution / TICKS_PER_RESOLUTION);
    this.period = Math.min(Math.max(period, 1), MAX_DELAY_MS);
    const jitter = Math.max(
      Math.min(this.period / 2, TIMER_JITTER_MS),
      MIN_JITTER_MS,
    );
    // a heartbeat came up to a period, and the jitter, after what it is kept with
    this.window = timeout + this.period + jitter - BETWEEN_TICKS;
    this.#evidence = new EvidenceClock({
      ...{ timeout, period: this.period, jitter },
      leastAbsence: timeout * LEAST_ABSENCE_SHARE,
    });
    this.#lateness = Math.max(timeout * LATE_SHARE, this.#evidence.tolerance);
  }

  /** The time for which this process was there, in milliseconds. */
  get present(): number {
    return this.#evidence.present;
  }

  /** The first tick is planned for one period from now. */
  start(wall: number) {
    this.#isRunning = true;
    this.wall = wall;
    this.#evidence.start(wall);
    this.#due = wall + this.period;
    this.#settle();
  }

  /** From now on, ticks are planned for this clock when they are for another one. */
  follow(leader: FleetClock) {
    this.#isRunning = leader.#isRunning;
    this.wall = leader.wall;
    this.#evidence.start(leader.#evidence.checkedAt);
    this.#due = leader.#due;
    if (this.#isRunning) this.#settle();
  }

  /** No tick is planned any more. */
  stop() {
    this.#isRunning = false;
    this.mustRead = true;
  }

  /** The tick that was planned happens, and the next one is planned. */
  tick(wall: number) {
    this.wall = wall;
    this.#check();
    this.#due = wall + this.period;
  }

  /** Takes the wall clock. Heartbeats count as of now until `endRead()`, or the next tick. */
  read(wall: number) {
    this.wall = wall;
    if (this.#isRunning && wall - this.#due > this.#evidence.tolerance) {
      // they came after this delay and not before it, as the last tick
      this.#check();
      // the timer fires at once, which is on time then
      this.#due = wall;
    }
    this.position = this.#evidence.now;
  }

  /** From now on, heartbeats count as of any time before the next tick. */
  endRead() {
    this.position = this.#evidence.now + BETWEEN_TICKS;
  }

  /** A worker is down if its last heartbeat was kept with this position, or an earlier one. */
  limit(): number {
    return this.#evidence.limit(this.window);
  }

  /** Every silence begins anew. */
  restart() {
    this.#evidence.restart();
  }

  #check() {
    const evidence = this.#evidence;
    if (this.wall - this.#due > this.#lateness) {
      if (this.#ticksSinceLate <= LATE_TICKS) this.#isLoopLate = true;
      this.#ticksSinceLate = 0;
    } else if (++this.#ticksSinceLate > LATE_TICKS) this.#isLoopLate = false;
    evidence.check(this.#due, this.wall);
    this.#settle();
  }

  #settle() {
    this.mustRead = this.#isLoopLate;
    this.endRead();
  }
}
