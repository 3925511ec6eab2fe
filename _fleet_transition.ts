// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { FleetEvent, WorkerEvent } from "./fleet.ts";

/** What the store knows of a worker. */
export interface KnownWorker {
  /** Its last event. */
  type: WorkerEvent["type"];
  /** When that was found. */
  time: number;
  /** When it was last heard before that, if it is down. */
  lastSeen?: number;
  /** The number of its last heartbeat. */
  seq?: number;
}

/** Whether an event is about a worker in the store. */
export function isAboutWorker(event: FleetEvent): event is WorkerEvent {
  const types = ["up", "down", "recovered", "forgotten", "left"];
  return types.includes(event.type);
}

/** Whether that is the last event of a worker. */
export function hasLeft(type: string): boolean {
  return type === "forgotten" || type === "left";
}

/** What is kept of an event. */
export function toKnown(event: WorkerEvent): KnownWorker {
  const { type, time } = event;
  const known: KnownWorker = { type, time };
  if ("lastSeen" in event) known.lastSeen = event.lastSeen;
  if ("seq" in event) known.seq = event.seq;
  return known;
}

function isUp(known: KnownWorker | undefined): boolean {
  return known?.type === "up" || known?.type === "recovered";
}

/**
 * What an event of a fleet without memory is to readers who know what the store
 * knows: the event, another one, or nothing.
 *
 * | the store knows | `up` | `recovered` | `down` | `left` | `forgotten` |
 * | --- | --- | --- | --- | --- | --- |
 * | nothing, or `forgotten` | `up` | `up` | `down` | `left` | |
 * | `up` or `recovered` | | | `down` | `left` | `forgotten` |
 * | `down` | `recovered` | `recovered` | | `left` | `forgotten` |
 * | `left` | `up` | `up` | `down` | | |
 *
 * A worker that has left is out of the store once a reader knows that, so `left` is
 * the last event about it.
 */
export function toTransition(
  known: KnownWorker | undefined,
  event: WorkerEvent,
): WorkerEvent | undefined {
  const isDown = known?.type === "down";
  switch (event.type) {
    case "up":
      if (isUp(known)) return undefined;
      return isDown ? toRecovered(known!, event) : event;
    case "recovered":
      if (isUp(known)) return undefined;
      return isDown ? event : toUp(event);
    case "down":
      return isDown ? undefined : event;
    case "left":
      return known?.type === "left" ? undefined : event;
    default:
      return isDown || isUp(known) ? event : undefined;
  }
}

/** The outage counts from when the worker was last heard, by whichever watcher. */
function toRecovered(
  { lastSeen, time: downSince, seq: lastSeq = NaN }: KnownWorker,
  event: WorkerEvent & { type: "up" },
): WorkerEvent {
  const { worker, time, seq } = event;
  const outage = Math.max(time - (lastSeen ?? downSince), 0);
  const missed = (seq ?? NaN) - lastSeq - 1;
  return {
    ...{ type: "recovered", worker, time, outage },
    ...(missed >= 0 && { missed }),
    ...(seq !== undefined && { seq }),
    ...("detail" in event && { detail: event.detail }),
  };
}

function toUp(event: WorkerEvent & { type: "recovered" }): WorkerEvent {
  const { outage: _, missed: __, ...rest } = event;
  return { ...rest, type: "up" };
}
