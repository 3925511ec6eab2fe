// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { TAKES_OVER } from "../_persisted_fleet.ts";
import { FleetMonitor, type WorkerEvent } from "../fleet.ts";
import {
  natsStore,
  persistFleet,
  type StoredFleet,
  type StoredFleetEvent,
} from "../store.ts";
import { readAll } from "./_help.ts";
import { MemoryBucket } from "./_memory_bucket.ts";
import { MemoryStore } from "./_memory_store.ts";
import { VirtualTime } from "./model/_virtual_time.ts";

const TIMEOUT = 1000;
const FAILURE = new Error("the store is away");

/** A watcher with a memory; its events are read all the time. */
function watch(store: MemoryStore, options = {}) {
  const fleet = new FleetMonitor({ timeout: TIMEOUT, resolution: 30 });
  const errors: unknown[] = [];
  const events = readAll(persistFleet(fleet, store, {
    onError: (error) => errors.push(error),
    ...options,
  }));
  const says = () =>
    events.chunks.map(({ type, id }: StoredFleetEvent) => `${type} ${id}`);
  return { fleet, events, errors, says, end: () => events.cancel("it ends") };
}

/** Lets time pass while these workers beat. */
async function advance(
  time: VirtualTime,
  ms: number,
  fleet?: FleetMonitor,
  workers: string[] = [],
) {
  for (let passed = 0; passed < ms; passed += 250) {
    for (const worker of workers) fleet!.beat(worker);
    await time.runUntil(Date.now() + 250);
  }
}

Deno.test("persistFleet writes an event before it hands it over, and acknowledges it", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, says, end } = watch(store);
  await advance(time, 1000, fleet, ["alpha", "beta"]);
  await advance(time, 2000, fleet, ["beta"]);
  assertEquals(says(), ["up alpha#1", "up beta#1", "down alpha#2"]);
  assertEquals(store.writes, ["alpha up", "beta up", "alpha down"]);
  assertEquals(store.acknowledged, 3);
  await end();
  await time.runUntil(Date.now());
  assertEquals(time.timers, 0);
});

Deno.test("persistFleet reports who died while no watcher was there, and nobody else", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store);
  await advance(time, 1000, first.fleet, ["alpha", "beta", "gamma"]);
  await advance(time, 2000, first.fleet, ["alpha", "beta"]);
  await first.end();
  // alpha dies, beta lives, gamma is known to be down
  await advance(time, 10_000);
  const started = Date.now();
  const second = watch(store);
  await advance(time, 3000, second.fleet, ["beta"]);
  assertEquals(second.says(), ["down alpha#2"]);
  const [event] = second.events.chunks;
  const after = event!.time - started;
  assert(after >= TIMEOUT && after <= TIMEOUT + 30, `after ${after} ms`);
  await second.end();
});

Deno.test("persistFleet says how long an outage was that several watchers have seen", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store);
  first.fleet.beat("alpha", 7);
  await advance(time, 5000);
  await first.end();
  const second = watch(store);
  await advance(time, 3000);
  second.fleet.beat("alpha", 17, "back");
  await advance(time, 250);
  const [event] = second.events.chunks;
  assertEquals(event, {
    ...{ type: "recovered", worker: "alpha", time: 8000, id: "alpha#3" },
    ...{ outage: 8000, missed: 9, seq: 17, detail: "back" },
  });
  await second.end();
});

Deno.test("persistFleet hands over once more what was perhaps not handed over", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const reader = persistFleet(fleet, store).getReader();
  fleet.beat("alpha");
  fleet.beat("beta");
  await time.runUntil(10);
  assertEquals((await reader.read()).value?.id, "alpha#1");
  await time.runUntil(20);
  // it is busy with alpha, and ends: nobody knows whether it was done
  await reader.cancel();
  assertEquals(store.acknowledged, 0);
  const second = watch(store);
  await time.runUntil(100);
  assertEquals(second.says(), ["up alpha#1", "up beta#1"]);
  assertEquals(store.acknowledged, 2);
  await second.end();
  const third = watch(store);
  await time.runUntil(200);
  assertEquals(third.says(), []);
  await third.end();
});

