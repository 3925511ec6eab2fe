// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Healing: {@linkcode supervise} starts a worker again after a stall or a
 * failure, from where it was.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { MAX_DELAY_MS } from "./_timers.ts";
import {
  checkDuration,
  checkFunction,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
} from "./_validate.ts";
import { Attempt } from "./_attempt.ts";
import { ConflatedStream } from "./_conflated_stream.ts";
import {
  HeartbeatMonitor,
  type HeartbeatMonitorOptions,
  HeartbeatTimeoutError,
} from "./monitor.ts";
import type { Heartbeat, WorkerStreams } from "./worker.ts";

/** What an attempt is given. */
export interface AttemptContext {
  /** Counts the attempts from 1. */
  readonly attempt: number;
  /**
   * Aborts when the supervisor's signal does, and when the attempt is given
   * up. Pass it on to what is started.
   */
  readonly signal: AbortSignal;
  /** The detail of the last heartbeat of the attempts before: where to resume. */
  readonly lastDetail?: unknown;
  /** How many results of the attempts before were delivered. */
  readonly delivered: number;
  /** Why the attempt before was given up; absent in the first. */
  readonly cause?: unknown;
}

/** What an event tells of an error. */
export interface ErrorData {
  /** The name of its class. */
  name: string;
  /** Its message. */
  message: string;
}

/** What every event tells. */
export interface SupervisorEventBase {
  /** When, in milliseconds since the epoch. */
  time: number;
  /** The attempt that it is about. */
  attempt: number;
}

/**
 * A decision of a supervisor: plain data, that survives `JSON.stringify()` if
 * the details of the heartbeats do.
 *
 * @example Tell a stall from a failure
 * ```ts
 * import { startWorker, supervise, type SupervisorEvent } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * function onEvent(event: SupervisorEvent) {
 *   if (event.type === "stalled") log.push(`silent for ${event.elapsed} ms`);
 *   else if (event.type === "failed") log.push(event.error.message);
 *   else log.push(event.type);
 * }
 * const { results } = supervise(
 *   ({ attempt }) =>
 *     startWorker(() => {
 *       if (attempt === 1) throw new Error("connection lost");
 *       return [attempt];
 *     }),
 *   { timeout: 3_000, backoff: { max: 10, min: 10 }, onEvent },
 * );
 *
 * assertEquals(await Array.fromAsync(results), [2]);
 * assertEquals(log, ["started", "connection lost", "restarting", "started", "ended"]);
 * ```
 */
export type SupervisorEvent =
  & SupervisorEventBase
  & (
    /** An attempt was started, to resume at `lastDetail`. */
    | { type: "started"; lastDetail?: unknown }
    /** No heartbeat came for `elapsed` ms, after `count` of them; `last` was the last. */
    | {
      type: "stalled";
      elapsed: number;
      timeout: number;
      count: number;
      last?: Heartbeat | undefined;
    }
    /** The work threw, or could not be started. */
    | { type: "failed"; error: ErrorData }
    /** The next attempt follows after `delay` ms, or once this one has stopped or had its `stopTimeout`. */
    | { type: "restarting"; delay: number }
    /** The attempt was given up and did not stop within `stopTimeout`: it is left behind. */
    | { type: "unstopped" }
    /** There is no further attempt: both streams error. */
    | { type: "gave-up"; error: ErrorData }
    /** The work returned, the signal aborted, or a stream was cancelled. */
    | { type: "ended" }
  );

/**
 * How long to wait before a restart: `min * factor ** n`, at most `max`, where
 * `n` is the number of restarts `within` the window before, less a random share
 * of up to `jitter`.
 */
export interface BackoffOptions {
  /**
   * The wait before the first restart, in milliseconds: 0 or more.
   *
   * @default {100}
   */
  min?: number | undefined;
  /**
   * The longest wait, in milliseconds: at least `min`.
   *
   * @default {30_000}
   */
  max?: number | undefined;
  /**
   * What each restart multiplies the wait by: 1 or more.
   *
   * @default {2}
   */
  factor?: number | undefined;
  /**
   * The share of a wait that is left to chance, so that not all restart at
   * once: from 0 (none) to 1 (all of it).
   *
   * @default {1}
   */
  jitter?: number | undefined;
}

