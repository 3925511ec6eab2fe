// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { HeartbeatMonitorOptions } from "./_monitor_options.ts";
import { WorkerGuard } from "./_worker_guard.ts";
import type { Heartbeat, WorkerStreams } from "./_worker_types.ts";

/**
 * The results of a worker under a {@linkcode WorkerGuard}.
 *
 * | phase | a result | results close | results error | heartbeats close | heartbeats error, `isHeartbeat` throws, or a stall | cancel |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `watching` | passes, is life | → `ended`, closes, cancels the heartbeats | → `ended`, errors, cancels the heartbeats | → `unguarded` | → `ended`, errors, cancels both | → `ended`, cancels both |
 * | `unguarded` | passes | → `ended`, closes | → `ended`, errors | | | → `ended`, cancels the results |
 * | `ended` | is dropped | | | | | |
 *
 * In `ended` the guard is stopped.
 */
export class WatchedResults<R> {
  readonly readable: ReadableStream<R>;
  #phase: "watching" | "unguarded" | "ended" = "watching";
  #guard: WorkerGuard;
  #results: ReadableStreamDefaultReader<R>;
  #heartbeats: ReadableStreamDefaultReader<Heartbeat>;
  #controller!: ReadableStreamDefaultController<R>;

  constructor(
    worker: Pick<WorkerStreams<R>, "results" | "heartbeats">,
    options: HeartbeatMonitorOptions<Heartbeat>,
  ) {
    this.#guard = new WorkerGuard(options, (error) => this.#fail(error));
    this.#results = worker.results.getReader();
    this.#heartbeats = worker.heartbeats.getReader();
    const onRead = (read: ReadableStreamReadResult<R>) => this.#onRead(read);
    const onError = (error: unknown) => this.#onResultsError(error);
    this.readable = new ReadableStream<R>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#results.read().then(onRead, onError),
      cancel: (reason) => this.#onCancel(reason),
    }, { highWaterMark: 0 });
    this.#guard.start();
    this.#readHeartbeats();
  }

  #onRead({ done, value }: ReadableStreamReadResult<R>) {
    if (this.#phase === "ended") return;
    if (done) {
      this.#controller.close();
      return this.#end();
    }
    this.#guard.onResult();
    this.#controller.enqueue(value);
  }

  #onResultsError(error: unknown) {
    if (this.#phase === "ended") return;
    this.#controller.error(error);
    this.#end();
  }

  #onCancel(reason: unknown): Promise<void> {
    // before the heartbeats, whose cancellation errors the results of a worker
    const cancelled = this.#results.cancel(reason);
    this.#end(reason);
    return cancelled;
  }

  async #readHeartbeats() {
    try {
      for (;;) {
        const { done, value } = await this.#heartbeats.read();
        if (done) return this.#onHeartbeatsClosed();
        if (this.#phase === "watching") this.#guard.onHeartbeat(value);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #onHeartbeatsClosed() {
    if (this.#phase !== "watching") return;
    this.#phase = "unguarded";
    this.#guard.stop();
  }

  /** The worker stalled, or its heartbeats failed. */
  #fail(error: unknown) {
    this.#controller.error(error);
    this.#end(error);
    // all of this does nothing if it has ended
    this.#results.cancel(error).catch(() => {});
  }

  #end(
    reason: unknown = new DOMException("The watch has ended", "AbortError"),
  ) {
    this.#phase = "ended";
    this.#guard.stop();
    // does nothing if they have ended
    this.#heartbeats.cancel(reason).catch(() => {});
  }
}
