// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The protocol between `startThread()`, the host, and `serveThread()`, the
 * thread. Every message is an object with its type in the property `heartbeat`.
 *
 * | from | message | meaning |
 * | --- | --- | --- |
 * | thread | `ready` | the thread listens; the first message |
 * | host | `start` | call the work |
 * | thread | `beat` | a heartbeat |
 * | host | `pull` | the consumer asks for a result |
 * | thread | `result` | that result; at most one for each `pull` |
 * | host | `stop` | the signal aborted, or the consumer cancelled a stream |
 * | thread | `end` | both streams end, after the result that it may carry |
 * | thread | `finished` | the work has ended; the last message |
 *
 * A thread runs foreign code, which can post anything. A message without one of
 * these types is not of this protocol, and is ignored. One with such a type and
 * another shape breaks the protocol, and so do a second `ready` and a `result`
 * that was not asked for: the host terminates the thread, and both streams error
 * with a `TypeError` that says what was wrong.
 */

import {
  deserializeError,
  isSerializedError,
  type SerializedError,
} from "./_error_transfer.ts";
import type { StreamName } from "./_stream_pair.ts";
import { throwInvalid } from "./_validate.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** What the host posts. */
export type HostMessage = StartMessage | { heartbeat: "pull" } | StopMessage;

/** Calls the work. */
export interface StartMessage {
  heartbeat: "start";
  /** The input of the work. */
  input: unknown;
  /** The name of the worker; by default that of the work. */
  name: string | undefined;
  /** Milliseconds between two heartbeats. */
  interval: number;
  /** The checkpoint to resume from. */
  lastDetail: unknown;
}

/** Stops the work. */
export interface StopMessage {
  heartbeat: "stop";
  /** What stops it. */
  by: "signal" | StreamName;
  /** The reason of the abort, or of the cancel. */
  reason: SerializedError;
}

/** What the thread posts. */
export type ThreadMessage =
  | { heartbeat: "ready" }
  | { heartbeat: "beat"; beat: Heartbeat }
  | { heartbeat: "result"; value: unknown }
  | {
    heartbeat: "end";
    result?: { value: unknown } | undefined;
    error?: SerializedError | undefined;
  }
  | { heartbeat: "finished" };

/** A message of a thread, checked. */
export type ThreadEvent =
  | { type: "ready" }
  | { type: "beat"; beat: Heartbeat }
  | { type: "result"; value: unknown }
  | {
    type: "end";
    result: { value: unknown } | undefined;
    failure: { error: unknown } | undefined;
  }
  | { type: "finished" };

const ACTION = "read the message of a thread";

/**
 * Reads what a thread posted.
 *
 * @returns The event; `undefined` for a message that is not of this protocol.
 * @throws {TypeError} If it is of this protocol, but not of its shape.
 */
export function readThreadMessage(message: unknown): ThreadEvent | undefined {
  if (!isRecord(message)) return;
  const { heartbeat: type } = message;
  switch (type) {
    case "ready":
    case "finished":
      return { type };
    case "beat":
      return { type, beat: readHeartbeat(message.beat) };
    case "result":
      return { type, value: message.value };
    case "end":
      return { type, ...readEnd(message) };
  }
}

/** Throws the error for a message that comes at the wrong time. */
export function throwUnexpected(what: string): never {
  throw new TypeError(`Cannot ${ACTION} as it is ${what}`);
}

function readHeartbeat(beat: unknown): Heartbeat {
  if (!isRecord(beat)) throwBroken("beat", "an object", beat);
  const { worker, seq, time, detail } = beat;
  if (typeof worker !== "string") {
    throwBroken("beat.worker", "a string", worker);
  }
  if (typeof seq !== "number" || !Number.isSafeInteger(seq)) {
    throwBroken("beat.seq", "an integer", seq);
  }
  if (typeof time !== "number" || !Number.isFinite(time)) {
    throwBroken("beat.time", "a finite number", time);
  }
  return { worker, seq, time, ...(detail !== undefined && { detail }) };
}

function readEnd({ result, error }: Record<string, unknown>) {
  if (result !== undefined && !isRecord(result)) {
    throwBroken("result", "an object", result);
  }
  if (error !== undefined && !isSerializedError(error)) {
    throwBroken("error", "a serialized error", error);
  }
  return {
    result: result && { value: result.value },
    failure: error && { error: deserializeError(error) },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function throwBroken(option: string, accepted: string, value: unknown): never {
  // only a number is shown: anything else can be of any size
  const kind = value === null ? "null" : typeof value;
  const shown = kind === "number" ? String(value) : kind;
  throwInvalid(TypeError, ACTION, option, accepted, value, shown);
}
