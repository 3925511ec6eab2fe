// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { HeartbeatEmitter } from "./_heartbeat_emitter.ts";
import { StreamPair } from "./_stream_pair.ts";
import {
  checkIteratorResult,
  isThenable,
  openSource,
  type WorkSource,
} from "./_work_source.ts";
import type { Work, WorkerStreams } from "./_worker_types.ts";

/** What a {@linkcode WorkerRun} is given, checked. */
export interface WorkerRunOptions {
  /** The name that the heartbeats carry. */
  name: string;
  /** Milliseconds between two heartbeats. */
  interval: number;
  /** Stops the worker gracefully. */
  signal: AbortSignal | undefined;
  /** The checkpoint to resume from. */
  lastDetail: unknown;
}

/**
 * Where a run is in its life.
 *
 * - `idle`: no unit runs; the queue is full, or nothing was pulled yet.
 * - `running`: a unit is in flight.
 * - `stopping`: `signal` aborted while a unit was in flight. It may finish.
 * - `closing`: `signal` aborted, no unit is in flight, and the work's cleanup
 *   (`return()`, its `finally`) runs.
 * - `cancelled`: a consumer cancelled a stream. Both streams have ended; the
 *   unit in flight or the cleanup may still run.
 * - `ended`: both streams have ended, and so has the work.
 */
type Phase =
  | "idle"
  | "running"
  | "stopping"
  | "closing"
  | "cancelled"
  | "ended";

/**
 * One run of work: it pulls units when the consumer asks for results, and ends
 * as the table of `startWorker()` says.
 *
 * | phase | consumer pulls | unit settles | unit is the last, or throws | the cleanup ends | `signal` aborts | consumer cancels a stream |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `idle` | → `running`: run a unit | | | | → `closing`: close the source | → `cancelled`: close the source |
 * | `running` | | → `idle`: deliver | → `ended`: close or error the streams | | → `stopping` | → `cancelled`: close the source |
 * | `stopping` | | deliver, → `closing`: close the source | → `ended`: close or error the streams | | | → `cancelled`: close the source |
 * | `closing` | | | | → `ended`: close or error the streams | | → `cancelled` |
 * | `cancelled` | | → `ended` if the cleanup has ended | the same | → `ended` if no unit is in flight | | |
 * | `ended` | | | | | | |
 *
 * An event in an empty cell is impossible, or changes nothing. Every abort and
 * cancel also aborts the work's own signal, with the same reason.
 */
export class WorkerRun<R> {
  #phase: Phase = "idle";
  #work: Work<R>;
  #signal: AbortSignal | undefined;
  #lastDetail: unknown;
  #aborter = new AbortController();
  #source: WorkSource<R> | undefined;
  #emitter: HeartbeatEmitter;
  #pair: StreamPair<R>;
  /** After a cancel: how many of the unit in flight and the cleanup still run. */
  #stillRunning = 0;
  // made once, because they are used for each unit
  #onUnitSettled = (result: IteratorResult<R>) => this.#takeResult(result);
  #onUnitFailed = (error: unknown) => this.#endWithError(error);
  #onAbort = () => this.#onSignalAborted(this.#signal!.reason);

