// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { FleetWatch } from "./_fleet_watch.ts";
import { parseHeartbeat } from "./_heartbeat_payload.ts";
import type { NatsMessage } from "./_nats_types.ts";
import { MAX_KEPT_PAYLOAD, measureHead, PayloadSlab } from "./_payload_slab.ts";
import { SubjectIndex } from "./_subject_index.ts";
import type { FindWatch } from "./_watch_finder.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** How many numbers there are for fleets: each is one byte. A fleet that has ended keeps its own for a while. */
const MAX_WATCHES = 256;
/**
 * How many subjects are kept: so many for each worker of the fleets, and so many to
 * spare. Those are for workers that are gone, or that nobody here watches.
 */
const [SUBJECTS_PER_WORKER, SPARE_SUBJECTS] = [4, 1_024] as const;

/**
 * Hands the heartbeats of a subscription to a fleet. That of a worker which is up is
 * not parsed if it differs from the one before in digits only: its bytes are kept
 * until somebody wants to know what was in it.
 */
export class LazyBeats {
  readonly #findWatch: FindWatch;
  /** The largest payload, in bytes, whose detail is kept. */
  readonly #maxDetailSize: number;
  readonly #payloads = new PayloadSlab();
  readonly #index = new SubjectIndex(this.#payloads);
  /** The workers, by the number of the subject. */
  #workers: string[] = [];
  /** All that have watched a worker of a subject, by a number; 0 is nobody. */
  #watches: (FleetWatch | undefined)[] = [undefined];
  /** The fleets with an open batch, and the one that took the last heartbeat. */
  readonly #open = new Set<FleetWatch>();
  #lastOpen: FleetWatch | undefined;

  constructor(findWatch: FindWatch, maxDetailSize: number) {
    this.#findWatch = findWatch;
    this.#maxDetailSize = maxDetailSize;
  }

  /** Takes a message that need not be parsed; returns whether it is one. */
  takesUnparsed(message: NatsMessage): boolean {
    const number = this.#index.find(message.subject);
    if (number < 0) return false;
    if (!this.#payloads.update(number, message.data)) return false;
    const payloads = this.#payloads;
    const watch = this.#watches[payloads.watchOf(number)];
    // nobody here watched its worker: if that is still so, there is nothing to do
    if (!watch) return this.#findWatch(this.#workers[number]!) === undefined;
    if (watch !== this.#lastOpen) this.#openBatch(watch);
    return watch.touch(payloads.rowOf(number), payloads.idOf(number), number);
  }

  /** Takes a message that was parsed, and keeps its payload to compare the next one with. */
  take(beat: Heartbeat, { subject, data }: NatsMessage) {
    const watch = this.#findWatch(beat.worker);
    if (watch) this.#openBatch(watch);
    // a row is not used if nobody here watches the worker
    const row = watch ? watch.take(beat) : 0;
    if (row === undefined) return;
    const number = this.#keep(subject, data, watch);
    if (number === undefined) return;
    this.#workers[number] = beat.worker;
    const id = watch?.table.idOf(row) ?? 0;
    const place = { row, id, watch: this.#watches.indexOf(watch) };
    this.#payloads.setPlace(number, place);
    if (!watch) return;
    watch.table.decode = this.#decode;
    watch.table.keepUndecoded(row, number);
  }

  readonly #decode = (number: number) =>
    parseHeartbeat(this.#payloads.get(number));

  /** Keeps a payload, if the next one can be compared with it; returns the number of its subject. */
  #keep(
    subject: string,
    payload: Uint8Array,
    watch: FleetWatch | undefined,
  ): number | undefined {
    const most = Math.min(MAX_KEPT_PAYLOAD, this.#maxDetailSize);
    const head = payload.length <= most ? measureHead(payload) : 0;
    if (head === 0) return undefined;
    const isNew = !this.#watches.includes(watch);
    if (isNew && this.#watches.length >= MAX_WATCHES) this.#clear();
    if (isNew) this.#watches.push(watch);
    let number = this.#index.find(subject);
    if (number < 0) {
      if (this.#isFull()) {
        if (!watch) return undefined;
        this.#clear();
        this.#watches.push(watch);
      }
      number = this.#index.add(subject);
    }
    this.#payloads.set(number, payload, head);
    return number;
  }

  #isFull(): boolean {
    if (this.#index.size < SPARE_SUBJECTS) return false;
    let workers = 0;
    for (const watch of this.#watches) workers += watch?.table.size ?? 0;
    return this.#index.size >= SUBJECTS_PER_WORKER * workers + SPARE_SUBJECTS;
  }

  /** Forgets all subjects, and who watches them. */
  #clear() {
    const payloads = this.#payloads;
    for (let number = 0; number < this.#index.size; number++) {
      const row = payloads.rowOf(number);
      const table = this.#watches[payloads.watchOf(number)]?.table;
      if (table?.idOf(row) === payloads.idOf(number)) table.decodeNow(row);
    }
    this.#index.clear();
    payloads.clear();
    this.#workers = [];
    this.#watches = [undefined];
  }

  /** The clock is read once for all that has arrived in one piece. */
  #openBatch(watch: FleetWatch) {
    this.#lastOpen = watch;
    if (this.#open.has(watch)) return;
    if (this.#open.size === 0) queueMicrotask(() => this.#closeBatch());
    this.#open.add(watch);
    watch.beginBatch();
  }

  #closeBatch() {
    for (const watch of this.#open) watch.endBatch();
    this.#open.clear();
    this.#lastOpen = undefined;
  }
}
