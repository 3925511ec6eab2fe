// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { FleetMonitor } from "../fleet.ts";
import { type LeaseBucket, SharedFleet, WatchGroup } from "../group.ts";
import {
  type WatchableFleet,
  watchFleet,
  type WatchGivenFleetOptions,
} from "../nats.ts";
import { persistFleet } from "../store.ts";
import { advance, readAll } from "./_help.ts";
import { MemoryStore } from "./_memory_store.ts";
import { createConnection } from "./_nats.ts";

const REASON = new Error("that is enough");

/** Watches with a fleet of the test's own. */
function startWatching<Fleet extends WatchableFleet>(
  options: Omit<WatchGivenFleetOptions<Fleet>, "blindAfter">,
) {
  const fake = createConnection();
  const watched = watchFleet(fake.connection, "heartbeats.*", {
    blindAfter: 250,
    ...options,
  } as WatchGivenFleetOptions<Fleet>);
  const events = readAll(watched.events);
  let seq = 0;
  return {
    ...fake,
    unsubscribed: () => fake.unsubscribed,
    fleet: watched.fleet,
    events,
    beat(worker: string) {
      const beat = { worker, seq: ++seq, time: 0 };
      fake.receive(JSON.stringify(beat), `heartbeats.${worker}`);
    },
    says: () =>
      events.chunks.map((event) =>
        "worker" in event ? `${event.worker} ${event.type}` : event.type
      ),
  };
}

/** A group of one member, which holds all partitions. */
async function joinGroup(time: FakeTime) {
  let revision = 0;
  const write = () => Promise.resolve(++revision);
  const bucket: LeaseBucket = {
    ...{ create: write, update: write, put: write },
    get: () => Promise.resolve(null),
    delete: () => Promise.resolve(),
    keys: () => Promise.resolve((async function* () {})()),
  };
  const group = new WatchGroup(bucket, { lease: 60_000, partitions: 4 });
  await advance(time, 100);
  assertEquals(group.held, [0, 1, 2, 3]);
  return group;
}

Deno.test("watchFleet watches a FleetMonitor that it is given, and pauses it while it is blind", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1_000 });
  const test = startWatching({ fleet });
  assertStrictEquals(test.fleet, fleet);
  test.beat("alpha");
  await advance(time, 100);
  test.status({ type: "disconnect" });
  await advance(time, 5_000);
  assertEquals(test.says(), ["alpha up", "blind"]);
  test.status({ type: "reconnect" });
  await advance(time, 900);
  assertEquals(test.says(), ["alpha up", "blind", "sees"]);
  await advance(time, 300);
  assertEquals(test.says().at(-1), "alpha down");
  await test.events.cancel(REASON);
  assertEquals(test.unsubscribed(), 1);
});

Deno.test("watchFleet watches a SharedFleet, and pauses all its partitions while it is blind", async () => {
  using time = new FakeTime();
  const group = await joinGroup(time);
  const fleet = new SharedFleet(group, { timeout: 1_000 });
  const test = startWatching({ fleet });
  assertStrictEquals(test.fleet, fleet);
  const names = ["alpha", "beta", "gamma", "delta"];
  names.forEach(test.beat);
  await advance(time, 100);
  assertEquals(fleet.size, 4);
  test.status({ type: "disconnect" });
  await advance(time, 5_000);
  assertEquals(test.says().slice(4), ["blind"]);
  test.status({ type: "reconnect" });
  await advance(time, 900);
  names.slice(1).forEach(test.beat);
  await advance(time, 500);
  assertEquals(test.says().slice(5), ["sees", "alpha down"]);
  await test.events.cancel(REASON);
  assertEquals(test.unsubscribed(), 1);
  await group.leave();
});

Deno.test("watchFleet with blindAbove says once that it is blind, for all partitions, and for the connection", async () => {
  using time = new FakeTime();
  const group = await joinGroup(time);
  const limits = { timeout: 1_000, blindAbove: 0.5, blindFor: 60_000 };
  for (
    const fleet of [new FleetMonitor(limits), new SharedFleet(group, limits)]
  ) {
    const test = startWatching({ fleet });
    // so few that no partition alone has ten
    const names = Array.from({ length: 12 }, (_, i) => `worker-${i}`);
    const beat = async (count: number, ms: number) => {
      for (let at = 0; at < ms; at += 250) {
        names.slice(0, count).forEach(test.beat);
        await advance(time, 250);
      }
    };
    const says = () => test.says().slice(12);
    await beat(12, 1_000);
    assertEquals(test.says().length, 12);
    await beat(5, 5_000);
    assertEquals(says(), ["blind"]);
    await beat(12, 1_500);
    assertEquals(says(), ["blind", "sees"]);
    await beat(5, 3_000);
    test.status({ type: "disconnect" });
    await advance(time, 2_000);
    assertEquals(says().slice(2), ["blind", "blind"]);
    test.status({ type: "reconnect" });
    await beat(12, 1_500);
    assertEquals(says().slice(4), ["sees"]);
    await beat(11, 3_000);
    assertEquals(says().slice(5), ["worker-11 down"]);
    await test.events.cancel(REASON);
  }
  await group.leave();
});

Deno.test("watchFleet reports the events that it is given, with their ids", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1_000 });
  const events = persistFleet(fleet, new MemoryStore());
  const test = startWatching({ fleet, events });
  test.beat("alpha");
  await advance(time, 100);
  test.status({ type: "disconnect" });
  await advance(time, 100);
  assertEquals(
    test.events.chunks.map((event) => "id" in event ? event.id : event.type),
    ["alpha#1", "blind"],
  );
  await test.events.cancel(REASON);
  assertEquals([test.unsubscribed(), time.next()], [1, false]);
});

Deno.test("watchFleet ends as its subscription does, with a fleet that it is given", async () => {
  using time = new FakeTime();
  for (const error of [REASON, undefined]) {
    const fleet = new FleetMonitor({ timeout: 1_000 });
    const test = startWatching({ fleet });
    const writing = fleet.writable;
    test.beat("alpha");
    test.close(error);
    await advance(time, 50);
    assertEquals(test.events.end, error ?? "closed");
    await assertRejects(() => writing.getWriter().write([]));
    assertEquals(time.next(), false);
  }
});
