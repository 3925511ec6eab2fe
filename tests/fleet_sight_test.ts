// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { FleetSight, type FleetSightOptions } from "../_fleet_sight.ts";
import {
  type FleetEvent,
  FleetMonitor,
  type FleetMonitorOptions,
} from "../fleet.ts";
import { advance, readAll } from "./_help.ts";

const [TIMEOUT, PERIOD, START] = [1_000, 10, 1_700_000_000_000];

/** A sight whose workers the test counts, and what it has reported. */
function createSight(options: FleetSightOptions = { blindAbove: 0.5 }) {
  const sight = new FleetSight(options);
  const test = {
    sight,
    workers: { silent: 0, watched: 100 },
    events: [] as string[],
    refreshed: 0,
    /** Whether it believes what is silent now, `at` ms after the start. */
    believes: (silent: number, at: number) => {
      test.workers.silent = silent;
      return sight.believes(START + at, TIMEOUT, PERIOD);
    },
  };
  sight.onEvent = (event) => {
    const reason = event.type === "blind" ? ` ${event.reason}` : "";
    test.events.push(`${event.type}${reason}`);
  };
  sight.add({
    countWorkers: () => test.workers,
    refresh: () => test.refreshed++,
  });
  return test;
}

Deno.test("FleetSight believes everything unless it is given a share", () => {
  const { believes, events, workers } = createSight({});
  assertEquals([believes(100, 0), believes(100, 10)], [true, true]);
  workers.watched = 1_000_000;
  assertEquals([believes(1_000_000, 20), events], [true, []]);
});

Deno.test("FleetSight doubts more than the share, and of ten workers at least", () => {
  for (
    const [silent, watched, expected] of [
      [50, 100, true],
      [51, 100, false],
      [100, 100, false],
      [5, 10, true],
      [6, 10, false],
      [9, 9, true],
      [0, 0, true],
    ] as const
  ) {
    const { believes, workers, sight } = createSight();
    workers.watched = watched;
    assertEquals(believes(silent, 0), expected, `${silent} of ${watched}`);
    assertEquals(sight.isBlind, !expected);
  }
});

Deno.test("FleetSight is blind once, and gives everybody a fresh timeout when that is over", () => {
  const { believes, events, sight } = createSight();
  const test = createSight();
  assertEquals([believes(60, 0), believes(99, 10)], [false, false]);
  assertEquals([believes(51, 20), events], [false, ["blind share"]]);
  // who is silent now is not reported: they have a fresh timeout
  assertEquals([believes(50, 30), sight.isBlind], [false, false]);
  assertEquals(events, ["blind share", "sees"]);
  assertEquals(believes(50, 40), true);
  test.believes(60, 0);
  test.believes(50, 30);
  assertEquals(test.refreshed, 1);
});

Deno.test("FleetSight reports how many are silent", () => {
  const { believes, sight } = createSight();
  const events: FleetEvent[] = [];
  sight.onEvent = (event) => events.push(event);
  believes(60, 0);
  const { time, ...rest } = events[0]!;
  assertEquals(rest, {
    ...{ type: "blind", reason: "share", silent: 60, watched: 100 },
  });
  assertEquals(typeof time, "number");
});

Deno.test("FleetSight believes what is still silent after blindFor", () => {
  for (const blindFor of [2_500, undefined, Infinity]) {
    const { believes, events, refreshed } = createSight({
      ...{ blindAbove: 0.5, blindFor },
    });
    const end = blindFor ?? 10 * TIMEOUT;
    assertEquals(believes(60, 0), false);
    if (end === Infinity) {
      assertEquals([believes(60, 1e9), events], [false, ["blind share"]]);
      continue;
    }
    assertEquals([believes(60, end - 1), events.length], [false, 1]);
    assertEquals([believes(60, end + 5), refreshed], [true, 0]);
    assertEquals(events, ["blind share", "sees"]);
    // the rest of them, in the ticks that follow
    assertEquals([believes(60, end + 100), events.length], [true, 2]);
  }
});

Deno.test("FleetSight keeps nobody back for ever although it sees from time to time", () => {
  const { believes, events } = createSight({
    ...{ blindAbove: 0.5, blindFor: 3_000 },
  });
  const said: boolean[] = [];
  // it clears for a moment, and whoever is silent is so again a timeout later
  for (let at = 0; at <= 3_000; at += 1_500) {
    said.push(believes(60, at), believes(10, at + 500));
  }
  assertEquals(said, [false, false, false, false, true, true]);
  assertEquals(events, ["blind share", "sees", "blind share", "sees"]);
});

Deno.test("FleetSight begins anew after verdicts that it believed, and after a calm time", () => {
  for (const isCalm of [true, false]) {
    const { believes } = createSight({ blindAbove: 0.5, blindFor: 3_000 });
    believes(60, 0);
    believes(60, 2_900);
    believes(10, 2_950);
    if (!isCalm) assertEquals(believes(10, 3_500), true);
    const next = isCalm ? 2_950 + 2 * TIMEOUT : 3_600;
    assertEquals(believes(60, next), false);
    assertEquals(believes(60, next + 2_990), false);
    assertEquals(believes(60, next + 3_000), true);
  }
});