Deno.test("persistFleet acknowledges only what its reader has taken, also if the store is slow", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { acknowledge } = store;
  store.acknowledge = async (position) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await acknowledge.call(store, position);
  };
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const reader = persistFleet(fleet, store).getReader();
  for (const worker of ["alpha", "beta", "gamma"]) fleet.beat(worker);
  await time.runUntil(10);
  const ids = [
    (await reader.read()).value?.id,
    (await reader.read()).value?.id,
  ];
  assertEquals(ids, ["alpha#1", "beta#1"]);
  await time.runUntil(500);
  // it is busy with beta
  assertEquals(store.acknowledged, 1);
  assertEquals((await reader.read()).value?.id, "gamma#1");
  await time.runUntil(600);
  assertEquals(store.acknowledged, 2);
  await reader.cancel();
});

Deno.test("persistFleet repeats an event that was written before one that is acknowledged", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const reader = persistFleet(fleet, store).getReader();
  const { save } = store;
  let tries = 0;
  store.save = (row, previous) =>
    row.worker === "alpha" && tries++ === 0
      ? Promise.reject(FAILURE)
      : save.call(store, row, previous);
  // alpha is written again after 250 ms, and comes first all the same
  for (const worker of ["alpha", "beta", "gamma"]) fleet.beat(worker);
  const first = reader.read();
  await time.runUntil(500);
  assertEquals((await first).value?.id, "alpha#1");
  assertEquals((await reader.read()).value?.id, "beta#1");
  await time.runUntil(600);
  await reader.cancel();
  const second = watch(store);
  await time.runUntil(700);
  assertEquals(second.says().includes("up beta#1"), true);
  assertEquals(second.says().includes("up gamma#1"), true);
  await second.end();
});

Deno.test("persistFleet repeats a last event before what follows it", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store);
  await advance(time, 500, first.fleet, ["alpha"]);
  await advance(time, 2000);
  await first.end();
  // the down event was written, and its watcher ended before it was handed over
  store.acknowledged = 1;
  const second = watch(store);
  second.fleet.beat("alpha");
  await advance(time, 500, second.fleet, ["alpha"]);
  assertEquals(second.says(), ["down alpha#2", "recovered alpha#3"]);
  await second.end();
});

Deno.test("persistFleet forgets who has left, once a reader knows", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store);
  await advance(time, 500, first.fleet, ["alpha"]);
  first.fleet.remove("alpha");
  await time.runUntil(Date.now() + 10);
  assertEquals(first.says(), ["up alpha#1", "forgotten alpha#2"]);
  assertEquals([...store.rows], []);
  // it begins anew, and no event has the id of an earlier one
  first.fleet.beat("alpha");
  await time.runUntil(Date.now() + 10);
  assertEquals(first.says().at(-1), "up alpha#3");
  first.fleet.remove("alpha");
  await time.runUntil(Date.now() + 10);
  await first.end();
  // not even in the next watcher
  const second = watch(store);
  await advance(time, 500, second.fleet, ["alpha"]);
  assertEquals(second.says(), ["up alpha#5"]);
  await second.end();
});

Deno.test("persistFleet misses nobody who has left as planned, whenever the next watcher starts", async () => {
  for (const isAcknowledged of [true, false]) {
    using time = new VirtualTime();
    const store = new MemoryStore();
    const first = watch(store);
    const writer = first.fleet.writable.getWriter();
    await advance(time, 500, first.fleet, ["alpha", "beta"]);
    writer.write([
      { worker: "alpha", seq: 9, time: 0, ended: "done" },
      { worker: "beta", seq: 9, time: 0, ended: "failed" },
    ]);
    await time.runUntil(Date.now() + 10);
    assertEquals(first.says().slice(2), ["left alpha#2", "down beta#2"]);
    assertEquals([...store.rows.keys()], ["beta"]);
    await first.end();
    if (!isAcknowledged) {
      // it ended before its reader had taken the event
      const event = first.events.chunks[2] as WorkerEvent;
      const row = { worker: "alpha", change: 2, position: 3, event };
      store.rows.set("alpha", row);
      store.acknowledged = 2;
    }
    const second = watch(store);
    await advance(time, 5_000);
    const repeated = isAcknowledged ? [] : ["left alpha#2", "down beta#2"];
    assertEquals(second.says(), repeated);
    assertEquals([...second.fleet].map(({ worker }) => worker), ["beta"]);
    await second.end();
  }
});

