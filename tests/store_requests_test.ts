// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertStrictEquals } from "@std/assert";
import { StoreRequests } from "../_store_requests.ts";
import { MemoryStore } from "./_memory_store.ts";
import { VirtualTime } from "./model/_virtual_time.ts";

const FAILURE = new Error("the store is away");
const EVENT = { type: "up", worker: "alpha", time: 0 } as const;
const ROW = { worker: "alpha", change: 1, event: EVENT };

function open(store: MemoryStore, storeTimeout = 1000) {
  const errors: unknown[] = [];
  const end = new AbortController();
  const requests = new StoreRequests(store, {
    storeTimeout,
    onError: (error) => errors.push(error),
    signal: end.signal,
  });
  const save = () =>
    requests.save(ROW, undefined)
      .then((position) => position && "saved", (error) => error);
  return { requests, errors, end, save };
}

Deno.test("requests to a store are tried again until they work or take too long", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { errors, save } = open(store);
  store.failure = FAILURE;
  const first = save();
  await time.runUntil(400);
  store.failure = undefined;
  await time.runUntil(500);
  assertEquals([await first, errors.length], ["saved", 2]);
  store.failure = FAILURE;
  const second = save();
  await time.runUntil(1499);
  assertEquals(await Promise.race([second, "waits"]), "waits");
  await time.runUntil(1500);
  assertStrictEquals(await second, FAILURE);
  // each is tried once from now on
  assertStrictEquals(await save(), FAILURE);
  assertEquals(errors.length, 2 + 5 + 1);
  store.failure = undefined;
  store.rows.clear();
  assertEquals(await save(), "saved");
});

Deno.test("requests to a store that does not answer fail in time, and then at once for a while", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { errors, save } = open(store);
  let asked = 0;
  store.save = () => (asked++, new Promise(() => {}));
  const first = save();
  await time.runUntil(1000);
  assertEquals((await first).name, "TimeoutError");
  await time.runUntil(1999);
  assertEquals([(await save()).name, asked], ["TimeoutError", 1]);
  await time.runUntil(2000);
  const second = save();
  await time.runUntil(2249);
  assertEquals(await Promise.race([second, "waits"]), "waits");
  await time.runUntil(2250);
  assertEquals((await second).name, "TimeoutError");
  await time.runUntil(2499);
  assertEquals([(await save()).name, asked], ["TimeoutError", 2]);
  assertEquals([errors.length, time.timers], [2, 0]);
});

Deno.test("requests to a store share an answer, but not one that never comes", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { requests } = open(store);
  let asked = 0;
  const { load } = store;
  store.load = () => (asked++, new Promise(() => {}));
  const both = Promise.allSettled([requests.load(), requests.load()]);
  await time.runUntil(60_000);
  assertEquals((await both).map(({ status }) => status), [
    ...["rejected", "rejected"],
  ]);
  assertEquals(asked, 1);
  store.load = load;
  await time.runUntil(61_000);
  assertEquals(await requests.load(), { workers: [], acknowledged: 0 });
});

Deno.test("requests to a store are sent again where an answer was lost, however long it is waited for", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { save, requests } = open(store, Infinity);
  store.load = () => new Promise(() => {});
  const { save: write, load } = MemoryStore.prototype;
  store.save = async (...args) => {
    await write.apply(store, args);
    return await new Promise(() => {});
  };
  const [saved, loaded] = [save(), requests.load()];
  Object.assign(store, { save: write, load });
  await time.runUntil(10_250);
  // nothing is written: the row is there already
  assertEquals(await saved, undefined);
  await time.runUntil(60_250);
  assertEquals((await loaded).workers.length, 1);
  assertEquals(time.timers, 0);
});

Deno.test("requests to a store end with the signal, and none follows", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { requests, errors, end, save } = open(store);
  let asked = 0;
  store.save = () => (asked++, new Promise(() => {}));
  const saved = save();
  store.failure = FAILURE;
  end.abort(FAILURE);
  assertStrictEquals(await saved, FAILURE);
  assertStrictEquals(await save(), FAILURE);
  const removed = requests.remove("alpha", 1).catch((error) => error);
  assertStrictEquals(await removed, FAILURE);
  assertEquals([asked, errors, time.timers], [1, [], 0]);
});
