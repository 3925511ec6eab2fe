// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { isGoodbye, judgeGoodbye } from "../_fleet_goodbye.ts";
import { FleetMonitor, type FleetMonitorOptions } from "../fleet.ts";
import type { Heartbeat } from "../worker.ts";
import { advance, readAll } from "./_help.ts";

const TIMEOUT = 1_000;
type Ended = Heartbeat["ended"];

/** A fleet whose events are read all the time. */
function startFleet(options: Partial<FleetMonitorOptions> = {}) {
  const fleet = new FleetMonitor({
    ...{ timeout: TIMEOUT, resolution: 30 },
    ...options,
  });
  const events = readAll(fleet.readable);
  const writer = fleet.writable.getWriter();
  const send = (worker: string, seq: number, ended?: Ended, detail?: unknown) =>
    writer.write({
      ...{ worker, seq, time: Date.now() },
      ...(detail !== undefined && { detail }),
      ...(ended && { ended }),
    });
  return {
    fleet,
    events,
    send,
    says: () => events.chunks.map(({ type, worker }) => `${worker} ${type}`),
    states: () =>
      Array.from(fleet, ({ worker, state }) => `${worker} ${state}`),
  };
}

for (
  const [seq, lastSeq, up, gone] of [
    [6, 5, "certain", "certain"],
    [9, 5, "unsure", "certain"],
    [5, 5, "unsure", "ignored"],
    [2, 5, "unsure", "ignored"],
    [NaN, 5, "certain", "certain"],
    [6, NaN, "certain", "certain"],
  ] as const
) {
  Deno.test(`judgeGoodbye takes a goodbye ${seq} after a heartbeat ${lastSeq} for ${up}, and for ${gone} if the worker is gone`, () => {
    assertEquals(judgeGoodbye(seq, lastSeq, true), up);
    assertEquals(judgeGoodbye(seq, lastSeq, false), gone);
  });
}

Deno.test("isGoodbye takes nothing else for a goodbye", () => {
  assertEquals(["done", "failed"].map(isGoodbye), [true, true]);
  const others = [undefined, null, "", "left", true, {}];
  assertEquals(others.filter(isGoodbye), []);
});

Deno.test("FleetMonitor reports a worker that is done as left, at once and with its last detail", async () => {
  using time = new FakeTime(0);
  const { events, send, states } = startFleet();
  send("alpha", 1);
  await advance(time, 500);
  send("alpha", 2, "done", { step: 7 });
  await advance(time, 10);
  assertEquals(events.chunks[1], {
    ...{ type: "left", worker: "alpha", time: 500 },
    ...{ lastSeen: 500, seq: 2, detail: { step: 7 } },
  });
  assertEquals(states(), ["alpha left"]);
  // nobody is waited for
  assertEquals(time.next(), false);
  await advance(time, 5_000);
  assertEquals(events.chunks.length, 2);
});

Deno.test("FleetMonitor reports a worker that failed as down, at once and with the reason", async () => {
  using time = new FakeTime(0);
  const { events, send, states } = startFleet();
  send("alpha", 1);
  await advance(time, 500);
  send("alpha", 2, "failed", "no disk");
  await advance(time, 10);
  const event = events.chunks[1]!;
  assertEquals(event, {
    ...{ type: "down", worker: "alpha", time: 500 },
    ...{ lastSeen: 500, seq: 2, detail: "no disk" },
    ...{ reason: "failed" } as const,
  });
  // new fields come last: a reader of lines finds the others where they were
  assertEquals(Object.keys(event), [
    ...["type", "worker", "time", "lastSeen", "seq", "detail", "reason"],
  ]);
  assertEquals([states(), time.next()], [["alpha down"], false]);
});

