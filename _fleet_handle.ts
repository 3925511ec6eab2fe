// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { FleetWatch } from "./_fleet_watch.ts";
import type { FleetHandle } from "./fleet.ts";

/** Takes the heartbeats of one worker, whose row it remembers. */
export class WorkerHandle implements FleetHandle {
  readonly worker: string;
  #watch: FleetWatch;
  #id = -1;
  #row = 0;

  constructor(watch: FleetWatch, worker: string) {
    this.worker = worker;
    this.#watch = watch;
  }

  beat(seq?: number, detail?: unknown) {
    const watch = this.#watch;
    if (watch.beatRow(this.#row, this.#id, seq, detail)) return;
    watch.beat(this.worker, seq, detail);
    const row = watch.table.rowOf(this.worker);
    if (row === undefined) return; // it was refused, or the fleet has ended
    this.#row = row;
    this.#id = watch.table.idOf(row);
  }
}
