// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * How much silence is evidence of a stall: did the producer stop, or was this
 * process not there to watch? The one policy of the library, without streams
 * and without timers.
 *
 * A watcher checks at planned times. How late a check is says what happened to
 * this process since the one before:
 *
 * | the lateness of a check is | so the time since the last check |
 * | --- | --- |
 * | the jitter of timers at most | counts |
 * | half a period at most and not known as lag, or negative: the wall clock was set | counts as it was planned |
 * | more, but no more than `leastAbsence`, and not known as lag | counts as it was planned |
 * | more, and a delay at least half as long came earlier in this silence: lag | counts |
 * | 2/5 of the timeout at most, and a delay at least half as long ended within the last two to three timeouts: lag | counts |
 * | anything else: an absence | does not count, and the silence starts anew |
 *
 * The silence is long enough once the time that counts reaches the timeout. The
 * verdict then waits for one more check, so that what has arrived is let in; that
 * one may be late by a whole timeout. A silence is overdue, and ends at once, when
 * it has lasted three timeouts less a period, its longest delay not counted.
 *
 * What follows from that, after the last heartbeat was read (the figures are those
 * of tests/model/evidence_simulation.ts):
 *
 * - One absence of any length is not a stall: a whole timeout follows it.
 * - Where the loop is late by `lag` at every check, or at every second one, the
 *   verdict comes within 1.5 timeouts and 2 lags, for a lag of a third of the
 *   timeout at most.
 * - Whatever the loop does, it comes within 3 timeouts and twice the longest
 *   lateness, and not before the timeout.
 * - A wall clock that is set back costs nothing; one that is set forward costs a
 *   timeout at most.
 *
 * ## Why not a smaller rule
 *
 * The obvious one keeps the lateness of the last four checks, zero again at each
 * heartbeat, and takes twice the worst of them for an absence. In the simulation
 * it fails in three cases. A heartbeat that is read just before a late check is
 * not seen to be new, so a healthy producer raises an alarm in a third of the runs
 * with a lag of two timeouts. Delays that grow, or that recur later than four
 * checks, are each excused, so there is no bound. A wall clock that is set forward
 * right after a heartbeat makes the verdict early.
 *
 * ## How to use it
 *
 * One stream: {@linkcode SilenceEvidence}. Call `begin()` at a heartbeat; set a
 * timer for `plan()`; when it fires, ask `check(due, now)` what to do.
 *
 * `leastAbsence` is for a watcher whose period is a small part of the timeout: a turn
 * of 60 ms is no reason to wait 3 s more.
 *
 * Many workers, one timer: {@linkcode EvidenceClock}. Call `start()` when the
 * timer is set, `check(due, now)` when it fires, and keep `clock.now` as the
 * time of each heartbeat. Every worker whose time is at most `limit(age)` is
 * down. A heartbeat is kept with the time of the check before it, so `age` is
 * the timeout and one period and the jitter. Who reads the wall clock for a
 * batch of heartbeats anyway calls `check()` first if the timer is overdue, so
 * that the heartbeats are not mistaken for those from before an absence.
 *
 * @module
 */

/** How often a silence is checked within one timeout. */
const CHECKS_PER_TIMEOUT = 4;
/** Every timer may be this late. */
export const TIMER_JITTER_MS = 10;
/** A silence is overdue after this many timeouts, its longest delay not counted. */
const OVERDUE_TIMEOUTS = 3;

/**
 * Lateness up to this share of the timeout can be known for lag from before the
 * silence: half a timeout of true silence and this are less than a timeout.
 */
const KNOWN_LAG_SHARE = 2 / 5;
/** For how many timeouts before a silence lag is remembered. */
const KNOWN_LAG_TIMEOUTS = 2;

/** How many delays are kept apart within one timeout. */
const DELAYS_PER_TIMEOUT = 64;

/** A stretch of time between two checks, the second of which was late. */
interface Delay {
  /** Where it starts, by the evidence clock. */
  start: number;
  /** Where it ends. */
  end: number;
  /** How late the check at its end was. */
  lateness: number;
  /** Up to this, it is not enough for an absence. */
  tolerance: number;
  /** How much of it the clock left out. */
  uncounted: number;
}

/** Limits of an {@linkcode EvidenceClock}. All are in milliseconds. */
export interface EvidenceClockOptions {
  /** How long a silence must be. */
  timeout: number;
  /** The usual time between two checks. */
  period: number;
  /**
   * Lateness up to this is what every timer has.
   *
   * @default {TIMER_JITTER_MS}
   */
  jitter?: number;
  /**
   * Lateness up to this counts as it was planned, however short the period is,
   * unless it is known as lag.
   *
   * @default {0}
   */
  leastAbsence?: number;
}

/**
 * A clock that advances at each check and remembers the late ones. It never goes
 * back, whatever the wall clock does, and any number of silences can be measured
 * by it. All positions are in milliseconds of this clock.
 */
