// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { FleetWatch } from "./_fleet_watch.ts";
import { parseHeartbeat } from "./_heartbeat_payload.ts";
import type { NatsMessage } from "./_nats_types.ts";
import { MAX_KEPT_PAYLOAD, measureHead, PayloadSlab } from "./_payload_slab.ts";
import { SubjectIndex } from "./_subject_index.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** So many subjects of workers that are gone are kept. */
const SPARE_SUBJECTS = 1_024;

/**
 * Hands the heartbeats of a subscription to a fleet. That of a worker which is up is
 * not parsed if it differs from the one before in digits only: its bytes are kept
 * until somebody wants to know what was in it.
 */
export class LazyBeats {
  readonly #watch: FleetWatch;
  /** The largest payload, in bytes, whose detail is kept. */
  readonly #maxDetailSize: number;
  readonly #index = new SubjectIndex();
  readonly #payloads = new PayloadSlab();
  /** Where the worker of a subject is in the fleet, by the number of the subject. */
  #rows: number[] = [];
  #ids: number[] = [];
  #isOpen = false;

  constructor(watch: FleetWatch, maxDetailSize: number) {
    this.#watch = watch;
    this.#maxDetailSize = maxDetailSize;
    watch.table.decode = (number) => parseHeartbeat(this.#payloads.get(number));
  }

  /** Takes a message that need not be parsed; returns whether it is one. */
  takesUnparsed(message: NatsMessage): boolean {
    const number = this.#index.find(message.subject);
    if (number < 0) return false;
    if (!this.#payloads.update(number, message.data)) return false;
    if (!this.#isOpen) this.#open();
    return this.#watch.touch(this.#rows[number]!, this.#ids[number]!);
  }

  /** Takes a message that was parsed. */
  take(beat: Heartbeat, { subject, data }: NatsMessage) {
    if (!this.#isOpen) this.#open();
    const row = this.#watch.take(beat);
    if (row === undefined || data.length > MAX_KEPT_PAYLOAD) return;
    const isWhole = data.length <= this.#maxDetailSize;
    const head = isWhole ? measureHead(data) : 0;
    if (head === 0) return;
    const number = this.#numberOf(subject);
    const { table } = this.#watch;
    this.#payloads.set(number, data, head);
    this.#rows[number] = row;
    this.#ids[number] = table.idOf(row);
    table.keepUndecoded(row, number);
  }

  #numberOf(subject: string): number {
    const number = this.#index.find(subject);
    if (number >= 0) return number;
    const { size } = this.#watch.table;
    if (this.#index.size >= 2 * size + SPARE_SUBJECTS) this.#clear();
    return this.#index.add(subject);
  }

  /** Forgets all subjects, most of which are those of workers that are gone. */
  #clear() {
    const { table } = this.#watch;
    for (const [number, row] of this.#rows.entries()) {
      if (table.idOf(row) === this.#ids[number]) table.decodeNow(row);
    }
    this.#index.clear();
    this.#payloads.clear();
    this.#rows = [];
    this.#ids = [];
  }

  /** The clock is read once for all that has arrived in one piece. */
  #open() {
    this.#isOpen = true;
    this.#watch.beginBatch();
    queueMicrotask(() => {
      this.#isOpen = false;
      this.#watch.endBatch();
    });
  }
}
