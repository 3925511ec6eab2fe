// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Start a worker again after a stall or a failure, from its last checkpoint:
 * {@linkcode supervise}.
 *
 * @module
 */

import {
  type HeartbeatMonitorOptions,
  readMonitorOptions,
} from "./_monitor_options.ts";
import {
  RestartLimitError,
  type RestartLimitErrorOptions,
  RestartPolicy,
} from "./_restart_policy.ts";
import { SupervisorRun } from "./_supervisor_run.ts";
import type {
  AttemptContext,
  ErrorData,
  SupervisorEvent,
  SupervisorEventBase,
} from "./_supervisor_types.ts";
import {
  checkDuration,
  checkFunction,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
} from "./_validate.ts";
import type { Heartbeat, WorkerStreams } from "./_worker_types.ts";

export type {
  AttemptContext,
  ErrorData,
  RestartLimitErrorOptions,
  SupervisorEvent,
  SupervisorEventBase,
};
export { RestartLimitError };

/**
 * The delay before a restart: `min * factor ** n`, at most `max`, where `n` is
 * the number of restarts in the window so far. A random share of up to `jitter`
 * is taken off.
 */
export interface BackoffOptions {
  /**
   * The delay before the first restart, in milliseconds: 0 or more.
   *
   * @default {100}
   */
  min?: number | undefined;
  /**
   * The longest delay, in milliseconds: at least `min`.
   *
   * @default {30_000}
   */
  max?: number | undefined;
  /**
   * What each restart multiplies the delay by: 1 or more.
   *
   * @default {2}
   */
  factor?: number | undefined;
  /**
   * The share of a delay that is left to chance, so that many supervisors do not
   * restart at the same moment: from 0 (none) to 1 (all of it).
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
   * positive number. After a healthy period of that length all restarts are
   * allowed again.
   *
   * @default {60_000}
   */
  within?: number | undefined;
  /** The delay before a restart. */
  backoff?: BackoffOptions | undefined;
  /**
   * How long an attempt that was given up may take to stop, in milliseconds: a
   * positive number, `Infinity` for no limit. After that, the next attempt
   * starts although this one still runs.
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
  /** Receives every decision. */
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
  /** The checkpoint that the first attempt resumes from. */
  lastDetail?: unknown;
}

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
 * 3. The next attempt receives the last heartbeat's detail as `lastDetail`, so
 *    that work resumes from its checkpoint.
 * 4. Restarts are delayed (exponential backoff with jitter) and bounded: past
 *    `maxRestarts` `within` a sliding window both streams error with a
 *    {@linkcode RestartLimitError}.
 * 5. An attempt that was given up has `stopTimeout` to stop. Then the next one
 *    starts in any case; an event reports an attempt that did not stop.
 * 6. Every decision is an event. What `onEvent` or `shouldRestart` throws ends
 *    the supervisor: the attempt is stopped, and both streams error with it.
 *
 * `heartbeats` are those of the attempts, numbered anew. Each carries the latest
 * detail, of whichever attempt it was. While no attempt runs, the supervisor
 * beats itself, so that a monitor of the supervisor does not mistake the wait for
 * a stall. These heartbeats are marked with `restarting: { attempt }`, the number
 * of the next attempt; a supervisor of this one passes the mark on. A monitor of
 * the supervisor needs a longer `timeout` than the supervisor itself.
 *
 * `finished` resolves when the work of every attempt has really ended.
 *
 * ## Neither losing nor repeating a result
 *
 * Results are pulled when the consumer asks for them. A result that it has not
 * asked for when the attempt is given up is lost with the attempt. In work that
 * `startWorker()` runs, the code after a `yield` runs only once the result was
 * delivered. So report the checkpoint after the `yield`, as in the example.
 *
 * The last checkpoint reaches the supervisor when the work throws, and when it
 * hangs for `timeout`. It does not if a unit is only slow and ends less than one
 * `interval` before the verdict, or if the work blocks its thread. The results
 * since the checkpoint before are then repeated. Work that must never repeat a
 * result resumes from `delivered`, the exact number of delivered results.
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
  checkFunction("supervise", "start", start);
  const {
    timeout,
    firstTimeout,
    isHeartbeat,
    onSilence,
    warnAfter,
    observe,
    stopTimeout = 5_000,
    shouldRestart = () => true,
    onEvent = () => {},
    signal,
    name = start.name || "supervisor",
    interval = 1000,
    lastDetail,
  } = options ?? {};
  // without `name`: a stall names the worker, and not its supervisor
  const limits = {
    timeout,
    firstTimeout,
    isHeartbeat,
    onSilence,
    warnAfter,
    observe,
  };
  readMonitorOptions(limits);
  const policy = createPolicy(options);
  checkDuration("supervise", "stopTimeout", stopTimeout);
  checkDuration("supervise", "interval", interval);
  checkFunction("supervise", "shouldRestart", shouldRestart);
  checkFunction("supervise", "onEvent", onEvent);
  checkSignal("supervise", signal);
  checkString("supervise", "name", name);

  return new SupervisorRun(start, {
    ...{ policy, stopTimeout, shouldRestart, onEvent, signal, name, interval },
    ...{ lastDetail, limits },
  }).start();
}

/** Checks the options of the restarts. */
function createPolicy(
  { maxRestarts = 5, within = 60_000, backoff = {} }: SuperviseOptions,
): RestartPolicy {
  checkOptions("supervise", backoff, "backoff");
  const { min = 100, max = 30_000, factor = 2, jitter = 1 } = backoff;
  checkNumber(
    "supervise",
    "maxRestarts",
    maxRestarts,
    "a whole number or Infinity, at least 0",
    (value) => value === Infinity || Number.isInteger(value) && value >= 0,
  );
  checkDuration("supervise", "within", within);
  checkNumber(
    "supervise",
    "backoff.min",
    min,
    "a finite number, at least 0",
    (value) => value >= 0 && value < Infinity,
  );
  checkNumber(
    "supervise",
    "backoff.max",
    max,
    "a number, at least 'backoff.min'",
    (value) => value >= min,
  );
  checkNumber(
    "supervise",
    "backoff.factor",
    factor,
    "a number, at least 1",
    (value) => value >= 1,
  );
  checkNumber(
    "supervise",
    "backoff.jitter",
    jitter,
    "a number from 0 to 1",
    (value) => value >= 0 && value <= 1,
  );
  return new RestartPolicy({
    ...{ maxRestarts, within, min, max, factor, jitter },
  });
}