Deno.test("FleetSight measures no time that the wall clock was set back", () => {
  const { believes } = createSight({ blindAbove: 0.5, blindFor: 3_000 });
  believes(60, 0);
  believes(60, 1_000);
  believes(60, -3_600_000);
  assertEquals(believes(60, -3_600_000 + 1_990), false);
  assertEquals(believes(60, -3_600_000 + 2_000), true);
});

Deno.test("FleetSight is over when it is reset, or when nobody is watched any more", () => {
  for (const way of ["reset", "idle"]) {
    const { sight, believes, events, workers } = createSight();
    sight.reset();
    assertEquals(events, []);
    believes(60, 0);
    sight.onIdle();
    assertEquals(events, ["blind share"]);
    workers.watched = 0;
    if (way === "reset") sight.reset();
    else sight.onIdle();
    assertEquals([events, sight.isBlind], [["blind share", "sees"], false]);
    workers.watched = 100;
    // the time before does not count
    assertEquals(believes(60, 10), false);
    assertEquals(believes(60, 10_005), false);
    assertEquals(believes(60, 10_010), true);
  }
});

Deno.test("FleetSight counts the workers of all its watches, while each is there", () => {
  const { sight, believes, workers } = createSight();
  let refreshed = 0;
  const other = {
    countWorkers: () => ({ silent: 0, watched: 20 }),
    refresh: () => refreshed++,
  };
  sight.add(other);
  assertEquals(believes(60, 0), true);
  assertEquals(believes(61, 10), false);
  // several ask in turn: the workers are counted once in a period
  assertEquals([believes(0, 14), sight.isBlind], [false, true]);
  assertEquals([believes(0, 15), sight.isBlind], [false, false]);
  assertEquals(refreshed, 1);
  sight.remove(other);
  workers.watched = 100;
  assertEquals(believes(51, 5_000), false);
});

const NAMES = Array.from({ length: 20 }, (_, i) => `w${i}`);

/** A fleet of 20 that beat at a third of the timeout, each at its own time. */
function startFleet(options: Partial<FleetMonitorOptions> = {}) {
  const fleet = new FleetMonitor({
    ...{ timeout: 3_000, resolution: 30, blindAbove: 0.5 },
    ...options,
  });
  const events = readAll(fleet.readable);
  return {
    fleet,
    events,
    says: () =>
      events.chunks.slice(NAMES.length).map(({ type, worker = "" }) =>
        `${type} ${worker}`.trim()
      ),
    /** Lets the first `silent` be silent. */
    async run(time: FakeTime, ms: number, silent = 0) {
      for (let at = 0; at < ms; at += 50) {
        await advance(time, 50);
        const due = NAMES.filter((_, i) => i * 50 % 1_000 === at % 1_000);
        for (const name of due) {
          if (NAMES.indexOf(name) >= silent) fleet.beat(name);
        }
      }
    },
  };
}

Deno.test("FleetMonitor with blindAbove reports nobody while too many are silent", async () => {
  using time = new FakeTime(0);
  const { run, says, events } = startFleet();
  await run(time, 2_000);
  // their last heartbeats are spread over a second, so they would not go down at once
  await run(time, 10_000, 11);
  assertEquals(says(), ["blind"]);
  const { time: _, ...blind } = events.chunks.at(-1)!;
  assertEquals(blind, {
    ...{ type: "blind", reason: "share", silent: 11, watched: 20 },
  });
  await run(time, 10_000);
  assertEquals(says(), ["blind", "sees"]);
  // and it is awake
  await run(time, 4_100, 3);
  assertEquals(says().slice(2).sort(), ["down w0", "down w1", "down w2"]);
  await events.cancel("enough");
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor with blindAbove reports half of them as ever, and without it all", async () => {
  using time = new FakeTime(0);
  for (
    const [silent, options] of [[10, {}], [20, { blindAbove: 1 }]] as const
  ) {
    const { run, says, events } = startFleet(options);
    await run(time, 2_000);
    await run(time, 4_100, silent);
    const expected = NAMES.slice(0, silent).map((name) => `down ${name}`);
    assertEquals(says().sort(), expected.sort());
    await events.cancel("enough");
  }
});

Deno.test("FleetMonitor reports who died while it was blind, a timeout after it sees", async () => {
  using time = new FakeTime(0);
  const { run, says, events } = startFleet();
  await run(time, 2_000);
  await run(time, 6_000, 15);
  assertEquals(says(), ["blind"]);
  const sees = Date.now();
  await run(time, 3_200, 2);
  assertEquals(says(), ["blind", "sees"]);
  await run(time, 1_000, 2);
  assertEquals(says().slice(2).sort(), ["down w0", "down w1"]);
  assertEquals(events.chunks.at(-1)!.time - sees >= 3_000, true);
  await events.cancel("enough");
});

