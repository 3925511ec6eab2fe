// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { boundAnswer } from "./_bounded_answer.ts";
import type { FleetStore, StoredFleet, StoredWorker } from "./_store_types.ts";
import { sleep } from "./_timers.ts";

/** How long to wait (ms) before what failed is tried again. */
const RETRY_MS = 250;
/** How long (ms) a store that did not answer is not asked, at most. */
const MAX_PAUSE_MS = 1_000;
/** How long a request may take (ms), however patient the user is: its answer may be lost. */
const REQUEST_MS = 10_000;
/** How long it may take (ms) to read everything: a fleet may be large. */
const LOAD_MS = 60_000;

/** Options of {@linkcode StoreRequests}. */
export interface StoreRequestsOptions {
  /** How long (ms) to wait for a store that fails or does not answer. */
  storeTimeout: number;
  /** Receives what the store throws. */
  onError: (error: unknown) => void;
  /** Ends all requests at once, and refuses later ones. */
  signal: AbortSignal;
}

/** A store that fails, or does not answer. */
interface Outage {
  /** Since when. */
  since: number;
  /** When it is asked again, if it is away for too long. */
  askAgainAt: number;
  /** What it threw last. */
  error: unknown;
}

/**
 * The requests to a store, which may fail, or hang. What has no answer within
 * `storeTimeout` has failed, and no answer counts once the signal has aborted. Only
 * reading everything may always take a minute.
 *
 * While the store is away for longer than that, each request is tried once. If there
 * is no answer within 250 ms, the requests that follow fail at once, for as long as
 * that one was waited for, up to 1 s: thousands of events must not wait one after
 * the other.
 */
export class StoreRequests {
  readonly #store: FleetStore;
  readonly #options: StoreRequestsOptions;
  #outage: Outage | undefined;
  #loading: Promise<StoredFleet> | undefined;

  constructor(store: FleetStore, options: StoreRequestsOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Reads everything, again and again until that works or takes too long. */
  load(): Promise<StoredFleet> {
    return this.#retry(() => this.#loadOnce(), LOAD_MS);
  }

  /** Writes a row, again and again until that works or takes too long. */
  save(row: StoredWorker, previous: number | undefined) {
    return this.#retry(() => this.#store.save(row, previous));
  }

  /** Removes a row. */
  remove(worker: string, position: number): Promise<void> {
    return this.#ask(() => this.#store.remove(worker, position));
  }

  /** Notes what was handed over. */
  acknowledge(position: number): Promise<void> {
    return this.#ask(() => this.#store.acknowledge(position));
  }

  /** Reads everything; several who ask at the same time get one answer. */
  #loadOnce(): Promise<StoredFleet> {
    return this.#loading ??= Promise.resolve(this.#store.load())
      .finally(() => this.#loading = undefined);
  }

  async #retry<T>(action: () => Promise<T>, limit?: number): Promise<T> {
    const start = performance.now();
    for (;;) {
      try {
        return await this.#ask(action, limit);
      } catch (error) {
        if (this.#isLate(start) || this.#options.signal.aborted) throw error;
      }
      await sleep(RETRY_MS, this.#options.signal);
    }
  }

  /** Whether it was waited for long enough since `start`, or the store is away for so long. */
  #isLate(start = Infinity): boolean {
    const since = Math.min(start, this.#outage?.since ?? Infinity);
    return performance.now() - since >= this.#options.storeTimeout;
  }

  /** Asks the store once. */
  async #ask<T>(
    action: () => Promise<T>,
    limit = this.#timeLeft(),
  ): Promise<T> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    const start = performance.now();
    if (this.#isLate() && start < this.#outage!.askAgainAt) {
      throw this.#outage!.error;
    }
    try {
      // a store of somebody's own may answer with a value
      const answer = await boundAnswer(Promise.resolve(action()), {
        from: "store",
        timeout: limit,
        signal,
      });
      this.#outage = undefined;
      return answer;
    } catch (error) {
      if (!signal.aborted) this.#onFailure(error, start);
      throw error;
    }
  }

  #onFailure(error: unknown, askedAt: number) {
    const { since = askedAt } = this.#outage ?? {};
    const now = performance.now();
    const pause = Math.min(now - askedAt, MAX_PAUSE_MS);
    this.#outage = { since, askAgainAt: now + pause, error };
    // it may never answer
    this.#loading = undefined;
    this.#options.onError(error);
  }

  /** How long a request may take. */
  #timeLeft(): number {
    const { storeTimeout } = this.#options;
    const passed = this.#outage ? performance.now() - this.#outage.since : 0;
    const left = Math.max(
      storeTimeout - passed,
      Math.min(RETRY_MS, storeTimeout),
    );
    return Math.min(left, REQUEST_MS);
  }
}
