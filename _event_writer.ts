// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { toKnown, toTransition } from "./_fleet_transition.ts";
import type { StoreRequests } from "./_store_requests.ts";
import type { StoredRow, StoredWorker } from "./_store_types.ts";
import type { WorkerEvent } from "./fleet.ts";

/** How often an event is written, if the row is not what it was each time. */
const MAX_CONFLICTS = 5;
/** A detail that is longer in JSON is not stored. */
const MAX_DETAIL_LENGTH = 4_096;

/** A row of the store. */
export interface Place {
  /** The number of the last event of the worker. */
  change: number;
  /** Where it is in the store; `undefined` if it is not. */
  position: number | undefined;
}

/** What became of an event. */
export interface WriteResult extends Place {
  /** What it is to the reader; nothing if another watcher has written that. */
  event: WorkerEvent | undefined;
  /** Whether the store knows it. */
  isWritten: boolean;
}

/** Where a row is, without the event, which may be large. */
export async function toPlace(writing: Promise<Place>): Promise<Place> {
  const { change, position } = await writing;
  return { change, position };
}

/** The event without a detail that is too long to be kept, or has no form in JSON. */
function toStored(event: WorkerEvent): WorkerEvent {
  if (!("detail" in event) || canStore(event.detail)) return event;
  const { detail: _, ...rest } = event;
  return rest as WorkerEvent;
}

function canStore(detail: unknown): boolean {
  try {
    return (JSON.stringify(detail) ?? "").length <= MAX_DETAIL_LENGTH;
  } catch {
    return false;
  }
}

/** Whether a row is one that was to be written. */
function isSame(found: StoredRow | undefined, row: StoredWorker): boolean {
  if (found?.change !== row.change) return false;
  const { type, time } = found.event;
  return type === row.event.type && time === row.event.time;
}

/** Writes events to a store that other watchers may write, too. */
export class EventWriter {
  readonly #store: StoreRequests;
  readonly #takesOver: boolean;

  /**
   * @param store The store.
   * @param takesOver Whether another watcher that writes a row has lost the right to
   * report it.
   */
  constructor(store: StoreRequests, takesOver: boolean) {
    this.#store = store;
    this.#takesOver = takesOver;
  }

  /** Writes what an event is to readers who know what the store knows. */
  async write(
    event: WorkerEvent,
    transition: WorkerEvent,
    before: Promise<Place>,
  ): Promise<WriteResult> {
    const { worker } = event;
    let news = transition;
    let { change, position } = await before;
    change++;
    try {
      for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
        const row = { worker, change, event: toStored(news) };
        const saved = await this.#store.save(row, position);
        if (saved !== undefined) {
          return { event: news, change, position: saved, isWritten: true };
        }
        const found = await this.#find(worker);
        position = found?.position;
        // by an earlier try, whose answer was lost
        if (isSame(found, row)) {
          return { event: news, change, position, isWritten: true };
        }
        // by an earlier event that was given up, and arrived after all
        if (found && found.change < change) continue;
        // by another watcher
        const next = toTransition(found && toKnown(found.event), event);
        change = Math.max(found?.change ?? 0, change - 1);
        if (!next) {
          // that watcher reports it, unless it has lost the right to do so
          const event = this.#takesOver ? found?.event : undefined;
          return { event, change, position, isWritten: true };
        }
        news = next;
        change++;
      }
    } catch {
      // it was tried for long enough
    }
    // it is handed over unwritten
    return { event: news, change, position, isWritten: false };
  }

  /** Writes an event that was handed over unwritten, under the number that it has. */
  async writeLate(news: WorkerEvent, before: Promise<Place>) {
    const { worker } = news;
    const { change, position: last } = await before;
    let position = last;
    const row = { worker, change, event: toStored(news) };
    try {
      for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
        const saved = await this.#store.save(row, position);
        if (saved !== undefined) {
          return { change, position: saved, isWritten: true };
        }
        const found = await this.#find(worker);
        position = found?.position;
        // another watcher knows more, or an earlier try has arrived
        if (found && found.change >= change) {
          return { change: found.change, position, isWritten: true };
        }
      }
    } catch {
      // the store is still away
    }
    return { change, position, isWritten: false };
  }

  /** The row of a worker, as it is in the store now. */
  async #find(worker: string): Promise<StoredRow | undefined> {
    const { workers } = await this.#store.load();
    return workers.find((row) => row.worker === worker);
  }
}
