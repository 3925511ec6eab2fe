// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { EventWriter, toPlace } from "../_event_writer.ts";
import { StoreRequests } from "../_store_requests.ts";
import type { WorkerEvent } from "../fleet.ts";
import { MemoryStore } from "./_memory_store.ts";

const UP = { type: "up", worker: "alpha", time: 1 } as const;
const DOWN = {
  ...{ type: "down", worker: "alpha", time: 2, reason: "silent" },
} as WorkerEvent;
const NOWHERE = Promise.resolve({ change: 0, position: undefined });

function open({ takesOver = false } = {}) {
  const store = new MemoryStore();
  const { signal } = new AbortController();
  const requests = new StoreRequests(store, {
    ...{ storeTimeout: 1, onError() {}, signal },
  });
  return { store, writer: new EventWriter(requests, takesOver) };
}

Deno.test("EventWriter numbers the events of a worker", async () => {
  const { store, writer } = open();
  const writing = writer.write(UP, UP, NOWHERE);
  assertEquals(await writing, {
    ...{ event: UP, change: 1, position: 1, isWritten: true },
  });
  const next = await writer.write(DOWN, DOWN, toPlace(writing));
  assertEquals([next.change, next.position], [2, 2]);
  assertEquals(store.rows.get("alpha")?.event, DOWN);
});

Deno.test("EventWriter leaves the event to a watcher that was faster, unless that may not report it", async () => {
  for (const takesOver of [false, true]) {
    const { store, writer } = open({ takesOver });
    await store.save({ worker: "alpha", change: 3, event: DOWN }, undefined);
    const later = { ...DOWN, time: 5 };
    assertEquals(await writer.write(later, later, NOWHERE), {
      event: takesOver ? DOWN : undefined,
      ...{ change: 3, position: 1, isWritten: true },
    });
  }
});

Deno.test("EventWriter says what could not be written, and where its row is", async () => {
  const { store, writer } = open();
  const place = toPlace(writer.write(UP, UP, NOWHERE));
  await place;
  store.failure = new Error("the store is away");
  assertEquals(await writer.write(DOWN, DOWN, place), {
    ...{ event: DOWN, change: 2, position: 1, isWritten: false },
  });
});

Deno.test("EventWriter writes over an earlier event of its own that arrives late", async () => {
  const { store, writer } = open();
  await store.save({ worker: "alpha", change: 1, event: UP }, undefined);
  await store.save({ worker: "alpha", change: 2, event: DOWN }, 1);
  const later = { ...DOWN, time: 5 };
  // it has come back meanwhile, which the store does not know
  const place = Promise.resolve({ change: 3, position: 1 });
  assertEquals(await writer.write(later, later, place), {
    ...{ event: later, change: 4, position: 3, isWritten: true },
  });
});

Deno.test("EventWriter writes late under the number that was handed over, unless more is known", async () => {
  const { store, writer } = open();
  await store.save({ worker: "alpha", change: 1, event: UP }, undefined);
  const recovered = {
    ...{ type: "recovered", worker: "alpha", time: 3, outage: 1 },
  } as WorkerEvent;
  const place = Promise.resolve({ change: 3, position: undefined });
  assertEquals(await writer.writeLate(recovered, place), {
    ...{ change: 3, position: 2, isWritten: true },
  });
  assertEquals(store.rows.get("alpha")?.event, recovered);
  await store.save({ worker: "alpha", change: 4, event: DOWN }, 2);
  assertEquals(await writer.writeLate(recovered, place), {
    ...{ change: 4, position: 3, isWritten: true },
  });
  assertEquals(store.rows.get("alpha")?.event, DOWN);
});
