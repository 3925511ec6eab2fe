// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The protocol between `startThread()`, the host, and `serveThread()`, the
 * thread. Every message is an object with a type in its `heartbeat` property.
 *
 * | from | message | says |
 * | --- | --- | --- |
 * | thread | `ready` | it listens; sent once, before anything else |
 * | host | `start` | call the work |
 * | host | `pull` | the next result is asked for |
 * | thread | `result` | that result; exactly one for a `pull` |
 * | thread | `beat` | a heartbeat |
 * | host | `stop` | the signal aborted, or a stream was cancelled |
 * | thread | `end` | one of the two streams ended |
 * | thread | `finished` | the work has ended |
 *
 * The thread runs foreign code, which can post anything. What has no known type
 * is a message of its own and is ignored. What has one, but not its shape, breaks
 * the protocol, as does a result that was not asked for: the host terminates the
 * thread, and both streams error with a `TypeError` that says what was wrong.
 */

import {
  deserializeError,
  isSerializedError,
  type SerializedError,
} from "./_error_transfer.ts";
import { throwInvalid } from "./_validate.ts";
import type { Heartbeat, StartWorkerOptions } from "./worker.ts";

/** One of the two streams of a worker. */
export type Side = "results" | "heartbeats";

/** What the host posts. */
export type HostMessage =
  | { heartbeat: "start"; input: unknown; options: StartWorkerOptions }
  | { heartbeat: "pull" }
  | { heartbeat: "stop"; side: "signal" | Side; reason: SerializedError };

/** What the thread posts. */
export type ThreadMessage =
  | { heartbeat: "ready" }
  | { heartbeat: "beat"; beat: Heartbeat }
  | { heartbeat: "result"; value: unknown }
  | { heartbeat: "end"; side: Side; error?: SerializedError }
  | { heartbeat: "finished" };

/** A message of a thread that was checked. */
export type ThreadEvent =
  | { type: "ready" }
  | { type: "beat"; beat: Heartbeat }
  | { type: "result"; value: unknown }
  | { type: "end"; side: Side; failure: { error: unknown } | undefined }
  | { type: "finished" };

const ACTION = "read the message of a thread";

/**
 * Reads what a thread posted; returns `undefined` for what is none of the
 * protocol's messages.
 *
 * @throws {TypeError} If it is one, but not of its shape.
 */
export function readThreadMessage(message: unknown): ThreadEvent | undefined {
  if (typeof message !== "object" || message === null) return;
  const data = message as Record<string, unknown>;
  const type = data.heartbeat;
  switch (type) {
    case "ready":
    case "finished":
      return { type };
    case "beat":
      return { type, beat: readHeartbeat(data.beat) };
    case "result":
      return { type, value: data.value };
    case "end":
      return readEnd(data);
  }
}

/** Throws the error for a message of the right shape at the wrong time. */
export function throwUnexpected(what: string): never {
  throw new TypeError(`Cannot ${ACTION} as it is ${what}`);
}

function readHeartbeat(beat: unknown): Heartbeat {
  const isObject = typeof beat === "object" && beat !== null;
  check(isObject, "beat", "an object", beat);
  const { worker, seq, time, detail } = beat as Heartbeat;
  check(typeof worker === "string", "beat.worker", "a string", worker);
  check(Number.isSafeInteger(seq), "beat.seq", "an integer", seq);
  check(Number.isFinite(time), "beat.time", "a finite number", time);
  return { worker, seq, time, ...(detail !== undefined && { detail }) };
}

function readEnd({ side, error }: Record<string, unknown>): ThreadEvent {
  if (side !== "results" && side !== "heartbeats") {
    fail("side", `"results" or "heartbeats"`, side);
  }
  if (error === undefined) return { type: "end", side, failure: undefined };
  if (!isSerializedError(error)) fail("error", "a serialized error", error);
  return { type: "end", side, failure: { error: deserializeError(error) } };
}

function check(
  isAccepted: boolean,
  option: string,
  accepted: string,
  value: unknown,
) {
  if (!isAccepted) fail(option, accepted, value);
}

function fail(option: string, accepted: string, value: unknown): never {
  // a number as it is, of all else the kind: it can be of any size
  const kind = value === null ? "null" : typeof value;
  const shown = kind === "number" ? String(value) : kind;
  throwInvalid(TypeError, ACTION, option, accepted, value, shown);
}