export class EvidenceClock {
  /** The position of the last check. */
  now = 0;
  /** The wall clock at the last check. */
  checkedAt = 0;
  /**
   * The time for which this process was there to watch, up to the last check:
   * lateness does not count.
   */
  present = 0;
  #timeout: number;
  #period: number;
  #jitter: number;
  #leastAbsence: number;
  /** What is still part of a silence, the oldest first. */
  #delays: Delay[] = [];
  /** Silences that began before this begin here. */
  #floor = -Infinity;
  /** The position at the end of the last check that was on time. */
  #settled = 0;

  constructor(options: EvidenceClockOptions) {
    const { timeout, period, jitter = TIMER_JITTER_MS, leastAbsence = 0 } =
      options;
    this.#timeout = timeout;
    this.#period = period;
    this.#jitter = jitter;
    this.#leastAbsence = leastAbsence;
  }

  /** Lateness up to this counts as it was planned. */
  get tolerance(): number {
    return Math.max(this.#period / 2, TIMER_JITTER_MS);
  }

  /** The clock stood still, and goes on from `wall`. */
  start(wall: number) {
    this.checkedAt = wall;
  }

  /** Every silence begins anew, here. */
  restart() {
    this.#floor = this.now;
    this.#delays = [];
  }

  /** Whether the wall clock was set back since a check that is due at `due` was planned. */
  isSetBack(due: number, wall: number): boolean {
    return wall < due - this.#jitter;
  }

  /**
   * Advances the clock to `wall`, at a check that was planned for `due`. If it is
   * late by more than `tolerance`, that is remembered.
   */
  check(due: number, wall: number, tolerance = this.tolerance) {
    const lateness = wall - due;
    const planned = Math.max(due - this.checkedAt, 0);
    const elapsed = Math.max(wall - this.checkedAt, 0);
    const isOnTime = Math.abs(lateness) <= this.#jitter;
    const isCounted = isOnTime || this.#isCounted(lateness, tolerance);
    const start = this.now;
    this.now += isCounted ? elapsed : planned;
    this.present += isOnTime ? elapsed : planned;
    this.checkedAt = wall;
    this.#settled = lateness > tolerance ? start : this.now;
    if (lateness <= this.#jitter) return;
    const uncounted = isCounted ? 0 : lateness;
    this.#add({
      ...{ start, end: this.now, lateness, uncounted },
      tolerance: Math.max(tolerance, this.#leastAbsence),
    });
  }

  /** Whether the time up to a check advances the clock; otherwise only what was planned does. */
  #isCounted(lateness: number, tolerance: number): boolean {
    if (lateness <= tolerance) return lateness > 0 && this.#isUsual(lateness);
    // an absence does, too: `measure()` leaves it out of each silence
    return lateness > this.#leastAbsence || this.#isKnown(lateness);
  }

