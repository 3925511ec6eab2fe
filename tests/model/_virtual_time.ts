// Copyright 2026 the heartbeat authors. MIT license.

import { setImmediate } from "node:timers";

/** A delay above this fires at once, as on the platforms. */
const MAX_DELAY_MS = 2 ** 31 - 1;

interface Timer {
  due: number;
  callback: () => void;
  /** Set for an interval. */
  every?: number;
}

/**
 * Timers, `Date.now()` and `performance.now()` whose time passes only while a test runs them. It
 * jumps from one timer to the next, so a schedule costs what its timers cost,
 * and runs all microtasks between two timers. `FakeTime` of `@std/testing`
 * waits some milliseconds for each step, which thousands of schedules cannot
 * afford.
 */
export class VirtualTime {
  #now = 0;
  #ids = 0;
  readonly #timers = new Map<number, Timer>();
  readonly #real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    now: Date.now,
    performanceNow: performance.now,
    random: Math.random,
  };

  readonly #pickTie: () => number;

  /**
   * @param random Replaces `Math.random()`, so that a schedule repeats itself.
   * @param pickTie Which of the timers that are due at the same time fires next:
   * a whole number. By default it is the one that was set first.
   */
  constructor(
    random: () => number = () => 0.5,
    pickTie: () => number = () => 0,
  ) {
    this.#pickTie = pickTie;
    const start = (repeats: boolean) => (callback: () => void, delay = 0) => {
      const ms = delay > MAX_DELAY_MS ? 0 : Math.max(Math.floor(delay), 0);
      const timer: Timer = { due: this.#now + ms, callback };
      if (repeats) timer.every = Math.max(ms, 1);
      this.#timers.set(++this.#ids, timer);
      return this.#ids;
    };
    const stop = (id: number) => void this.#timers.delete(id);
    Object.assign(globalThis, {
      setTimeout: start(false),
      setInterval: start(true),
      clearTimeout: stop,
      clearInterval: stop,
    });
    Date.now = performance.now = () => this.#now;
    Math.random = random;
  }

  /** How many timers are left. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass until it is `limit`, or until `isDone` says so. */
  async runUntil(limit: number, isDone: () => boolean = () => false) {
    for (;;) {
      await runMicrotasks();
      if (isDone()) return;
      const id = this.#findNext(limit);
      if (id === undefined) break;
      this.#fire(id);
    }
    this.#now = Math.max(this.#now, limit);
  }

  /** One of the timers that are due next. */
  #findNext(limit: number): number | undefined {
    let due = limit;
    let found: number[] = [];
    for (const [id, timer] of this.#timers) {
      if (timer.due < due) found = [];
      if (timer.due > due) continue;
      found.push(id);
      due = timer.due;
    }
    return found[found.length > 1 ? this.#pickTie() % found.length : 0];
  }

  #fire(id: number) {
    const timer = this.#timers.get(id)!;
    this.#timers.delete(id);
    this.#now = timer.due;
    if (timer.every !== undefined) {
      // at the end of the map again: behind what else is due by then
      this.#timers.set(id, { ...timer, due: this.#now + timer.every });
    }
    timer.callback();
  }

  /** Puts the real timers and clock back. */
  [Symbol.dispose]() {
    const { now, performanceNow, random, ...timers } = this.#real;
    Object.assign(globalThis, timers);
    Date.now = now;
    performance.now = performanceNow;
    Math.random = random;
  }
}

/** A turn of the real event loop, before which all microtasks have run. */
function runMicrotasks() {
  return new Promise<void>((resolve) => void setImmediate(resolve));
}
