// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { FleetWatch } from "./_fleet_watch.ts";
import { parseHeartbeat } from "./_heartbeat_payload.ts";
import type { NatsMessage } from "./_nats_types.ts";
import { MAX_KEPT_PAYLOAD, measureHead, PayloadSlab } from "./_payload_slab.ts";
import { SubjectIndex } from "./_subject_index.ts";
import type { FindWatch } from "./_watch_finder.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** So many subjects are kept for each worker, and so many more: of workers that are gone, or watched by others. */
const [SUBJECTS_PER_WORKER, SPARE_SUBJECTS] = [4, 1_024] as const;

/** Where a worker is. */
interface Place {
  /** Who watches the worker, if anybody here does. */
  watch: FleetWatch | undefined;
  row: number;
  id: number;
}

/**
 * Hands the heartbeats of a subscription to a fleet. That of a worker which is up is
 * not parsed if it differs from the one before in digits only: its bytes are kept
 * until somebody wants to know what was in it.
 */
export class LazyBeats {
  readonly #findWatch: FindWatch;
  /** The largest payload, in bytes, whose detail is kept. */
  readonly #maxDetailSize: number;
  readonly #index = new SubjectIndex();
  readonly #payloads = new PayloadSlab();
  /** By the number of the subject: its worker, and the place of that. */
  #workers: string[] = [];
  #watches: (FleetWatch | undefined)[] = [];
  #rows: number[] = [];
  #ids: number[] = [];
  /** All that have watched a worker of a subject. */
  readonly #allWatches = new Set<FleetWatch>();
  /** Those who take a batch, and the last of them. */
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
    const watch = this.#watches[number];
    // nobody here watches it, unless that has changed
    if (!watch) return this.#findWatch(this.#workers[number]!) === undefined;
    if (watch !== this.#lastOpen) this.#openBatch(watch);
    return watch.touch(this.#rows[number]!, this.#ids[number]!);
  }

  /** Takes a message that was parsed. */
  take(beat: Heartbeat, { subject, data }: NatsMessage) {
    const watch = this.#findWatch(beat.worker);
    if (watch) this.#openBatch(watch);
    const row = watch ? watch.take(beat) : 0;
    if (row === undefined) return;
    const number = this.#keep(subject, data, watch !== undefined);
    if (number === undefined) return;
    const id = watch?.table.idOf(row) ?? 0;
    this.#setPlace(number, beat.worker, { watch, row, id });
  }

  #setPlace(number: number, worker: string, { watch, row, id }: Place) {
    this.#workers[number] = worker;
    this.#watches[number] = watch;
    this.#rows[number] = row;
    this.#ids[number] = id;
    if (!watch) return;
    this.#allWatches.add(watch);
    watch.table.decode = this.#decode;
    watch.table.keepUndecoded(row, number);
  }

  readonly #decode = (number: number) =>
    parseHeartbeat(this.#payloads.get(number));

  /** Keeps a payload, if the next one can be compared with it; returns the number of its subject. */
  #keep(
    subject: string,
    payload: Uint8Array,
    isWatched: boolean,
  ): number | undefined {
    const most = Math.min(MAX_KEPT_PAYLOAD, this.#maxDetailSize);
    const head = payload.length <= most ? measureHead(payload) : 0;
    if (head === 0) return undefined;
    let number = this.#index.find(subject);
    if (number < 0) {
      if (this.#isFull()) {
        if (!isWatched) return undefined;
        this.#clear();
      }
      number = this.#index.add(subject);
    }
    this.#payloads.set(number, payload, head);
    return number;
  }

  #isFull(): boolean {
    if (this.#index.size < SPARE_SUBJECTS) return false;
    let workers = 0;
    for (const { table } of this.#allWatches) workers += table.size;
    return this.#index.size >= SUBJECTS_PER_WORKER * workers + SPARE_SUBJECTS;
  }

  /** Forgets all subjects. */
  #clear() {
    for (const [number, watch] of this.#watches.entries()) {
      const row = this.#rows[number]!;
      if (watch?.table.idOf(row) === this.#ids[number]) {
        watch!.table.decodeNow(row);
      }
    }
    this.#index.clear();
    this.#payloads.clear();
    this.#allWatches.clear();
    this.#workers = [];
    this.#watches = [];
    this.#rows = [];
    this.#ids = [];
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
