// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The types of `store.ts`, which re-exports them.
 *
 * @module
 */

import type { LeaseEntry } from "./_group_types.ts";
import type { FleetEvent, WorkerEvent } from "./fleet.ts";

/** What a store keeps of a worker: its last event. */
export interface StoredWorker {
  /** The name of the worker. */
  worker: string;
  /** Counts the events of the worker. */
  change: number;
  /** The last of them. */
  event: WorkerEvent;
}

/** A {@linkcode StoredWorker}, and where it is in the order of all writes. */
export interface StoredRow extends StoredWorker {
  /** Counts the writes to the store. */
  position: number;
}

/** What a store holds. */
export interface StoredFleet {
  /** All workers, in any order. */
  workers: StoredRow[];
  /** All events up to this position were handed over to a reader; 0 if none was. */
  acknowledged: number;
}

/**
 * Keeps the last event of each worker, so that a watcher that starts again knows
 * who was there. It is written when a worker comes up or goes down, and not at
 * each heartbeat.
 */
export interface FleetStore {
  /** Reads everything. */
  load(): Promise<StoredFleet>;
  /**
   * Writes the last event of a worker.
   *
   * @param row The worker.
   * @param previous The position of its row so far; `undefined` if it has none.
   * @returns The new position; `undefined` if its row has another position than
   * `previous`, because another watcher has written it. Then nothing is written.
   */
  save(
    row: StoredWorker,
    previous: number | undefined,
  ): Promise<number | undefined>;
  /** Removes a worker whose row has this position. */
  remove(worker: string, position: number): Promise<void>;
  /** Notes that all events up to a position were handed over. */
  acknowledge(position: number): Promise<void>;
}

/** An event, with an id by which a reader can recognize one that is repeated. */
export type StoredFleetEvent = FleetEvent & {
  /**
   * The worker, and the number of its event. Absent if the event is about no
   * worker that is watched, such as a refusal.
   */
  id?: string;
};

/** Options of {@linkcode persistFleet}. */
export interface PersistFleetOptions {
  /**
   * How long to wait for a store that fails or does not answer, in milliseconds: a
   * positive number, `Infinity` for no limit. What failed is tried again every
   * 250 ms. After that, an event is handed over unwritten, to be written when the
   * store is back. The events error with what the store throws if it cannot even be
   * read, or with a `TimeoutError` if that takes longer than this and a minute.
   *
   * @default {5_000}
   */
  storeTimeout?: number | undefined;
  /**
   * Receives whatever the store throws, and a `TimeoutError` if it does not answer.
   * What it throws itself errors the events.
   */
  onError?: ((error: unknown) => void) | undefined;
}

/** An entry of a bucket, when all are read. */
export interface StoreBucketEntry extends LeaseEntry {
  /** The key. */
  key: string;
  /** `"PUT"` for a value; otherwise the key was removed. */
  operation: string;
}

/** What is used of a key-value bucket of the official client, `KV` of `@nats-io/kv`. */
export interface StoreBucket {
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
  /** The last values of the keys that match. */
  history(options: { key: string }): Promise<AsyncIterable<StoreBucketEntry>>;
}
