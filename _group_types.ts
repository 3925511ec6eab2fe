// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The types of `group.ts`, which re-exports them.
 *
 * @module
 */

/** What is used of an entry of a key-value bucket. */
export interface LeaseEntry {
  /** Which of all writes to the bucket it was. */
  revision: number;
  /** The value. */
  string(): string;
}

/**
 * What is used of a key-value bucket of the official client, `KV` of
 * `@nats-io/kv`. A write with a `revision` fails unless the key has that one.
 */
export interface LeaseBucket {
  /** Writes a key that has no value; rejects if it has one. */
  create(key: string, value: string): Promise<number>;
  /** Writes a key that has this revision; rejects if it has another one. */
  update(key: string, value: string, revision: number): Promise<number>;
  /** Writes a key. */
  put(key: string, value: string): Promise<number>;
  /** Reads a key. */
  get(key: string): Promise<LeaseEntry | null>;
  /** Removes a key, if it has this revision. */
  delete(key: string, options?: { previousSeq: number }): Promise<void>;
  /** The keys that match a subject with wildcards. */
  keys(filter: string): Promise<AsyncIterable<string>>;
}

/** A partition was acquired or lost by this member of the group. */
export interface GroupChange {
  /** What happened. */
  type: "acquired" | "lost";
  /** The partition, from 0. */
  partition: number;
}

/** Options of {@linkcode WatchGroup}. */
export interface WatchGroupOptions {
  /**
   * How long a lease lasts, in milliseconds: a finite positive number. **It has to
   * be the `ttl` of the bucket**, by which the server ends the leases of a member
   * that is silent.
   */
  lease: number;
  /**
   * How many partitions there are: a positive integer, the same for all members.
   * Use several times as many as there will ever be members.
   *
   * @default {64}
   */
  partitions?: number | undefined;
  /**
   * The time between two renewals of the leases, in milliseconds: a positive
   * number, at most a third of `lease`. Members notice within this time that one
   * of them comes or goes.
   *
   * @default {lease / 4}
   */
  renewEvery?: number | undefined;
  /**
   * A name for this member: letters, digits, `-` and `_`. A random part is added,
   * so several members may have the same.
   *
   * @default {"watcher"}
   */
  name?: string | undefined;
  /** Receives each change at the moment at which it holds. */
  onChange?: ((change: GroupChange) => void) | undefined;
  /**
   * Receives what the bucket throws, such as when the connection is lost. The
   * group goes on, and tries again at the next renewal. What the callback throws is
   * an uncaught error.
   */
  onError?: ((error: unknown) => void) | undefined;
}
