// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { WorkerHandle } from "../_fleet_handle.ts";
import { FleetWatch } from "../_fleet_watch.ts";
import type { Heartbeat } from "../worker.ts";

/** A watch with a period of 100 ms and a timeout of 1,000. */
function createWatch(forgetAfter = Infinity) {
  return new FleetWatch({
    ...{ timeout: 1000, resolution: 300, forgetAfter },
    ...{ maxWorkers: 100, maxNameLength: 100 },
  });
}

function readAll(watch: FleetWatch) {
  const said: string[] = [];
  for (let event; (event = watch.events.next());) {
    said.push(`${event.worker} ${event.type}`);
  }
  return said;
}

function statesOf(watch: FleetWatch) {
  return Array.from(watch.table, ({ worker, state }) => `${worker} ${state}`);
}

Deno.test("FleetWatch ignores everything once it has ended, a pause and its end, too", () => {
  using time = new FakeTime();
  for (const late of ["", "pause", "resume", "pause and resume"]) {
    const watch = createWatch();
    const handle = new WorkerHandle(watch, "a");
    handle.beat(1);
    watch.end();
    if (late.includes("pause")) watch.pause();
    if (late.includes("resume")) watch.resume();
    handle.beat(2);
    watch.beat("a", 3, undefined);
    watch.beat("b", 1, undefined);
    watch.beatAll("test", [{ worker: "c", seq: 1, time: 0 }]);
    watch.expectAll(["d"]);
    assertEquals(watch.remove("a"), false, late);
    assertEquals(Array.from(watch.table, ({ seq }) => seq), [1], late);
    assertEquals(readAll(watch), ["a up"], late);
    assertEquals(time.next(), false, late);
  }
});

Deno.test("FleetWatch calls onEvent for each event", () => {
  using time = new FakeTime();
  const watch = createWatch(1000);
  let calls = 0;
  watch.onEvent = () => calls++;
  watch.beat("a", 1, undefined);
  assertEquals(calls, 1);
  watch.beat("a", 2, undefined);
  watch.expectAll(["b"]);
  assertEquals(calls, 1);
  for (let i = 0; i < 13; i++) time.tick(100);
  assertEquals([statesOf(watch), calls], [["a down", "b down"], 3]);
  watch.beat("x".repeat(101), 1, undefined);
  assertEquals(calls, 4);
  for (let i = 0; i < 11; i++) time.tick(100);
  assertEquals([statesOf(watch), calls, time.next()], [[], 6, false]);
});

Deno.test("FleetWatch finds nobody down in a pause, and gives everybody a window after it", () => {
  using time = new FakeTime();
  const watch = createWatch();
  watch.beat("a", 1, undefined);
  for (let i = 0; i < 9; i++) time.tick(100);
  watch.pause();
  for (let i = 0; i < 50; i++) time.tick(100);
  assertEquals(statesOf(watch), ["a up"]);
  watch.resume();
  for (let i = 0; i < 11; i++) time.tick(100);
  assertEquals(statesOf(watch), ["a up"]);
  time.tick(100);
  assertEquals(statesOf(watch), ["a down"]);
});

Deno.test("FleetWatch forgets nobody in a pause, or within a timeout after it", () => {
  using time = new FakeTime();
  const watch = createWatch(200);
  watch.beat("a", 1, undefined);
  for (let i = 0; i < 12; i++) time.tick(100);
  assertEquals(statesOf(watch), ["a down"]);
  watch.pause();
  for (let i = 0; i < 50; i++) time.tick(100);
  assertEquals(statesOf(watch), ["a down"]);
  watch.resume();
  for (let i = 0; i < 11; i++) time.tick(100);
  assertEquals(statesOf(watch), ["a down"]);
  time.tick(100);
  assertEquals([statesOf(watch), time.next()], [[], false]);
});

Deno.test("FleetWatch takes what is no number for no seq, by name, by handle and in a batch", () => {
  using _time = new FakeTime();
  const watch = createWatch();
  const handle = new WorkerHandle(watch, "handle");
  for (const seq of [1, "7" as never]) {
    watch.beat("name", seq, undefined);
    handle.beat(seq);
    watch.beatAll("test", [{ worker: "batch", seq } as Heartbeat]);
  }
  assertEquals(
    Array.from(watch.table, (one) => "seq" in one),
    [false, false, false],
  );
  watch.end();
});

Deno.test("FleetWatch keeps a batch with its time, and what comes after it with the tick before", () => {
  using time = new FakeTime(0);
  const watch = createWatch();
  const lastSeen = () => Array.from(watch.table, ({ lastSeen }) => lastSeen);
  watch.expectAll(["keeps the clock"]);
  time.tick(150);
  watch.beat("a", 1, undefined);
  assertEquals(lastSeen(), [undefined, 100]);
  watch.beatAll("test", [{ worker: "a", seq: 2, time: 0 }]);
  assertEquals(lastSeen(), [undefined, 150]);
  watch.end();
});
