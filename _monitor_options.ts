// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { checkDuration, checkFunction, checkString } from "./_validate.ts";

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
}

/** Checks the options of a monitor, and adds the defaults. */
export function readMonitorOptions<T>(options: HeartbeatMonitorOptions<T>) {
  const { timeout, firstTimeout = timeout, isHeartbeat, name } = options ?? {};
  checkDuration("monitor", "timeout", timeout);
  checkDuration("monitor", "firstTimeout", firstTimeout);
  if (isHeartbeat !== undefined) {
    checkFunction("monitor", "isHeartbeat", isHeartbeat);
  }
  if (name !== undefined) checkString("monitor", "name", name);
  return { timeout, firstTimeout, isHeartbeat, name };
}
