// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { FleetClock } from "./_fleet_clock.ts";

/**
 * How many timeouts a fleet may have. Each costs something at each tick, and the names
 * for which they are chosen come from a network.
 */
export const MAX_TIMEOUTS = 1_000;

/**
 * The clocks of a fleet, one for each timeout, all of which tick together. The
 * workers with the same timeout are one group, and its number is that of their clock.
 */
export class FleetClocks {
  /** Whether `read()` is to be called before a heartbeat is taken. */
  mustRead = true;
  readonly #resolution: number;
  readonly #clocks: FleetClock[];
  readonly #groups: Map<number, number>;
  /** The longest timeout that is finite, and its window; 0 if there is none. */
  #longest = 0;
  #window = 0;
  #shortest = Infinity;

  /** @param timeout That of group 0. */
  constructor(timeout: number, resolution: number) {
    this.#resolution = resolution;
    this.#groups = new Map([[timeout, 0]]);
    this.#clocks = [new FleetClock(timeout, resolution)];
    this.#measure(timeout, this.first);
  }

  /** The clock of group 0. */
  get first(): FleetClock {
    return this.#clocks[0]!;
  }

  /** The longest timeout that is finite; 0 if there is none. */
  get longest(): number {
    return this.#longest;
  }

  /** How long the longest finite timeout takes at most, from the last tick on; 0 if there is none. */
  get window(): number {
    return this.#window;
  }

  /** Whether the timeout of group 0 is infinite. */
  get isFirstInfinite(): boolean {
    return this.#groups.get(Infinity) === 0;
  }

  /** The shortest timeout. */
  get shortest(): number {
    return this.#shortest;
  }

  /** The clock of a group. */
  of(group: number): FleetClock {
    return this.#clocks[group]!;
  }

  /** The group with this timeout, a new one if need be; undefined if there are too many. */
  ensureGroup(timeout: number): number | undefined {
    const known = this.#groups.get(timeout);
    if (known !== undefined) return known;
    if (this.#clocks.length >= MAX_TIMEOUTS) return undefined;
    const clock = new FleetClock(timeout, this.#resolution);
    clock.follow(this.first);
    const group = this.#clocks.push(clock) - 1;
    this.#groups.set(timeout, group);
    this.#measure(timeout, clock);
    this.#settle();
    return group;
  }

  /** The group of a new worker; undefined if it has no timeout that can be used. */
  findGroup(
    getTimeout: (worker: string) => number,
    worker: string,
  ): number | undefined {
    try {
      const timeout: unknown = getTimeout(worker);
      if (typeof timeout !== "number" || !(timeout > 0)) return undefined;
      return this.ensureGroup(timeout);
    } catch {
      // names come from a network: none of them may end the watcher
      return undefined;
    }
  }

  #measure(timeout: number, { window }: FleetClock) {
    if (timeout === Infinity) return;
    this.#longest = Math.max(this.#longest, timeout);
    this.#shortest = Math.min(this.#shortest, timeout);
    this.#window = Math.max(this.#window, window);
  }

  /** The first tick is planned for one period from now. */
  start(wall: number) {
    for (const clock of this.#clocks) clock.start(wall);
    this.#settle();
  }

  /** No tick is planned any more. */
  stop() {
    for (const clock of this.#clocks) clock.stop();
    this.#settle();
  }

  /** The tick that was planned happens, and the next one is planned. */
  tick(wall: number) {
    for (const clock of this.#clocks) clock.tick(wall);
    this.#settle();
  }

  /** Takes the wall clock. Heartbeats count as of now until `endRead()`, or the next tick. */
  read(wall: number) {
    for (const clock of this.#clocks) clock.read(wall);
    this.#settle();
  }

  /** From now on, heartbeats count as of any time before the next tick. */
  endRead() {
    for (const clock of this.#clocks) clock.endRead();
  }

  /** Every silence begins anew. */
  restart() {
    for (const clock of this.#clocks) clock.restart();
  }

  /** By group: a worker is down if its last heartbeat was kept with this position, or an earlier one. */
  limits(): number[] {
    return this.#clocks.map((clock) => clock.limit());
  }

  /** By group: a worker is down in half a timeout if its last heartbeat was kept with this, or earlier. */
  limitsAhead(): number[] {
    return this.#clocks.map((clock) => clock.limit() + clock.timeout / 2);
  }

  #settle() {
    this.mustRead = this.#clocks.some(({ mustRead }) => mustRead);
  }
}
