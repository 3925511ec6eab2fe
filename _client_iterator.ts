// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** What an iterator of the official client of NATS has besides what it yields. */
interface ClientIterator {
  /** Ends it, also while it waits. */
  stop?(): void;
  /** The consumer that the server feeds it from. */
  _data?: { delete?(): Promise<unknown> };
}

/**
 * Ends an iterator over a bucket, whether or not it is at its end. The client
 * leaves the consumer behind, which the server keeps for five minutes: each takes
 * 60 KB of its memory and four files, and an account may have a limit.
 *
 * @param asked Resolves to the iterator, at any time.
 */
export async function endIterator(asked: Promise<object>): Promise<void> {
  try {
    const iterator = await asked as ClientIterator;
    iterator.stop?.();
    await iterator._data?.delete?.();
  } catch {
    // it cannot be reached, or is gone
  }
}