/** Options of {@linkcode supervise}. */
export interface SuperviseOptions extends HeartbeatMonitorOptions<Heartbeat> {
  /**
   * How many restarts there may be `within` the window: a whole number, 0 for
   * none, `Infinity` for no limit.
   *
   * @default {5}
   */
  maxRestarts?: number | undefined;
  /**
   * The sliding window in which restarts are counted, in milliseconds: a
   * positive number. A healthy period of that length earns all of them back.
   *
   * @default {60_000}
   */
  within?: number | undefined;
  /** How long to wait before a restart. */
  backoff?: BackoffOptions | undefined;
  /**
   * How long an attempt that was given up may take to stop before the next one
   * starts all the same, in milliseconds: a positive number, `Infinity` for no
   * limit.
   *
   * @default {5_000}
   */
  stopTimeout?: number | undefined;
  /**
   * Says whether to restart after a stall (a `HeartbeatTimeoutError`) or what
   * the work threw. If not, the streams error with it.
   *
   * @default {() => true}
   */
  shouldRestart?: ((cause: unknown) => boolean) | undefined;
  /** Is told every decision. */
  onEvent?: ((event: SupervisorEvent) => void) | undefined;
  /** Stops gracefully: it is passed on to the attempt, and no other follows. */
  signal?: AbortSignal | undefined;
  /**
   * The name that the heartbeats carry.
   *
   * @default {start.name || "supervisor"}
   */
  name?: string | undefined;
  /**
   * The time between two heartbeats of the supervisor itself while no attempt
   * runs, in milliseconds: a positive number.
   *
   * @default {1000}
   */
  interval?: number | undefined;
  /** Handed to the first attempt, such as by a supervisor of this one. */
  lastDetail?: unknown;
}

/** What is known when a {@linkcode RestartLimitError} is made. */
export interface RestartLimitErrorOptions extends ErrorOptions {
  /** How many restarts were allowed. */
  maxRestarts: number;
  /** Within how many milliseconds. */
  within: number;
}

/**
 * A supervisor gave up: one more restart would have been too many. Its `cause`
 * is the last stall or failure.
 *
 * @example Usage
 * ```ts
 * import { RestartLimitError } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RestartLimitError({ maxRestarts: 5, within: 60_000, cause: new Error("lost") });
 *
 * assertEquals(error.message, "Gave up after 5 restarts within 60000 ms");
 * ```
 */
export class RestartLimitError extends Error {
  /** The name of the error, `"RestartLimitError"`. */
  override readonly name = "RestartLimitError";
  /** How many restarts were allowed. */
  readonly maxRestarts: number;
  /** Within how many milliseconds. */
  readonly within: number;

  /**
   * Constructs a new instance.
   *
   * @param options The limit, and the last failure.
   */
  constructor(options: RestartLimitErrorOptions) {
    const { maxRestarts, within } = options;
    super(
      `Gave up after ${maxRestarts} ${
        maxRestarts === 1 ? "restart" : "restarts"
      } within ${within} ms`,
      options,
    );
    this.maxRestarts = maxRestarts;
    this.within = within;
  }
}

function describe(error: unknown): ErrorData {
  try {
    return error instanceof Error
      ? { name: String(error.name), message: String(error.message) }
      : { name: typeof error, message: String(error) };
  } catch {
    // an object without a prototype, or with a getter that throws
    return { name: typeof error, message: "what was thrown cannot be shown" };
  }
}

/** Waits, for a turn of the event loop at least; an abort ends it early. */
async function sleep(ms: number, signal: AbortSignal) {
  let rest = ms;
  try {
    do {
      await delay(Math.min(rest, MAX_DELAY_MS), { signal });
    } while ((rest -= MAX_DELAY_MS) > 0);
  } catch {
    // it was ended early
  }
}

interface Failure {
  cause: unknown;
}

/** An event before it is told. */
type Told<E> = E extends unknown ? Omit<E, keyof SupervisorEventBase> : never;