Deno.test("persistFleet keeps a worker that comes back before it was forgotten for good", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const reader = persistFleet(fleet, store).getReader();
  const next = async () => (await reader.read()).value?.id;
  fleet.beat("alpha");
  assertEquals(await next(), "alpha#1");
  fleet.remove("alpha");
  assertEquals(await next(), "alpha#2");
  fleet.beat("alpha");
  await time.runUntil(10);
  assertEquals(await next(), "alpha#3");
  await time.runUntil(20);
  assertEquals(store.rows.get("alpha")?.change, 3);
  await reader.cancel();
});

Deno.test("persistFleet leaves an event to another watcher that has written the row", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store);
  await advance(time, 500, first.fleet, ["alpha", "beta"]);
  const event = {
    ...{ type: "down", worker: "alpha", time: Date.now(), reason: "silent" },
  } as WorkerEvent;
  await store.save({ worker: "alpha", change: 2, event }, 1);
  await advance(time, 2000);
  assertEquals(first.says().slice(2), ["down beta#2"]);
  await first.end();
});

Deno.test("persistFleet reports a death after a row that another watcher has written", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store);
  await advance(time, 500, first.fleet, ["alpha"]);
  // a write of the watcher before it, which was on its way for long
  const event = { type: "up", worker: "alpha", time: Date.now() } as const;
  await store.save({ worker: "alpha", change: 4, event }, 1);
  await advance(time, 2000);
  assertEquals(first.says(), ["up alpha#1", "down alpha#5"]);
  await advance(time, 500, first.fleet, ["alpha"]);
  await advance(time, 2000);
  assertEquals(first.says().slice(2), ["recovered alpha#6", "down alpha#7"]);
  await first.end();
});

Deno.test("persistFleet of a watcher that took over reports what the one before wrote too late", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store, { [TAKES_OVER]: true });
  await advance(time, 500, first.fleet, ["alpha"]);
  const event = {
    ...{ type: "down", worker: "alpha", time: 7, reason: "silent" },
  } as WorkerEvent;
  await store.save({ worker: "alpha", change: 4, event }, 1);
  await advance(time, 2000);
  // with its id, for whoever has it already
  assertEquals(first.events.chunks.at(-1), { ...event, id: "alpha#4" });
  assertEquals([first.events.chunks.length, store.acknowledged], [2, 2]);
  await advance(time, 500, first.fleet, ["alpha"]);
  assertEquals(first.says().slice(2), ["recovered alpha#5"]);
  await first.end();
});

Deno.test("persistFleet goes on after a write that arrived without an answer", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store, { storeTimeout: 1000 });
  await advance(time, 500, first.fleet, ["alpha"]);
  const { save } = store;
  store.save = async (row, previous) => {
    await save.call(store, row, previous);
    throw FAILURE;
  };
  await advance(time, 1000);
  store.failure = FAILURE;
  await advance(time, 1500);
  assertEquals(first.says(), ["up alpha#1", "down alpha#2"]);
  assertEquals(store.rows.get("alpha")?.change, 2);
  store.failure = undefined;
  store.save = save;
  await advance(time, 500, first.fleet, ["alpha"]);
  await advance(time, 2000);
  assertEquals(first.says().slice(2), ["recovered alpha#3", "down alpha#4"]);
  await first.end();
});

Deno.test("persistFleet reports the death of a worker whose row could not be removed", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, says, end } = watch(store);
  store.remove = () => Promise.reject(FAILURE);
  await advance(time, 500, fleet, ["alpha"]);
  fleet.remove("alpha");
  await advance(time, 500);
  assertEquals(store.rows.get("alpha")?.event.type, "forgotten");
  await advance(time, 500, fleet, ["alpha"]);
  await advance(time, 2000);
  assertEquals(says().slice(2), ["up alpha#3", "down alpha#4"]);
  await end();
});

Deno.test("persistFleet hands an event over where the store refuses it again and again", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  store.save = () => Promise.resolve(undefined);
  const { fleet, says, end } = watch(store);
  await advance(time, 500, fleet, ["alpha"]);
  await advance(time, 2000);
  assertEquals(says().map((text) => text.split(" ")[0]), ["up", "down"]);
  await end();
});

