// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import {
  hasLeft,
  isAboutWorker,
  type KnownWorker,
  toKnown,
  toTransition,
} from "./_fleet_transition.ts";
import { EventPositions } from "./_event_positions.ts";
import type {
  FleetStore,
  StoredFleet,
  StoredFleetEvent,
  StoredRow,
} from "./_store_types.ts";
import { StoreRequests } from "./_store_requests.ts";
import type { FleetEvent, WorkerEvent } from "./fleet.ts";

/** How many events may be on their way to the store. */
const MAX_WRITES = 64;
/** How often an event is written, if the row is not what it was each time. */
const MAX_CONFLICTS = 5;
/** A detail that is longer in JSON is not stored. */
const MAX_DETAIL_LENGTH = 4_096;

/** What is used of a `FleetMonitor`. */
export interface PersistedSource {
  /** Its events. */
  readonly readable: ReadableStream<FleetEvent>;
  /** Names workers that must show up. */
  expect(workers: Iterable<string>): void;
}

/** What a {@linkcode PersistedFleet} is given, checked. */
export interface PersistedFleetOptions {
  /** How long (ms) to wait for a store that fails or does not answer. */
  storeTimeout: number;
  /** Receives what the store throws. */
  onError: (error: unknown) => void;
  /** Whether another watcher that writes a row has lost the right to report it. */
  takesOver: boolean;
}

/** The key of an option of `persistFleet()`: `takesOver`. */
export const TAKES_OVER = Symbol("takes over");

/** A row of the store. */
interface Place {
  /** The number of the last event of the worker. */
  change: number;
  /** Where it is in the store; `undefined` if it is not. */
  position: number | undefined;
}

/** A worker, as it is in the store or on its way there. */
interface Row extends KnownWorker {
  place: Promise<Place>;
}

/** What became of a write: the event, unless another watcher has written that. */
interface WriteResult extends Place {
  event?: WorkerEvent;
}

/** An event that was written, or could not be. */
interface Written {
  event: StoredFleetEvent;
  position?: number | undefined;
  /** What the event was before it was written. */
  source: object;
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

const ignore = () => {};

/**
 * The events of a fleet, with a store as its memory. An event goes through these
 * steps: it is compared with what the store knows, written, handed over when the
 * reader asks for it, and acknowledged when the reader asks for the next one.
 *
 * At the start, what was written and not acknowledged is handed over once more,
 * and everybody who is not known to have left has to show up.
 *
 * It ends with the fleet, with the reader, or with what a callback throws. The store
 * may hang just then, so nothing here waits for it: the fleet ends at once.
 */
export class PersistedFleet {
  /** The events, for a reader. */
  readonly readable: ReadableStream<StoredFleetEvent>;
  readonly #source: PersistedSource;
  readonly #store: StoreRequests;
  readonly #takesOver: boolean;
  /** The events of the fleet. */
  readonly #events: ReadableStreamDefaultReader<FleetEvent>;
  /** Those that are on their way to the store, or come from it. */
  readonly #written: ReadableStreamDefaultReader<Promise<Written | undefined>>;
  /** Aborts at the end. */
  readonly #end = new AbortController();
  readonly #rows = new Map<string, Row>();
  /** Rows of workers that have left, which go once that is acknowledged. */
  readonly #leaving = new Map<string, { change: number; position: number }>();
  #controller!: ReadableStreamDefaultController<StoredFleetEvent>;
  /** Resolves when the store was read, or could not be. */
  #loaded: Promise<void> = Promise.resolve();
  #positions = new EventPositions(0, 0);
  #acknowledged = 0;
  /** The last event that was handed over. */
  #handedOver: Written | undefined;
  #acknowledging: Promise<void> | undefined;
  /** No event of a worker that is not in the store any more has a higher number. */
  #lastChange = 0;

