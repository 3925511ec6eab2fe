// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { boundAnswer } from "./_bounded_answer.ts";
import { endIterator } from "./_client_iterator.ts";
import type { LeaseBucket, LeaseEntry } from "./_group_types.ts";

/**
 * A bucket whose requests fail if no answer comes in time. A client may wait for
 * one that is lost for longer than a lease lasts. A request that failed so may
 * still have its effect.
 */
export class BoundedBucket {
  readonly #bucket: LeaseBucket;
  readonly #timeout: number;

  /**
   * @param bucket The bucket.
   * @param timeout How long a request may take, in milliseconds.
   */
  constructor(bucket: LeaseBucket, timeout: number) {
    this.#bucket = bucket;
    this.#timeout = timeout;
  }

  /** Writes a key that has no value. */
  create(key: string, value: string): Promise<number> {
    return this.#bound(this.#bucket.create(key, value));
  }

  /** Writes a key that has this revision. */
  update(key: string, value: string, revision: number): Promise<number> {
    return this.#bound(this.#bucket.update(key, value, revision));
  }

  /** Writes a key. */
  put(key: string, value: string): Promise<number> {
    return this.#bound(this.#bucket.put(key, value));
  }

  /** Reads a key. */
  get(key: string): Promise<LeaseEntry | null> {
    return this.#bound(this.#bucket.get(key));
  }

  /** Removes a key, if it has this revision. */
  delete(key: string, options?: { previousSeq: number }): Promise<void> {
    return this.#bound(this.#bucket.delete(key, options));
  }

  /** The keys that match a subject with wildcards. */
  async list(filter: string): Promise<string[]> {
    const asked = this.#bucket.keys(filter);
    const read = async () => {
      const keys: string[] = [];
      for await (const key of await asked) keys.push(key);
      return keys;
    };
    try {
      return await this.#bound(read());
    } finally {
      endIterator(asked);
    }
  }

  #bound<T>(answer: Promise<T>): Promise<T> {
    return boundAnswer(answer, { from: "bucket", timeout: this.#timeout });
  }
}
