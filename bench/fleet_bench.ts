// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the table is the product

/**
 * What a fleet costs per worker and per heartbeat, from a thousand workers to a
 * million, compared with one `HeartbeatMonitor` each and with a scan of a `Map`;
 * then whether the verdicts on a million workers come in time.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FleetMonitor } from "../fleet.ts";
import { HeartbeatMonitor } from "../monitor.ts";
import type { Heartbeat } from "../worker.ts";
import {
  candidate,
  compare,
  judge,
  median,
  type Outcome,
  type Row,
} from "./_measure.ts";

const SIZES = [1_000, 10_000, 100_000, 1_000_000] as const;
const LARGEST = 1_000_000;
/** One stream each is too slow for more workers than this, and for all heartbeats. */
const STREAMS = 10_000;
const SLOW = 0.05;
/** How many heartbeats come through the stream. */
const BEATS = 1_000_000;
const BATCH = 1_000;
const TIMEOUT = 3_000;
const HOUR = 3_600_000;

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function memory() {
  gc();
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

function namesOf(size: number) {
  return Array.from({ length: size }, (_, i) => `worker-${i}`);
}

/** Shuffles an array, so that caches cannot help. */
function shuffle(order: Uint32Array) {
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
}

/** Something that takes heartbeats. */
interface Watcher {
  beat(index: number): unknown;
  end(): unknown;
}

type Make = (names: string[]) => Watcher;

function drained(fleet: FleetMonitor) {
  fleet.readable.pipeTo(new WritableStream());
  return fleet;
}

/** What a user would write: a `Map` by name, and an interval that scans it. */
function startScan(names: string[]): Watcher {
  const seen = new Map<string, number>();
  const timer = setInterval(() => {
    const now = Date.now();
    for (const at of seen.values()) if (now - at > HOUR) throw new Error();
  }, TIMEOUT / 30);
  return {
    beat: (index) => seen.set(names[index]!, Date.now()),
    end: () => clearInterval(timer),
  };
}

const [HANDLE, NAMED, SCAN, STREAM] = [
  "**`handle.beat()`**",
  "**`fleet.beat()`**",
  "a `Map` and a scan",
  "a `HeartbeatMonitor` each",
] as const;

const WATCHERS: Record<string, Make> = {
  [HANDLE]: (names) => {
    const fleet = drained(new FleetMonitor({ timeout: HOUR }));
    const handles = names.map((name) => fleet.handle(name));
    return {
      beat: (index) => handles[index]!.beat(1),
      end: () => fleet.writable.close(),
    };
  },
  [NAMED]: (names) => {
    const fleet = drained(new FleetMonitor({ timeout: HOUR }));
    return {
      beat: (index) => fleet.beat(names[index]!, 1),
      end: () => fleet.writable.close(),
    };
  },
  [SCAN]: startScan,
  [STREAM]: (names) => {
    const writers = names.map(() => {
      const monitor = new HeartbeatMonitor<number>({ timeout: HOUR });
      monitor.readable.pipeTo(new WritableStream()).catch(() => {});
      return monitor.writable.getWriter();
    });
    return {
      beat: (index) => writers[index]!.write(index),
      end: () => Promise.all(writers.map((writer) => writer.close())),
    };
  },
};

/** Starts a watcher, and measures the bytes per worker. */
async function build(name: string, size: number) {
  const before = memory();
  // a name is part of what a fleet holds
  const watcher = WATCHERS[name]!(namesOf(size));
  for (let i = 0; i < size; i++) watcher.beat(i);
  // its events may wait
  for (let start = -Infinity; performance.now() - start > 100;) {
    start = performance.now();
    await watcher.beat(0);
    await rest(1);
  }
  return { name, watcher, bytes: (memory() - before) / size };
}

/** Sends heartbeats to a watcher, in this order, again and again. */
function beating({ name, watcher }: Built, order: Uint32Array) {
  let at = 0;
  return candidate(name, async (length) => {
    let last: unknown;
    for (let i = 0; i < length; i++) {
      last = watcher.beat(order[at++ % order.length]!);
      if (i % BATCH === 0 && last instanceof Promise) await last;
    }
    await last;
    return length;
  }, name === STREAM ? SLOW : 1);
}

type Built = Awaited<ReturnType<typeof build>>;

/** Measures all watchers for a fleet of one size. */
async function measure(size: number) {
  const all: Built[] = [];
  for (const name of [HANDLE, NAMED, SCAN, STREAM]) {
    if (name !== STREAM || size <= STREAMS) all.push(await build(name, size));
  }
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  const rows: Row[] = [];
  const costs = new Map(all.map(({ name }) => [name, [] as string[]]));
  for (const per of ["heartbeat", "heartbeat, at random"]) {
    const candidates = all.map((each) => beating(each, order));
    rows.push(
      ...await compare(
        `${per}, ${size.toLocaleString("en")} workers`,
        candidates[2]!,
        candidates,
      ),
    );
    for (const each of candidates) {
      costs.get(each.name)!.push(median(each.costs).toFixed(0));
    }
    shuffle(order);
  }
  const scan = all[2]!.bytes;
  for (const { name, bytes } of all) {
    // for smaller fleets, the noise is as large
    if (size < 10_000) continue;
    rows.push({
      per: `memory, ${size.toLocaleString("en")} workers`,
      name,
      ratio: bytes / scan,
      baseline: SCAN,
    });
  }
  for (const { watcher } of all) await watcher.end();
  const stream = await measureStream(size);
  const cells = all.flatMap(({ name, bytes }) => [
    costs.get(name)!.join(" / "),
    bytes.toFixed(0),
  ]);
  console.log(`| ${[size, stream.toFixed(0), ...cells].join(" | ")} |`);
  return { rows, bytes: all[1]!.bytes, stream };
}

/** The ns per heartbeat through the stream, in batches whose names are new strings, as from a network. */
async function measureStream(size: number) {
  const fleet = drained(new FleetMonitor({ timeout: HOUR }));
  const writer = fleet.writable.getWriter();
  const names = namesOf(size);
  let [seq, spent, count] = [0, 0, 0];
  const portion = Math.min(size, 100_000);
  for (let at = 0; count < BEATS; at = (at + portion) % size) {
    const batches: Heartbeat[][] = [];
    for (let from = at; from < at + portion; from += BATCH) {
      const beats = names.slice(from, from + BATCH)
        .map((worker) => ({ worker, seq: ++seq, time: Date.now() }));
      batches.push(JSON.parse(JSON.stringify(beats)));
    }
    // the first round warms up, and adds the workers
    const warm = seq > size;
    const start = performance.now();
    for (const batch of batches) await writer.write(batch);
    if (!warm) continue;
    spent += performance.now() - start;
    count += portion;
    await rest(0);
  }
  await writer.close();
  return spent * 1e6 / count;
}

/** The ns per heartbeat by name, one worker after the other, with nothing else in memory. */
async function measureBeats(size: number) {
  const fleet = drained(new FleetMonitor({ timeout: HOUR }));
  const names = namesOf(size);
  const costs: number[] = [];
  for (let round = 0; round <= 5; round++) {
    const start = performance.now();
    for (let i = 0; i < size; i++) fleet.beat(names[i]!, round);
    // the first round adds the workers, with an event for each
    if (round > 0) costs.push((performance.now() - start) * 1e6 / size);
    else await rest(2_000);
  }
  await fleet.writable.close();
  return median(costs);
}

/** The ms of CPU that a fleet uses whose workers beat once a second. */
async function measureIdle(size: number, timeout: number) {
  const fleet = drained(new FleetMonitor({ timeout }));
  const handles = namesOf(size).map((name) => fleet.handle(name));
  for (const handle of handles) handle.beat();
  const SECONDS = 6;
  const STEP = 10;
  await rest(500);
  gc();
  const { user, system } = cpuUsage();
  const start = performance.now();
  let sent = 0;
  for (let now = 0; now < SECONDS * 1_000; now = performance.now() - start) {
    const due = Math.floor(now * size / 1_000);
    for (; sent < due; sent++) handles[sent % size]!.beat(sent);
    await rest(STEP);
  }
  const spent = cpuUsage({ user, system });
  await fleet.writable.close();
  return (spent.user + spent.system) / 1_000 / SECONDS;
}

/** 1 % of a fleet that beats once a second falls silent at once: who is reported, and when. */
async function measureVerdicts(size: number) {
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const handles = namesOf(size).map((name) => fleet.handle(name));
  const lastBeat = new Float64Array(size);
  const late: number[] = [];
  let wrong = 0;
  const listening = fleet.readable.pipeTo(
    new WritableStream({
      write({ type, worker }) {
        if (type !== "down") return;
        const index = Number(worker.slice("worker-".length));
        if (index % 100 !== 0) wrong++;
        late.push(performance.now() - lastBeat[index]! - TIMEOUT);
      },
    }),
  );
  // before it begins, all `up` events are read, and the absence that this takes is over
  for (const handle of handles) handle.beat();
  await rest(TIMEOUT / 2);
  const start = performance.now();
  const SILENCE = 2 * TIMEOUT;
  let sent = 0;
  for (let now = 0; now < 2 * SILENCE; now = performance.now() - start) {
    const due = Math.floor(now * size / 1_000);
    for (; sent < due; sent++) {
      const index = sent % size;
      if (now > SILENCE && index % 100 === 0) continue;
      handles[index]!.beat(sent);
      lastBeat[index] = performance.now();
    }
    await rest(5);
  }
  await fleet.writable.close();
  await listening;
  return {
    reported: late.length,
    expected: Math.ceil(size / 100),
    wrong,
    earliest: Math.min(...late),
    latest: Math.max(...late),
  };
}

/** Whether a row belongs in the table of all benches: the curve, and the extremes of the rest. */
function belongsInTable({ per, name }: Row) {
  if (name === SCAN) return false;
  if (name === STREAM) return per.includes("10,000") && !/random/.test(per);
  return /^heartbeat, \d/.test(per) || per.includes("1,000,000");
}

function printHead() {
  const names = [HANDLE, NAMED, SCAN, STREAM];
  console.log(
    `ns a heartbeat, in turn / at random, and bytes a worker:

| workers | by the stream | ${
      names.map((name) => `${name} | bytes`).join(" | ")
    } |
| ---: |${" ---: |".repeat(2 * names.length + 1)}`,
  );
}

function judgeCosts(bytes: number, stream: number, named: number) {
  return [
    judge(`${bytes.toFixed(0)} bytes a worker, at most 300`, bytes <= 300),
    judge(
      `${(1e3 / named).toFixed(1)} million beat() a second, at least 5`,
      named <= 200,
    ),
    judge(
      `${(1e3 / stream).toFixed(1)} million a second in batches, at least 1`,
      stream <= 1_000,
    ),
  ];
}

async function judgeIdle() {
  const watched = await measureIdle(LARGEST, TIMEOUT);
  const unwatched = await measureIdle(LARGEST, Infinity);
  return judge(
    `watching a million workers that beat once a second takes ${
      ((watched - unwatched) / 10).toFixed(1)
    } % of a core beyond the beats (${
      (unwatched / 10).toFixed(1)
    } %), below 10`,
    watched - unwatched < 100,
  );
}

async function judgeVerdicts() {
  const { reported, expected, wrong, earliest, latest } = await measureVerdicts(
    LARGEST,
  );
  return judge(
    `1 % silent at once: ${reported} of ${expected} reported and ${wrong} others, from ${
      earliest.toFixed(0)
    } to ${latest.toFixed(0)} ms after the timeout, from 0 to ${TIMEOUT / 10}`,
    reported === expected && wrong === 0 && earliest >= 0 &&
      latest <= TIMEOUT / 10,
  );
}

/** Runs the bench. */
export async function run(): Promise<Outcome> {
  printHead();
  const rows: Row[] = [];
  let last!: Awaited<ReturnType<typeof measure>>;
  for (const size of SIZES) {
    last = await measure(size);
    rows.push(...last.rows.filter(belongsInTable));
  }
  const named = await measureBeats(LARGEST);
  const targets = [
    ...judgeCosts(last.bytes, last.stream, named),
    await judgeIdle(),
    await judgeVerdicts(),
  ];
  return { rows, targets };
}
