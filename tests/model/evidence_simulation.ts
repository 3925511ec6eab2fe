// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The evidence policy on a virtual event loop: turns that block, a process that
 * is stopped, a wall clock that is set, and a producer that beats from outside.
 *
 * `deno run -A tests/model/evidence_simulation.ts` prints the table of
 * lag × timeout → verdict; `--write` puts the rows of 3 s into
 * `docs/guarantees.md`.
 *
 * @module
 */

import { SilenceEvidence } from "../../_evidence.ts";
import { FleetClock } from "../../_fleet_clock.ts";
import { format, writeBlock } from "../../bench/_doc_blocks.ts";
import { mulberry32 } from "../_help.ts";

/** How long (ms) one turn of the loop blocks; it is asked once a turn. */
export type Lag = (turn: number, random: () => number) => number;

/** What happens. All times are in milliseconds from the start. */
export interface Scenario {
  timeout: number;
  seed: number;
  /** What is simulated: a monitor of one stream, or one worker of a fleet, by `FleetClock`. */
  watcher: "monitor" | "fleet" | "fleet by beat()";
  lag: Lag;
  /** How much later than planned each timer fires, although the loop is free. */
  timerLag?: Lag;
  /** When the producer beats. */
  beats: number[];
  /** When chunks come that are no heartbeats, for a monitor. */
  pings?: number[];
  /** When the process does not run: from, to; in order. */
  stops?: [number, number][];
  /** For how long a beat waits in a running process before it is read. */
  latency?: number;
  /** Adds to the wall clock, from a time on. */
  wallSteps?: { at: number; by: number }[];
  /** Ends without a verdict. */
  until: number;
}

/** What came of it. */
export interface Outcome {
  /** When the stall was reported, if it was. */
  verdict?: number;
  /** When the last heartbeat was read before it; 0 if none was. */
  lastRead: number;
  /** The longest time for which the loop was blocked, or a timer late. */
  longestLag: number;
}

/** The part of a watcher that the loop needs. */
interface Watcher {
  /** When its timer is due, by real time. */
  due: number;
  read(time: number): void;
  /** A chunk that is no heartbeat is read. */
  ping(time: number): void;
  /** Returns whether it reports a stall. */
  fire(time: number): boolean;
}

function createMonitor(timeout: number, wall: (time: number) => number) {
  const evidence = new SilenceEvidence(timeout, wall(0));
  let due = 0;
  const watcher: Watcher = {
    due: 0,
    read: (time) => evidence.begin(wall(time)),
    ping(time) {
      evidence.pause(due, wall(time));
      evidence.resume(wall(time));
    },
    fire(time) {
      if (evidence.check(due, wall(time)) === "stalled") return true;
      plan(time);
      return false;
    },
  };
  function plan(time: number) {
    const delay = evidence.plan();
    due = wall(time) + delay;
    watcher.due = time + delay;
  }
  plan(0);
  return watcher;
}

/** One worker of a fleet with the default resolution, whose heartbeats come in batches, or one by one. */
function createFleet(
  timeout: number,
  wall: (time: number) => number,
  isBatch: boolean,
) {
  const clock = new FleetClock(timeout, Math.max(timeout / 10, 10));
  clock.start(wall(0));
  let position = 0;
  const watcher: Watcher = {
    due: clock.period,
    read(time) {
      if (isBatch || clock.mustRead) clock.read(wall(time));
      position = clock.position;
      if (isBatch) clock.endRead();
    },
    ping() {},
    fire(time) {
      clock.tick(wall(time));
      watcher.due = time + clock.period;
      return position <= clock.limit();
    },
  };
  watcher.read(0);
  return watcher;
}

const CREATE: Record<
  Scenario["watcher"],
  (timeout: number, wall: (time: number) => number) => Watcher
> = {
  "monitor": createMonitor,
  "fleet": (timeout, wall) => createFleet(timeout, wall, true),
  "fleet by beat()": (timeout, wall) => createFleet(timeout, wall, false),
};

/** A virtual event loop, with one timer and one input. */
class EventLoop {
  #scenario: Scenario;
  #random: () => number;
  #watcher: Watcher;
  #time = 0;
  #timers = 0;
  /** When the timer fires. */
  #fires = 0;
  #nextChunk = 0;
  /** What the producer sends, in order. */
  #chunks: { at: number; isHeartbeat: boolean }[];
  #nextStop = 0;
  #readableFrom = -Infinity;
  #outcome: Outcome = { lastRead: 0, longestLag: 0 };

