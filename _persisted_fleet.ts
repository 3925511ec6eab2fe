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
import { EventWriter, type Place, toPlace } from "./_event_writer.ts";
import type {
  FleetStore,
  StoredFleet,
  StoredFleetEvent,
  StoredRow,
} from "./_store_types.ts";
import { StoreRequests } from "./_store_requests.ts";
import { sleep } from "./_timers.ts";
import type { FleetEvent, WorkerEvent } from "./fleet.ts";

/** How many events may be on their way to the store. */
const MAX_WRITES = 64;
/** How long to wait (ms) before an event that was handed over unwritten is written again. */
const LATE_MS = 1_000;

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

/** A worker, as it is in the store or on its way there. */
interface Row extends KnownWorker {
  place: Promise<Place>;
}

/** An event of the fleet, what it is to the reader, and the row that it made. */
interface HandedEvent {
  event: WorkerEvent;
  news: WorkerEvent;
  row: Row;
}

/** An event that was written, or could not be. */
interface Written {
  event: StoredFleetEvent;
  position?: number | undefined;
  /** What the event was before it was written. */
  source: object;
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
  readonly #writer: EventWriter;
  /** The events of the fleet. */
  readonly #events: ReadableStreamDefaultReader<FleetEvent>;
  /** Those that are on their way to the store, or come from it. */
  readonly #written: ReadableStreamDefaultReader<Promise<Written | undefined>>;
  /** Aborts at the end. */
  readonly #end = new AbortController();
  readonly #rows = new Map<string, Row>();
  /** Rows of workers that have left, which go once that is acknowledged. */
  readonly #leaving = new Map<string, { change: number; position: number }>();
  /** By worker: what the store does not know yet. */
  readonly #late = new Map<string, HandedEvent>();
  #controller!: ReadableStreamDefaultController<StoredFleetEvent>;
  /** Resolves when the store was read, or could not be. */
  #loaded: Promise<void> = Promise.resolve();
  #positions = new EventPositions(0, 0);
  #acknowledged = 0;
  /** The last event that was handed over. */
  #handedOver: Written | undefined;
  #acknowledging: Promise<void> | undefined;
  #writingLate: Promise<void> | undefined;
  /** No event of a worker that is not in the store any more has a higher number. */
  #lastChange = 0;

  constructor(
    source: PersistedSource,
    store: FleetStore,
    { storeTimeout, onError, takesOver }: PersistedFleetOptions,
  ) {
    this.#source = source;
    this.#store = new StoreRequests(store, {
      storeTimeout,
      onError: (error) => this.#report(onError, error),
      signal: this.#end.signal,
    });
    this.#writer = new EventWriter(this.#store, takesOver);
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

  #close() {
    this.#end.abort();
    this.#controller.close();
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
    this.#acknowledgeTaken();
    for (;;) {
      const { done, value } = await this.#written.read();
      if (done) await this.#acknowledging;
      const written = await value;
      if (this.#end.signal.aborted) return;
      if (done) return this.#close();
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
    this.#late.delete(worker);
    this.#positions.begin(event);
    const before = row?.place ??
      Promise.resolve({ change: this.#lastChange, position: undefined });
    const writing = this.#writer.write(event, transition, before);
    const latest: Row = { ...toKnown(transition), place: toPlace(writing) };
    this.#rows.set(worker, latest);
    const { event: news, change, position, isWritten } = await writing;
    if (!news) return void this.#positions.drop(event);
    const handed = { event, news, row: latest };
    if (isWritten) this.#onWritten(handed, change, position);
    else this.#writeLater(handed);
    const written = { ...news, id: `${worker}#${change}` };
    const known = isWritten ? position : undefined;
    return { event: written, position: known, source: event };
  }

  #writeLater(late: HandedEvent) {
    const { worker } = late.event;
    // there may be a later one
    if (this.#rows.get(worker) !== late.row) return;
    this.#late.set(worker, late);
    this.#writingLate ??= this.#writeLate();
  }

  /**
   * Writes what was handed over unwritten, as soon as the store is back: the next
   * watcher must not miss whoever came meanwhile, or expect whoever left.
   */
  async #writeLate() {
    while (this.#late.size > 0) {
      await sleep(LATE_MS, this.#end.signal);
      if (this.#end.signal.aborted) return;
      for (const late of this.#late.values()) {
        if (!await this.#writeAgain(late)) break;
      }
      this.#acknowledgeTaken();
    }
    this.#writingLate = undefined;
  }

  /** Returns whether it is written. */
  async #writeAgain(late: HandedEvent): Promise<boolean> {
    const { event, news, row } = late;
    const writing = this.#writer.writeLate(news, row.place);
    row.place = toPlace(writing);
    const { change, position, isWritten } = await writing;
    if (!isWritten) return false;
    this.#onWritten(late, change, position);
    if (this.#late.get(event.worker) === late) this.#late.delete(event.worker);
    return true;
  }

  /** The store knows the event. */
  #onWritten(
    { event, news, row }: HandedEvent,
    change: number,
    position?: number,
  ) {
    if (position === undefined) return;
    this.#positions.place(event, position);
    const { worker, type } = news;
    if (hasLeft(type) && this.#rows.get(worker) === row) {
      this.#leaving.set(worker, { change, position });
    }
  }

  #acknowledgeTaken() {
    if (this.#acknowledged >= this.#positions.allTaken) return;
    this.#acknowledging ??= this.#acknowledge();
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
    for (const [worker, left] of this.#leaving) {
      const { change, position } = left;
      if (position > acknowledged) continue;
      await this.#store.remove(worker, position);
      // unless it is back already
      if (this.#leaving.get(worker) !== left) continue;
      this.#leaving.delete(worker);
      this.#lastChange = Math.max(this.#lastChange, change);
      this.#rows.delete(worker);
    }
  }
}
