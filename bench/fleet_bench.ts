// deno-lint-ignore-file no-console -- the table is the product

/**
 * What a fleet costs per worker and per heartbeat, from a thousand workers to a
 * million, beside one `HeartbeatMonitor` each and a scan of a `Map`, in one run;
 * then whether the verdicts on a million workers come in time. The first argument
 * is the largest fleet.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FleetMonitor } from "../fleet.ts";
import { HeartbeatMonitor } from "../monitor.ts";
import type { Heartbeat } from "../worker.ts";

const LARGEST = Number(Deno.args[0] ?? 1_000_000);
const SIZES = [1_000, 10_000, 100_000, 1_000_000].filter((n) => n <= LARGEST);
/** How many heartbeats a figure is taken from. */
const BEATS = 1_000_000;
/** A stream each is too slow for more workers, and heartbeats. */
const STREAMS = 10_000;
const BATCH = 1_000;
const ROUNDS = 3;
const TIMEOUT = 3_000;
const HOUR = 3_600_000;

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function median(values: number[]) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function memory() {
  gc();
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

function namesOf(size: number) {
  return Array.from({ length: size }, (_, i) => `worker-${i}`);
}

function shuffled(order: Uint32Array) {
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** What a candidate is: made for some workers, told of heartbeats, and ended. */
interface Candidate {
  beat(index: number): unknown;
  end(): unknown;
}

type Make = (names: string[]) => Candidate | Promise<Candidate>;

function drained(fleet: FleetMonitor) {
  fleet.readable.pipeTo(new WritableStream());
  return fleet;
}

/** By name, as somebody would write it: a `Map`, and an interval that scans it. */
function startScan(names: string[]): Candidate {
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

const STREAM = "a `HeartbeatMonitor` each";

const CANDIDATES: Record<string, Make> = {
  "`beat()` of a handle": (names) => {
    const fleet = drained(new FleetMonitor({ timeout: HOUR }));
    const handles = names.map((name) => fleet.handle(name));
    return {
      beat: (index) => handles[index]!.beat(1),
      end: () => fleet.writable.close(),
    };
  },
  "`fleet.beat()`": (names) => {
    const fleet = drained(new FleetMonitor({ timeout: HOUR }));
    return {
      beat: (index) => fleet.beat(names[index]!, 1),
      end: () => fleet.writable.close(),
    };
  },
  "a `Map` and a scan": startScan,
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

interface Cost {
  bytes: number;
  /** The ns of a heartbeat, where the workers beat in the order in which they came. */
  inTurn: number;
  /** The ns of a heartbeat, where they beat in an order that no cache foresees. */
  atRandom: number;
}

/** The ns of a heartbeat. */
async function time(candidate: Candidate, order: Uint32Array, beats: number) {
  const costs: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    let last: unknown;
    for (let i = 0; i < beats; i++) {
      last = candidate.beat(order[i % order.length]!);
      if (i % BATCH === 0 && last instanceof Promise) await last;
    }
    await last;
    // the first round is the warm-up
    if (round > 0) costs.push((performance.now() - start) * 1e6 / beats);
    await rest(0);
  }
  return median(costs);
}

async function measure(make: Make, size: number): Promise<Cost> {
  const before = memory();
  // a name is part of what a fleet holds
  const candidate = await make(namesOf(size));
  for (let i = 0; i < size; i++) candidate.beat(i);
  await rest(0);
  while (await isBusy(candidate));
  const bytes = (memory() - before) / size;
  const beats = make === CANDIDATES[STREAM] ? 10 * STREAMS : BEATS;
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  const inTurn = await time(candidate, order, beats);
  const atRandom = await time(candidate, shuffled(order), beats);
  await candidate.end();
  return { bytes, inTurn, atRandom };
}

/** Whether what was written is still on its way. */
async function isBusy(candidate: Candidate) {
  const start = performance.now();
  await candidate.beat(0);
  await rest(1);
  return performance.now() - start > 100;
}

/** The ns of a heartbeat that comes by the stream, in batches as they come from a wire: with names of their own. */
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
    // the first time through is the warm-up, and makes the members
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

/** The ms of CPU that a fleet takes which beats once a second. */
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

/** 1 % of a fleet that beats once a second goes silent at once: who is reported, and when. */
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
  // all the `up` are told, and the excuse for that is over, before it begins
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

console.log(
  `Deno ${Deno.version.deno}, median of ${ROUNDS} rounds of ${BEATS} heartbeats: ns each, in turn / at random; bytes a worker

| workers | ${
    Object.keys(CANDIDATES).flatMap((name) => [name, "bytes"]).join(" | ")
  } | by the stream, in batches |
| ---: |${" ---: |".repeat(2 * Object.keys(CANDIDATES).length + 1)}`,
);
const curve: { size: number; costs: Record<string, Cost>; stream: number }[] =
  [];
for (const size of SIZES) {
  const costs: Record<string, Cost> = {};
  for (const [name, make] of Object.entries(CANDIDATES)) {
    if (name === STREAM && size > STREAMS) continue;
    costs[name] = await measure(make, size);
  }
  const stream = await measureStream(size);
  curve.push({ size, costs, stream });
  const cells = Object.keys(CANDIDATES).flatMap((name) => {
    const cost = costs[name];
    if (!cost) return ["", ""];
    const { inTurn, atRandom, bytes } = cost;
    const figures = `${inTurn.toFixed(0)} / ${atRandom.toFixed(0)}`;
    return [figures, bytes.toFixed(0)];
  });
  console.log(`| ${[size, ...cells, stream.toFixed(0)].join(" | ")} |`);
}

let missed = 0;
function judge(what: string, met: boolean) {
  if (!met) missed++;
  console.log(`${met ? "met" : "NOT met"}: ${what}`);
}

const { size, costs, stream } = curve.at(-1)!;
const [handle, named, scan] = Object.values(costs) as [Cost, Cost, Cost];
console.log(`\nAt ${size} workers:`);
judge(
  `${named.bytes.toFixed(0)} bytes a worker, at most 300`,
  named.bytes <= 300,
);
judge(
  `${(1e3 / named.inTurn).toFixed(1)} million beat() a second, at least 5`,
  named.inTurn <= 200,
);
judge(
  `${(1e3 / stream).toFixed(1)} million a second in batches, at least 1`,
  stream <= 1_000,
);
console.log(
  `a handle costs ${
    (handle.inTurn / scan.inTurn).toFixed(2)
  } × the Map, beat() ${(named.inTurn / scan.inTurn).toFixed(2)} ×; at random ${
    (handle.atRandom / scan.atRandom).toFixed(2)
  } × and ${(named.atRandom / scan.atRandom).toFixed(2)} ×`,
);
const each = curve.findLast(({ costs }) => STREAM in costs)!;
const [, one, , streams] = Object.values(each.costs) as Cost[];
console.log(
  `a HeartbeatMonitor each costs ${
    (streams!.inTurn / one!.inTurn).toFixed(0)
  } × the time and ${
    (streams!.bytes / one!.bytes).toFixed(0)
  } × the memory at ${each.size} workers`,
);

const [watched, unwatched] = [
  await measureIdle(size, TIMEOUT),
  await measureIdle(size, Infinity),
];
judge(
  `watching ${size} workers that beat once a second takes ${
    ((watched - unwatched) / 10).toFixed(1)
  } % of a core beyond the beats (${(unwatched / 10).toFixed(1)} %), below 10`,
  watched - unwatched < 100,
);
const { reported, expected, wrong, earliest, latest } = await measureVerdicts(
  size,
);
judge(
  `1 % silent at once: ${reported} of ${expected} reported and ${wrong} others, from ${
    earliest.toFixed(0)
  } to ${latest.toFixed(0)} ms after the timeout, from 0 to ${TIMEOUT / 10}`,
  reported === expected && wrong === 0 && earliest >= 0 &&
    latest <= TIMEOUT / 10,
);
if (missed > 0) Deno.exit(1);
