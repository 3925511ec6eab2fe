// Copyright 2026 the heartbeat authors. MIT license.

import fc from "fast-check";

/** One step of an attempt. All times are in milliseconds. */
export interface Step {
  /** How long it takes, in tenths of the longest silence that is no stall. */
  wait: number;
  /**
   * What comes after the wait: a result, a beat with a checkpoint, a failure, a
   * hang that ends with the abort, or a hang that ignores the abort.
   */
  act: "yield" | "beat" | "throw" | "hang" | "ignore the abort";
  /** How long the abort is ignored. */
  deafFor: number;
}

/** All that happens to one supervisor from outside: plain data, which shrinks. */
export interface Schedule {
  options: {
    timeout: number;
    interval: number;
    maxRestarts: number;
    within: number;
    stopTimeout: number;
    backoff: { min: number; max: number; factor: number; jitter: number };
  };
  /**
   * A worker of `startWorker()`, or a pair of streams without backpressure; a
   * deaf one goes on after the abort, and after a cancel of its heartbeats.
   */
  worker: "function" | "pair" | "deaf pair";
  /** How many results the work has. */
  total: number;
  /** The steps of each attempt; when they are over, it yields what is left. */
  attempts: Step[][];
  /** How long the consumer waits before each read, over and over. */
  reads: number[];
  abortAt: number | undefined;
  cancel: { at: number; stream: "results" | "heartbeats" } | undefined;
  /** From which failure on `shouldRestart()` says no. */
  refuseFrom: number;
  /** What `Math.random()` returns, over and over. */
  chances: number[];
  /** Which of the timers that are due at the same time is first, over and over. */
  ties: number[];
}

/** Everything happens at multiples of this. */
const GRID_MS = 10;

const onGrid = (min: number, max: number) =>
  fc.integer({ min: min / GRID_MS, max: max / GRID_MS })
    .map((steps) => steps * GRID_MS);

/** One in five is defined. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary },
  );

/** Uniform in its length, where fast-check prefers short lists. */
const list = <T>(arbitrary: fc.Arbitrary<T>, maxLength: number) =>
  fc.array(arbitrary, { maxLength, size: "max" });

const STEP: fc.Arbitrary<Step> = fc.record({
  wait: fc.nat(10),
  act: fc.constantFrom(
    ...["yield", "yield", "beat", "beat"] as const,
    ...["throw", "hang", "ignore the abort"] as const,
  ),
  deafFor: fc.oneof(onGrid(0, 1000), fc.constant(Infinity)),
});

const OPTIONS: fc.Arbitrary<Schedule["options"]> = fc.record({
  timeout: fc.constantFrom(100, 200, 500),
  interval: fc.constantFrom(30, 50),
  maxRestarts: fc.constantFrom(0, 1, 3, 10, 20, Infinity),
  within: fc.constantFrom(300, 1000, 5000),
  stopTimeout: fc.constantFrom(50, 300, Infinity),
  backoff: fc.record({
    min: fc.constantFrom(0, 20, 100),
    max: fc.constantFrom(100, 300, 1100),
    factor: fc.constantFrom(1, 2, 3),
    jitter: fc.constantFrom(0, 0.3, 1),
  }),
});

/** Any schedule. */
export const SCHEDULE: fc.Arbitrary<Schedule> = fc.record({
  options: OPTIONS,
  worker: fc.constantFrom("function", "function", "pair", "deaf pair"),
  total: fc.integer({ min: 0, max: 30 }),
  attempts: list(list(STEP, 8), 12),
  reads: list(fc.oneof(fc.constant(0), onGrid(0, 400)), 3),
  abortAt: rarely(onGrid(0, 3000)),
  cancel: rarely(
    fc.record({
      at: onGrid(0, 3000),
      stream: fc.constantFrom("results", "heartbeats"),
    }),
  ),
  refuseFrom: rarely(fc.integer({ min: 1, max: 8 }))
    .map((failure) => failure ?? Infinity),
  chances: list(fc.double({ min: 0, max: 0.999, noNaN: true }), 4),
  ties: list(fc.nat(3), 8),
}) as fc.Arbitrary<Schedule>;

/** How long the step waits: never so long that it stalls by that alone. */
export function getWait({ wait }: Step, { timeout, interval }: {
  timeout: number;
  interval: number;
}) {
  const longest = timeout - 2 * interval;
  return Math.floor(longest * wait / 10 / GRID_MS) * GRID_MS;
}

/** Repeats a list without end; `otherwise` if it is empty. */
export function cycle<T>(list: T[], otherwise: T): () => T {
  let next = 0;
  return () => list.length === 0 ? otherwise : list[next++ % list.length]!;
}