  constructor(work: Work<R>, options: WorkerRunOptions) {
    const { name, interval, signal, lastDetail } = options;
    this.#work = work;
    this.#signal = signal;
    this.#lastDetail = lastDetail;
    this.#pair = new StreamPair<R>({
      onPull: () => this.#onPull(),
      onCancel: (reason) => this.#onCancel(reason),
    }, 1);
    this.#emitter = new HeartbeatEmitter({
      worker: name,
      interval,
      detail: lastDetail,
      isIdle: () => this.#phase === "idle",
      emit: (heartbeat) => this.#pair.beat(heartbeat),
    });
  }

  /** Starts the heartbeats; the streams call the work when they first pull, in the next microtask. */
  start(): WorkerStreams<R> {
    // the work is not called
    if (this.#signal?.aborted) this.#end();
    else {
      this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
      this.#emitter.start();
    }
    return this.#pair.streams;
  }

  #onPull(): void | PromiseLike<void> {
    if (this.#phase !== "idle") return;
    this.#phase = "running";
    try {
      return this.#source ? this.#runUnit(this.#source) : this.#callWork();
    } catch (error) {
      this.#endWithError(error);
    }
  }

  /** Calls the work. If it returns a promise, the first unit includes the wait for it. */
  #callWork(): void | PromiseLike<void> {
    const iterable = this.#work({
      signal: this.#aborter.signal,
      beat: (detail) => this.#emitter.recordDetail(detail),
      lastDetail: this.#lastDetail,
    });
    if (!isThenable(iterable)) {
      return this.#runUnit(this.#source = openSource(iterable));
    }
    return Promise.resolve(iterable)
      .then((iterable) => this.#onWorkResolved(iterable))
      .catch(this.#onUnitFailed);
  }

  /** The promise that the work returned has resolved. */
  #onWorkResolved(
    iterable: Awaited<ReturnType<Work<R>>>,
  ): void | PromiseLike<void> {
    const source = openSource(iterable);
    switch (this.#phase) {
      case "running":
        return this.#runUnit(this.#source = source);
      case "stopping":
        this.#phase = "closing";
        this.#source = source;
        this.#closeSource();
        break;
      case "cancelled":
        this.#closeCancelledSource(source);
        break;
    }
  }

  #runUnit(source: WorkSource<R>): void | PromiseLike<void> {
    const result = source.next();
    if (!isThenable(result)) return this.#takeResult(result);
    return Promise.resolve(result)
      .then(this.#onUnitSettled, this.#onUnitFailed);
  }

  #takeResult(result: IteratorResult<R>) {
    try {
      checkIteratorResult(result);
      const { done, value } = result;
      this.#emitter.recordProgress();
      if (!done) this.#deliver(value);
      else if (this.#phase === "cancelled") this.#onUnitOrCleanupDone();
      else this.#end();
    } catch (error) {
      this.#endWithError(error);
    }
  }

  #deliver(value: R) {
    switch (this.#phase) {
      case "running":
        // first, as enqueue() may ask for the next result at once
        this.#phase = "idle";
        this.#pair.enqueue(value);
        break;
      case "stopping":
        this.#phase = "closing";
        this.#pair.enqueue(value);
        this.#closeSource();
        break;
      case "cancelled":
        this.#onUnitOrCleanupDone();
        break;
    }
  }

  /** No unit starts any more, and the one in flight may finish. */
  #onSignalAborted(reason: unknown) {
    const isIdle = this.#phase === "idle";
    this.#phase = isIdle ? "closing" : "stopping";
    this.#aborter.abort(reason);
    if (isIdle) this.#closeSource();
  }

  /** Runs the work's cleanup. If that hangs, the worker is silent. */
  async #closeSource() {
    try {
      await this.#source?.close(this.#aborter.signal.reason);
      this.#end();
    } catch (error) {
      this.#endWithError(error);
    }
  }

  /** A consumer cancelled a stream: both have ended, and nothing waits for the work. */
  #onCancel(reason: unknown) {
    const phase = this.#phase;
    this.#phase = "cancelled";
    this.#release();
    this.#aborter.abort(reason);
    this.#stillRunning = 1;
    if (phase === "closing") return;
    if (phase !== "idle") this.#stillRunning++;
    this.#closeCancelledSource(this.#source);
  }

  async #closeCancelledSource(source = this.#source) {
    try {
      // a generator that cancels its own worker runs until the next microtask
      await undefined;
      await source?.close(this.#aborter.signal.reason);
    } catch {
      // nobody is left to report it to
    }
    this.#onUnitOrCleanupDone();
  }

  /** After a cancel: the unit in flight has settled, or the cleanup has. */
  #onUnitOrCleanupDone() {
    if (--this.#stillRunning === 0) this.#end();
  }

  /** The work has ended well. */
  #end() {
    this.#phase = "ended";
    this.#release();
    this.#pair.close();
    this.#pair.finish();
  }

  /** The work, or its cleanup, has ended with an error. */
  #endWithError(error: unknown) {
    if (this.#phase === "cancelled") return this.#onUnitOrCleanupDone();
    if (isAbort(error, this.#aborter.signal)) return this.#end();
    this.#phase = "ended";
    this.#release();
    // the last checkpoint, for a supervisor that starts the work again
    this.#emitter.flushDetail();
    this.#pair.error(error);
    this.#pair.finish();
  }

  #release() {
    this.#emitter.stop();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** Whether the work threw because its signal aborted. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  try {
    return error === signal.reason ||
      (error as Error | null)?.name === "AbortError";
  } catch {
    // a getter named `name` threw
    return false;
  }
}
