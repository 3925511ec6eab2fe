// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { FleetMonitor, type FleetMonitorOptions } from "../fleet.ts";
import { advance, readAll } from "./_help.ts";

/** A fleet with a timeout for each name, and what it says. */
function startFleet(
  timeout: (worker: string) => number,
  options: Partial<FleetMonitorOptions> = {},
) {
  const fleet = new FleetMonitor({ timeout, resolution: 30, ...options });
  const events = readAll(fleet.readable);
  return {
    fleet,
    events,
    says: () => events.chunks.map(({ type, worker }) => `${worker} ${type}`),
  };
}

Deno.test("FleetMonitor with a timeout by name finds each worker in its own time", async () => {
  using time = new FakeTime(0);
  const timeouts: Record<string, number> = { fast: 500, slow: 2_000, odd: 750 };
  const { fleet, events, says } = startFleet((worker) => timeouts[worker]!);
  const found = () =>
    events.chunks.filter(({ type }) => type === "down")
      .map(({ worker, time }) => [worker, time] as const);
  fleet.expect(["fast", "slow"]);
  await advance(time, 105, 5);
  // one that is new between two ticks, by a handle
  fleet.handle("odd").beat(1);
  fleet.beat("fast", 1);
  const start = Date.now();
  await advance(time, 2_400, 5);
  for (const [worker, at] of found()) {
    const since = worker === "slow" ? 0 : start;
    const late = at - since - timeouts[worker!]!;
    assertEquals(late >= 0 && late <= 30, true, `${worker}: ${late}`);
  }
  assertEquals(found().map(([worker]) => worker), ["fast", "odd", "slow"]);
  assertEquals([says().length, time.next()], [5, false]);
});

Deno.test("FleetMonitor has each worker once, even if its timeout is a function that expects it", async () => {
  using time = new FakeTime(0);
  const known = new Set<string>();
  const { fleet, says } = startFleet((worker) => {
    if (!known.has(worker)) fleet.expect([known.add(worker) && worker]);
    return 1_000;
  });
  for (let i = 0; i < 30; i++) {
    fleet.beat("alpha");
    await advance(time, 100);
  }
  assertEquals([says(), fleet.size], [["alpha up"], 1]);
  fleet.remove("alpha");
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor asks for a timeout once, until the worker is forgotten", async () => {
  using time = new FakeTime(0);
  const asked: string[] = [];
  const { fleet } = startFleet((worker) => {
    asked.push(worker);
    return 1_000;
  });
  const handle = fleet.handle("alpha");
  fleet.expect(["alpha"]);
  fleet.beat("alpha", 1);
  handle.beat(2);
  fleet.writable.getWriter().write({ worker: "alpha", seq: 3, time: 0 });
  await advance(time, 2_000);
  handle.beat(4);
  assertEquals(asked, ["alpha"]);
  fleet.remove("alpha");
  handle.beat(1);
  assertEquals(asked, ["alpha", "alpha"]);
  fleet.remove("alpha");
});

for (
  const [what, getTimeout] of Object.entries<() => unknown>({
    "throws": () => {
      throw new Error("no such worker");
    },
    "returns nothing": () => undefined,
    "returns a string": () => "1000",
    "returns zero": () => 0,
    "returns NaN": () => NaN,
    "returns a negative number": () => -1,
  })
) {
  Deno.test(`FleetMonitor refuses a worker whose timeout ${what}, and watches the others`, async () => {
    using time = new FakeTime(0);
    const { fleet, says, events } = startFleet((worker) =>
      worker === "bad" ? getTimeout() as never : 1_000
    );
    const writer = fleet.writable.getWriter();
    fleet.beat("bad", 1);
    fleet.handle("bad").beat(2);
    fleet.expect(["bad", "good"]);
    writer.write([
      { worker: "bad", seq: 3, time: 0 },
      { worker: "bad", seq: 4, time: 0, ended: "failed" },
      { worker: "good", seq: 1, time: 0 },
    ]);
    await advance(time, 2_000);
    assertEquals(says(), ["bad refused", "good up", "good down"]);
    const [refused] = events.chunks;
    assertEquals(refused, {
      ...{ type: "refused", worker: "bad", time: 0, reason: "timeout" },
      count: 3,
    });
    assertEquals([fleet.size, fleet.refused], [1, 5]);
    await writer.close();
    // it closes: nothing has errored
    assertEquals(events.end, "closed");
  });
}

Deno.test("FleetMonitor refuses names beyond 1,000 different timeouts", async () => {
  using _time = new FakeTime(0);
  const { fleet } = startFleet((worker) => Number(worker));
  for (let i = 1; i <= 1_100; i++) fleet.beat(`${1_000 + i}`);
  // the infinite one counts, as it is always there
  assertEquals([fleet.size, fleet.refused], [999, 101]);
  fleet.beat("1001.0");
  assertEquals(fleet.size, 1_000);
  await fleet.writable.abort();
});

Deno.test("FleetMonitor waits for ever for a worker with an infinite timeout, without a timer", async () => {
  using time = new FakeTime(0);
  const { fleet, says } = startFleet((worker) =>
    worker === "patient" ? Infinity : 1_000
  );
  fleet.beat("patient", 1);
  assertEquals(time.next(), false);
  fleet.beat("alpha", 1);
  await advance(time, 2_000);
  assertEquals(says(), ["patient up", "alpha up", "alpha down"]);
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor with a timeout by name forgets, pauses and doubts itself as ever", async () => {
  using time = new FakeTime(0);
  const { fleet, says, events } = startFleet(
    (worker) => worker.startsWith("slow") ? 3_000 : 1_000,
    { forgetAfter: 2_000, blindAbove: 0.5 },
  );
  const names = Array.from(
    { length: 12 },
    (_, i) => `${i % 2 ? "slow" : "w"}${i}`,
  );
  const beat = async (count: number, ms: number) => {
    for (let at = 0; at < ms; at += 250) {
      for (const name of names.slice(0, count)) fleet.beat(name);
      await advance(time, 250, 10);
    }
  };
  await beat(12, 1_000);
  fleet.pause();
  await beat(0, 10_000);
  fleet.resume();
  await beat(0, 900);
  assertEquals(says().length, 12);
  await beat(12, 1_000);
  // six of twelve are not above the half: the others are slow
  await beat(0, 1_400);
  assertEquals(
    says().slice(12).sort(),
    names.filter((name) => name[0] === "w").map((name) => `${name} down`)
      .sort(),
  );
  await beat(12, 1_000);
  await beat(0, 3_600);
  const types = events.chunks.map(({ type }) => type);
  assertEquals(types.includes("blind"), false);
  await events.cancel("enough");
  assertEquals(time.next(), false);
});