Deno.test("persistFleet keeps the row of a worker that is back before it is known to have left", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, says, end } = watch(store);
  await advance(time, 500, fleet, ["alpha"]);
  store.failure = FAILURE;
  fleet.remove("alpha");
  await advance(time, 500, fleet, ["alpha"]);
  store.failure = undefined;
  await advance(time, 500, fleet, ["alpha"]);
  assertEquals(says().slice(1), ["forgotten alpha#2", "up alpha#3"]);
  const seen: unknown[] = [];
  const { save } = store;
  store.save = (row, previous) => {
    seen.push(previous);
    return save.call(store, row, previous);
  };
  await advance(time, 2000);
  assertEquals(says().slice(3), ["down alpha#4"]);
  assertEquals(seen, [3]);
  await end();
});

Deno.test("persistFleet waits for a store that fails for a short time", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store);
  await advance(time, 500, first.fleet, ["alpha"]);
  store.failure = FAILURE;
  await advance(time, 4000);
  assertEquals(first.says(), ["up alpha#1"]);
  store.failure = undefined;
  await advance(time, 250);
  assertEquals(first.says(), ["up alpha#1", "down alpha#2"]);
  for (const error of first.errors) assertStrictEquals(error, FAILURE);
  assertEquals(store.rows.get("alpha")?.event.type, "down");
  await first.end();
});

Deno.test("persistFleet hands an event over where the store fails for long", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store, { storeTimeout: 1000 });
  await advance(time, 500, first.fleet, ["alpha"]);
  store.failure = FAILURE;
  // it is down at 1250 + 20, by its last heartbeat at 250
  await advance(time, 1750);
  assertEquals(first.says(), ["up alpha#1"]);
  await advance(time, 250);
  assertEquals(first.says(), ["up alpha#1", "down alpha#2"]);
  // it writes again as soon as that works
  store.failure = undefined;
  await advance(time, 500, first.fleet, ["alpha"]);
  assertEquals(store.rows.get("alpha")?.event.type, "recovered");
  assertEquals(store.rows.get("alpha")?.change, 3);
  await first.end();
});

Deno.test("persistFleet writes what it handed over unwritten, once the store is back", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store, { storeTimeout: 300 });
  await advance(time, 500, first.fleet, ["alpha", "beta", "gamma"]);
  await advance(time, 2000, first.fleet, ["beta", "gamma"]);
  store.failure = FAILURE;
  first.fleet.remove("gamma");
  await advance(time, 3000, first.fleet, ["alpha", "beta", "delta"]);
  assertEquals(first.says().slice(3), [
    ...["down alpha#2", "forgotten gamma#2", "recovered alpha#3", "up delta#1"],
  ]);
  assertEquals(store.rows.get("alpha")?.event.type, "down");
  store.failure = undefined;
  await advance(time, 2000, first.fleet, ["alpha", "beta", "delta"]);
  await first.end();
  assertEquals(time.timers, 0);
  // all die, and nobody watches
  const second = watch(store);
  await advance(time, 2000);
  assertEquals(second.says().filter((line) => line.startsWith("down")).sort(), [
    ...["down alpha#4", "down beta#2", "down delta#2"],
  ]);
  assertEquals(second.says().some((line) => line.includes("gamma")), false);
  await second.end();
});

Deno.test("persistFleet hands over an event whose write arrived without an answer", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, says, end } = watch(store);
  await advance(time, 500, fleet, ["alpha"]);
  const { save } = store;
  store.save = async (row, previous) => {
    store.save = save;
    await save.call(store, row, previous);
    throw FAILURE;
  };
  await advance(time, 2000);
  assertEquals(says(), ["up alpha#1", "down alpha#2"]);
  await end();
});

Deno.test("persistFleet gives no id twice after an event that was written late", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, says, end } = watch(store, { storeTimeout: 300 });
  const { save } = store;
  // it arrives, but without an answer
  store.save = async (row, previous) => {
    await save.call(store, row, previous);
    throw FAILURE;
  };
  const { load } = store;
  await advance(time, 250);
  store.load = () => Promise.reject(FAILURE);
  await advance(time, 500, fleet, ["alpha"]);
  store.failure = FAILURE;
  await advance(time, 2000);
  await advance(time, 1000, fleet, ["alpha"]);
  Object.assign(store, { failure: undefined, save, load: load });
  await advance(time, 1500, fleet, ["alpha"]);
  await advance(time, 2000);
  assertEquals(says(), [
    ...["up alpha#1", "down alpha#2", "recovered alpha#3", "down alpha#4"],
  ]);
  await end();
});

