// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import {
  checkDuration,
  checkFunction,
  checkSilenceReport,
  checkString,
  throwInvalid,
} from "./_validate.ts";

/**
 * What `onSilence` is called with: plain data, if the heartbeats are.
 *
 * @typeParam T The type of a heartbeat.
 *
 * @example Usage
 * ```ts
 * import { HeartbeatMonitor, type SilenceEvent } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 * import { FakeTime } from "@std/testing/time";
 *
 * using time = new FakeTime();
 * const events: SilenceEvent<string>[] = [];
 * const monitor = new HeartbeatMonitor<string>({
 *   timeout: 3000,
 *   onSilence: (event) => events.push(event),
 * });
 * const writer = monitor.writable.getWriter();
 * const reader = monitor.readable.getReader();
 * await time.tickAsync(2000);
 * await Promise.all([writer.write("a"), reader.read()]);
 *
 * assertEquals(events, [
 *   { type: "silent", elapsed: 1500, timeout: 3000, count: 0, last: undefined },
 *   { type: "recovered", elapsed: 2000, timeout: 3000, count: 1, last: "a" },
 * ]);
 * await writer.close();
 * ```
 */
export interface SilenceEvent<T = unknown> {
  /** `"silent"` when a silence passes `warnAfter`, `"recovered"` when that one ends. */
  type: "silent" | "recovered";
  /** How long the silence is, or was, in milliseconds. */
  elapsed: number;
  /** The limit that it must not pass, in milliseconds. */
  timeout: number;
  /** How many heartbeats came; the one that ends the silence is counted. */
  count: number;
  /** The last heartbeat, `undefined` if none came. */
  last: T | undefined;
}

/** Options of {@linkcode HeartbeatMonitor} and {@linkcode watch}. */
export interface HeartbeatMonitorOptions<T = unknown> {
  /**
   * How long the producer may be silent between two heartbeats, in
   * milliseconds: a positive number, `Infinity` for no limit. Give at least
   * twice the time that usually passes between two heartbeats.
   */
  timeout: number;
  /**
   * How long the producer may be silent at first, in milliseconds: a positive
   * number, `Infinity` for no limit. A monitor's first window ends with the
   * first heartbeat; that of a worker ends with its first progress, a result or
   * a heartbeat after the first one, since that one only says that it started.
   *
   * @default {timeout}
   */
  firstTimeout?: number | undefined;
  /**
   * Says which chunks are heartbeats. The others pass and leave the clock
   * alone. If it throws, the stream errors with what it threw.
   *
   * @default {() => true}
   */
  isHeartbeat?: ((chunk: T) => boolean) | undefined;
  /**
   * Who is watched: the `source` of the {@linkcode HeartbeatTimeoutError}, which
   * its message names, too. By default there is none; for a worker it is the name
   * that its heartbeats carry.
   */
  name?: string | undefined;
  /**
   * Called when a silence passes `warnAfter`, and once more when that silence
   * ends; not if it ends as a stall, or if another producer takes over. If it
   * throws, the stream errors with what it threw. With a `timeout` of `Infinity`
   * and a `warnAfter`, silences are reported and nothing is ended.
   */
  onSilence?: ((event: SilenceEvent<T>) => void) | undefined;
  /**
   * After how much silence `onSilence` is called, in milliseconds: a positive
   * number, `Infinity` for never.
   *
   * @default {timeout / 2}
   */
  warnAfter?: number | undefined;
  /**
   * Records how long the silences between heartbeats are: `true` for the `gaps` of
   * a monitor, or the {@linkcode HeartbeatGaps} that they are added to, for
   * `watch()` and `supervise()`, too. It costs two looks at the wall clock per
   * heartbeat.
   *
   * @default {false}
   */
  observe?: boolean | HeartbeatGaps | undefined;
}

/** Checks the options of a monitor, and adds the defaults. */
export function readMonitorOptions<T>(options: HeartbeatMonitorOptions<T>) {
  const { timeout, firstTimeout = timeout, isHeartbeat, name } = options ?? {};
  const { onSilence, warnAfter, observe = false } = options ?? {};
  checkDuration("monitor", "timeout", timeout);
  checkDuration("monitor", "firstTimeout", firstTimeout);
  if (isHeartbeat !== undefined) {
    checkFunction("monitor", "isHeartbeat", isHeartbeat);
  }
  if (name !== undefined) checkString("monitor", "name", name);
  checkSilenceReport("monitor", onSilence, warnAfter);
  if (typeof observe !== "boolean" && !(observe instanceof HeartbeatGaps)) {
    const accepted = "a boolean or a HeartbeatGaps";
    throwInvalid(TypeError, "monitor", "observe", accepted, observe);
  }
  const gaps = observe === true ? new HeartbeatGaps() : observe || undefined;
  return {
    ...{ timeout, firstTimeout, warnAfter },
    ...{ isHeartbeat, name, onSilence, gaps },
  };
}
