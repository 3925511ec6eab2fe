// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { BoundedBucket } from "./_bounded_bucket.ts";

/** The server's code for a write to a key that has another revision. */
const WRONG_REVISION = 10071;

/** A moment, by two clocks: one can be set, the other stands still in a suspended machine. */
interface Moment {
  wall: number;
  steady: number;
}

function getMoment(): Moment {
  return { wall: Date.now(), steady: performance.now() };
}

/** How much time has passed at most. */
function getElapsed({ wall, steady }: Moment): number {
  return Math.max(Date.now() - wall, performance.now() - steady);
}

/** Whether a write failed because somebody else has written. */
function isConflict(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === WRONG_REVISION;
}

/**
 * The right to watch one partition, until it ends: a key in a bucket whose server
 * removes each key some time after it was last written.
 *
 * Time is counted from *before* each write, so this side considers the lease
 * ended before the server does, whatever happens to this process meanwhile.
 */
export class Lease {
  readonly #bucket: BoundedBucket;
  readonly #key: string;
  readonly #holder: string;
  readonly #duration: number;
  #revision: number;
  #written: Moment;

  private constructor(
    { bucket, key, holder, duration }: LeaseRequest,
    revision: number,
    written: Moment,
  ) {
    this.#bucket = bucket;
    this.#key = key;
    this.#holder = holder;
    this.#duration = duration;
    this.#revision = revision;
    this.#written = written;
  }

  /**
   * Takes a lease, unless somebody holds it.
   *
   * @throws What the bucket throws, if it is not that somebody holds it.
   */
  static async acquire(request: LeaseRequest): Promise<Lease | undefined> {
    const { bucket, key, holder } = request;
    const written = getMoment();
    try {
      const revision = await bucket.create(key, holder);
      return new Lease(request, revision, written);
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    // perhaps an earlier write arrived, and its answer did not
    const entry = await bucket.get(key);
    if (entry?.string() !== holder) return undefined;
    const lease = new Lease(request, entry.revision, written);
    return await lease.renew() ? lease : undefined;
  }

  /** How long it still holds, in milliseconds. */
  get timeLeft(): number {
    return this.#duration - getElapsed(this.#written);
  }

  /**
   * Starts its time anew.
   *
   * @returns Whether it still holds: not if somebody else has taken it.
   * @throws What else the bucket throws; then the lease is as it was.
   */
  async renew(): Promise<boolean> {
    for (;;) {
      const written = getMoment();
      try {
        this.#revision = await this.#bucket
          .update(this.#key, this.#holder, this.#revision);
        this.#written = written;
        return true;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
      const entry = await this.#bucket.get(this.#key);
      if (
        entry?.string() !== this.#holder || entry.revision === this.#revision
      ) return false;
      this.#revision = entry.revision;
    }
  }

  /** Gives it back, so that somebody else can take it at once. */
  async release(): Promise<void> {
    try {
      await this.#bucket.delete(this.#key, { previousSeq: this.#revision });
    } catch (error) {
      // somebody else has it already
      if (!isConflict(error)) throw error;
    }
  }
}

/** What a lease is for. */
export interface LeaseRequest {
  /** Where it is. */
  bucket: BoundedBucket;
  /** Its key. */
  key: string;
  /** Who wants it; nobody else has this name. */
  holder: string;
  /** How long it lasts, in milliseconds. */
  duration: number;
}
