// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ShareMerger } from "../_shared_fleet.ts";
import { FleetMonitor } from "../fleet.ts";
import type { GroupChange } from "../group.ts";
import { persistFleet, type StoredFleetEvent } from "../store.ts";
import { readAll } from "./_help.ts";
import { MemoryStore } from "./_memory_store.ts";
import { VirtualTime } from "./model/_virtual_time.ts";

const TIMEOUT = 1000;
const REASON = new Error("that is enough");

/** A group whose partitions the test gives and takes; a worker is in the one that its name says. */
class ManualGroup {
  readonly held = new Set<number>();
  #listener: ((change: GroupChange) => void) | undefined;

  get isObserved(): boolean {
    return this.#listener !== undefined;
  }

  getPartition(worker: string): number {
    return Number(worker[0]);
  }

  holdsPartition(partition: number): boolean {
    return this.held.has(partition);
  }

  observe(listener: (change: GroupChange) => void) {
    this.#listener = listener;
    return () => void (this.#listener = undefined);
  }

  give(...partitions: number[]) {
    for (const partition of partitions) {
      this.held.add(partition);
      this.#listener?.({ type: "acquired", partition });
    }
  }

  take(partition: number) {
    this.held.delete(partition);
    this.#listener?.({ type: "lost", partition });
  }
}

/** Lets the streams run. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A shared fleet whose events are read all the time. */
function share(
  read = (stream: ReadableStream<StoredFleetEvent>) => readAll(stream),
) {
  const group = new ManualGroup();
  const made: number[] = [];
  const merger = new ShareMerger(group, (partition) => {
    made.push(partition);
    const fleet = new FleetMonitor({ timeout: TIMEOUT, resolution: 30 });
    return { fleet, events: fleet.readable };
  });
  const writer = merger.writable.getWriter();
  writer.closed.catch(() => {});
  const beat = (...workers: string[]) =>
    writer.write(workers.map((worker) => ({ worker, seq: 1, time: 0 })));
  const events = read(merger.readable);
  const says = () =>
    events.chunks.map(({ type, worker }) => `${worker} ${type}`);
  return { group, made, merger, writer, beat, events, says };
}

Deno.test("a shared fleet reports the workers of the partitions that are held", async () => {
  using time = new VirtualTime();
  const { group, made, merger, beat, events, says } = share();
  group.give(0, 2);
  beat("0a", "1a", "2a");
  await time.runUntil(10);
  assertEquals(says(), ["0a up", "2a up"]);
  assertEquals(made, [0, 2]);
  const sizes = [...merger.fleets()].map(({ size }) => size);
  assertEquals(sizes, [1, 1]);
  beat("0a");
  await time.runUntil(1500);
  assertEquals(says().slice(2).sort(), ["0a down", "2a down"]);
  await events.cancel(REASON);
  assertEquals(time.timers, 0);
});

Deno.test("a shared fleet reports nothing of a partition that was lost", async () => {
  using time = new VirtualTime();
  const { group, made, beat, events, says } = share();
  group.give(0, 1);
  beat("0a", "1a");
  await time.runUntil(500);
  group.take(0);
  beat("0a", "0b", "1a");
  await time.runUntil(2000);
  assertEquals(says(), ["0a up", "1a up", "1a down"]);
  // it knows nobody when it comes back: that is what a store is for
  group.give(0);
  beat("0b");
  await time.runUntil(2100);
  assertEquals(says().slice(3), ["0b up"]);
  assertEquals(made, [0, 1, 0]);
  await events.cancel(REASON);
  assertEquals(time.timers, 0);
});

Deno.test("a shared fleet ends at once when its source errors, although nobody reads its events", async () => {
  using time = new VirtualTime();
  const { group, merger, writer, beat } = share((stream) => ({
    ...{ chunks: [], end: undefined, reader: stream.getReader() },
    cancel: () => Promise.resolve(),
  }));
  group.give(0, 1);
  beat("0a", "1a");
  await time.runUntil(100);
  const aborted = writer.abort(REASON).then(() => "aborted");
  await time.runUntil(100);
  assertEquals([...merger.fleets()], []);
  assertEquals([group.isObserved, time.timers], [false, 0]);
  assertEquals(await Promise.race([aborted, "waits"]), "aborted");
});

Deno.test("the fleet of a partition that was lost ends at once, whatever its memory does", async () => {
  const group = new ManualGroup();
  const fleets: FleetMonitor[] = [];
  const merger = new ShareMerger(group, () => {
    const fleet = new FleetMonitor({ timeout: TIMEOUT });
    fleets.push(fleet);
    const store = new MemoryStore();
    store.load = () => new Promise(() => {});
    return { fleet, events: persistFleet(fleet, store) };
  });
  group.give(0);
  fleets[0]!.beat("0a");
  await settle();
  group.take(0);
  await settle();
  fleets[0]!.beat("0b");
  assertEquals([...fleets[0]!].map(({ worker }) => worker), ["0a"]);
  await merger.readable.cancel(REASON);
});

/** A shared fleet with a memory. */
function shareStore(store: MemoryStore) {
  const group = new ManualGroup();
  const merger = new ShareMerger(group, () => {
    const fleet = new FleetMonitor({ timeout: TIMEOUT, resolution: 30 });
    return { fleet, events: persistFleet(fleet, store) };
  });
  const events = readAll(merger.readable);
  const says = () => events.chunks.map(({ type, id }) => `${type} ${id}`);
  return { group, merger, events, says };
}

Deno.test("a shared fleet leaves an event that it may not report to the next watcher", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const first = shareStore(store);
  first.group.give(0);
  const writer = first.merger.writable.getWriter();
  writer.write({ worker: "0a", seq: 1, time: 0 });
  await time.runUntil(500);
  // the lease ends, and the timer that says so is late
  first.group.held.delete(0);
  await time.runUntil(2000);
  first.group.take(0);
  await time.runUntil(2500);
  assertEquals(first.says(), ["up 0a#1"]);
  assertEquals(store.rows.get("0a")?.event.type, "down");
  const second = shareStore(store);
  second.group.give(0);
  await time.runUntil(5000);
  assertEquals(second.says(), ["down 0a#2"]);
  await first.events.cancel(REASON);
  await second.events.cancel(REASON);
  await time.runUntil(6000);
  assertEquals(time.timers, 0);
});

