// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { Heartbeat } from "./_worker_types.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a heartbeat from its JSON. Unknown fields are dropped: they may be large.
 *
 * @throws {Error} If it is not a heartbeat; the message says why.
 */
export function parseHeartbeat(data: Uint8Array): Heartbeat {
  const value: Partial<Heartbeat> | null = JSON.parse(decoder.decode(data));
  const { worker, seq, time, detail, restarting, ended } = Object(
    value,
  ) as Partial<Heartbeat>;
  if (typeof worker !== "string") throw new TypeError("'worker' is no string");
  if (worker === "") throw new TypeError("'worker' is empty");
  if (!Number.isSafeInteger(seq)) throw new TypeError("'seq' is no integer");
  // 1e999 is valid JSON and is parsed as Infinity
  if (!Number.isFinite(time)) throw new TypeError("'time' is no number");
  const beat: Heartbeat = { worker, seq: seq!, time: time! };
  if (detail !== undefined) beat.detail = detail;
  if (restarting !== undefined) {
    const attempt = restarting?.attempt;
    if (!Number.isSafeInteger(attempt) || attempt < 1) {
      throw new TypeError("'restarting' names no attempt");
    }
    beat.restarting = { attempt };
  }
  if (ended !== undefined) {
    if (ended !== "done" && ended !== "failed") {
      throw new TypeError("'ended' is neither 'done' nor 'failed'");
    }
    beat.ended = ended;
  }
  return beat;
}