Deno.test("persistFleet removes a row once that works", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, end } = watch(store);
  const { remove } = store;
  store.remove = () => Promise.reject(FAILURE);
  await advance(time, 500, fleet, ["alpha", "beta"]);
  fleet.remove("alpha");
  await advance(time, 500, fleet, ["beta"]);
  assertEquals([...store.rows.keys()], ["alpha", "beta"]);
  store.remove = remove;
  await advance(time, 2000);
  assertEquals([...store.rows.keys()], ["beta"]);
  await end();
});

Deno.test("persistFleet gives no id twice to a worker that left while the store failed", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, says, end } = watch(store, { storeTimeout: 300 });
  await advance(time, 500, fleet, ["alpha"]);
  store.failure = FAILURE;
  for (let life = 0; life < 3; life++) {
    await advance(time, 3000);
    await advance(time, 1000, fleet, ["alpha"]);
  }
  store.failure = undefined;
  fleet.remove("alpha");
  await advance(time, 1000);
  fleet.beat("alpha");
  await advance(time, 250);
  const ids = says().map((line) => line.split(" ")[1]);
  assertEquals(ids.length, 9);
  assertEquals(ids.length, new Set(ids).size);
  await end();
});

Deno.test("persistFleet leaves no timer when it is cancelled while its store fails", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = watch(store, { storeTimeout: Infinity });
  store.failure = FAILURE;
  await advance(time, 500, first.fleet, ["alpha"]);
  await first.end();
  await time.runUntil(Date.now());
  assertEquals(time.timers, 0);
});

Deno.test("persistFleet ends its fleet at once when it is cancelled while its store is read", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const loading = Promise.withResolvers<StoredFleet>();
  store.load = () => loading.promise;
  const { fleet, events, end } = watch(store, { storeTimeout: Infinity });
  const writer = fleet.writable.getWriter();
  const ended = writer.closed.then(() => "closed", (reason) => reason);
  fleet.beat("alpha");
  await time.runUntil(10);
  await end();
  await time.runUntil(10);
  assertEquals(await Promise.race([ended, "open"]), "it ends");
  assertEquals(time.timers, 0);
  // an answer that comes too late changes nothing
  loading.resolve({ workers: [], acknowledged: 0 });
  await time.runUntil(10_000);
  assertEquals([events.chunks, time.timers], [[], 0]);
});

Deno.test("persistFleet leaves its store alone once it is cancelled", async () => {
  for (const method of ["load", "save", "acknowledge", "remove"] as const) {
    using time = new VirtualTime();
    const store = new MemoryStore();
    const { fleet, errors, end } = watch(store);
    if (method !== "load") await advance(time, 500, fleet, ["alpha"]);
    let calls = 0;
    for (const each of ["load", "save", "acknowledge", "remove"] as const) {
      const action = store[each] as (...args: unknown[]) => Promise<unknown>;
      Object.assign(store, {
        async [each](...args: unknown[]) {
          calls++;
          await new Promise((resolve) => setTimeout(resolve, 30));
          if (each === method) throw FAILURE;
          return await action.apply(store, args);
        },
      });
    }
    fleet.beat("beta");
    fleet.remove("alpha");
    await time.runUntil(Date.now() + (method === "remove" ? 80 : 50));
    await end();
    const before = [calls, errors.length];
    await time.runUntil(Date.now() + 10_000);
    assertEquals([calls, errors.length], before, method);
    assertEquals(time.timers, 0, method);
  }
});