Deno.test("FleetMonitor reports a worker that left and beats again as up, and one that failed as recovered", async () => {
  using time = new FakeTime(0);
  for (const by of ["name", "handle", "chunk"]) {
    const { fleet, send, says, events } = startFleet();
    const handles = ["done", "failed"].map((name) => fleet.handle(name));
    for (const handle of handles) handle.beat(1);
    send("done", 2, "done");
    send("failed", 2, "failed");
    await advance(time, 100);
    for (const [i, name] of ["done", "failed"].entries()) {
      if (by === "name") fleet.beat(name, 1);
      else if (by === "handle") handles[i]!.beat(1);
      else send(name, 1);
    }
    await advance(time, 10);
    assertEquals(says().slice(4), ["done up", "failed recovered"], by);
    await advance(time, TIMEOUT + 40, 10);
    assertEquals(says().slice(6).sort(), ["done down", "failed down"], by);
    assertEquals(events.chunks.at(-1)!.type, "down");
  }
});

Deno.test("FleetMonitor takes the only heartbeat of a short job for all it is: one that left, or failed", async () => {
  using time = new FakeTime(0);
  const { fleet, send, says, states } = startFleet();
  fleet.expect(["expected"]);
  send("short", 1, "done");
  send("broken", 1, "failed");
  send("expected", 1, "done");
  await advance(time, 10);
  assertEquals(says(), ["short left", "broken down", "expected left"]);
  assertEquals(states().sort(), [
    ...["broken down", "expected left", "short left"],
  ]);
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor does not take an expected worker down that lives, by the goodbye of the process before it", async () => {
  using time = new FakeTime(0);
  for (const ended of ["done", "failed"] as const) {
    const { fleet, send, says } = startFleet();
    fleet.expect(["lives", "ended"]);
    send("lives", 500, ended);
    send("ended", 500, ended);
    await advance(time, TIMEOUT - 100, 10);
    assertEquals(says(), []);
    send("lives", 7);
    await advance(time, 200, 10);
    const outcome = ended === "done" ? "left" : "down";
    assertEquals(says(), ["lives up", `ended ${outcome}`]);
    fleet.remove("lives");
  }
});

Deno.test("FleetMonitor says that a worker left that was thought to be down", async () => {
  using time = new FakeTime(0);
  const { send, says } = startFleet();
  send("alpha", 1);
  await advance(time, 1_100, 10);
  send("alpha", 7, "done");
  await advance(time, 10);
  assertEquals(says(), ["alpha up", "alpha down", "alpha left"]);
});

for (const [seq, whose] of [[500, "later"], [3, "equal"], [2, "older"]]) {
  Deno.test(`FleetMonitor does not take a worker down that lives, by a goodbye with an ${whose} seq of the process before it`, async () => {
    using time = new FakeTime(0);
    for (const ended of ["done", "failed"] as const) {
      const { fleet, send, says, states } = startFleet();
      send("alpha", 499);
      await advance(time, 500);
      // the next process has the name, and the one before it is late
      for (const seq of [1, 2, 3]) send("alpha", seq);
      send("alpha", seq as number, ended);
      await advance(time, 500);
      send("alpha", 4);
      await advance(time, 900);
      assertEquals([says(), states()], [["alpha up"], ["alpha up"]], ended);
      // and when that one is silent, no old goodbye excuses it
      await advance(time, 200, 10);
      assertEquals(says(), ["alpha up", "alpha down"]);
      fleet.remove("alpha");
    }
  });
}

Deno.test("FleetMonitor takes a goodbye that was not sure for what it is once nothing more is heard", async () => {
  using time = new FakeTime(0);
  const { events, send } = startFleet();
  for (const worker of ["alpha", "beta"]) send(worker, 1);
  await advance(time, 100);
  // heartbeats between were lost
  send("alpha", 9, "done", "bye");
  send("beta", 9, "failed", "oh");
  await advance(time, 880, 10);
  assertEquals(events.chunks.length, 2);
  await advance(time, 60, 10);
  const last = { lastSeen: 100, seq: 9 };
  const at = events.chunks[2]!.time;
  assertEquals(events.chunks.slice(2), [
    { type: "left", worker: "alpha", time: at, ...last, detail: "bye" },
    {
      ...{ type: "down", worker: "beta", time: at, ...last },
      ...{ detail: "oh", reason: "failed" } as const,
    },
  ]);
});

