// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The events of a fleet that wait to be read. While nobody reads, the events of
 * one worker collapse to what is still true: a new event takes the place of an
 * unread one, and only news is kept. What is news depends on what the reader
 * knows of the worker, which is the last event that it has read:
 *
 * | the reader knows | new: `up` | new: `down` | new: `recovered` | new: `left` | new: `forgotten` |
 * | --- | --- | --- | --- | --- | --- |
 * | nothing | `up` waits | `down` waits | `up` waits | `left` waits | nothing waits |
 * | `up` or `recovered` | nothing waits | `down` waits | nothing waits | `left` waits | `forgotten` waits |
 * | `down` | `up` waits | nothing waits | `recovered` waits | `left` waits | `forgotten` waits |
 * | `left` | `up` waits | `down` waits | `up` waits | nothing waits | `forgotten` waits |
 *
 * So at most one event of each worker waits, and one `forgotten` for each worker
 * that the reader knows. The worker itself is a row of the fleet's table. Of the
 * sight of the watcher, one event waits: `blind` and the `sees` after it cancel out.
 *
 * @module
 */

import type { FleetEvent, SightEvent } from "./fleet.ts";

/** An event of one of these types. */
type EventOf<Type extends FleetEvent["type"]> = FleetEvent & { type: Type };

/** Why a name is refused. */
export type RefusalReason = EventOf<"refused">["reason"];

/** What the reader knows of a worker. */
const [NOTHING, UP, DOWN, LEFT] = [0, 1, 2, 3] as const;
/** What the reader knows of a worker after an event. */
const KNOWN_AFTER = { up: UP, recovered: UP, down: DOWN, left: LEFT } as const;
/** For how many rows there is room at first. */
const INITIAL_ROWS = 64;
/** Refusals are reported again when they are this many times as many. */
const REPORT_FACTOR = 10;

/** How often names were refused for one reason, and when that is reported. */
class Refusals {
  count = 0;
  /** The count at which an event reports it; Infinity while such an event is unread. */
  #reportAt = 1;

