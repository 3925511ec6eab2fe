// deno-lint-ignore-file no-console -- the table is the product

/**
 * What it costs per chunk to pass a stream through a monitor, beside what
 * users would take instead, in one interleaved run. The first argument is the
 * number of chunks; with `--v8-flags=--expose-gc` no candidate pays for the
 * garbage of the one before it.
 *
 * @module
 */

import { deadline } from "@std/async/deadline";
import pTimeout from "npm:p-timeout@6.1.4";
import { Observable, timeout } from "npm:rxjs@7.8.2";
import { HeartbeatMonitor } from "../monitor.ts";

const CHUNKS = Number(Deno.args[0] ?? 1_000_000);
const TIMEOUT = 30_000;
/** `deadline()` leaves a timer per chunk behind: short ones, waited out before the others run. */
const DEADLINE = 250;
const ROUNDS = 5;
/** How often the candidates take turns in a round, so that the machine's noise meets them all. */
const SLICES = 10;
/** The share of the chunks that a slow candidate passes. */
const SLOW = 0.1;

type Source = ReadableStream<number>;
type Read = Promise<ReadableStreamReadResult<number>>;

function createSource(length: number): Source {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      if (next < length) controller.enqueue(next++);
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

async function drain(source: Source, guard?: (read: Read) => Read) {
  const reader = source.getReader();
  for (let count = 0;; count++) {
    const read = reader.read();
    if ((await (guard ? guard(read) : read)).done) return count;
  }
}

/** Drains through what `create` returns. */
function piped(create: () => TransformStream<number, number>) {
  return (source: Source) => drain(source.pipeThrough(create()));
}

/** Drains by an `Observable` of its own, which is faster than RxJS's `from(source)`. */
async function observed(source: Source) {
  let count = 0;
  await new Observable<number>((subscriber) => {
    const reader = source.getReader();
    (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return subscriber.complete();
        subscriber.next(value);
      }
    })().catch((error) => subscriber.error(error));
    return () => void reader.cancel().catch(() => {});
  }).pipe(timeout({ each: TIMEOUT })).forEach(() => void count++);
  return count;
}

/** A transform stream with the queues of the monitor. */
function transform(transformer: Transformer<number, number>) {
  const [writable, readable] = [{ highWaterMark: 4 }, { highWaterMark: 0 }];
  return new TransformStream(transformer, writable, readable);
}

function createNaiveMonitor() {
  let timer: ReturnType<typeof setTimeout>;
  function start(controller: TransformStreamDefaultController<number>) {
    timer = setTimeout(() => controller.error(new Error("silence")), TIMEOUT);
  }
  return transform({
    start,
    transform(chunk, controller) {
      clearTimeout(timer);
      start(controller);
      controller.enqueue(chunk);
    },
    flush: () => clearTimeout(timer),
    cancel: () => clearTimeout(timer),
  });
}

/** `rest`: how long (ms) what it leaves behind lasts. */
function candidate(
  name: string,
  run: (source: Source) => Promise<number>,
  share = 1,
  rest = 0,
) {
  const length = Math.ceil(CHUNKS * share / SLICES);
  return { name, run, length, rest, costs: [] as number[] };
}

const baseline = candidate(
  "one-line `transform()`",
  piped(() => transform({ transform: (chunk, c) => c.enqueue(chunk) })),
);
const monitor = candidate(
  "**`HeartbeatMonitor`**",
  piped(() => new HeartbeatMonitor({ timeout: TIMEOUT })),
);
const naive = candidate(
  "naive monitor: a timer per chunk",
  piped(createNaiveMonitor),
  SLOW,
);
const candidates = [
  candidate("bare source", drain),
  candidate("identity `TransformStream`", piped(() => new TransformStream())),
  baseline,
  monitor,
  candidate(
    "`HeartbeatMonitor` with `isHeartbeat`",
    piped(() =>
      new HeartbeatMonitor({ timeout: TIMEOUT, isHeartbeat: () => true })
    ),
  ),
  naive,
  candidate("RxJS `timeout({ each })`", observed, SLOW),
  candidate(
    "`p-timeout` per read",
    (source) => drain(source, (it) => pTimeout(it, { milliseconds: TIMEOUT })),
    SLOW,
  ),
  candidate(
    "`@std/async/deadline` per read",
    (source) => drain(source, (it) => deadline(it, DEADLINE)),
    SLOW,
    DEADLINE,
  ),
];
type Candidate = typeof baseline;

/** Runs one slice; the cost is in ns per chunk. */
async function measure({ name, run, length, rest }: Candidate) {
  (globalThis as { gc?(): void }).gc?.();
  const start = performance.now();
  const count = await run(createSource(length));
  const cost = (performance.now() - start) * 1e6 / length;
  if (count !== length) throw new Error(`${name}: ${count} of ${length} came`);
  if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
  return cost;
}

for (let round = 0; round <= ROUNDS; round++) {
  const sums = new Map(candidates.map((each) => [each, 0]));
  for (let slice = 0; slice < SLICES; slice++) {
    // there and back, so that nobody always comes after the same one
    const order = slice % 2 === 0 ? candidates : candidates.toReversed();
    for (const each of order) {
      sums.set(each, sums.get(each)! + await measure(each));
    }
  }
  // the first round is the warm-up
  if (round > 0) sums.forEach((sum, { costs }) => costs.push(sum / SLICES));
}

function median(values: number[]) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** The median over the pairs that ran in the same round. */
function ratio(one: Candidate, other: Candidate) {
  return median(one.costs.map((cost, i) => cost / other.costs[i]!));
}

console.log(
  `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} CPUs, ` +
    `${SLICES * baseline.length} chunks a round (${SLICES * naive.length} ` +
    `from the naive monitor down), median of ${ROUNDS} rounds

| candidate | ns per chunk | × one-line \`transform()\` |
| --- | ---: | ---: |`,
);
for (const each of candidates) {
  const cost = median(each.costs).toFixed(0);
  console.log(
    `| ${each.name} | ${cost} | ${ratio(each, baseline).toFixed(2)} |`,
  );
}
for (const [other, bar] of [[baseline, 1.1], [naive, 0.35]] as const) {
  const measured = ratio(monitor, other);
  console.log(
    `\nmonitor / ${other.name}: ${measured.toFixed(3)}, at most ${bar}: ` +
      (measured <= bar ? "met" : "NOT met"),
  );
}