Deno.test("FleetMonitor takes a late goodbye of a worker that is gone for no news", async () => {
  using time = new FakeTime(0);
  const { send, says } = startFleet();
  for (const worker of ["alpha", "beta"]) send(worker, 5);
  send("alpha", 6, "done");
  await advance(time, 1_100, 10);
  assertEquals(says().slice(2), ["alpha left", "beta down"]);
  send("alpha", 4, "failed");
  send("alpha", 6, "failed");
  send("beta", 4, "done");
  await advance(time, 10);
  assertEquals(says().length, 4);
});

Deno.test("FleetMonitor forgets a worker that left after forgetAfter, and keeps nothing of it", async () => {
  using time = new FakeTime(0);
  const { fleet, send, says } = startFleet({ forgetAfter: 2_000 });
  send("alpha", 1, "done", "x");
  await advance(time, 1_900, 10);
  assertEquals([says(), fleet.size], [["alpha left"], 1]);
  await advance(time, 200, 10);
  assertEquals([says(), fleet.size], [["alpha left", "alpha forgotten"], 0]);
  assertEquals(time.next(), false);
  // as often as you like
  for (let i = 0; i < 1_000; i++) send(`job-${i}`, 1, "done");
  await advance(time, 2_100, 10);
  assertEquals([fleet.size, time.next()], [0, false]);
});

Deno.test("FleetMonitor.expect waits for a worker that left, and not for one that it knows", async () => {
  using time = new FakeTime(0);
  const { fleet, send, says, states } = startFleet();
  send("alpha", 1);
  send("alpha", 2, "done", "x");
  await advance(time, 100);
  fleet.expect(["alpha"]);
  assertEquals([...fleet], [{ worker: "alpha", state: "expected" }]);
  await advance(time, TIMEOUT + 40, 10);
  assertEquals(says(), ["alpha up", "alpha left", "alpha down"]);
  assertEquals(states(), ["alpha down"]);
});

Deno.test("FleetMonitor hears goodbyes while it is paused", async () => {
  using time = new FakeTime(0);
  const { fleet, send, says } = startFleet();
  send("alpha", 1);
  send("beta", 1);
  fleet.pause();
  send("alpha", 2, "done");
  send("beta", 2, "failed");
  await advance(time, 10);
  assertEquals(says().slice(2), ["alpha left", "beta down"]);
  fleet.resume();
  await advance(time, 5_000);
  assertEquals([says().length, time.next()], [4, false]);
});

Deno.test("FleetMonitor refuses goodbyes of names that are refused, and ignores them once it has ended", async () => {
  using time = new FakeTime(0);
  const { fleet, send, says, events } = startFleet({ maxNameLength: 5 });
  send("too long", 1, "done");
  await advance(time, 10);
  assertEquals([says(), fleet.refused], [["too l refused"], 1]);
  send("alpha", 1);
  await advance(time, 10);
  await events.cancel("enough");
  send("alpha", 2, "done").catch(() => {});
  await advance(time, 10);
  assertEquals([...fleet].map(({ state }) => state), ["up"]);
});

Deno.test("FleetMonitor says to a late reader what became of a worker", async () => {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const writer = fleet.writable.getWriter();
  writer.write([
    { worker: "alpha", seq: 1, time: 0 },
    { worker: "alpha", seq: 2, time: 0, ended: "done" },
    { worker: "beta", seq: 1, time: 0, ended: "done" },
    { worker: "beta", seq: 1, time: 0 },
  ]);
  await advance(time, 10);
  const events = readAll(fleet.readable);
  await advance(time, 10);
  assertEquals(
    events.chunks.map(({ type, worker }) => `${worker} ${type}`),
    ["alpha left", "beta up"],
  );
  await events.cancel("enough");
});