Deno.test("persistFleet takes a store that does not answer for one that fails", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { load, save } = store;
  const hang = () => new Promise<never>(() => {});
  store.load = hang;
  const unread = watch(store, { storeTimeout: 1000 });
  // it may be large
  await time.runUntil(59_999);
  assertEquals(unread.events.end, undefined);
  await time.runUntil(60_000);
  assertEquals((unread.events.end as Error).name, "TimeoutError");

  store.load = load;
  const { fleet, says, errors, end } = watch(store, { storeTimeout: 1000 });
  await advance(time, 500, fleet, ["alpha"]);
  store.save = store.load = store.acknowledge = hang;
  // it is down 1 s after its last heartbeat, and not later than 30 ms after that
  await advance(time, 1750);
  assertEquals(says(), ["up alpha#1"]);
  await advance(time, 250);
  assertEquals(says(), ["up alpha#1", "down alpha#2"]);
  assertEquals((errors[0] as Error).name, "TimeoutError");
  store.save = save;
  store.load = load;
  await advance(time, 250, fleet, ["alpha"]);
  assertEquals(says().slice(2), ["recovered alpha#3"]);
  await end();
  assertEquals(time.timers, 0);
});

Deno.test("persistFleet reports a whole fleet while its store is away, and waits for it once", async () => {
  const ways = [
    () => new Promise<never>(() => {}),
    () => Promise.reject(FAILURE),
  ];
  for (const fail of ways) {
    using time = new VirtualTime();
    const store = new MemoryStore();
    const { fleet, events, end } = watch(store, { storeTimeout: 1000 });
    const workers = Array.from({ length: 1000 }, (_, i) => `worker${i}`);
    await advance(time, 250, fleet, workers);
    store.save = store.load = store.acknowledge = fail;
    // all are down after 1030 ms, and the store is waited for
    await advance(time, 2250);
    const down = events.chunks.filter(({ type }) => type === "down");
    assertEquals(down.length, 1000);
    await end();
  }
});

Deno.test("persistFleet closes although its store does not answer", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  store.acknowledge = () => new Promise(() => {});
  const { fleet, events } = watch(store, { storeTimeout: 1000 });
  const writer = fleet.writable.getWriter();
  writer.write({ worker: "alpha", seq: 1, time: 0 });
  writer.close();
  await time.runUntil(1000);
  assertEquals([events.end, time.timers], ["closed", 0]);
});

Deno.test("persistFleet errors at once with its fleet, whatever its store does", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  store.load = () => new Promise(() => {});
  const { fleet, events } = watch(store, { storeTimeout: Infinity });
  await time.runUntil(10);
  const aborted = fleet.writable.abort(FAILURE);
  await time.runUntil(10);
  assertStrictEquals(events.end, FAILURE);
  await aborted;
  assertEquals(time.timers, 0);
});

Deno.test("persistFleet ends its fleet when its store cannot be read", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  store.load = () => Promise.reject(FAILURE);
  const { fleet, events } = watch(store, { storeTimeout: 1000 });
  const writer = fleet.writable.getWriter();
  const ended = writer.closed.catch((reason) => reason);
  fleet.beat("alpha");
  await time.runUntil(1000);
  assertStrictEquals(events.end, FAILURE);
  assertStrictEquals(await ended, FAILURE);
  assertEquals(time.timers, 0);
});

Deno.test("persistFleet errors with what onError throws", async () => {
  for (const method of ["load", "save", "acknowledge"] as const) {
    using time = new VirtualTime();
    const store = new MemoryStore();
    store[method] = () => Promise.reject<never>(FAILURE);
    const mistake = new Error("a mistake in onError");
    const { fleet, events } = watch(store, {
      onError() {
        throw mistake;
      },
    });
    await advance(time, 250, fleet, ["alpha"]);
    await time.runUntil(Date.now() + 10);
    assertStrictEquals(events.end, mistake, method);
    assertEquals(time.timers, 0, method);
  }
});

Deno.test("persistFleet waits for a store that cannot be read, and errors in the end", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { load } = store;
  store.load = () => Promise.reject(FAILURE);
  const [first, second] = [watch(store), watch(store, { storeTimeout: 9000 })];
  first.fleet.beat("alpha");
  second.fleet.beat("alpha");
  await advance(time, 4750);
  assertEquals([first.events.end, first.errors.length], [undefined, 20]);
  await advance(time, 250);
  assertStrictEquals(first.events.end, FAILURE);
  store.load = load;
  await advance(time, 250);
  assertEquals(second.says()[0], "up alpha#1");
  await second.end();
});

