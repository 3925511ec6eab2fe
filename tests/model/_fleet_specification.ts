// Copyright 2026 the heartbeat authors. MIT license.

/**
 * What a fleet promises: when a worker may and must be down, and what a reader
 * of its events gets. It knows nothing of how the fleet does it.
 *
 * There are two times. `now` is the time of the timers, in which this process is
 * always there; the wall clock differs from it while it is set, or late.
 *
 * @module
 */

import type { FleetEvent, LastBeat } from "../../fleet.ts";
import type { FleetSetup } from "./_fleet_schedule.ts";

/** Up to this (ms), lateness is taken for time that passed. */
export const USUAL_LATENESS_MS = 10;
/** Lateness up to this share of the timeout can be known for lag from before a silence. */
const KNOWN_LAG_SHARE = 2 / 5;
/** Lateness up to this share of the timeout is no absence. */
const LEAST_ABSENCE_SHARE = 1 / 8;

/** Throws unless a claim holds. */
export function claim(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** A member of the fleet. */
export interface Member {
  /** Its last heartbeat, or since when it is expected. */
  since: number;
  /** By how much of the time since then the fleet may count too much, or too little. */
  fast: number;
  slow: number;
  /** It was found down, or has left: not before, not after. */
  down?: [number, number];
  /** It said goodbye: it is done, or has failed. */
  left?: boolean;
  /** A goodbye that counts if nothing more is heard. */
  goodbye?: { ended: "done" | "failed"; last: LastBeat };
  /** Its last heartbeat. */
  last?: LastBeat;
}

/** When a verdict may come, and when it must. */
export class Deadlines {
  isPaused = false;
  /** Nobody is down before a timeout after this, as the last pause ended. */
  #resumed = -Infinity;
  /** Whoever is silent is found a timeout after this. */
  #disturbed = -Infinity;
  /** By how much of the time since then the fleet may count too much. */
  #fast = 0;
  /** When the wall clock was set forward, and by how much. */
  #delays: { at: number; by: number }[] = [];
  #setup: FleetSetup;
  /** The time between two ticks. */
  readonly period: number;

  constructor(setup: FleetSetup) {
    this.#setup = setup;
    this.period = Math.max(Math.floor(setup.resolution / 3), 1);
  }

  resume(now: number) {
    this.isPaused = false;
    this.#resumed = this.#disturbed = now;
    this.#delays = [];
    this.#fast = 0;
  }

  /** The fleet may count so much more time than passed. */
  onExtraTime(ms: number) {
    this.#fast += ms;
  }

  /** The wall clock is set forward: this looks like an absence, unless it is little. */
  onDelay(now: number, by: number) {
    this.#delays.push({ at: now, by });
    if (by <= LEAST_ABSENCE_SHARE * this.#setup.timeout) return;
    // from the tick that finds it
    this.#disturbed = Math.max(this.#disturbed, now + this.period);
  }

  #delaysSince(start: number) {
    return this.#delays.filter(({ at }) => at >= start);
  }

  /** One delay is an absence, with a whole window after it; several are lag, and count. */
  #isLag(start: number): boolean {
    const { timeout } = this.#setup;
    const [first, second] = this.#delaysSince(start);
    if (!first || second) return second !== undefined;
    // a tick is late by up to a period less than the clock is set
    if (first.by > KNOWN_LAG_SHARE * timeout + this.period) return false;
    // for how long it is known is left open: the fleet's clock stands still while it has no timer
    return this.#delays.some(({ at, by }) =>
      at < first.at && 2 * by >= first.by - this.period
    );
  }

  /** A delay after which a whole window follows; of a shorter one, nothing counts. */
  #isAbsence(by = 0): boolean {
    return by > LEAST_ABSENCE_SHARE * this.#setup.timeout + this.period;
  }

  /** A member is down no earlier. */
  earliest({ since, fast }: Member): number {
    const start = Math.max(since, this.#resumed);
    const delays = this.#delaysSince(start);
    const counted = this.#isLag(start)
      ? start - delays.reduce((sum, { by }) => sum + by, 0)
      : this.#isAbsence(delays[0]?.by)
      ? delays[0]!.at
      : start;
    return counted + this.#setup.timeout - fast;
  }

  /** A member is down by then. */
  latest({ since, slow }: Member): number {
    if (this.isPaused) return Infinity;
    const { timeout, resolution } = this.#setup;
    const start = Math.max(since, this.#resumed);
    const delays = this.#delaysSince(start).map(({ by }) => by);
    const longest = Math.max(0, ...delays);
    const lag = delays.reduce((sum, by) => sum + by, 0);
    // what arrived before a late tick is let in first
    const late = delays.length > 0 ? 2 * this.period : 0;
    return slow + resolution + late + Math.min(
      Math.max(since, this.#disturbed) + timeout,
      // whatever the lateness
      start + 3 * timeout + 2 * longest - lag + this.period,
    );
  }

  /** A member that is down is forgotten no earlier. */
  earliestForgotten({ down, fast }: Member): number {
    const { timeout, forgetAfter } = this.#setup;
    return Math.max(
      down![0] + forgetAfter - fast,
      this.#resumed + timeout - this.#fast,
    );
  }

  /** A member that is down is forgotten by then. */
  latestForgotten({ down, slow, left }: Member): number {
    if (this.isPaused) return Infinity;
    const { timeout, resolution, forgetAfter } = this.#setup;
    // after a goodbye, the fleet may have no timer, while which its clock stands still
    const disturbed = left === undefined
      ? this.#disturbed
      : Math.max(this.#disturbed, down![1]);
    return resolution + slow +
      Math.max(down![1] + forgetAfter, disturbed + timeout);
  }
}

/** An event without what it is not compared by. */
export type ExpectedEvent = Record<string, unknown> & {
  type: FleetEvent["type"];
  worker: string;
  time: number;
};

/** An event that waits to be read. */
interface Unread {
  event: ExpectedEvent;
  /** The observation in which it came. */
  step: number;
  /** The event has a time from this to that of `event`. */
  from: number;
  /** Of what is refused: it reports so many or more. */
  least?: number;
}

/** What a worker is after an event. */
const STATE_AFTER: Record<string, string> = {
  ...{ up: "up", recovered: "up", down: "down", left: "left" },
};

function sortedJson({ time: _, ...data }: object & { time: number }) {
  return JSON.stringify(
    Object.entries(data).sort(([a], [b]) => a < b ? -1 : 1),
  );
}

/** The events that a reader gets: what is still true, and news only. */
export class ExpectedEvents {
  /** What the reader knows of a worker: its last event, unless that was `forgotten`. */
  readonly known = new Map<string, string>();
  /** The kinds of events there were. */
  readonly kinds = new Set<string>();
  refused = { full: 0, name: 0, timeout: 0 };
  #refusedRead = { full: 0, name: 0, timeout: 0 };
  #hadRoom = true;
  #unread: Unread[] = [];
  step = 0;

  get length(): number {
    return this.#unread.length;
  }

  /** Something happened to a worker, at a time from `from` to that of the event. */
  add(event: ExpectedEvent, from = event.time) {
    const { worker, type } = event;
    this.kinds.add(type);
    const known = this.known.get(worker);
    this.#unread = this.#unread.filter(({ event }) =>
      event.worker !== worker || /forgotten|refused/.test(event.type)
    );
    if (type === "forgotten") {
      this.known.delete(worker);
      // an unread report says that it is full whenever it is read
      if (!this.#isUnread("full")) this.#hadRoom = true;
      if (known === undefined) return;
    } else if (
      known !== undefined && STATE_AFTER[known] === STATE_AFTER[type]
    ) {
      return;
    } else if (type === "recovered" && known !== "down") {
      const { outage: _, missed: __, ...rest } = event;
      event = { ...rest, type: "up" };
    }
    this.#unread.push({ event, step: this.step, from });
  }

  #isUnread(reason: string): boolean {
    return this.#unread.some(({ event }) => event.reason === reason);
  }

  /** A name was refused. */
  addRefused(worker: string, time: number, reason: "full" | "name") {
    this.kinds.add("refused");
    const count = ++this.refused[reason];
    const isNews = count >= 10 * this.#refusedRead[reason] ||
      reason === "full" && this.#hadRoom;
    if (reason === "full") this.#hadRoom = false;
    if (this.#isUnread(reason) || !isNews) return;
    const event = { type: "refused" as const, worker, time, reason };
    this.#unread.push({ event, step: this.step, from: time, least: count });
  }

  /** An event was read: it must be one of those that wait, and no other may be older. */
  take(event: FleetEvent) {
    const { type, worker } = event;
    const index = this.#unread.findIndex(({ event }) =>
      event.worker === worker && event.type === type
    );
    claim(index >= 0, `unexpected: ${JSON.stringify(event)}`);
    const [unread] = this.#unread.splice(index, 1) as [Unread];
    const { step, from, least, event: expected } = unread;
    claim(this.#unread.every((other) => other.step >= step), "out of order");
    claim(
      event.time >= from && event.time <= expected.time,
      `the time of ${JSON.stringify(event)}: ${from} to ${expected.time}`,
    );
    if (event.type === "refused") {
      // a read that waits gets it before the next one in a batch is refused
      const most = this.refused[event.reason];
      claim(event.count >= least! && event.count <= most, `not ${event.count}`);
      this.#refusedRead[event.reason] = expected.count = event.count;
    } else if (type !== "forgotten") this.known.set(worker!, type);
    const [is, must] = [sortedJson(event), sortedJson(expected)];
    claim(is === must, `${is} is not ${must}`);
  }
}
