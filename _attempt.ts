// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { Heartbeat, WorkerStreams } from "./_worker_types.ts";

/** What can be cancelled: a stream, or its reader. */
interface Cancellable {
  cancel(reason: unknown): Promise<void>;
}

/** Cancels what can be cancelled; nobody waits for it, or hears that it failed. */
function cancel(target: Cancellable | undefined, reason: unknown) {
  try {
    target?.cancel(reason).catch(() => {});
  } catch {
    // it is no stream
  }
}

/** One run of a worker under a supervisor. */
export class Attempt<R> {
  readonly #aborter = new AbortController();
  #worker: Partial<WorkerStreams<R>> = {};
  #results: ReadableStreamDefaultReader<R> | undefined;
  #heartbeats: ReadableStreamDefaultReader<Heartbeat> | undefined;

  /** For what is started: aborts when the attempt has to stop. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Resolves when the work has ended, as far as that is known. */
  get finished(): Promise<void> {
    return Promise.resolve(this.#worker.finished).catch(() => {});
  }

  get results(): ReadableStreamDefaultReader<R> {
    return this.#results!;
  }

  get heartbeats(): ReadableStreamDefaultReader<Heartbeat> {
    return this.#heartbeats!;
  }

  /**
   * Takes the streams of the worker.
   *
   * @param guard Watches over the heartbeats.
   * @throws {TypeError} If the streams cannot be read. `stop()` then stops the
   * worker as far as it can.
   */
  open(
    worker: WorkerStreams<R>,
    guard: (heartbeats: ReadableStream<Heartbeat>) => ReadableStream<Heartbeat>,
  ) {
    this.#worker = worker ?? {};
    this.#results = worker.results.getReader();
    // throws where the guard would be left half attached
    worker.heartbeats.getReader().releaseLock();
    this.#heartbeats = guard(worker.heartbeats).getReader();
  }

  /** Stops gracefully: the worker decides when its streams end. */
  abort(reason: unknown) {
    this.#aborter.abort(reason);
  }

  /** Takes no result any more; heartbeats still come while the work stops. */
  giveUp(cause: unknown) {
    cancel(this.#results, cause);
    this.abort(cause);
  }

  /** Cancels both streams and aborts the signal, all with the same reason. */
  stop(reason: unknown) {
    cancel(this.#results ?? this.#worker.results, reason);
    cancel(this.#heartbeats ?? this.#worker.heartbeats, reason);
    this.abort(reason);
  }
}