  /** Remembers a delay. Those that are close together are kept as one, so that there are few. */
  #add(delay: Delay) {
    const last = this.#delays.at(-1);
    const most = this.#timeout / DELAYS_PER_TIMEOUT;
    if (last === undefined || delay.end - last.start > most) {
      return this.#delays.push(delay);
    }
    last.end = delay.end;
    last.lateness = Math.max(last.lateness, delay.lateness);
    last.uncounted += delay.uncounted;
  }

  /** Whether an earlier delay shows that such lateness is lag. */
  #isKnown(lateness: number): boolean {
    const last = this.#delays.length - 1;
    return this.#findKnownLag(last, lateness) !== undefined;
  }

  /** Whether so little lateness is known: what every timer has, or from a delay that was counted. */
  #isUsual(lateness: number): boolean {
    const isLeast = lateness <= TIMER_JITTER_MS;
    const known = this.#findKnownLag(this.#delays.length - 1, lateness);
    return known !== undefined && (isLeast || known.uncounted === 0);
  }

  /** Drops what no silence that began at `position` or later is judged by. */
  forget(position: number) {
    const oldest = position - KNOWN_LAG_TIMEOUTS * this.#timeout;
    const { length } = this.#delays;
    let first = 0;
    while (first < length && this.#delays[first]!.end <= oldest) first++;
    this.#delays.splice(0, first);
  }

  /** The last delay, up to that at `index`, which shows that lateness up to `longest` is lag. */
  #findKnownLag(index: number, longest: number): Delay | undefined {
    if (longest > KNOWN_LAG_SHARE * this.#timeout) return;
    for (let i = index; i >= 0; i--) {
      if (2 * this.#delays[i]!.lateness >= longest) return this.#delays[i];
    }
  }

  /**
   * The silence since `position`: `counted` is what counts, from the end of its
   * absence; `bounded` is all of it but its longest delay.
   */
  measure(position: number): { counted: number; bounded: number } {
    let from = position;
    let longest = 0;
    let whole = this.now - position;
    let i = this.#delays.length - 1;
    for (; i >= 0 && this.#delays[i]!.end > position; i--) {
      const { end, lateness, tolerance, uncounted } = this.#delays[i]!;
      whole += uncounted;
      // a heartbeat that came when the check was due already shows that this process was there
      const late = Math.min(lateness, end - position);
      if (2 * late >= longest) from = lateness > tolerance ? end : position;
      longest = Math.max(longest, late);
    }
    // the delay during which the silence began is known from before
    const first = this.#delays[i + 1];
    if (first && first.start < position && first.end < from) i++;
    if (this.#findKnownLag(i, longest)) from = position;
    return { counted: this.now - from, bounded: whole - longest };
  }

  /** How long a silence is at most, its longest delay not counted. */
  #most(age: number): number {
    return Math.max(OVERDUE_TIMEOUTS * this.#timeout - this.#period, age);
  }

  /** Whether a silence is so long that no further check is waited for. */
  isOverdue(bounded: number): boolean {
    return bounded >= this.#most(this.#timeout);
  }

  /**
   * The last position at which a silence has to begin to be at least `age` long
   * now, by the evidence that was let in before the last check if that was late.
   */
  limit(age: number): number {
    const settled = this.#settled - age;
    const most = this.#most(age);
    let absence: number | undefined;
    let longest = 0;
    let now = this.now;
    let limit = settled;
    // from the newest delay to the oldest: a silence that began earlier has more of them
    for (let i = this.#delays.length - 1; i >= 0; i--) {
      const { start, end, lateness, tolerance, uncounted } = this.#delays[i]!;
      if (limit >= end) break;
      if (2 * lateness >= longest) {
        absence = lateness > tolerance ? end : undefined;
      }
      longest = Math.max(longest, lateness);
      now += uncounted;
      if (this.#findKnownLag(i - 1, longest)) absence = undefined;
      limit = Math.min(start, now - longest - most);
      // what is kept with the position `start` may have come at the end of the delay
      const isCounted = uncounted === 0;
      if ((absence ?? (isCounted ? end : start)) <= settled) limit = start;
      else if (absence === undefined) {
        limit = Math.max(
          limit,
          Math.min(settled, isCounted ? start - 1 : start),
        );
      }
    }
    if (limit < this.#floor) return -Infinity;
    this.forget(limit);
    return limit;
  }
}

/** What to do after a check: nothing, check once more in the next turn, or report the stall. */
export type Verdict = "wait" | "confirm" | "stalled";

/** The evidence against one producer. */
export class SilenceEvidence {
  /** How much silence counts, in milliseconds: at least the timeout when `check()` says `"stalled"`. */
  elapsed = 0;
  #timeout: number;
  #clock: EvidenceClock;
  /** The position at which the silence began. */
  #since = 0;
  /** When it began by the wall clock, until the next check; NaN costs less than `undefined`. */
  #beganAt = NaN;
  #isConfirming = false;

  /** A silence of `timeout` ms is a stall. It begins at `wall`, by the wall clock. */
  constructor(timeout: number, wall: number) {
    this.#timeout = timeout;
    const period = timeout / CHECKS_PER_TIMEOUT;
    this.#clock = new EvidenceClock({ timeout, period });
    this.#clock.start(wall);
  }

  /** A heartbeat: a new silence begins. This is called for every chunk, so it does next to nothing. */
  begin(wall: number) {
    this.#beganAt = wall;
  }

  /**
   * The time until the next check, in milliseconds. It is not after `mark`, a
   * length of the silence that is not reached yet.
   */
  plan(mark = Infinity): number {
    const elapsed = Number.isNaN(this.#beganAt) ? this.elapsed : 0;
    const delay = Math.min(
      this.#timeout / CHECKS_PER_TIMEOUT,
      this.#timeout - elapsed,
      mark > elapsed ? mark - elapsed : Infinity,
    );
    return Math.max(Math.ceil(delay), 0);
  }

  /** A check that was planned for `due` happens at `wall`, both by the wall clock. */
  check(due: number, wall: number): Verdict {
    const clock = this.#clock;
    this.#advance(due, wall);
    const { counted, bounded } = clock.measure(this.#since);
    const isEnough = counted >= this.#timeout;
    const isOverdue = clock.isOverdue(bounded);
    this.elapsed = isOverdue && !isEnough ? bounded : counted;
    if (isEnough && this.#isConfirming || isOverdue) return "stalled";
    this.#isConfirming = isEnough;
    return isEnough ? "confirm" : "wait";
  }

  /** The silence is interrupted by what is no heartbeat; the next check was planned for `due`. */
  pause(due: number, wall: number) {
    this.#advance(Math.min(due, Math.max(wall, this.#clock.checkedAt)), wall);
    this.elapsed = this.#clock.measure(this.#since).counted;
    this.#isConfirming = false;
  }

  /** The silence goes on where it was interrupted. */
  resume(wall: number) {
    this.#clock.start(wall);
  }

  #advance(due: number, wall: number) {
    const clock = this.#clock;
    const { now, checkedAt } = clock;
    const began = this.#beganAt;
    // a check that was planned before the silence was interrupted
    const from = Math.max(due, checkedAt);
    const isSetBack = clock.isSetBack(from, wall);
    const isLast = this.#isConfirming && Number.isNaN(began);
    clock.check(from, wall, isLast ? this.#timeout : clock.tolerance);
    if (Number.isNaN(began)) return;
    const sinceCheck = Math.max(began - checkedAt, 0);
    this.#since = isSetBack ? clock.now : Math.min(now + sinceCheck, clock.now);
    this.#beganAt = NaN;
    clock.forget(this.#since);
  }
}