/**
 * Starts a worker, and starts it again after a stall or a failure. The return
 * value is a worker like any other: supervisors nest, and can be watched.
 *
 * What it promises:
 *
 * 1. It restarts after a stall or an error, not after a normal end or an abort.
 * 2. There is one continuous `results` over all attempts, with the backpressure
 *    of the attempt that runs. After an attempt was given up, nothing of it is
 *    delivered.
 * 3. `lastDetail` hands the last heartbeat's detail to the next attempt, so
 *    that work resumes from its checkpoint.
 * 4. Restarts wait (exponential backoff with jitter) and are bounded: past
 *    `maxRestarts` `within` a sliding window both streams error with a
 *    {@linkcode RestartLimitError}.
 * 5. An attempt that was given up gets `stopTimeout` to end before the next one
 *    starts. If it has not, the next one starts all the same, and an event says
 *    so.
 * 6. Every decision is an event. What `onEvent` or `shouldRestart` throws ends
 *    the supervisor: the attempt is stopped, and both streams error with it.
 *
 * `heartbeats` are those of the attempts, numbered anew, each with the latest
 * detail of all of them. While no attempt runs, the supervisor beats itself, so
 * that a monitor of the supervisor does not take the wait for a stall; these
 * heartbeats are marked with `restarting: { attempt }`, the number of the attempt
 * that comes next. A supervisor of this one passes the mark on. The `timeout` of
 * a monitor should be longer than this one's.
 *
 * `finished` resolves when the work of every attempt has really ended.
 *
 * ## Neither losing nor repeating a result
 *
 * Results are pulled as they are asked for, and a result that the consumer has
 * not asked for when its attempt is given up is gone with the attempt. For work
 * by `startWorker()` that means: the code behind a `yield` runs when the result
 * was delivered, and only then. So tell the checkpoint behind the `yield`, as in
 * the example. The last detail told is in a heartbeat when the work throws, and
 * when it hangs for `timeout`. It is not if a unit is just slow, and ends within
 * one `interval` before the verdict, nor if the work blocks its thread: such
 * results are repeated. Work that must never repeat one resumes from
 * `delivered`, which counts the results that were delivered, and is exact.
 *
 * The pattern is that of Erlang's supervisors (restart intensity), suture (a
 * stop timeout, one typed event) and Temporal (the last heartbeat's details).
 *
 * @typeParam R The type of a result.
 * @param start Starts an attempt; called once for each.
 * @param options The limits and the hooks.
 * @returns The supervisor's streams.
 * @throws {TypeError} If `start` is not a function, or an option is of the wrong
 * kind.
 * @throws {RangeError} If an option is out of its range.
 *
 * @example Resume from a checkpoint
 * ```ts
 * import { startWorker, supervise } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const { results } = supervise(({ attempt, signal, lastDetail }) =>
 *   startWorker(async function* ({ beat }) {
 *     for (let n = (lastDetail as number | undefined) ?? 1; n <= 5; n++) {
 *       if (n === 3 && attempt === 1) throw new Error("connection lost");
 *       yield n;
 *       beat(n + 1); // n was delivered: the checkpoint
 *     }
 *   }, { signal }), { timeout: 3_000, backoff: { max: 10, min: 10 } });
 *
 * assertEquals(await Array.fromAsync(results), [1, 2, 3, 4, 5]);
 * ```
 */
