// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { FleetEvents, type RefusalReason } from "./_fleet_events.ts";
import { contentsOf } from "./_fleet_seq.ts";
import { FleetTable, type FleetTableLimits } from "./_fleet_table.ts";

/** The workers of a fleet, each change of which is reported. It knows no time but that of its events. */
export class FleetRoster {
  readonly table: FleetTable;
  readonly events = new FleetEvents();
  /** Is called when there may be an event to read. */
  onEvent = () => {};
  readonly #findGroup: (worker: string) => number | undefined;

  /**
   * @param limits How large it may be.
   * @param findGroup Finds the group of a new worker, undefined if it has none.
   */
  constructor(
    limits: FleetTableLimits,
    findGroup: (worker: string) => number | undefined,
  ) {
    this.table = new FleetTable(limits);
    this.#findGroup = findGroup;
  }

  /** Adds a worker, for which nobody waits yet, or refuses it. */
  add(worker: string): number | undefined {
    const { table } = this;
    const reason = table.refusalOf(worker);
    if (reason !== undefined) return this.#refuse(worker, reason);
    const group = this.#findGroup(worker);
    if (group === undefined) return this.#refuse(worker, "timeout");
    // the function that was asked may have named the worker, too
    return table.rowOf(worker) ?? table.add(worker, group);
  }

  #refuse(worker: string, reason: RefusalReason): undefined {
    const shorten = () => this.table.shorten(worker);
    this.events.reportRefused(reason, Date.now(), shorten);
    this.onEvent();
  }

  /** Reports a heartbeat that is the first one, or the first after an outage; before it is recorded. */
  reportBeat(row: number, seq: number, detail: unknown) {
    const { table, events } = this;
    const time = Date.now();
    const worker = table.nameOf(row);
    const contents = contentsOf(seq, detail);
    const last = table.lastBeat(row);
    if (last.lastSeen === undefined || table.hasLeft(row)) {
      events.report(row, { type: "up", worker, time, ...contents });
    } else {
      const outage = Math.max(time - last.lastSeen, 0);
      const missed = seq - (last.seq ?? NaN) - 1;
      events.report(row, {
        ...{ type: "recovered", worker, time, outage },
        ...(missed >= 0 && { missed }),
        ...contents,
      });
    }
    this.onEvent();
  }

  /** A worker is down, and forgotten some time after `since`. */
  markDown(row: number, since: number, reason: "silent" | "failed") {
    const { table, events } = this;
    const worker = table.nameOf(row);
    const last = table.lastBeat(row);
    table.markDown(row, since);
    events.report(row, {
      ...{ type: "down", worker, time: Date.now(), ...last, reason },
    });
    this.onEvent();
  }

  /** A worker has left, and is forgotten some time after `since`. */
  markLeft(row: number, since: number) {
    const { table, events } = this;
    const worker = table.nameOf(row);
    const last = table.lastBeat(row);
    table.markLeft(row, since);
    events.report(row, { type: "left", worker, time: Date.now(), ...last });
    this.onEvent();
  }

  /** Removes a worker. */
  remove(row: number) {
    const { table, events } = this;
    const worker = table.nameOf(row);
    table.remove(row);
    events.reportForgotten(row, worker, Date.now());
    this.onEvent();
  }
}
