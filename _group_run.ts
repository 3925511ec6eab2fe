// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { BoundedBucket } from "./_bounded_bucket.ts";
import type { GroupChange } from "./_group_types.ts";
import { Lease } from "./_lease.ts";
import { getOwner } from "./_partition.ts";
import { type CancelTimer, startTimer } from "./_timers.ts";

/** What a {@linkcode GroupRun} is given, checked; durations are in milliseconds. */
export interface GroupRunOptions {
  /** Where the leases are. */
  bucket: BoundedBucket;
  /** Which member this is. */
  id: string;
  /** How long a lease lasts. */
  lease: number;
  /** How many partitions there are. */
  partitions: number;
  /** The time between two rounds. */
  renewEvery: number;
  /** Receives what the bucket throws. */
  onError: (error: unknown) => void;
}

/**
 * One membership in a group of watchers. In each round it says that it is there,
 * reads who else is, and settles each partition: the owner takes or renews the
 * lease, and whoever is not the owner any more gives it back.
 *
 * | phase | a round is due | a lease ends | `leave()` |
 * | --- | --- | --- | --- |
 * | `joined` | announce, renew, acquire, release | `lost` | → `leaving`: all are `lost`, and given back after the round that runs |
 * | `leaving` | | | the same promise |
 *
 * A round that fails leaves everything as it is; the leases then end by
 * themselves. Rounds never overlap. What a round acquires after `leave()` was
 * called is given back.
 */
export class GroupRun {
  readonly #options: GroupRunOptions;
  readonly #leases = new Map<number, Lease>();
  readonly #listeners = new Set<(change: GroupChange) => void>();
  #phase: "joined" | "leaving" = "joined";
  #round: Promise<void> = Promise.resolve();
  #left: Promise<void> | undefined;
  #cancelRound: CancelTimer = () => {};
  #cancelExpiry: CancelTimer | undefined;

  constructor(options: GroupRunOptions) {
    this.#options = options;
  }

  /** Begins a round. The next one begins `renewEvery` later, or once this one is over. */
  start() {
    const { renewEvery } = this.#options;
    const begun = performance.now();
    this.#round = this.#runRound()
      .catch((error) => this.#onError(error))
      .finally(() => {
        if (this.#phase === "leaving") return;
        const passed = performance.now() - begun;
        const delay = Math.max(renewEvery - passed, 0);
        this.#cancelRound = startTimer(() => this.start(), delay);
      });
  }

  /** Calls the listener for what is held, and for each change, until the returned function is called. */
  observe(listener: (change: GroupChange) => void): () => void {
    for (const partition of this.getHeld()) {
      listener({ type: "acquired", partition });
    }
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Whether the lease of the partition is held right now. */
  holds(partition: number): boolean {
    const lease = this.#leases.get(partition);
    return lease !== undefined && lease.timeLeft > 0;
  }

  /** The partitions that are held right now. */
  getHeld(): number[] {
    return [...this.#leases.keys()]
      .filter((partition) => this.holds(partition))
      .sort((a, b) => a - b);
  }

  /** Gives all leases back. */
  leave(): Promise<void> {
    return this.#left ??= this.#leave();
  }

  async #leave() {
    this.#phase = "leaving";
    this.#cancelRound();
    this.#cancelExpiry?.();
    const leases = [...this.#leases];
    // the listeners hear it at once, and the bucket after the round that runs
    for (const [partition] of leases) this.#drop(partition);
    await this.#round;
    const { bucket } = this.#options;
    const settled = await Promise.allSettled([
      bucket.delete(this.#memberKey),
      ...leases.map(([_, lease]) => lease.release()),
    ]);
    const failed = settled.find(({ status }) => status === "rejected");
    if (failed) this.#onError((failed as PromiseRejectedResult).reason);
  }

  get #memberKey(): string {
    return `member.${this.#options.id}`;
  }

  async #runRound() {
    const { bucket, id, partitions } = this.#options;
    await bucket.put(this.#memberKey, "");
    const members = new Set([id]);
    for (const key of await bucket.list("member.*")) {
      members.add(key.slice("member.".length));
    }
    const settled = await Promise.allSettled(
      Array.from(
        { length: partitions },
        (_, partition) =>
          this.#settle(partition, getOwner(partition, members) === id),
      ),
    );
    const failed = settled.find(({ status }) => status === "rejected");
    if (failed) throw (failed as PromiseRejectedResult).reason;
  }

  async #settle(partition: number, isOwner: boolean) {
    if (this.#phase === "leaving") return;
    const lease = this.#leases.get(partition);
    if (!lease) return isOwner ? await this.#acquire(partition) : undefined;
    if (isOwner && await lease.renew()) return;
    this.#drop(partition);
    if (!isOwner) await lease.release();
  }

  async #acquire(partition: number) {
    const { bucket, id, lease: duration } = this.#options;
    const key = `lease.${partition}`;
    const lease = await Lease.acquire({ bucket, key, holder: id, duration });
    if (!lease) return;
    if (this.#phase === "leaving") return await lease.release();
    this.#leases.set(partition, lease);
    this.#planExpiry();
    this.#report({ type: "acquired", partition });
  }

  #drop(partition: number) {
    if (!this.#leases.delete(partition)) return;
    this.#report({ type: "lost", partition });
  }

  #report(change: GroupChange) {
    for (const listener of [...this.#listeners]) {
      try {
        listener(change);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  /** There is no stream that could error with what the callback throws. */
  #onError(error: unknown) {
    try {
      this.#options.onError(error);
    } catch (mistake) {
      queueMicrotask(() => {
        throw mistake;
      });
    }
  }

  /**
   * Sets the timer for the lease that ends first. A timer that is set stays as it is:
   * after a renewal it fires too early, drops nothing, and is set anew.
   */
  #planExpiry() {
    if (this.#cancelExpiry || this.#leases.size === 0) return;
    const left = [...this.#leases.values()].map((lease) => lease.timeLeft);
    const delay = Math.max(Math.min(...left), 0);
    this.#cancelExpiry = startTimer(() => this.#dropExpired(), delay);
  }

  #dropExpired() {
    this.#cancelExpiry = undefined;
    for (const partition of [...this.#leases.keys()]) {
      if (!this.holds(partition)) this.#drop(partition);
    }
    this.#planExpiry();
  }
}