export function supervise<R>(
  start: (context: AttemptContext) => WorkerStreams<R>,
  options: SuperviseOptions,
): WorkerStreams<R> {
  const action = "supervise";
  checkFunction(action, "start", start);
  const {
    maxRestarts = 5,
    within = 60_000,
    backoff = {},
    stopTimeout = 5_000,
    shouldRestart = () => true,
    onEvent = () => {},
    signal,
    name = start.name || "supervisor",
    interval = 1000,
  } = options ?? {};
  new HeartbeatMonitor(options);
  checkOptions(action, backoff, "backoff");
  const { min = 100, max = 30_000, factor = 2, jitter = 1 } = backoff;
  checkNumber(
    action,
    "maxRestarts",
    maxRestarts,
    "a whole number or Infinity, at least 0",
    (value) => value === Infinity || Number.isInteger(value) && value >= 0,
  );
  checkDuration(action, "within", within);
  checkNumber(
    action,
    "backoff.min",
    min,
    "a finite number, at least 0",
    (value) => value >= 0 && value < Infinity,
  );
  checkNumber(
    action,
    "backoff.max",
    max,
    "a number, at least 'backoff.min'",
    (value) => value >= min,
  );
  checkNumber(
    action,
    "backoff.factor",
    factor,
    "a number, at least 1",
    (value) => value >= 1,
  );
  checkNumber(
    action,
    "backoff.jitter",
    jitter,
    "a number from 0 to 1",
    (value) => value >= 0 && value <= 1,
  );
  checkDuration(action, "stopTimeout", stopTimeout);
  checkDuration(action, "interval", interval);
  checkFunction(action, "shouldRestart", shouldRestart);
  checkFunction(action, "onEvent", onEvent);
  checkSignal(action, signal);
  checkString(action, "name", name);

  const wake = new AbortController();
  const restarts: number[] = [];
  let attempt = 0;
  let delivered = 0;
  let { lastDetail } = options;
  let seq = 0;
  let over = false;
  /** The attempt that runs. */
  let current: Attempt<R> | undefined;
  /** The last one that was started. */
  let latest: Attempt<R> | undefined;
  let changed!: Promise<void>;
  let announce = () => {};
  /** The read that is pending, and whether it handed a result on. */
  let reading: Promise<boolean> | undefined;
  let toResults!: ReadableStreamDefaultController<R>;
  /** The supervisor, and the works that have not ended. */
  let running = 1;
  let finish!: () => void;
  const finished = new Promise<void>((resolve) => finish = resolve);

  function release() {
    if (--running === 0) finish();
  }

  function turnTo(next: Attempt<R> | undefined) {
    current = next;
    announce();
    changed = new Promise((resolve) => announce = resolve);
  }

  function tell(event: Told<SupervisorEvent>) {
    const { type, ...more } = event;
    onEvent({ type, time: Date.now(), attempt, ...more } as SupervisorEvent);
  }

  /** Sends a heartbeat with the last checkpoint of the work, whoever it is that beats. */
  function emit(time: number, restarting: Heartbeat["restarting"]) {
    const beat: Heartbeat = { worker: name, seq: ++seq, time };
    if (lastDetail !== undefined) beat.detail = lastDetail;
    if (restarting !== undefined) beat.restarting = restarting;
    heartbeats.put(beat);
  }

  /** Starts a worker, and takes its streams; throws if it cannot, with the worker stopped. */
  function open(cause: unknown): Attempt<R> {
    const given = latest = new Attempt<R>();
    const context = {
      ...{ attempt, signal: given.signal, lastDetail, delivered, cause },
    };
    try {
      given.open(
        start(context),
        (beats) => beats.pipeThrough(new HeartbeatMonitor(options)),
      );
    } catch (error) {
      given.stop(error);
      throw error;
    } finally {
      running++;
      given.finished.then(release);
    }
    return given;
  }

  /** Passes the heartbeats of an attempt on; throws how it ended. */
  async function listen({ heartbeats }: Attempt<R>) {
    for (;;) {
      const { done, value } = await heartbeats.read();
      if (done) return;
      if (value.detail !== undefined) lastDetail = value.detail;
      emit(value.time, value.restarting);
    }
  }

  /** Resolves to the failure of an attempt, to nothing if it ended well. */
  function tryOnce(cause: unknown): Promise<Failure | undefined> {
    return new Promise((resolve) => {
      const fail = (cause: unknown) => resolve({ cause });
      let given: Attempt<R>;
      try {
        given = open(cause);
      } catch (error) {
        return fail(error);
      }
      const listening = listen(given);
      listening.catch(fail);
      given.results.closed.then(async () => {
        // a last result that is being handed on
        await reading;
        resolve(undefined);
      }, (cause) => {
        // the last heartbeat comes before its worker's error, by some microtasks
        const timer = setTimeout(fail, 1, cause);
        const now = () => {
          clearTimeout(timer);
          fail(cause);
        };
        listening.then(now, now);
      });
      turnTo(given);
      // start() itself may have ended it
      if (over) given.stop(given.signal.reason);
      else if (signal?.aborted) given.abort(signal.reason);
    });
  }

  /** Waits before a restart, and beats meanwhile. */
  async function pause(ms: number) {
    const beat = () => emit(Date.now(), { attempt: attempt + 1 });
    const ticker = setInterval(beat, Math.min(interval, MAX_DELAY_MS));
    beat();
    const patience = new AbortController();
    const stopWaiting = () => patience.abort();
    let stopped = false;
    (latest?.finished ?? Promise.resolve()).then(() => {
      stopped = true;
      stopWaiting();
    });
    wake.signal.addEventListener("abort", stopWaiting, { once: true });
    await Promise.all([
      sleep(ms, wake.signal),
      sleep(stopTimeout, patience.signal),
    ]);
    wake.signal.removeEventListener("abort", stopWaiting);
    clearInterval(ticker);
    if (!stopped && !wake.signal.aborted) tell({ type: "unstopped" });
  }

  function end(failure?: Failure) {
    if (over) return;
    cleanup();
    if (!failure) {
      toResults.close();
      return heartbeats.close();
    }
    toResults.error(failure.cause);
    heartbeats.error(failure.cause);
  }

  function giveUp(cause: unknown) {
    tell({ type: "gave-up", error: describe(cause) });
    // the heartbeats were read on while it stopped
    latest?.stop(latest.signal.reason);
    end({ cause });
  }

  function cleanup() {
    over = true;
    signal?.removeEventListener("abort", onAbort);
    wake.abort();
    turnTo(undefined);
  }

  function onAbort() {
    current?.abort(signal!.reason);
    wake.abort();
  }

  function halt(reason: unknown) {
    if (over) return;
    cleanup();
    latest?.stop(
      reason ?? new DOMException("The worker was stopped", "AbortError"),
    );
    heartbeats.close();
    tell({ type: "ended" });
  }

  async function run() {
    // cancelled at once: that was told
    if (over) return;
    let cause: unknown;
    while (!signal?.aborted) {
      attempt++;
      tell({ type: "started", lastDetail });
      if (over) return;
      const failure = await tryOnce(cause);
      if (over) return;
      turnTo(undefined);
      if (!failure) break;
      cause = failure.cause;
      latest?.giveUp(cause);
      tell(
        cause instanceof HeartbeatTimeoutError
          ? {
            type: "stalled",
            elapsed: cause.elapsed,
            timeout: cause.timeout,
            count: cause.count,
            last: cause.last as Heartbeat | undefined,
          }
          : { type: "failed", error: describe(cause) },
      );
      if (over) return;
      // a shutdown that hung or failed
      if (signal?.aborted || !shouldRestart(cause)) return giveUp(cause);
      const now = Date.now();
      while (now - restarts[0]! >= within) restarts.shift();
      if (restarts.length >= maxRestarts) {
        return giveUp(new RestartLimitError({ maxRestarts, within, cause }));
      }
      // the power may be Infinity
      const longest = min === 0
        ? 0
        : Math.min(max, min * factor ** restarts.length);
      const wait = Math.round(longest * (1 - jitter * Math.random()));
      restarts.push(now);
      tell({ type: "restarting", delay: wait });
      if (!over) await pause(wait);
      if (over) return;
      latest?.stop(cause);
    }
    tell({ type: "ended" });
    end();
  }

  const results = new ReadableStream<R>({
    start: (controller) => void (toResults = controller),
    async pull(controller) {
      while (!over) {
        const given = current;
        if (given) {
          reading = given.results.read().then(({ done, value }) => {
            if (done || over || given !== current) return false;
            delivered++;
            controller.enqueue(value);
            return true;
          }, () => false);
          if (await reading) return;
        }
        if (!over && given === current) await changed;
      }
    },
    cancel: halt,
  }, { highWaterMark: 0 });
  const heartbeats = new ConflatedStream<Heartbeat>((reason) => {
    toResults.error(
      reason ?? new DOMException("The heartbeats were cancelled", "AbortError"),
    );
    halt(reason);
  });

  turnTo(undefined);
  signal?.addEventListener("abort", onAbort, { once: true });
  // not before the caller has the streams
  Promise.resolve().then(run).catch((error) => {
    latest?.stop(error);
    // where a hook cancelled before it threw, nobody is left to hear of it
    end({ cause: error });
  }).finally(release);
  return { results, heartbeats: heartbeats.readable, finished };
}
