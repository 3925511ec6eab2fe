// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Random schedules of what happens to a fleet. They are data, so that fast-check
 * can shrink them; what depends on the state of the fleet (the next `seq` of a
 * worker, say) is given relative to it.
 *
 * @module
 */

import fc from "fast-check";

/** The workers. The name of the last one is too long in some schedules. */
export const NAMES = ["a", "b", "c", "d", "e", "f", "longer"];

/** The `seq` of a heartbeat: so much more than the last one, or another. */
export type NextSeq = number | "from the start" | "none";

/** A heartbeat to be sent. */
export interface NextBeat {
  worker: string;
  seq: NextSeq;
  /** A number of characters, so that a large detail is short in a report; 0 is none. */
  detail: number;
  /** Set for a goodbye. */
  ended?: "done" | "failed";
}

/** One step of a schedule. Times are given as shares, of which 1,000 make a whole. */
export type Step =
  | { do: "beat"; by: "name" | "handle"; beat: NextBeat }
  | { do: "chunk"; beats: NextBeat[]; isAlone: boolean }
  | { do: "expect"; workers: string[] }
  | { do: "remove"; worker: string }
  | { do: "pause" }
  | { do: "resume" }
  | { do: "wait"; share: number; of: "tick" | "timeout" }
  | { do: "set clock a little"; by: number }
  | { do: "set clock"; way: 1 | -1; share: number; beatFirst: string | null }
  | { do: "read"; count: number };

/** The options of the fleet. */
export interface FleetSetup {
  /** When it starts. */
  start: number;
  timeout: number;
  resolution: number;
  forgetAfter: number;
  maxWorkers: number;
  maxNameLength: number;
  /** Whether the timeout, the same for all, is asked for by name. */
  isByName: boolean;
  /** Must have no effect on so few workers. */
  blindAbove: number;
}

/** A random schedule. */
export interface Schedule {
  setup: FleetSetup;
  steps: Step[];
  /** At the end, everybody who is silent is found first. */
  waitsForVerdicts: boolean;
  readsAll: boolean;
  end: "close" | "abort" | "cancel";
}

const worker = fc.constantFrom(...NAMES);
const share = fc.nat(1000);

const beat: fc.Arbitrary<NextBeat> = fc.record({
  worker,
  seq: fc.oneof(
    { weight: 2, arbitrary: fc.constant<NextSeq>(1) },
    fc.integer({ min: 1, max: 6 }),
    fc.constant<NextSeq>("from the start"),
    fc.constant<NextSeq>("none"),
  ),
  detail: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 100 }) },
    fc.constantFrom(4_000, 4_100),
  ),
});

/** A heartbeat or a goodbye. */
const message: fc.Arbitrary<NextBeat> = fc.oneof(
  { weight: 2, arbitrary: beat },
  fc.tuple(beat, fc.constantFrom("done", "failed")).map(([beat, ended]) => (
    { ...beat, ended } as NextBeat
  )),
);

const STEPS = {
  beat: fc.record({
    do: fc.constant("beat"),
    by: fc.constantFrom("name", "handle"),
    beat,
  }),
  chunk: fc.record({
    do: fc.constant("chunk"),
    beats: fc.array(message, { minLength: 1, maxLength: 4 }),
    isAlone: fc.boolean(),
  }),
  expect: fc.record({
    do: fc.constant("expect"),
    workers: fc.uniqueArray(worker, { maxLength: 4 }),
  }),
  remove: fc.record({ do: fc.constant("remove"), worker }),
  pause: fc.record({ do: fc.constant("pause") }),
  resume: fc.record({ do: fc.constant("resume") }),
  wait: fc.record({
    do: fc.constant("wait"),
    share: fc.oneof(share, share, fc.integer({ min: 1000, max: 2000 })),
    of: fc.constantFrom("tick", "timeout"),
  }),
  setClockALittle: fc.record({
    do: fc.constant("set clock a little"),
    by: fc.constantFrom(1, 2, 3, 4, -1, -2, -3, -4),
  }),
  setClock: fc.record({
    do: fc.constant("set clock"),
    way: fc.constantFrom(1, -1),
    share: fc.nat(3000),
    beatFirst: fc.option(worker, { freq: 3 }),
  }),
  read: fc.record({
    do: fc.constant("read"),
    count: fc.integer({ min: 1, max: 5 }),
  }),
} as Record<string, fc.Arbitrary<Step>>;

/** How often there is a step of each kind, by how busy, wild and curious a schedule is. */
function stepOf(
  [busy, wild, curious]: [busy: number, wild: number, curious: number],
) {
  const idle = 1 - busy;
  const weights = {
    ...{ beat: 0.8 * busy, chunk: 0.2 * busy, expect: 0.2 * idle },
    ...{ remove: 0.2 * idle, pause: 0.03 * idle, resume: 0.03 * idle },
    ...{ wait: 0.54 * idle, setClockALittle: 0.4 * wild },
    ...{ setClock: 0.6 * wild, read: curious },
  };
  return fc.oneof(
    ...Object.entries(weights).map(([kind, share]) => ({
      weight: Math.round(1000 * share),
      arbitrary: STEPS[kind]!,
    })),
  );
}

const profile = fc.tuple(
  fc.constantFrom(0.3, 0.6, 0.85),
  fc.constantFrom(0, 0.05, 0.25),
  fc.constantFrom(0, 0.05, 0.3),
);

const steps = fc.noShrink(profile).chain((profile) =>
  fc.array(stepOf(profile), { maxLength: 80, size: "max" })
);

const setup: fc.Arbitrary<FleetSetup> = fc.record({
  start: fc.constantFrom(0, 1_700_000_000_000),
  timeout: fc.constantFrom(100, 30, 300, 1000),
  resolution: fc.constantFrom(0.1, 0.001, 10, 1 / 3, 1, 4),
  forgetAfter: fc.constantFrom(Infinity, Infinity, 0.2, 1, 3),
  maxWorkers: fc.constantFrom(1_000_000, 1_000_000, 3),
  maxNameLength: fc.constantFrom(256, 5),
  isByName: fc.boolean(),
  blindAbove: fc.constantFrom(1, 0.1),
}).map(({ timeout, resolution, forgetAfter, ...rest }) => ({
  ...rest,
  timeout,
  // a share of the timeout, or 10 ms
  resolution: Math.max(resolution === 10 ? 10 : resolution * timeout, 3),
  forgetAfter: forgetAfter * timeout,
}));

/** All that can happen to a fleet. */
export const SCHEDULE: fc.Arbitrary<Schedule> = fc.record({
  setup,
  steps,
  waitsForVerdicts: fc.boolean(),
  readsAll: fc.boolean(),
  end: fc.constantFrom("close", "abort", "cancel"),
});