  constructor(
    source: PersistedSource,
    store: FleetStore,
    { storeTimeout, onError, takesOver }: PersistedFleetOptions,
  ) {
    this.#source = source;
    this.#takesOver = takesOver;
    this.#store = new StoreRequests(store, {
      storeTimeout,
      onError: (error) => this.#report(onError, error),
      signal: this.#end.signal,
    });
    this.readable = new ReadableStream<StoredFleetEvent>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#onPull(),
      cancel: (reason) => this.#stop(reason),
    }, { highWaterMark: 0 });
    this.#events = source.readable.getReader();
    this.#events.closed.catch((error) => this.#fail(error));
    this.#written = new ReadableStream<Promise<Written | undefined>>({
      start: (controller) => {
        this.#loaded = this.#load(controller)
          .catch((error) => this.#fail(error));
      },
      pull: (controller) => this.#readEvent(controller),
    }, { highWaterMark: MAX_WRITES }).getReader();
  }

  /** Gives the store an error of its own to the user; what that throws ends everything. */
  #report(onError: (error: unknown) => void, error: unknown) {
    try {
      onError(error);
    } catch (mistake) {
      this.#fail(mistake);
    }
  }

  /** Ends the fleet, and leaves the store alone. */
  #stop(reason: unknown): Promise<void> {
    this.#end.abort(reason);
    this.#written.cancel(reason).catch(ignore);
    return this.#events.cancel(reason);
  }

  #fail(error: unknown) {
    if (this.#end.signal.aborted) return;
    this.#controller.error(error);
    this.#stop(error).catch(ignore);
  }

  async #readEvent(
    controller: ReadableStreamDefaultController<Promise<Written | undefined>>,
  ) {
    const { done, value } = await this.#events.read();
    await this.#loaded;
    if (this.#end.signal.aborted) return;
    if (done) controller.close();
    else controller.enqueue(this.#write(value));
  }

  async #onPull() {
    // who asks for the next event has taken the one before
    const last = this.#handedOver;
    if (last) this.#positions.take(last.source, last.position);
    if (this.#acknowledged < this.#positions.allTaken) {
      this.#acknowledging ??= this.#acknowledge();
    }
    for (;;) {
      const { done, value } = await this.#written.read();
      if (done) await this.#acknowledging;
      const written = await value;
      if (this.#end.signal.aborted) return;
      if (done) return this.#controller.close();
      if (!written) continue;
      this.#handedOver = written;
      return this.#controller.enqueue(written.event);
    }
  }

  async #load(
    controller: ReadableStreamDefaultController<Promise<Written | undefined>>,
  ) {
    const { workers, acknowledged }: StoredFleet = await this.#store.load();
    this.#acknowledged = acknowledged;
    // each event has a position of its own, so a worker has no more events than that
    this.#lastChange = acknowledged;
    const expected: string[] = [];
    workers.sort((a, b) => a.position - b.position);
    const highest = workers.at(-1)?.position ?? 0;
    this.#positions = new EventPositions(acknowledged, highest);
    for (const row of workers) {
      const { worker, change, event, position } = row;
      const known = toKnown(event);
      const place = { change, position };
      this.#rows.set(worker, { ...known, place: Promise.resolve(place) });
      if (hasLeft(event.type)) this.#leaving.set(worker, place);
      else expected.push(worker);
      if (position > acknowledged) controller.enqueue(this.#repeat(row));
    }
    this.#source.expect(expected);
  }

  #repeat({ worker, change, event, position }: StoredRow): Promise<Written> {
    return Promise.resolve({
      event: { ...event, id: `${worker}#${change}` },
      position,
      source: event,
    });
  }

  async #write(event: FleetEvent): Promise<Written | undefined> {
    if (!isAboutWorker(event)) return { event, source: event };
    const { worker } = event;
    const row = this.#rows.get(worker);
    const transition = toTransition(row, event);
    if (!transition) return undefined;
    this.#leaving.delete(worker);
    this.#positions.begin(event);
    const before = row?.place ??
      Promise.resolve({ change: this.#lastChange, position: undefined });
    const writing = this.#save(event, transition, before);
    // without the event, which may be large
    const place = writing.then(({ change, position }) => ({
      change,
      position,
    }));
    const latest: Row = { ...toKnown(transition), place };
    this.#rows.set(worker, latest);
    const { event: news, change, position } = await writing;
    if (!news) return void this.#positions.drop(event);
    if (position !== undefined) this.#positions.place(event, position);
    // unless it is back already
    const isLast = this.#rows.get(worker) === latest;
    if (isLast && hasLeft(news.type) && position !== undefined) {
      this.#leaving.set(worker, { change, position });
    }
    const written = { ...news, id: `${worker}#${change}` };
    return { event: written, position, source: event };
  }

  /** Writes what an event is to readers who know what the store knows. */
  async #save(
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
          return { event: news, change, position: saved };
        }
        // written by another watcher, or by a try whose answer was lost
        const found = await this.#find(worker);
        const next = toTransition(found && toKnown(found.event), event);
        position = found?.position;
        change = Math.max(found?.change ?? 0, change - 1);
        if (!next && found && this.#takesOver) {
          return { event: found.event, change, position };
        }
        // that watcher reports it
        if (!next) return { change, position };
        news = next;
        change++;
      }
    } catch {
      // it was tried for long enough
    }
    // it is handed over unwritten
    return { event: news, change, position };
  }

  /** The row of a worker, as it is in the store now. */
  async #find(worker: string): Promise<StoredRow | undefined> {
    const { workers } = await this.#store.load();
    return workers.find((row) => row.worker === worker);
  }

  /** Notes what was taken, until that is up to date. */
  async #acknowledge() {
    try {
      for (;;) {
        const position = this.#positions.allTaken;
        if (position <= this.#acknowledged) return;
        await this.#store.acknowledge(position);
        this.#acknowledged = position;
        await this.#removeLeft(position);
      }
    } catch {
      // the user knows: it is done when the next event is taken
    } finally {
      this.#acknowledging = undefined;
    }
  }

  /** Removes who has left, once a reader knows that. */
  async #removeLeft(acknowledged: number) {
    for (const [worker, { change, position }] of this.#leaving) {
      if (position > acknowledged) continue;
      this.#leaving.delete(worker);
      this.#lastChange = Math.max(this.#lastChange, change);
      this.#rows.delete(worker);
      await this.#store.remove(worker, position);
    }
  }
}
