// Copyright 2026 the heartbeat authors. MIT license.

import type { LeaseBucket, LeaseEntry } from "../group.ts";
import type { StoreBucket, StoreBucketEntry } from "../store.ts";

/** What a server says of a write to a key that has another revision. */
class WrongRevisionError extends Error {
  readonly code = 10071;
}

interface Stored {
  value: string;
  revision: number;
  writtenAt: number;
}

/**
 * A bucket in memory that does what JetStream does: revisions count all writes,
 * and a key is gone `ttl` milliseconds after it was last written.
 */
export class MemoryBucket {
  readonly #ttl: number;
  readonly #stored = new Map<string, Stored>();
  #revision = 0;

  constructor(ttl: number) {
    this.#ttl = ttl;
  }

  #read(key: string): Stored | undefined {
    const stored = this.#stored.get(key);
    if (stored && Date.now() - stored.writtenAt < this.#ttl) return stored;
    this.#stored.delete(key);
  }

  #write(key: string, value: string, expected?: number): number {
    if (
      expected !== undefined && expected !== (this.#read(key)?.revision ?? 0)
    ) {
      throw new WrongRevisionError("wrong last sequence");
    }
    const revision = ++this.#revision;
    this.#stored.set(key, { value, revision, writtenAt: Date.now() });
    return revision;
  }

  /** The value of a key; undefined if it has none. */
  peek(key: string): string | undefined {
    return this.#read(key)?.value;
  }

  /** Writes a key whoever has it. */
  overwrite(key: string, value: string) {
    this.#write(key, value);
  }

  /**
   * The bucket as one client sees it.
   *
   * @param link Carries a request and its answer; it may delay both, or throw.
   */
  connect(
    link: <T>(request: () => T) => Promise<T> = async (request) =>
      await request(),
  ): LeaseBucket & StoreBucket {
    return {
      create: (key, value) => link(() => this.#write(key, value, 0)),
      update: (key, value, revision) =>
        link(() => this.#write(key, value, revision)),
      put: (key, value) => link(() => this.#write(key, value)),
      get: (key) => link(() => this.#get(key)),
      delete: (key, options) =>
        link(() => this.#delete(key, options?.previousSeq)),
      keys: (filter) => link(() => iterate(this.#list(filter))),
      history: ({ key }) => link(() => iterate(this.#readAll(key))),
    };
  }

  #get(key: string): LeaseEntry | null {
    const stored = this.#read(key);
    if (!stored) return null;
    return { revision: stored.revision, string: () => stored.value };
  }

  #delete(key: string, previousSeq?: number) {
    if (
      previousSeq !== undefined && this.#read(key)?.revision !== previousSeq
    ) {
      throw new WrongRevisionError("wrong last sequence");
    }
    this.#revision++;
    this.#stored.delete(key);
  }

  #list(filter: string): string[] {
    const prefix = filter.replace(/\*$/, "");
    return [...this.#stored.keys()]
      .filter((key) => key.startsWith(prefix) && this.#read(key));
  }

  #readAll(filter: string): StoreBucketEntry[] {
    return this.#list(filter)
      .map((key) => ({ key, operation: "PUT", ...this.#get(key)! }));
  }
}

async function* iterate<T>(values: T[]) {
  yield* values;
}