Deno.test("persistFleet stores no detail that has no form in JSON", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, events, end } = watch(store);
  fleet.beat("alpha", 1, 1n);
  await time.runUntil(10);
  const [up] = events.chunks;
  assertEquals(up?.type === "up" && up.detail, 1n);
  assertEquals(store.rows.get("alpha")?.event, {
    ...{ type: "up", worker: "alpha", time: 0, seq: 1 },
  });
  await end();
});

Deno.test("persistFleet stores no long detail, and hands over what is about no worker", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const fleet = new FleetMonitor({ timeout: TIMEOUT, maxWorkers: 1 });
  const events = readAll(persistFleet(fleet, store));
  fleet.beat("alpha", 1, "x".repeat(5000));
  fleet.beat("beta");
  await time.runUntil(10);
  const [up, refused] = events.chunks;
  assertEquals([refused?.type, refused?.id], ["refused", undefined]);
  assertEquals(up?.type === "up" && (up.detail as string).length, 5000);
  assertEquals(store.rows.get("alpha")?.event, {
    ...{ type: "up", worker: "alpha", time: 0, seq: 1 },
  });
  await events.cancel("");
});

Deno.test("persistFleet closes when its fleet does, after the last acknowledgement", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { fleet, events, says } = watch(store);
  const writer = fleet.writable.getWriter();
  writer.write({ worker: "alpha", seq: 1, time: 0 });
  writer.close();
  await time.runUntil(10);
  assertEquals(says(), ["up alpha#1"]);
  assertEquals([events.end, store.acknowledged], ["closed", 1]);
});

Deno.test("natsStore keeps what a fleet needs under keys that any name has", async () => {
  const bucket = new MemoryBucket(Infinity);
  const store = natsStore(bucket.connect(), "p1.");
  const other = natsStore(bucket.connect(), "p2.");
  const names = ["alpha", "a.b", "", "w*>", "wörker 🫀", "A_b-c=1"];
  const positions: (number | undefined)[] = [];
  for (const worker of names) {
    const event = { type: "up", worker, time: 5 } as const;
    positions.push(await store.save({ worker, change: 1, event }, undefined));
  }
  await store.acknowledge(positions[2]!);
  const { workers, acknowledged } = await store.load();
  assertEquals(workers.map(({ worker }) => worker), names);
  assertEquals(workers.map(({ position }) => position), positions);
  assertEquals(acknowledged, positions[2]);
  assertEquals(await other.load(), { workers: [], acknowledged: 0 });

  const [first] = workers;
  const event = {
    ...{ type: "down", worker: "alpha", time: 6, reason: "silent" },
  } as WorkerEvent;
  const row = { worker: "alpha", change: 2, event };
  const position = await store.save(row, first!.position);
  // the answer to a first try was lost
  assertEquals(await store.save(row, first!.position), position);
  const later = { ...row, change: 3 };
  assertEquals(await store.save(later, first!.position), undefined);
  assertEquals(await store.save(later, undefined), undefined);
  await store.remove("alpha", first!.position);
  assertEquals((await store.load()).workers.length, names.length);
  await store.remove("alpha", position!);
  assertEquals((await store.load()).workers.length, names.length - 1);
});

Deno.test("natsStore waits 5 s for a row, and leaves no timer and no iterator behind", async () => {
  using time = new VirtualTime();
  const bucket = new MemoryBucket(Infinity);
  const connected = bucket.connect();
  const store = natsStore(connected);
  const event = { type: "up", worker: "alpha", time: 5 } as const;
  await store.save({ worker: "alpha", change: 1, event }, undefined);
  let stopped = 0;
  const history = connected.history.bind(connected);
  connected.history = async (options) => {
    const entries = await history(options);
    return Object.assign(
      (async function* () {
        yield* entries;
        await new Promise(() => {}); // the bucket was removed
      })(),
      { stop: () => stopped++ },
    );
  };
  const loaded = store.load().then(() => "loaded", ({ name }) => name);
  await time.runUntil(4_999);
  assertEquals(await Promise.race([loaded, "waits"]), "waits");
  await time.runUntil(5_000);
  assertEquals([await loaded, stopped, time.timers], ["TimeoutError", 1, 0]);
});