Deno.test("a shared fleet acknowledges an event when its reader asks for the next one", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const group = new ManualGroup();
  const merger = new ShareMerger(group, () => {
    const fleet = new FleetMonitor({ timeout: TIMEOUT, resolution: 30 });
    return { fleet, events: persistFleet(fleet, store) };
  });
  group.give(0);
  const writer = merger.writable.getWriter();
  writer.write({ worker: "0a", seq: 1, time: 0 });
  const reader = merger.readable.getReader();
  const first = reader.read();
  await time.runUntil(500);
  assertEquals((await first).value?.id, "0a#1");
  // its reader is busy with it, and may end
  assertEquals(store.acknowledged, 0);
  const second = reader.read();
  await time.runUntil(600);
  assertEquals(store.acknowledged, 1);
  await time.runUntil(2000);
  assertEquals((await second).value?.id, "0a#2");
  assertEquals(store.acknowledged, 1);
  await reader.cancel();
  await time.runUntil(2100);
  assertEquals([time.timers, store.acknowledged], [0, 1]);
});

Deno.test("a shared fleet reports later what it may not report yet", async () => {
  using time = new VirtualTime();
  const store = new MemoryStore();
  const { group, merger, events, says } = shareStore(store);
  group.give(0);
  const writer = merger.writable.getWriter();
  writer.write({ worker: "0a", seq: 1, time: 0 });
  await time.runUntil(500);
  // the lease is renewed in the last moment
  group.held.delete(0);
  await time.runUntil(1200);
  group.held.add(0);
  await time.runUntil(3000);
  assertEquals(says(), ["up 0a#1", "down 0a#2"]);
  await events.cancel(REASON);
  await time.runUntil(4000);
  assertEquals(time.timers, 0);
});

