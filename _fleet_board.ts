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
/** How long (ms) a worker that has left is shown. */
const LEFT_MS = 60_000;

const ORDER: Record<ShownState, number> = {
  down: 0,
  expected: 1,
  up: 2,
  left: 3,
};

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
  /** Those that have left, and when. */
  readonly #left = new Map<string, { row: ListedWorker; time: number }>();
  #blind: string | undefined;
  #lastEvent = "";

  constructor(options: FleetBoardOptions) {
    this.#options = options;
    const cellMs = 2 * options.timeout / TRACE_CELLS;
    this.#cellMs = Math.min(Math.max(cellMs, MIN_CELL_MS), MAX_CELL_MS);
  }

  /** Something happened; `text` says what, and `line` also when. */
  onEvent({ type, time, worker }: BoardEvent, text: string, line = text) {
    this.#lastEvent = line;
    if (type === "blind") this.#blind = text;
    if (type === "sees") this.#blind = undefined;
    if (type !== "left" || worker === undefined) return;
    const row = this.#known.get(worker)?.row ?? { worker, state: "left" };
    this.#left.set(worker, { row: { ...row, state: "left" }, time });
  }

  /** Looks at the fleet. */
  look(now: number): TableContent {
    const { title, fleet } = this.#options;
    const counts = { down: 0, expected: 0, up: 0, left: 0 };
    const silent: ListedWorker[] = [];
    const others: ListedWorker[] = [];
    for (const worker of fleet) {
      counts[worker.state]++;
      const list = worker.state === "up" ? others : silent;
      if (list.length < MAX_KNOWN) list.push(worker);
    }
    const listed = [...silent, ...others].slice(0, MAX_KNOWN);
    const left = this.#takeLeft(listed, now);
    counts.left += left.length;
    this.#take(listed, now);
    const workers = [...listed, ...left].sort((a, b) =>
      ORDER[a.state] - ORDER[b.state] || compare(a.worker, b.worker)
    );
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

  /** Those that have left a short time ago, and are not back. */
  #takeLeft(listed: ListedWorker[], now: number): ListedWorker[] {
    if (this.#left.size === 0) return [];
    const there = new Set(listed.map(({ worker }) => worker));
    for (const [worker, { time }] of this.#left) {
      const isOver = now - time > LEFT_MS || there.has(worker);
      if (isOver) this.#left.delete(worker);
    }
    return [...this.#left.values()].map(({ row }) => row);
  }
}

/** How many heartbeats came between two looks: more than one only if they are counted. */
function countBeats(before: ListedWorker | undefined, row: ListedWorker) {
  if (before === undefined) return row.state === "up" ? 1 : 0;
  const count = (row.seq ?? NaN) - (before.seq ?? NaN);
  if (count > 0) return count;
  return row.lastSeen !== before.lastSeen || row.seq !== before.seq ? 1 : 0;
}
