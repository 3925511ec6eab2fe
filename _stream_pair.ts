// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { ConflatedStream } from "./_conflated_stream.ts";
import type { Heartbeat, WorkerStreams } from "./_worker_types.ts";

/** The name of one of the two streams. */
export type StreamName = "results" | "heartbeats";

/** What the owner of a {@linkcode StreamPair} does on the consumer's demand. */
export interface StreamPairHandlers {
  /**
   * The consumer asks for a result. Not called again until a result was enqueued,
   * however many reads wait; never called after the end.
   */
  onPull(): void | PromiseLike<void>;
  /**
   * The consumer cancelled one of the streams. Both have ended already. After a
   * cancel of `heartbeats`, `results` has errored with the same `reason`.
   */
  onCancel(reason: unknown, stream: StreamName): void;
}

/**
 * The two streams of a worker, `results` and `heartbeats`, and the promise
 * `finished`. Only this class holds their controllers.
 *
 * | phase | consumer pulls | `close()` | `error(e)` | consumer cancels `results` | consumer cancels `heartbeats` |
 * | --- | --- | --- | --- | --- | --- |
 * | `open` | `onPull()`, unless a result is on its way | → `ended`, both close | → `ended`, both error; → `failing` if a result waits | → `ended`, heartbeats close, `onCancel()` | → `ended`, results error, `onCancel()` |
 * | `failing` | → `ended`, results error | | | → `ended` | → `ended`, results error at once |
 * | `ended` | | | | | |
 *
 * In `failing`, a result waits in the queue, where an error would drop it. So
 * `results` errors once that result was taken. A heartbeat that is unread is
 * delivered before the end, too. Results and heartbeats pass in `open` only.
 *
 * An event that is not in the table is ignored. `finished` is independent of
 * the phase: the work may go on after its streams have ended.
 */
export class StreamPair<R> {
  /** What the consumer gets. */
  readonly streams: WorkerStreams<R>;
  /** Resolves `streams.finished`. */
  readonly finish: () => void;
  #phase: "open" | "failing" | "ended" = "open";
  #handlers: StreamPairHandlers;
  #results!: ReadableStreamDefaultController<R>;
  #heartbeats: ConflatedStream<Heartbeat>;
  #highWaterMark: number;
  #error: unknown;
  /** Whether a result was asked for that was not enqueued yet. */
  #isResultWanted = false;

  /**
   * @param handlers What to do when the consumer pulls or cancels.
   * @param highWaterMark How many results may wait in the queue.
   */
  constructor(handlers: StreamPairHandlers, highWaterMark = 0) {
    this.#handlers = handlers;
    this.#highWaterMark = highWaterMark;
    this.#heartbeats = new ConflatedStream(
      (reason) => this.#onHeartbeatsCancelled(reason),
    );
    let finish!: () => void;
    this.streams = {
      results: new ReadableStream<R>({
        start: (controller) => void (this.#results = controller),
        pull: () => this.#onPull(),
        cancel: (reason) => this.#onResultsCancelled(reason),
      }, { highWaterMark }),
      heartbeats: this.#heartbeats.readable,
      finished: new Promise<void>((resolve) => finish = resolve),
    };
    this.finish = finish;
  }

  /** Whether `results` still takes results. */
  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** Adds a result, unless the streams have ended or failed. */
  enqueue(result: R) {
    if (this.#phase !== "open") return;
    // first, as enqueue() asks for the next result at once if a read waits for it
    this.#isResultWanted = false;
    this.#results.enqueue(result);
  }

  /** Replaces the unread heartbeat, unless the streams have ended or failed. */
  beat(heartbeat: Heartbeat) {
    if (this.#phase === "open") this.#heartbeats.put(heartbeat);
  }

  /** Closes both streams, after what waits in them. */
  close() {
    if (this.#phase !== "open") return;
    this.#phase = "ended";
    this.#results.close();
    this.#heartbeats.close();
  }

  /** Errors both streams, after what waits in them. */
  error(error: unknown) {
    if (this.#phase !== "open") return;
    this.#heartbeats.error(error);
    this.#error = error;
    this.#phase = "failing";
    if (!this.#hasWaitingResult) this.#errorResults(error);
  }

  /** Whether a result waits in the queue. */
  get #hasWaitingResult() {
    return this.#results.desiredSize! < this.#highWaterMark;
  }

  #errorResults(error: unknown) {
    this.#phase = "ended";
    this.#results.error(error);
  }

  #onPull() {
    switch (this.#phase) {
      case "open":
        if (this.#isResultWanted) return;
        this.#isResultWanted = true;
        return this.#handlers.onPull();
      case "failing":
        return this.#errorResults(this.#error);
    }
  }

  #onResultsCancelled(reason: unknown) {
    const wasOpen = this.#phase === "open";
    this.#phase = "ended";
    if (!wasOpen) return;
    this.#heartbeats.close();
    this.#handlers.onCancel(reason, "results");
  }

  #onHeartbeatsCancelled(reason: unknown) {
    // the default reason, as abort() has
    const cause = reason ?? AbortSignal.abort().reason;
    const wasOpen = this.#phase === "open";
    if (this.#phase !== "ended") this.#errorResults(cause);
    if (wasOpen) this.#handlers.onCancel(cause, "heartbeats");
  }
}
