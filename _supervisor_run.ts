// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { Attempt, type Outcome } from "./_attempt.ts";
import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import type { HeartbeatMonitorOptions } from "./_monitor_options.ts";
import type { Decision, RestartPolicy } from "./_restart_policy.ts";
import { isResultBeat, markResultBeat } from "./_result_beats.ts";
import { StreamPair } from "./_stream_pair.ts";
import type {
  AttemptContext,
  ErrorData,
  SupervisorEvent,
  SupervisorEventBase,
} from "./_supervisor_types.ts";
import { type CancelTimer, sleep, startTimer } from "./_timers.ts";
import type { Heartbeat, WorkerStreams } from "./_worker_types.ts";

/** What a {@linkcode SupervisorRun} is given, checked; durations are in milliseconds. */
export interface SupervisorRunOptions {
  /** Says whether and when to restart. */
  policy: RestartPolicy;
  /** How long an attempt that was given up may take to stop. */
  stopTimeout: number;
  /** The user's veto. */
  shouldRestart: (cause: unknown) => boolean;
  /** Receives every event. */
  onEvent: (event: SupervisorEvent) => void;
  /** Stops gracefully. */
  signal: AbortSignal | undefined;
  /** The name that the heartbeats carry. */
  name: string;
  /** The time between two heartbeats while no attempt runs. */
  interval: number;
  /** The checkpoint to resume from. */
  lastDetail: unknown;
  /** What counts as a stall of an attempt. */
  limits: HeartbeatMonitorOptions<Heartbeat>;
}

/**
 * Where a supervisor is in its life.
 *
 * - `deciding`: between two attempts. The first one has not started yet, or the
 *   outcome of the last one is judged.
 * - `running`: an attempt runs.
 * - `waiting`: the next attempt is due later; the last one may still be stopping.
 *   `wake` ends the wait.
 * - `ended`: no attempt follows.
 */
type Phase<R> =
  | { type: "deciding" }
  | { type: "running"; attempt: Attempt<R> }
  | { type: "waiting"; wake: AbortController }
  | { type: "ended" };

/** A decision, or that there is nothing to decide any more. */
type Next = Decision | { type: "cancelled" };

/** An event without what all events have. */
type EventData<E = SupervisorEvent> = E extends unknown
  ? Omit<E, keyof SupervisorEventBase>
  : never;

/**
 * The life of one supervisor: an attempt, its outcome, a decision, a wait, and
 * the next attempt.
 *
 * | phase | the attempt returns | the attempt stalls or fails | `signal` aborts | the consumer cancels a stream |
 * | --- | --- | --- | --- | --- |
 * | `deciding` | | | no attempt follows → `ended`: error if an attempt has just failed and `shouldRestart` was not asked yet, else close | → `ended`: stop the last attempt |
 * | `running` | → `ended`: close | → `deciding`: restart → `waiting`; no restart → `ended`: error | the attempt's signal aborts, and the attempt may finish its unit | → `ended`: stop the attempt |
 * | `waiting` | | | the wait ends → `ended`: close | → `ended`: stop the last attempt |
 * | `ended` | | | | |
 *
 * From `waiting`, the next attempt starts (→ `running`) when the delay is over
 * and the last attempt has stopped or has had its `stopTimeout`.
 *
 * An attempt that stalls or fails is not restarted after the abort, nor if the
 * abort comes before its outcome is judged: both streams error. What `onEvent` or `shouldRestart` throws stops the attempt and errors
 * both streams, in any phase. A read of the consumer goes to the attempt that runs, or to the next.
 *
 * `finished` resolves when the run has ended and the work of all attempts has.
 */
export class SupervisorRun<R> {
  readonly #start: (context: AttemptContext) => WorkerStreams<R>;
  readonly #options: SupervisorRunOptions;
  readonly #pair: StreamPair<R>;
  #phase: Phase<R> = { type: "deciding" };
  /** The last attempt that was started, and its number. */
  #attempt: Attempt<R> | undefined;
  #number = 0;
  #delivered = 0;
  #lastDetail: unknown;
  #seq = 0;
  /** Whether the consumer waits for a result. */
  #isResultWanted = false;
  /** What has not ended: this run, and the work of attempts. */
  #unfinished = 1;

