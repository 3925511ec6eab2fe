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