  constructor(scenario: Scenario) {
    const { seed, wallSteps = [], watcher, timeout } = scenario;
    const { beats, pings = [] } = scenario;
    this.#scenario = scenario;
    this.#chunks = [
      ...beats.map((at) => ({ at, isHeartbeat: true })),
      ...pings.map((at) => ({ at, isHeartbeat: false })),
    ].sort((a, b) => a.at - b.at);
    this.#random = mulberry32(seed);
    const wall = (time: number) =>
      Math.floor(
        wallSteps.reduce(
          (sum, { at, by }) => at <= time ? sum + by : sum,
          time,
        ),
      );
    const create = CREATE[watcher];
    this.#watcher = create(timeout, wall);
  }

  run(): Outcome {
    const { lag, until } = this.#scenario;
    this.#setTimer();
    for (let turn = 0; this.#time < until; turn++) {
      const block = lag(turn, this.#random);
      this.#noteLag(block);
      this.#passTo(
        block > 0
          ? this.#time + block
          : Math.min(this.#fires, this.#nextArrival()),
      );
      const isTimerFirst = this.#random() < 0.5;
      if (!isTimerFirst) this.#readAll();
      if (this.#fireTimer()) return { ...this.#outcome, verdict: this.#time };
      if (isTimerFirst) this.#readAll();
    }
    return this.#outcome;
  }

  #noteLag(lag: number) {
    this.#outcome.longestLag = Math.max(this.#outcome.longestLag, lag);
  }

  #nextArrival(): number {
    const { latency = 0 } = this.#scenario;
    const { at = Infinity } = this.#chunks[this.#nextChunk] ?? {};
    return Math.max(at + latency, this.#readableFrom);
  }

  /** Lets time pass to `time`, and further if the process is stopped meanwhile. */
  #passTo(time: number) {
    const { stops = [], latency = 0 } = this.#scenario;
    this.#time = Math.max(this.#time, time);
    while (this.#nextStop < stops.length) {
      const [from, end] = stops[this.#nextStop]!;
      if (from > this.#time) return;
      this.#nextStop++;
      if (end <= this.#time) continue;
      this.#noteLag(end - from);
      this.#time = end;
      // what came meanwhile waits for the loop
      this.#readableFrom = end + latency;
    }
  }

  #readAll() {
    while (this.#nextArrival() <= this.#time) {
      const { isHeartbeat } = this.#chunks[this.#nextChunk++]!;
      if (isHeartbeat) {
        this.#outcome.lastRead = this.#time;
        this.#watcher.read(this.#time);
      } else this.#watcher.ping(this.#time);
    }
  }

  /** Fires the timer if it is due; returns whether that reports a stall. */
  #fireTimer(): boolean {
    if (this.#time < this.#fires) return false;
    this.#noteLag(this.#time - this.#watcher.due);
    if (this.#watcher.fire(this.#time)) return true;
    this.#setTimer();
    return false;
  }

  /** Every timer is late by a little. */
  #setTimer() {
    const { timerLag = () => 0 } = this.#scenario;
    const lag = timerLag(this.#timers++, this.#random);
    this.#noteLag(lag);
    const due = Math.max(this.#watcher.due, this.#time);
    this.#fires = due + 1.5 * this.#random() + lag;
  }
}

/** Runs a scenario to its verdict, or to its end. */
export function simulate(scenario: Scenario): Outcome {
  return new EventLoop(scenario).run();
}

/** Lags of up to `most`, by their pattern. */
export const PATTERNS: Record<string, (most: number) => Lag> = {
  constant: (most) => () => most,
  alternating: (most) => (turn) => turn % 2 === 0 ? 0 : most,
  bursty: (most) => (turn) => turn % 25 < 5 ? most : 0,
  random: (most) => (_, random) => most * random(),
  growing: (most) => (turn) => Math.min(most, most * 1.9 ** (turn - 10)),
};

/** A producer that beats five times a timeout from a thread or a process, until `end`. */
export function regularBeats(timeout: number, end: number): number[] {
  const every = timeout / 5;
  const count = Math.max(Math.floor(end / every), 0);
  return Array.from({ length: count }, (_, i) => (i + 1) * every);
}

/** When a process is stopped and continued, `count` times, each stop of another length. */
export function stopCycles(
  timeout: number,
  count: number,
  random: () => number,
): [number, number][] {
  let time = 0;
  return Array.from({ length: count }, () => {
    const from = time + 20 + 2 * timeout * random() ** 2;
    time = from + timeout * 10 ** (2 * random() - 1);
    return [from, time];
  });
}

/** The lags that the table shows, in timeouts. */
export const LAGS = [0, 0.05, 0.125, 0.2, 1 / 3, 0.5, 1, 2, 5, 10];
/** The timeouts that the table shows, in milliseconds. */
export const TIMEOUTS = [300, 3_000, 30_000];

/** A row of the table: one lag, one timeout, one watcher, over many runs. */
export interface Row {
  watcher: Scenario["watcher"];
  pattern: string;
  lag: number;
  timeout: number;
  /** The latest verdict after the last heartbeat was read, in timeouts. */
  worst: number;
  /** How many verdicts came before the timeout. */
  early: number;
  verdicts: number;
  falseAlarms: number;
  /** How many runs with a healthy producer there were. */
  healthy: number;
}

/** Simulates one cell of the table, `runs` times with and without a stall. */
export function measure(
  watcher: Scenario["watcher"],
  pattern: string,
  lag: number,
  timeout: number,
  runs: number,
): Row {
  const row: Row = {
    ...{ watcher, pattern, lag, timeout, worst: 0, early: 0 },
    ...{ verdicts: 0, falseAlarms: 0, healthy: 0 },
  };
  const random = mulberry32(runs + timeout);
  for (let seed = 1; seed <= runs; seed++) {
    const make = PATTERNS[pattern]!(lag * timeout);
    const kind = random() < 0.5
      ? { lag: make }
      : { lag: () => 0, timerLag: make };
    const base = { timeout, seed, watcher, ...kind };
    const end = random() * 30 * timeout;
    const until = 200 * timeout * Math.max(lag, 1);
    const dead = simulate({
      ...base,
      beats: regularBeats(timeout, end).map((beat) => beat + seed % 7),
      until,
    });
    row.verdicts++;
    const silence = (dead.verdict ?? Infinity) - dead.lastRead;
    row.worst = Math.max(row.worst, silence / timeout);
    // Date.now() counts whole milliseconds
    if (silence < timeout - 1) row.early++;
    row.healthy++;
    const length = 40 * timeout * Math.max(lag, 1);
    const alive = simulate({
      ...base,
      beats: regularBeats(timeout, 2 * length),
      until: length,
    });
    if (alive.verdict !== undefined) row.falseAlarms++;
  }
  return row;
}

/** The table in Markdown. */
export function* table(runs: number): Generator<string> {
  const patterns = Object.keys(PATTERNS);
  yield `| watcher | timeout | lag / timeout | ${
    patterns.join(" | ")
  } | early | false alarms |`;
  yield `| --- | ---: | ---: | ${
    patterns.map(() => "---: |").join(" ")
  } ---: | ---: |`;
  for (const watcher of ["monitor", "fleet"] as const) {
    for (const timeout of TIMEOUTS) {
      for (const lag of LAGS) {
        const rows = patterns.map((pattern) =>
          measure(watcher, pattern, lag, timeout, runs)
        );
        const sum = (key: "early" | "verdicts" | "falseAlarms" | "healthy") =>
          rows.reduce((total, row) => total + row[key], 0);
        yield `| ${watcher} | ${timeout} ms | ${Number(lag.toFixed(3))} | ${
          rows.map(({ worst }) => worst.toFixed(2)).join(" | ")
        } | ${sum("early")} of ${sum("verdicts")} | ${sum("falseAlarms")} of ${
          sum("healthy")
        } |`;
      }
    }
  }
}

if (import.meta.main) {
  const runs = Number(Deno.args.find((arg) => /^\d+$/.test(arg)) ?? 100);
  const lines: string[] = [];
  for (const line of table(runs)) {
    // deno-lint-ignore no-console -- the table is the product
    console.log(line);
    lines.push(line);
  }
  if (Deno.args.includes("--write")) {
    const [title, rule, ...rows] = lines;
    const shown = rows.filter((row) => row.includes("| 3000 ms |"));
    const block = await format([title, rule, ...shown].join("\n"));
    await writeBlock("guarantees.md", "evidence", block);
  }
}
