// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The groups of the workers of a fleet: those with the same timeout are one. Most fleets have one only. */
export class FleetGroups {
  /** By row; undefined while all are in group 0. */
  #groups: Uint16Array | undefined;
  #waiting = [0];

  /** The groups by row, unless all are in group 0. */
  get all(): Uint16Array | undefined {
    return this.#groups;
  }

  /** The group of the worker in a row. */
  of(row: number): number {
    return this.#groups === undefined ? 0 : this.#groups[row]!;
  }

  /** Sets the group of the worker in a row, of so many rows. */
  set(row: number, group: number, rows: number) {
    this.#waiting[group] ??= 0;
    if (this.#groups === undefined && group === 0) return;
    if (this.#groups?.length !== rows) {
      const old = this.#groups ?? [];
      this.#groups = new Uint16Array(rows);
      this.#groups.set(old);
    }
    this.#groups[row] = group;
  }

  /** One more worker of the group of a row is waited for, or one fewer. */
  count(row: number, change: 1 | -1) {
    this.#waiting[this.of(row)]! += change;
  }

  /** How many workers of a group are waited for. */
  waitingOf(group: number): number {
    return this.#waiting[group] ?? 0;
  }
}
