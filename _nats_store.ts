// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { boundAnswer } from "./_bounded_answer.ts";
import { endIterator } from "./_client_iterator.ts";
import type {
  FleetStore,
  StoreBucket,
  StoreBucketEntry,
  StoredFleet,
  StoredRow,
  StoredWorker,
} from "./_store_types.ts";

/** The server's code for a write to a key that has another revision. */
const WRONG_REVISION = 10071;

/**
 * How long the server may take (ms) for the next row when all are read. The client
 * waits for ever if a bucket is removed meanwhile.
 */
const ROW_MS = 5_000;

const encoder = new TextEncoder();

/** A part of a key that stands for a name: what is not allowed there becomes `=XX`. */
export function toKey(name: string): string {
  return Array.from(encoder.encode(name), (byte) => {
    const character = String.fromCharCode(byte);
    if (/[\w-]/.test(character)) return character;
    return `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** A store in a key-value bucket of NATS; positions are the bucket's revisions. */
export class NatsStore implements FleetStore {
  readonly #bucket: StoreBucket;
  readonly #prefix: string;

  constructor(bucket: StoreBucket, prefix: string) {
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  get #acknowledgedKey(): string {
    return `${this.#prefix}acknowledged`;
  }

  #keyOf(worker: string): string {
    return `${this.#prefix}worker.${toKey(worker)}`;
  }

  async load(): Promise<StoredFleet> {
    const workers: StoredRow[] = [];
    for (const entry of await this.#readEntries()) {
      if (entry.operation !== "PUT") continue;
      const row = JSON.parse(entry.string()) as StoredWorker;
      workers.push({ ...row, position: entry.revision });
    }
    const acknowledged = await this.#bucket.get(this.#acknowledgedKey);
    return { workers, acknowledged: Number(acknowledged?.string() || 0) };
  }

  async #readEntries(): Promise<StoreBucketEntry[]> {
    const key = `${this.#prefix}worker.*`;
    const asked = this.#bucket.history({ key });
    const iterator = (await asked)[Symbol.asyncIterator]();
    const entries: StoreBucketEntry[] = [];
    try {
      for (;;) {
        const { done, value } = await boundAnswer(iterator.next(), {
          from: "bucket",
          timeout: ROW_MS,
        });
        if (done) return entries;
        entries.push(value);
      }
    } finally {
      endIterator(asked);
    }
  }

  async save(row: StoredWorker, previous: number | undefined) {
    const key = this.#keyOf(row.worker);
    const value = JSON.stringify(row);
    const position = await unlessConflict(
      previous === undefined
        ? this.#bucket.create(key, value)
        : this.#bucket.update(key, value, previous),
    );
    if (position !== undefined) return position;
    // perhaps an earlier try arrived, and its answer did not
    const entry = await this.#bucket.get(key);
    return entry?.string() === value ? entry.revision : undefined;
  }

  async remove(worker: string, position: number) {
    const options = { previousSeq: position };
    await unlessConflict(this.#bucket.delete(this.#keyOf(worker), options));
  }

  async acknowledge(position: number) {
    await this.#bucket.put(this.#acknowledgedKey, `${position}`);
  }
}

/** What a write resolves to; `undefined` if somebody else has written. */
async function unlessConflict<T>(writing: Promise<T>): Promise<T | undefined> {
  try {
    return await writing;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === WRONG_REVISION) {
      return undefined;
    }
    throw error;
  }
}
