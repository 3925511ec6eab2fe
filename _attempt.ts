// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { HeartbeatMonitorOptions } from "./_monitor_options.ts";
import { WorkerGuard } from "./_worker_guard.ts";
import type { Heartbeat, WorkerStreams } from "./_worker_types.ts";

/** How an attempt ended; `cancelled` if `stop()` ended it. */
export type Outcome =
  | { type: "returned" }
  | { type: "failed"; cause: unknown }
  | { type: "cancelled" };

/** What the owner of an {@linkcode Attempt} receives from it. */
export interface AttemptHandlers<R> {
  /** A result that was asked for. */
  onResult(result: R): void;
  /** Called until the attempt is stopped, also after it was given up. */
  onHeartbeat(heartbeat: Heartbeat): void;
}

/** A stream or its reader. */
interface Cancellable {
  cancel(reason: unknown): Promise<void>;
}

/** Cancels without waiting; a failure of the cleanup is ignored. */
function cancel(target: Cancellable | undefined, reason: unknown) {
  try {
    target?.cancel(reason).catch(() => {});
  } catch {
    // `start` returned something that is not a stream
  }
}

/**
 * Where an attempt is in its life.
 *
 * - `opening`: `start` has not returned yet.
 * - `running`: the streams are read and guarded.
 * - `given-up`: it failed. No result is taken any more; heartbeats still are,
 *   while the work stops, because they may bring a later checkpoint.
 * - `ended`: nothing is read any more. The work may still run.
 */
type Phase = "opening" | "running" | "given-up" | "ended";

/**
 * One run of a worker under a supervisor, from `start` to its outcome.
 *
 * | phase | `results` close | a stream errors, or a stall | a result | a heartbeat | `abort()` | `stop()` |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `opening` | | `start` threw → `given-up` | | | the signal aborts | → `ended` |
 * | `running` | → `ended`: outcome `returned` | → `given-up`: outcome `failed` | forwarded | forwarded | the signal aborts, and the worker goes on | → `ended`: outcome `cancelled` |
 * | `given-up` | | | dropped | forwarded | | → `ended` |
 * | `ended` | | | dropped | dropped | | |
 *
 * `given-up` cancels `results` and aborts the signal, with the failure as the
 * reason. `heartbeats` are cancelled by a stall, or else by `stop()`, which
 * cancels both streams and aborts the signal.
 */
export class Attempt<R> {
  /** How it ended; never rejects. */
  readonly outcome: Promise<Outcome>;
  readonly #handlers: AttemptHandlers<R>;
  readonly #aborter = new AbortController();
  readonly #guard: WorkerGuard;
  #phase: Phase = "opening";
  #resolve!: (outcome: Outcome) => void;
  #finished: Promise<void> = Promise.resolve();
  #hasFinished = false;
  #results: ReadableStreamDefaultReader<R> | undefined;
  /** Cancels the heartbeats, with its reason. */
  readonly #heartbeats = new AbortController();
  /** The last read of a result. */
  #reading: Promise<void> | undefined;
  // made once, because they are used for each result
  readonly #onRead = (read: ReadableStreamReadResult<R>) => this.#take(read);
  readonly #onReadFailed = () => {};