  constructor(
    start: (context: AttemptContext) => WorkerStreams<R>,
    options: SupervisorRunOptions,
  ) {
    this.#start = start;
    this.#options = options;
    this.#lastDetail = options.lastDetail;
    this.#pair = new StreamPair<R>({
      onPull: () => this.#onPull(),
      onCancel: (reason) => this.#onCancel(reason),
    });
  }

  /** Starts the first attempt, but not before the caller has the streams. */
  start(): WorkerStreams<R> {
    this.#options.signal
      ?.addEventListener("abort", this.#onAbort, { once: true });
    Promise.resolve()
      .then(() => this.#run())
      .catch((error) => this.#onHookFailed(error))
      .finally(() => this.#onFinished());
    return this.#pair.streams;
  }

  async #run() {
    let cause: unknown;
    while (this.#canStart) {
      const outcome = await this.#runAttempt(cause);
      if (outcome.type === "cancelled") return;
      if (outcome.type === "returned") break;
      cause = outcome.cause;
      const next = this.#decide(cause);
      if (next.type === "cancelled") return;
      if (next.type === "give-up") return this.#giveUp(next.error);
      await this.#waitToRestart(next.delay, cause);
    }
    this.#close();
  }

  get #canStart(): boolean {
    return !this.#hasEnded && !this.#options.signal?.aborted;
  }

  get #hasEnded(): boolean {
    return this.#phase.type === "ended";
  }

  async #runAttempt(cause: unknown): Promise<Outcome> {
    const attempt = new Attempt<R>({
      onResult: (result) => this.#onResult(result),
      onHeartbeat: (heartbeat) => this.#onHeartbeat(heartbeat),
    }, this.#options.limits);
    this.#attempt = attempt;
    this.#number++;
    this.#phase = { type: "running", attempt };
    this.#emit({ type: "started", lastDetail: this.#lastDetail });
    if (!this.#hasEnded) this.#open(attempt, cause);
    const outcome = await attempt.outcome;
    if (this.#hasEnded) return { type: "cancelled" };
    this.#phase = { type: "deciding" };
    return outcome;
  }

  #open(attempt: Attempt<R>, cause: unknown) {
    const context: AttemptContext = {
      attempt: this.#number,
      signal: attempt.signal,
      lastDetail: this.#lastDetail,
      delivered: this.#delivered,
      cause,
    };
    const start = this.#start;
    attempt.open(() => start(context));
    this.#unfinished++;
    attempt.finished.then(() => this.#onFinished());
    if (this.#isResultWanted) attempt.pull();
  }

  #decide(cause: unknown): Next {
    const { signal, shouldRestart, policy } = this.#options;
    this.#emit(describeFailure(cause));
    // each hook may have cancelled
    if (this.#hasEnded) return { type: "cancelled" };
    const isAllowed = !signal?.aborted && shouldRestart(cause);
    if (this.#hasEnded) return { type: "cancelled" };
    return isAllowed
      ? policy.decide(cause, Date.now())
      : { type: "give-up", error: cause };
  }

  async #waitToRestart(delay: number, cause: unknown) {
    const attempt = this.#attempt!;
    this.#emit({ type: "restarting", delay });
    if (this.#canStart) await this.#wait(attempt, delay);
    // until now, its heartbeats could bring a later checkpoint
    attempt.stop(cause);
  }

  /** Waits for the delay, and for the attempt to stop; sends heartbeats meanwhile. */
  async #wait(attempt: Attempt<R>, delay: number) {
    const wake = new AbortController();
    this.#phase = { type: "waiting", wake };
    const stopBeating = this.#startBeating();
    await Promise.all([
      sleep(delay, wake.signal),
      this.#waitForStop(attempt, wake.signal),
    ]);
    stopBeating();
    if (this.#hasEnded) return;
    this.#phase = { type: "deciding" };
    if (!attempt.hasFinished && !wake.signal.aborted) {
      this.#emit({ type: "unstopped" });
    }
  }

  /** Resolves when the work has ended, or has had its time. */
  async #waitForStop({ finished }: Attempt<R>, signal: AbortSignal) {
    const wait = new AbortController();
    const endWait = () => wait.abort();
    finished.then(endWait);
    signal.addEventListener("abort", endWait, { once: true });
    await sleep(this.#options.stopTimeout, wait.signal);
    signal.removeEventListener("abort", endWait);
  }

  /** Beats at once and then at each interval. */
  #startBeating(): CancelTimer {
    let cancelTimer: CancelTimer;
    const beat = () => {
      const restarting = { attempt: this.#number + 1 };
      this.#pair.beat(this.#createHeartbeat(Date.now(), restarting));
      cancelTimer = startTimer(beat, this.#options.interval);
    };
    beat();
    return () => cancelTimer();
  }

  /** The next heartbeat. Each carries the last checkpoint of the work, whoever beats. */
  #createHeartbeat(time: number, restarting: Heartbeat["restarting"]) {
    const { name } = this.#options;
    const heartbeat: Heartbeat = { worker: name, seq: ++this.#seq, time };
    if (this.#lastDetail !== undefined) heartbeat.detail = this.#lastDetail;
    if (restarting !== undefined) heartbeat.restarting = restarting;
    return heartbeat;
  }

  #onHeartbeat(heartbeat: Heartbeat) {
    const { detail, time, restarting } = heartbeat;
    if (detail !== undefined) this.#lastDetail = detail;
    const forwarded = this.#createHeartbeat(time, restarting);
    // an outer supervisor has to know, too
    if (isResultBeat(heartbeat)) markResultBeat(forwarded);
    this.#pair.beat(forwarded);
  }

  #onResult(result: R) {
    this.#delivered++;
    this.#isResultWanted = false;
    this.#pair.enqueue(result);
  }

  #onPull() {
    this.#isResultWanted = true;
    if (this.#phase.type === "running") this.#phase.attempt.pull();
  }

  #onAbort = () => {
    switch (this.#phase.type) {
      case "running":
        return this.#phase.attempt.abort(this.#options.signal!.reason);
      case "waiting":
        return this.#phase.wake.abort();
    }
  };

  #onCancel(reason: unknown) {
    if (this.#hasEnded) return;
    this.#end();
    this.#attempt?.stop(
      reason ?? new DOMException("The worker was stopped", "AbortError"),
    );
    this.#emit({ type: "ended" });
  }

  /** The work returned, or the signal aborted. */
  #close() {
    if (this.#hasEnded) return;
    this.#end();
    this.#emit({ type: "ended" });
    this.#pair.close();
  }

  #giveUp(error: unknown) {
    this.#end();
    this.#emit({ type: "gave-up", error: describeError(error) });
    // until now, its heartbeats could bring a later checkpoint
    this.#attempt!.stop(this.#attempt!.signal.reason);
    this.#pair.error(error);
  }

  #onHookFailed(error: unknown) {
    this.#end();
    this.#attempt?.stop(error);
    // the streams keep their end if the hook cancelled them before it threw
    this.#pair.error(error);
  }

  #end() {
    const phase = this.#phase;
    this.#phase = { type: "ended" };
    if (phase.type === "waiting") phase.wake.abort();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  #onFinished() {
    if (--this.#unfinished === 0) this.#pair.finish();
  }

  #emit(event: EventData) {
    const { type, ...data } = event;
    const { onEvent } = this.#options;
    onEvent(
      {
        type,
        time: Date.now(),
        attempt: this.#number,
        ...data,
      } as SupervisorEvent,
    );
  }
}

function describeFailure(cause: unknown): EventData {
  if (!(cause instanceof HeartbeatTimeoutError)) {
    return { type: "failed", error: describeError(cause) };
  }
  const { limit, elapsed, timeout, count, last } = cause;
  return { type: "stalled", limit, elapsed, timeout, count, last } as EventData;
}

function describeError(error: unknown): ErrorData {
  try {
    return error instanceof Error
      ? { name: String(error.name), message: String(error.message) }
      : { name: typeof error, message: String(error) };
  } catch {
    // an object without a prototype, or with a getter that throws
    return { name: typeof error, message: "what was thrown cannot be shown" };
  }
}
