// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** What a live table of a fleet knows: who is there, how it beats, what happened. */

import { BeatTrace } from "./_beat_trace.ts";
import type {
  ShownState,
  ShownWorker,
  TableContent,
} from "./_fleet_table_text.ts";

/** A worker, as a fleet lists it. */
export interface ListedWorker extends ShownWorker {
  /** Counts its heartbeats. */
  seq?: number;
}

/** An event of a fleet, as far as it matters here. */
export interface BoardEvent {
  type: string;
  time: number;
  worker?: string | undefined;
}

/** Options of a {@linkcode FleetBoard}. */
export interface FleetBoardOptions {
  /** What is watched, and where. */
  title: string;
  /** The workers as they are now. */
  fleet: Iterable<ListedWorker>;
  /** After how much silence (ms) a worker is down. */
  timeout: number;
}

/** How many cells a trace has. They stand for twice the timeout. */
const TRACE_CELLS = 24;
/** The least and the most time (ms) that a cell stands for. */
const MIN_CELL_MS = 250;
const MAX_CELL_MS = 60_000;
/** How many workers are known by name: the silent ones first, then as they come. */
const MAX_KNOWN = 10_000;

const { compare } = new Intl.Collator(undefined, { numeric: true });

/** What is known of a worker between two looks. */
interface Known {
  trace: BeatTrace;
  row: ListedWorker;
}

/** Collects what a table of a fleet shows. Nothing runs between two looks. */
export class FleetBoard {
  readonly #options: FleetBoardOptions;
  readonly #cellMs: number;
  #known = new Map<string, Known>();
  #blind: string | undefined;
  #lastEvent = "";

  constructor(options: FleetBoardOptions) {
    this.#options = options;
    const cellMs = 2 * options.timeout / TRACE_CELLS;
    this.#cellMs = Math.min(Math.max(cellMs, MIN_CELL_MS), MAX_CELL_MS);
  }

  /** Something happened; `text` says what, and `line` also when. */
  onEvent({ type }: BoardEvent, text: string, line = text) {
    this.#lastEvent = line;
    if (type === "blind") this.#blind = text;
    if (type === "sees") this.#blind = undefined;
  }

  /** Looks at the fleet. */
  look(now: number): TableContent {
    const { title, fleet } = this.#options;
    const counts = { down: 0, expected: 0, up: 0, left: 0 };
    const lists: Record<ShownState, ListedWorker[]> = {
      ...{ down: [], expected: [], up: [], left: [] },
    };
    for (const worker of fleet) {
      counts[worker.state]++;
      const list = lists[worker.state];
      if (list.length < MAX_KNOWN) list.push(worker);
    }
    // the worst first
    const workers = [lists.down, lists.expected, lists.up, lists.left]
      .flatMap((list) => list.sort((a, b) => compare(a.worker, b.worker)))
      .slice(0, MAX_KNOWN);
    this.#take(workers, now);
    return {
      ...{ title, workers, counts, now },
      blind: this.#blind,
      lastEvent: this.#lastEvent,
      drawTrace: (worker, width) =>
        this.#known.get(worker)?.trace.draw(now, width) ?? "",
    };
  }

  /** Counts the heartbeats since the last look, and forgets who is not there. */
  #take(workers: ListedWorker[], now: number) {
    const before = this.#known;
    this.#known = new Map();
    for (const row of workers) {
      const known = before.get(row.worker);
      const trace = known?.trace ?? this.#createTrace();
      const count = countBeats(known?.row, row);
      if (count > 0) trace.beat(now, count);
      this.#known.set(row.worker, { trace, row: { ...row } });
    }
  }

  #createTrace() {
    return new BeatTrace({ length: TRACE_CELLS, cellMs: this.#cellMs });
  }
}

/** How many heartbeats came between two looks: more than one only if they are counted. */
function countBeats(before: ListedWorker | undefined, row: ListedWorker) {
  if (before === undefined) return row.state === "up" ? 1 : 0;
  const count = (row.seq ?? NaN) - (before.seq ?? NaN);
  if (count > 0) return count;
  return row.lastSeen !== before.lastSeen || row.seq !== before.seq ? 1 : 0;
}