Deno.test("FleetMonitor reports all who are silent after blindFor", async () => {
  using time = new FakeTime(0);
  const { run, says, events } = startFleet({ blindFor: 5_000 });
  await run(time, 2_000);
  await run(time, 2_500, 15);
  const [blind] = events.chunks.slice(20);
  await run(time, blind!.time + 4_950 - Date.now(), 15);
  assertEquals(says(), ["blind"]);
  await run(time, 200, 15);
  assertEquals(says().slice(0, 2), ["blind", "sees"]);
  assertEquals(says().length, 2 + 15);
  const after = events.chunks.at(-1)!.time - blind!.time;
  assertEquals(after >= 5_000 && after < 5_100, true, `${after}`);
  await events.cancel("enough");
});

Deno.test("FleetMonitor that is blind believes what workers say themselves", async () => {
  using time = new FakeTime(0);
  const { fleet, run, says, events } = startFleet();
  await run(time, 2_000);
  await run(time, 4_000, 15);
  const writer = fleet.writable.getWriter();
  writer.write([
    { worker: "w18", seq: 1, time: 0, ended: "failed" },
    { worker: "w19", seq: 1, time: 0, ended: "done" },
    { worker: "new", seq: 1, time: 0 },
  ]);
  await advance(time, 10, 10);
  assertEquals(says(), ["blind", "down w18", "left w19", "up new"]);
  await events.cancel("enough");
});

Deno.test("FleetMonitor that is paused while it is blind sees when it is resumed", async () => {
  using time = new FakeTime(0);
  const { fleet, run, says, events } = startFleet();
  await run(time, 2_000);
  await run(time, 4_000, 15);
  fleet.pause();
  await run(time, 4_000);
  assertEquals(says(), ["blind"]);
  fleet.resume();
  await run(time, 100);
  assertEquals(says(), ["blind", "sees"]);
  await events.cancel("enough");
});

Deno.test("FleetMonitor that is blind sees when all have left", async () => {
  using time = new FakeTime(0);
  const { fleet, run, says, events } = startFleet();
  await run(time, 2_000);
  await run(time, 4_000, 15);
  for (const name of NAMES) fleet.remove(name);
  await advance(time, 10, 10);
  assertEquals(says()[0], "blind");
  assertEquals(says().includes("sees"), true);
  assertEquals(time.next(), false);
  await events.cancel("enough");
});

Deno.test("FleetMonitor with several timeouts keeps nobody back for ever although it sees from time to time", async () => {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({
    timeout: (name) => name === "slow" ? 10_000 : 1_000,
    ...{ resolution: 90, blindAbove: 0.5, blindFor: 5_000 },
  });
  const events = readAll(fleet.readable);
  fleet.beat("slow");
  for (let at = 0; at < 30_000; at += 250) {
    const isUp = at % 6_000 < 3_500;
    const flapping = isUp ? NAMES.slice(5, 15) : [];
    for (const name of [...NAMES.slice(0, 5), ...flapping]) fleet.beat(name);
    // a verdict that it believes, in between
    if (at % 6_000 === 500) fleet.beat(`job ${at}`);
    await advance(time, 250, 50);
  }
  const slow = events.chunks.filter(({ worker }) => worker === "slow");
  assertEquals(slow.map(({ type }) => type), ["up", "down"]);
  await events.cancel("enough");
});

Deno.test("FleetMonitor that is blind sees when only those are left who have no limit", async () => {
  using time = new FakeTime(0);
  const { fleet, run, says, events } = startFleet({
    timeout: (name) => name === "patient" ? Infinity : 3_000,
  });
  await run(time, 2_000);
  fleet.beat("patient");
  await run(time, 4_000, 15);
  for (const name of NAMES) fleet.remove(name);
  await advance(time, 10, 10);
  assertEquals(says().slice(0, 2), ["up patient", "blind"]);
  assertEquals(says().includes("sees"), true);
  assertEquals(time.next(), false);
  await events.cancel("enough");
});

Deno.test("FleetMonitor drops blind and sees if nobody read the first, and keeps their order", async () => {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({
    ...{ timeout: 1_000, resolution: 30, blindAbove: 0.5, blindFor: 5_000 },
  });
  for (const name of NAMES) fleet.beat(name);
  const reader = fleet.readable.getReader();
  for (const _ of NAMES) assertEquals((await reader.read()).value!.type, "up");
  await advance(time, 1_500, 10);
  for (const name of NAMES) fleet.beat(name);
  await advance(time, 100, 10);
  fleet.remove("w0");
  assertEquals((await reader.read()).value!.type, "forgotten");
  await advance(time, 1_500, 10);
  assertEquals((await reader.read()).value!.type, "blind");
  await advance(time, 3_000, 10);
  // sees comes before those who are reported after all
  assertEquals((await reader.read()).value!.type, "sees");
  assertEquals((await reader.read()).value!.type, "down");
  await reader.cancel();
});