  /**
   * @param handlers Receive the results and the heartbeats.
   * @param limits What counts as a stall.
   */
  constructor(
    handlers: AttemptHandlers<R>,
    limits: HeartbeatMonitorOptions<Heartbeat>,
  ) {
    this.#handlers = handlers;
    this.#guard = new WorkerGuard(limits, (error) => this.#onStall(error));
    this.outcome = new Promise((resolve) => this.#resolve = resolve);
  }

  /** For what is started: aborts when it has to stop. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Resolves when the work has ended, as far as the worker knows. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  /** Whether `finished` has resolved. */
  get hasFinished(): boolean {
    return this.#hasFinished;
  }

  /** Starts the worker and reads its streams. If it cannot, the outcome is `failed`. */
  open(start: () => WorkerStreams<R>) {
    let worker: Partial<WorkerStreams<R>> = {};
    try {
      worker = start() ?? worker;
      this.#finished = Promise.resolve(worker.finished).catch(() => {});
      this.#results = worker.results!.getReader();
      // `start` may have cancelled the supervisor
      if (this.#phase === "ended") throw this.signal.reason;
      this.#run(worker.heartbeats!);
    } catch (error) {
      cancel(this.#results, error);
      cancel(worker.heartbeats, error);
      this.#giveUp(error);
    }
    this.#finished.then(() => this.#hasFinished = true);
  }

  #run(heartbeats: ReadableStream<Heartbeat>) {
    this.#phase = "running";
    this.#guard.start();
    const heartbeatsEnded = this.#readHeartbeats(heartbeats);
    this.#results!.closed.then(
      () => this.#onResultsClosed(),
      (cause) => this.#onResultsFailed(cause, heartbeatsEnded),
    );
  }

  /** Asks for one result; not again until it came. */
  pull() {
    if (this.#phase !== "running") return;
    this.#reading = this.#results!.read()
      .then(this.#onRead, this.#onReadFailed);
  }

  /** Stops gracefully: the worker decides when its streams end. */
  abort(reason: unknown) {
    this.#aborter.abort(reason);
  }

  /** Stops at once, and reads nothing any more. */
  stop(reason: unknown) {
    this.#phase = "ended";
    this.#guard.stop();
    cancel(this.#results, reason);
    this.#heartbeats.abort(reason);
    this.#aborter.abort(reason);
    this.#resolve({ type: "cancelled" });
  }

  #take({ done, value }: ReadableStreamReadResult<R>) {
    if (done || this.#phase !== "running") return;
    this.#guard.onResult();
    this.#handlers.onResult(value);
  }

  async #onResultsClosed() {
    // `closed` may resolve before the read of the last result
    await this.#reading;
    if (this.#phase !== "running") return;
    this.#phase = "ended";
    this.#guard.stop();
    this.#heartbeats.abort();
    this.#resolve({ type: "returned" });
  }

  #onResultsFailed(cause: unknown, heartbeatsEnded: Promise<void>) {
    // the last heartbeat, with the checkpoint, may be some microtasks behind
    const giveUp = () => {
      clearTimeout(timer);
      this.#giveUp(cause);
    };
    const timer = setTimeout(giveUp, 1);
    heartbeatsEnded.then(giveUp);
  }

  /** Resolves when no heartbeat follows, for whatever reason. */
  async #readHeartbeats(heartbeats: ReadableStream<Heartbeat>) {
    const sink = new WritableStream<Heartbeat>({
      write: (heartbeat) => this.#forwardHeartbeat(heartbeat),
    }, {
      highWaterMark: Infinity,
      // called when a heartbeat is sent, some microtasks before write()
      size: (heartbeat) => this.#countHeartbeat(heartbeat),
    });
    const { signal } = this.#heartbeats;
    try {
      await heartbeats.pipeTo(sink, { signal });
      // without heartbeats, there is nothing to go by
      this.#guard.stop();
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #countHeartbeat(heartbeat: Heartbeat) {
    if (this.#phase === "running") this.#guard.onHeartbeat(heartbeat);
    return 1;
  }

  #forwardHeartbeat(heartbeat: Heartbeat) {
    if (this.#phase !== "ended") this.#handlers.onHeartbeat(heartbeat);
  }

  #onStall(error: unknown) {
    this.#heartbeats.abort(error);
    this.#giveUp(error);
  }

  #giveUp(cause: unknown) {
    switch (this.#phase) {
      case "opening":
      case "running":
        this.#phase = "given-up";
        this.#guard.stop();
        cancel(this.#results, cause);
        this.#aborter.abort(cause);
        this.#resolve({ type: "failed", cause });
    }
  }
}