  /** Counts one more, and returns whether that is to be reported. */
  add(): boolean {
    if (++this.count < this.#reportAt) return false;
    this.#reportAt = Infinity;
    return true;
  }

  onReportRead() {
    this.#reportAt = REPORT_FACTOR * this.count;
  }

  /** The reason is gone for now, so the next refusal is news. */
  onReasonGone() {
    if (this.#reportAt < Infinity) this.#reportAt = 0;
  }
}

/** The key of an event about the sight of the watcher. */
const SIGHT_KEY = Symbol("sight");

/** A row; the name of who is forgotten, as its row may be used again; what is refused; or the sight. */
type Key = number | string | Refusals | typeof SIGHT_KEY;

/** A queue with one event for each key. */
class EventQueue {
  #events = new Map<Key, FleetEvent>();
  /** It is kept, as a new one would have to skip everything that was deleted. */
  #iterator: MapIterator<[Key, FleetEvent]> | undefined;
  /** How many events came since the iterator moved. */
  #changes = 0;

  push(key: Key, event: FleetEvent) {
    this.#events.set(key, event);
    // An idle `Map` iterator keeps all old backing stores alive, so drop it after many changes.
    if (this.#changes++ > this.#events.size) this.#iterator = undefined;
  }

  /** Returns whether there was such an event. */
  delete(key: Key): boolean {
    return this.#events.delete(key);
  }

  shift(): [Key, FleetEvent] | undefined {
    this.#iterator ??= this.#events.entries();
    const { done, value } = this.#iterator.next();
    this.#changes = 0;
    if (done) {
      this.#iterator = undefined;
      return undefined;
    }
    this.#events.delete(value[0]);
    return value;
  }
}

/** What may be reported of a worker that stays in the fleet. */
export type StateEvent = EventOf<"up" | "down" | "recovered" | "left">;

/** The first heartbeat that the reader hears of is an `up`, whatever was before. */
function toUp(event: EventOf<"recovered">): FleetEvent {
  const { outage: _, missed: __, ...rest } = event;
  return { ...rest, type: "up" };
}

/** The unread events of a fleet. */
export class FleetEvents {
  #queue = new EventQueue();
  /** What the reader knows, by the row. */
  #known = new Uint8Array(INITIAL_ROWS);
  #refusals = {
    ...{ full: new Refusals(), name: new Refusals(), timeout: new Refusals() },
  };

  /** How many heartbeats and expected names were refused. */
  get refused(): number {
    const { full, name, timeout } = this.#refusals;
    return full.count + name.count + timeout.count;
  }

  /** Something happened to the worker in this row. */
  report(row: number, event: StateEvent) {
    this.#queue.delete(row);
    const known = this.#known[row] ?? NOTHING;
    if (known === KNOWN_AFTER[event.type]) return;
    const isFirst = known !== DOWN && event.type === "recovered";
    this.#queue.push(row, isFirst ? toUp(event) : event);
  }

  /** The worker in this row leaves the fleet. */
  reportForgotten(row: number, worker: string, time: number) {
    this.#queue.delete(row);
    if ((this.#known[row] ?? NOTHING) !== NOTHING) {
      this.#queue.push(worker, { type: "forgotten", worker, time });
    }
    this.#known[row] = NOTHING;
    this.#refusals.full.onReasonGone();
  }

  /** The watcher is blind, or sees again: two that nobody has read say nothing. */
  reportSight(event: SightEvent) {
    if (!this.#queue.delete(SIGHT_KEY)) this.#queue.push(SIGHT_KEY, event);
  }

  /**
   * A name is refused.
   *
   * @param describe Returns the part of the name that may be kept; it is called
   * only if the refusal is to be reported.
   */
  reportRefused(reason: RefusalReason, time: number, describe: () => string) {
    const refusals = this.#refusals[reason];
    if (!refusals.add()) return;
    const { count } = refusals;
    const worker = describe();
    this.#queue.push(refusals, {
      ...{ type: "refused", worker, time, reason, count },
    });
  }

  /** Takes the next unread event, if there is one. */
  next(): FleetEvent | undefined {
    const entry = this.#queue.shift();
    if (!entry) return undefined;
    const [key, event] = entry;
    switch (event.type) {
      case "refused": {
        const refusals = this.#refusals[event.reason];
        refusals.onReportRead();
        return { ...event, count: refusals.count };
      }
      case "forgotten":
      case "blind":
      case "sees":
        return event;
      default:
        this.#setKnown(key as number, KNOWN_AFTER[event.type]);
        return event;
    }
  }

  #setKnown(row: number, known: number) {
    let { length } = this.#known;
    while (length <= row) length *= 2;
    if (length > this.#known.length) {
      const old = this.#known;
      this.#known = new Uint8Array(length);
      this.#known.set(old);
    }
    this.#known[row] = known;
  }
}

/**
 * The stream of the events. Nothing is queued in it: an event stays with the
 * {@linkcode FleetEvents}, where it can still collapse, until the reader asks
 * for one.
 *
 * | phase | `deliver()` | `close()` | `error()` | the reader cancels |
 * | --- | --- | --- | --- | --- |
 * | open | gives one event to a reader that waits | → closing | → ended, errors | → ended |
 * | closing | the same; closes if there is none → ended | | → ended, errors | → ended |
 * | ended | | | | |
 */
export class FleetEventStream {
  readonly readable: ReadableStream<FleetEvent>;
  #events: FleetEvents;
  #controller!: ReadableStreamDefaultController<FleetEvent>;
  #phase: "open" | "closing" | "ended" = "open";
  /** A reader waits for an event. */
  #isWanted = false;

  constructor(events: FleetEvents, onCancel: (reason: unknown) => unknown) {
    this.#events = events;
    this.readable = new ReadableStream<FleetEvent>({
      start: (controller) => void (this.#controller = controller),
      pull: () => {
        this.#isWanted = true;
        this.deliver();
      },
      cancel: async (reason) => {
        this.#phase = "ended";
        await onCancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** There may be an event. */
  deliver() {
    if (!this.#isWanted || this.#phase === "ended") return;
    const event = this.#events.next();
    if (event) {
      // first, as enqueue() may pull at once
      this.#isWanted = false;
      this.#controller.enqueue(event);
    } else if (this.#phase === "closing") {
      this.#phase = "ended";
      this.#controller.close();
    }
  }

  /** Closes the stream after the unread events. */
  close() {
    if (this.#phase === "open") this.#phase = "closing";
    this.deliver();
  }

  /** Errors the stream at once. */
  error(error: unknown) {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#controller.error(error);
  }
}
