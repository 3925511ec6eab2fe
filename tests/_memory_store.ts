// Copyright 2026 the heartbeat authors. MIT license.

import type { FleetStore, StoredRow, StoredWorker } from "../store.ts";

/** A store in memory, which notes what is written. */
export class MemoryStore implements FleetStore {
  readonly rows = new Map<string, StoredRow>();
  readonly writes: string[] = [];
  acknowledged = 0;
  /** Thrown by each write, if it is set. */
  failure: Error | undefined;
  #position = 0;

  // deno-lint-ignore require-await -- a store is asynchronous
  async load() {
    const workers = [...this.rows.values()].map((row) => ({ ...row }));
    return { workers, acknowledged: this.acknowledged };
  }

  // deno-lint-ignore require-await -- it throws into a promise
  async save(row: StoredWorker, previous: number | undefined) {
    if (this.failure) throw this.failure;
    if (this.rows.get(row.worker)?.position !== previous) return undefined;
    const position = ++this.#position;
    this.rows.set(row.worker, { ...row, position });
    this.writes.push(`${row.worker} ${row.event.type}`);
    return position;
  }

  // deno-lint-ignore require-await -- it throws into a promise
  async remove(worker: string, position: number) {
    if (this.failure) throw this.failure;
    if (this.rows.get(worker)?.position === position) this.rows.delete(worker);
  }

  // deno-lint-ignore require-await -- it throws into a promise
  async acknowledge(position: number) {
    if (this.failure) throw this.failure;
    this.acknowledged = position;
  }
}
