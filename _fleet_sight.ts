// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Whether a watcher believes what it sees. If a large part of a fleet falls silent
 * at once, the cause is probably what lies between: then nobody is reported until
 * that is over, or has lasted for long. The idea is Eureka's self-preservation.
 *
 * It is asked before verdicts: whenever somebody is silent, and at each tick while
 * it is blind.
 *
 * | phase | too many are silent | few are silent | `blindFor` is over | `reset()` |
 * | --- | --- | --- | --- | --- |
 * | `seeing` | → `blind`, reports it: no verdicts | verdicts | verdicts | |
 * | `blind` | no verdicts | → `seeing`, reports it: everybody has a fresh timeout | → `seeing`, reports it: verdicts | → `seeing`, reports it |
 *
 * `blindFor` counts from when it went blind, and goes on if it soon goes blind again.
 * So an outage that comes and goes does not hold verdicts back for ever. It counts
 * anew after verdicts while few were silent, after a calm time, and after `reset()`.
 *
 * @module
 */

import type { SightEvent } from "./fleet.ts";

/** Under so many workers, a share says nothing. */
const LEAST_WORKERS = 10;
/** After so many timeouts without doubt, it is calm. */
const CALM_TIMEOUTS = 2;
/** It is blind for so many timeouts at most, by default. */
const DEFAULT_TIMEOUTS = 10;

/** The workers of a watch that are waited for. */
export interface WatchedWorkers {
  /** How many would go down within half a timeout, if nothing more is heard. */
  silent: number;
  /** How many are waited for. */
  watched: number;
}

/** A watch whose workers count. */
export interface SightedWatch {
  /** Counts its workers. */
  countWorkers(): WatchedWorkers;
  /** Gives everybody a fresh timeout. */
  refresh(): void;
}

/** Options of {@linkcode FleetSight}. */
export interface FleetSightOptions {
  /**
   * No verdicts above this share of silent workers.
   *
   * @default {1} which is never
   */
  blindAbove?: number | undefined;
  /** The longest time without verdicts, in milliseconds; by default some timeouts. */
  blindFor?: number | undefined;
}

/** The key of an option that hands one sight to several fleets. */
export const SIGHT = Symbol("sight");

/** Whether the watches of one fleet believe what they see. */
export class FleetSight {
  /** Receives `blind` and `sees`. */
  onEvent: (event: SightEvent) => void = () => {};
  readonly #blindAbove: number;
  readonly #blindFor: number | undefined;
  readonly #watches = new Set<SightedWatch>();
  #phase: "seeing" | "blind" = "seeing";
  /** The time that passed between calls: it never goes back, whatever the wall clock does. */
  #now = 0;
  #wall = Infinity;
  /** The longest and the shortest timeout in all watches. */
  #longest = 0;
  #shortest = Infinity;
  /** When the workers were last counted while it was blind. */
  #countedAt = 0;
  /** From when `blindFor` counts; undefined if it counts anew. */
  #blindSince: number | undefined;
  /** When it saw again. */
  #sawAt = 0;

  constructor({ blindAbove = 1, blindFor }: FleetSightOptions) {
    this.#blindAbove = blindAbove;
    this.#blindFor = blindFor;
  }

  get isBlind(): boolean {
    return this.#phase === "blind";
  }

  /** Counts the workers of a watch from now on. */
  add(watch: SightedWatch) {
    this.#watches.add(watch);
  }

  /** A watch has ended. */
  remove(watch: SightedWatch) {
    this.#watches.delete(watch);
  }

  /**
   * Whether those who are silent now are to be reported. To ask may change the phase.
   *
   * @param wall The wall clock.
   * @param timeout The longest timeout of a worker.
   * @param period The time between two calls of one watch.
   * @param shortest The shortest timeout of a worker.
   */
  believes(
    wall: number,
    timeout: number,
    period: number,
    shortest = timeout,
  ): boolean {
    if (this.#blindAbove >= 1) return true;
    this.#now += Math.max(wall - this.#wall, 0);
    this.#wall = wall;
    this.#longest = Math.max(this.#longest, timeout);
    this.#shortest = Math.min(this.#shortest, shortest);
    return this.#phase === "blind"
      ? this.#believesWhileBlind(this.#longest, period)
      : this.#believesWhileSeeing(this.#longest, this.#shortest);
  }

  /** Everybody gets a fresh timeout for another reason: it sees, and `blindFor` counts anew. */
  reset() {
    this.#blindSince = undefined;
    if (this.#phase === "blind") this.#see();
  }

  /** A watch waits for nobody any more who could be silent for too long: nothing asks it again. */
  onIdle() {
    if (this.#phase !== "blind") return;
    const workers = this.#countWorkers();
    if (workers.watched === 0) this.reset();
    else if (!this.#areTooMany(workers)) this.#clear();
  }

  #believesWhileSeeing(timeout: number, shortest: number): boolean {
    const workers = this.#countWorkers();
    const sinceSeen = this.#now - this.#sawAt;
    if (!this.#areTooMany(workers)) {
      // who has a longer timeout than the one who is silent is not heard of yet
      const isForAll = shortest >= timeout || sinceSeen >= timeout;
      if (isForAll) this.#blindSince = undefined;
      return true;
    }
    const isCalm = sinceSeen >= CALM_TIMEOUTS * timeout;
    if (isCalm) this.#blindSince = undefined;
    this.#blindSince ??= this.#now;
    if (this.#isBlindForOver(timeout)) return true;
    this.#phase = "blind";
    this.#countedAt = this.#now;
    this.onEvent({
      ...{ type: "blind", time: Date.now(), reason: "share", ...workers },
    });
    return false;
  }

  #believesWhileBlind(timeout: number, period: number): boolean {
    // several watches ask in turn, and each count looks at all workers
    if (this.#now - this.#countedAt < period / 2) return false;
    this.#countedAt = this.#now;
    if (!this.#areTooMany(this.#countWorkers())) {
      this.#clear();
      return false;
    }
    if (!this.#isBlindForOver(timeout)) return false;
    this.#see();
    return true;
  }

  /** It sees, and everybody gets a fresh timeout. */
  #clear() {
    this.#see();
    for (const watch of this.#watches) watch.refresh();
  }

  #see() {
    this.#phase = "seeing";
    this.#sawAt = this.#now;
    this.onEvent({ type: "sees", time: Date.now() });
  }

  #isBlindForOver(timeout: number): boolean {
    const blindFor = this.#blindFor ?? DEFAULT_TIMEOUTS * timeout;
    return this.#now - this.#blindSince! >= blindFor;
  }

  #countWorkers(): WatchedWorkers {
    const sum = { silent: 0, watched: 0 };
    for (const watch of this.#watches) {
      const { silent, watched } = watch.countWorkers();
      sum.silent += silent;
      sum.watched += watched;
    }
    return sum;
  }

  #areTooMany({ silent, watched }: WatchedWorkers): boolean {
    return watched >= LEAST_WORKERS && silent > this.#blindAbove * watched;
  }
}