Deno.test("a shared fleet reports who has left, and who failed", async () => {
  using time = new VirtualTime();
  const { group, writer, beat, events, says } = share();
  group.give(0, 1);
  beat("0a", "1a");
  writer.write([
    { worker: "0a", seq: 2, time: 0, ended: "done" },
    { worker: "1a", seq: 2, time: 0, ended: "failed" },
  ]);
  await time.runUntil(3000);
  assertEquals(says().slice(0, 2), ["0a up", "1a up"]);
  assertEquals(says().slice(2), ["0a left", "1a down"]);
  assertEquals(time.timers, 0);
  await events.cancel(REASON);
});

Deno.test("a shared fleet drops an event whose partition is not held when it is read", async () => {
  using time = new VirtualTime();
  let reader!: ReadableStreamDefaultReader<StoredFleetEvent>;
  const { group, beat } = share((stream) => {
    reader = stream.getReader();
    return readAll(new ReadableStream());
  });
  group.give(0, 1);
  beat("0a", "1a");
  await time.runUntil(10);
  // the process was stopped: it holds nothing, and nobody has said so
  group.held.delete(0);
  assertEquals((await reader.read()).value?.worker, "1a");
  await reader.cancel();
});

Deno.test("a shared fleet pauses the fleets that are there and those that come", async () => {
  using time = new VirtualTime();
  const { group, merger, beat, events, says } = share();
  group.give(0);
  beat("0a");
  await time.runUntil(10);
  merger.setPaused(true);
  group.give(1);
  beat("1a");
  await time.runUntil(5000);
  assertEquals(says(), ["0a up", "1a up"]);
  merger.setPaused(false);
  await time.runUntil(5900);
  assertEquals(says().length, 2);
  await time.runUntil(6200);
  assertEquals(says().slice(2).sort(), ["0a down", "1a down"]);
  await events.cancel(REASON);
});

Deno.test("a shared fleet closes when its source does, after the last event", async () => {
  using time = new VirtualTime();
  const { group, writer, beat, events, says } = share();
  group.give(0, 1);
  beat("0a", "1a");
  writer.close();
  group.give(2);
  await time.runUntil(10);
  assertEquals(says(), ["0a up", "1a up"]);
  assertEquals([events.end, group.isObserved], ["closed", false]);
  assertEquals(time.timers, 0);
});

Deno.test("a shared fleet closes at once when it holds nothing", async () => {
  using time = new VirtualTime();
  const { group, writer, events } = share();
  writer.close();
  await time.runUntil(10);
  assertEquals([events.end, group.isObserved], ["closed", false]);
});

Deno.test("a shared fleet that is cancelled cancels its source and ends its fleets", async () => {
  using time = new VirtualTime();
  const { group, writer, beat, events } = share();
  group.give(0);
  beat("0a");
  await time.runUntil(10);
  await events.cancel(REASON);
  assertStrictEquals(await assertRejects(() => writer.closed), REASON);
  assertEquals([group.isObserved, time.timers], [false, 0]);
});

Deno.test("a shared fleet errors with its source, and with a store that cannot be read", async () => {
  using time = new VirtualTime();
  const first = share();
  first.group.give(0);
  first.beat("0a");
  await time.runUntil(10);
  await first.writer.abort(REASON);
  await time.runUntil(20);
  assertStrictEquals(first.events.end, REASON);

  const group = new ManualGroup();
  const merger = new ShareMerger(group, () => ({
    fleet: new FleetMonitor({ timeout: TIMEOUT }),
    events: new ReadableStream<StoredFleetEvent>({
      start: (controller) => controller.error(REASON),
    }),
  }));
  const events = readAll(merger.readable);
  group.give(0);
  await time.runUntil(30);
  assertStrictEquals(events.end, REASON);
  assertEquals([group.isObserved, time.timers], [false, 0]);
});
