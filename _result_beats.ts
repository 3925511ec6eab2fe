// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { Heartbeat } from "./_worker_types.ts";

/**
 * Heartbeats that only say that results were made. Whoever has read these
 * results knows better when that was: up to one interval earlier. The mark is not a
 * property of the heartbeat, because nobody else can use it.
 */
const resultBeats = new WeakSet<Heartbeat>();

/** Notes that a heartbeat only says that results were made. */
export function markResultBeat(heartbeat: Heartbeat) {
  resultBeats.add(heartbeat);
}

/** Whether a heartbeat only says that results were made. */
export function isResultBeat(heartbeat: Heartbeat): boolean {
  return resultBeats.has(heartbeat);
}
