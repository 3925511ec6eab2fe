// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { type FleetEvent, FleetMonitor } from "../../fleet.ts";
import { advance, readAll } from "../_help.ts";
import { checkProperty } from "./_check_property.ts";

const RUNS = 150;
const [TIMEOUT, INTERVAL, STEP] = [1_000, 400, 50];
/** Everybody beats again, or is silent at last, for so long. */
const END = 20_000;
const BLIND_FOR = 4_000;

/** At a time, so many workers are silent from now on, from the first one on. */
interface Change {
  wait: number;
  silent: number;
}

const scenario = fc.record({
  count: fc.integer({ min: 2, max: 30 }),
  changes: fc.array(
    fc.record({
      wait: fc.integer({ min: 0, max: 3_000 }),
      silent: fc.nat(30),
    }),
    { maxLength: 12 },
  ),
});

/** Workers that beat, each at its own time, and what is reported of them. */
async function play({ count, changes }: { count: number; changes: Change[] }) {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({
    ...{ timeout: TIMEOUT, resolution: 30 },
    ...{ blindAbove: 0.5, blindFor: BLIND_FOR },
  });
  const { chunks, cancel } = readAll(fleet.readable);
  /** When each worker beat. */
  const beats = Array.from({ length: count }, () => [] as number[]);
  let last = 0;
  const pass = async (ms: number, silent: number) => {
    last = silent;
    for (let rest = ms; rest > 0; rest -= STEP) {
      await advance(time, STEP, STEP);
      const now = Date.now();
      for (let i = silent; i < count; i++) {
        if (now - (beats[i]!.at(-1) ?? -INTERVAL) < INTERVAL) continue;
        fleet.beat(`${i}`);
        beats[i]!.push(now);
      }
    }
  };
  await pass(1_000, 0);
  for (const { wait, silent } of changes) await pass(wait, silent);
  await pass(END, last);
  await cancel("the end");
  return { events: chunks, beats, silent: Math.min(last, count) };
}

/** Whoever is reported as down was silent for a timeout; nobody is while it is blind. */
function checkEvents(events: FleetEvent[], beats: number[][]) {
  let isBlind = false;
  for (const event of events) {
    const { type, time } = event;
    if (type === "blind" || type === "sees") {
      assertEquals(isBlind, type === "sees", `${type} at ${time}`);
      isBlind = type === "blind";
    }
    if (type !== "down") continue;
    assertEquals(isBlind, false, `down at ${time}`);
    const since = beats[Number(event.worker)]!.findLast((at) => at <= time);
    assertEquals(time - since! >= TIMEOUT, true, `${event.worker} at ${time}`);
  }
  assertEquals(isBlind, false, "it is blind at the end");
}

/** In the end, all who are silent are down, and in time; and nobody else is. */
function checkEnd(events: FleetEvent[], beats: number[][], silent: number) {
  const last = new Map<string, FleetEvent>();
  for (const event of events) if (event.worker) last.set(event.worker, event);
  for (const [i, times] of beats.entries()) {
    const { type, time } = last.get(`${i}`)!;
    assertEquals(type === "down", i < silent, `${i} is ${type}`);
    if (type !== "down") continue;
    const late = time - times.at(-1)! - TIMEOUT;
    assertEquals(late <= BLIND_FOR + 2 * TIMEOUT, true, `${i}: ${late} late`);
  }
}

Deno.test("a fleet that doubts itself reports nobody who lives, and all who do not, in time", async () => {
  const kinds = new Set<string>();
  await checkProperty(
    fc.asyncProperty(scenario, async (scenario) => {
      const { events, beats, silent } = await play(scenario);
      for (const { type } of events) kinds.add(type);
      checkEvents(events, beats);
      checkEnd(events, beats, silent);
    }),
    RUNS,
  );
  assertEquals([...kinds].sort(), ["blind", "down", "recovered", "sees", "up"]);
});
