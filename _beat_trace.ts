// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** From silence to the most heartbeats. */
const LEVELS = "▁▂▃▄▅▆▇█";

/** Options of a {@linkcode BeatTrace}. */
export interface BeatTraceOptions {
  /** How many cells it has at most. */
  length: number;
  /** How much time (ms) a cell stands for. */
  cellMs: number;
}

/** The recent heartbeats of a worker as a line of text: a bar for each span of time. */
export class BeatTrace {
  readonly #options: BeatTraceOptions;
  /** The heartbeats of each cell, by its number modulo the length. */
  readonly #counts: number[];
  /** The number of the newest cell. */
  #newest = -Infinity;

  constructor(options: BeatTraceOptions) {
    this.#options = options;
    this.#counts = new Array(options.length).fill(0);
  }

  /** Heartbeats came at a time, in milliseconds. */
  beat(now: number, count = 1) {
    this.#advance(now);
    this.#counts[this.#newest % this.#counts.length]! += count;
  }

  /** The last cells until a time, the newest one at the right. */
  draw(now: number, width: number = this.#counts.length): string {
    this.#advance(now);
    const { length } = this.#counts;
    const most = Math.max(...this.#counts, 1);
    let text = "";
    for (let back = Math.min(width, length) - 1; back >= 0; back--) {
      const at = (this.#newest - back) % length;
      const count = this.#counts[at < 0 ? at + length : at]!;
      text += LEVELS[Math.ceil(count / most * (LEVELS.length - 1))];
    }
    return text;
  }

  /** Empties the cells that have begun since then. A clock that was set back changes nothing. */
  #advance(now: number) {
    const cell = Math.floor(now / this.#options.cellMs);
    const { length } = this.#counts;
    const first = Math.max(this.#newest + 1, cell - length + 1);
    for (let each = first; each <= cell; each++) {
      this.#counts[each % length] = 0;
    }
    this.#newest = Math.max(this.#newest, cell);
  }
}
