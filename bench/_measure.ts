// Copyright 2026 the heartbeat authors. MIT license.

/** How many units pass in a round; a number in the arguments sets another. */
const UNITS = Number(Deno.args.find((arg) => /^\d+$/.test(arg)) ?? 500_000);
const ROUNDS = 5;
/** How many slices a round has. The candidates are interleaved, so noise affects all of them equally. */
const SLICES = 10;

/** Passes `length` units; resolves to how many arrived, and perhaps how long (ms) that took. */
export type Run = (
  length: number,
) => Promise<number | { count: number; ms: number }>;

/** One of the things to compare. */
export interface Candidate {
  name: string;
  run: Run;
  /** How many units pass in a slice. */
  length: number;
  /** How long (ms) to wait after a slice, until what it leaves behind has ended. */
  rest: number;
  /** Cost per unit in ns, one for each round. */
  costs: number[];
}

/** Creates a candidate; a slow one passes only a `share` of the units. */
export function candidate(
  name: string,
  run: Run,
  share = 1,
  rest = 0,
): Candidate {
  return {
    name,
    run,
    length: Math.ceil(UNITS * share / SLICES),
    rest,
    costs: [],
  };
}

/** Reads to the end; resolves to the number of chunks. A `guard` wraps each read. */
export async function drain<T>(
  source: ReadableStream<T>,
  guard?: (
    read: Promise<ReadableStreamReadResult<T>>,
  ) => Promise<ReadableStreamReadResult<T>>,
) {
  const reader = source.getReader();
  for (let count = 0;; count++) {
    const read = reader.read();
    if ((await (guard ? guard(read) : read)).done) return count;
  }
}

/** Runs one slice; resolves to the cost per unit in ns. */
async function measure({ name, run, length, rest }: Candidate) {
  (globalThis as { gc?(): void }).gc?.();
  const start = performance.now();
  const outcome = await run(length);
  const elapsed = performance.now() - start;
  const { count, ms } = typeof outcome === "number"
    ? { count: outcome, ms: elapsed }
    : outcome;
  const cost = ms * 1e6 / length;
  if (count !== length) throw new Error(`${name}: ${count} of ${length} came`);
  if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
  return cost;
}

/** Runs the candidates interleaved. */
async function measureAll(candidates: Candidate[]) {
  for (let round = 0; round <= ROUNDS; round++) {
    const sums = new Map(candidates.map((each) => [each, 0]));
    for (let slice = 0; slice < SLICES; slice++) {
      // forwards and backwards, so that none always follows the same other one
      const order = slice % 2 === 0 ? candidates : candidates.toReversed();
      for (const each of order) {
        sums.set(each, sums.get(each)! + await measure(each));
      }
    }
    // the first round only warms up
    if (round > 0) sums.forEach((sum, { costs }) => costs.push(sum / SLICES));
  }
}

export function median(values: number[]) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** The median over the pairs that ran in the same round. */
export function ratio(one: Candidate, other: Candidate) {
  return median(one.costs.map((cost, i) => cost / other.costs[i]!));
}

/** The cost of a candidate, as a ratio to a baseline of the same run. */
export interface Row {
  /** The unit of the cost: a chunk, a heartbeat, the memory of a worker. */
  per: string;
  name: string;
  ratio: number;
  baseline: string;
}

/** The result of a bench: its rows, and whether it met its targets. */
export interface Outcome {
  rows: Row[];
  targets: string[];
}

/** Measures the candidates in one interleaved run, as ratios to `baseline`, which is one of them. */
export async function compare(
  per: string,
  baseline: Candidate,
  candidates: Candidate[],
): Promise<Row[]> {
  await measureAll(candidates);
  return candidates.map((each) => ({
    per,
    name: each.name,
    ratio: ratio(each, baseline),
    baseline: baseline.name,
  }));
}

/** A line that says whether a target was met. */
export function judge(what: string, met: boolean) {
  return `${met ? "met" : "NOT met"}: ${what}`;
}

/** A line that says whether a candidate costs at most `bar` times another. */
export function judgeRatio(one: Candidate, other: Candidate, bar: number) {
  const measured = ratio(one, other);
  return judge(
    `${one.name} / ${other.name} is ${measured.toFixed(2)}, at most ${+bar
      .toFixed(2)}`,
    measured <= bar,
  );
}
