// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { Broadcast } from "./_broadcast.ts";

/** A server-sent event, before it is written. */
export interface LoggedEvent {
  /** Its type. */
  type: string;
  /** Its data, in JSON. */
  data: string;
}

/** An event as a client knows it again. */
export interface IdentifiedEvent extends LoggedEvent {
  /** The start time of its log, and its number. */
  id: string;
}

/** How many events are kept for clients that come back. */
const CAPACITY = 500;
/** How many events may wait for a client that does not read. */
const MAX_WAITING = 1_000;

/** What a client is sent at first, if its last event is not known any more. */
type CreateSnapshot = () => LoggedEvent;

/**
 * The last events of a stream, for any number of clients that may leave and come
 * back (`Last-Event-ID`).
 *
 * An id is the start time of this log and the number of the event, so that an id
 * of another process is recognized. A client without a known id begins with a
 * snapshot. A client that does not read is disconnected, and comes back.
 */
export class EventLog {
  #epoch = Date.now().toString(36);
  #events: LoggedEvent[] = [];
  /** The number of the first event that is kept. */
  #first = 1;
  readonly #clients: Broadcast;
  #createSnapshot: CreateSnapshot;

  /**
   * @param createSnapshot Creates what a new client is sent first.
   * @param onEmpty Called when the last client has left.
   */
  constructor(createSnapshot: CreateSnapshot, onEmpty: () => void) {
    this.#createSnapshot = createSnapshot;
    this.#clients = new Broadcast({ maxWaiting: MAX_WAITING, onEmpty });
  }

  /** How many events there were. */
  get count(): number {
    return this.#first - 1 + this.#events.length;
  }

  /** What happened after the first events, as far as it is kept. */
  getAfter(count: number): IdentifiedEvent[] {
    const start = Math.max(count + 1 - this.#first, 0);
    return this.#events.slice(start)
      .map((event, i) => ({ id: this.#idOf(start + i), ...event }));
  }

  /** Keeps an event, and sends it to all clients. */
  add(event: LoggedEvent) {
    this.#events.push(event);
    if (this.#events.length > CAPACITY) {
      this.#events.shift();
      this.#first++;
    }
    this.send(format(event, this.#idOf(this.#events.length - 1)));
  }

  /** Sends text to all clients, such as an event that is not kept. */
  send(text: string) {
    this.#clients.send(text);
  }

  /**
   * A stream for a client whose last event had the given id. If that is not known,
   * it begins with a snapshot, or with all events that are kept.
   */
  connect(
    lastId: string | null,
    isRecentWanted = false,
  ): ReadableStream<string> {
    return this.#clients.connect(this.#replay(lastId, isRecentWanted));
  }

  /** Disconnects all clients. */
  close() {
    this.#clients.close();
  }

  *#replay(lastId: string | null, isRecentWanted: boolean): Generator<string> {
    const next = this.#indexAfter(lastId) ?? (isRecentWanted ? 0 : undefined);
    if (next === undefined) {
      const id = this.#idOf(this.#events.length - 1);
      return yield format(this.#createSnapshot(), id);
    }
    for (let i = next; i < this.#events.length; i++) {
      yield format(this.#events[i]!, this.#idOf(i));
    }
  }

  #idOf(index: number): string {
    return `${this.#epoch}-${this.#first + index}`;
  }

  /** The index of the event after the one with an id; `undefined` if it is not known. */
  #indexAfter(id: string | null): number | undefined {
    const [epoch, number] = id?.split("-") ?? [];
    if (epoch !== this.#epoch || !/^\d{1,15}$/.test(number ?? "")) return;
    const index = Number(number) + 1 - this.#first;
    if (index >= 0 && index <= this.#events.length) return index;
  }
}

function format({ type, data }: LoggedEvent, id: string): string {
  return `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`;
}
