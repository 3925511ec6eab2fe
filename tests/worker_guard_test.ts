// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatGaps } from "../_heartbeat_gaps.ts";
import { HeartbeatEmitter } from "../_heartbeat_emitter.ts";
import type { HeartbeatTimeoutError } from "../_heartbeat_timeout_error.ts";
import type { HeartbeatMonitorOptions } from "../_monitor_options.ts";
import { isResultBeat, markResultBeat } from "../_result_beats.ts";
import { WorkerGuard } from "../_worker_guard.ts";
import type { Heartbeat } from "../_worker_types.ts";

function createGuard(
  options: Partial<HeartbeatMonitorOptions<Heartbeat>> = {},
) {
  const stalls: HeartbeatTimeoutError<Heartbeat>[] = [];
  const guard = new WorkerGuard(
    { timeout: 1000, ...options },
    (error) => stalls.push(error as HeartbeatTimeoutError<Heartbeat>),
  );
  return { guard, stalls };
}

let seq = 0;
const createBeat = (more?: Partial<Heartbeat>): Heartbeat => ({
  ...{ worker: "w", seq: ++seq, time: 0 },
  ...more,
});

Deno.test("WorkerGuard reports a worker without results and heartbeats, with what is known of it", () => {
  using time = new FakeTime();
  const { guard, stalls } = createGuard();
  guard.start();
  time.tick(1000);
  const [{ source, count, last, timeout, elapsed } = {}] = stalls;
  assertEquals([source, count, last, timeout, elapsed], [
    ...[undefined, 0, undefined, 1000, 1000],
  ]);
  assertEquals(time.next(), false);
});

Deno.test("WorkerGuard names the worker as its heartbeats do, or as it is asked to", () => {
  using time = new FakeTime();
  for (const [name, source] of [[undefined, "w"], ["mine", "mine"]]) {
    const { guard, stalls } = createGuard({ name });
    guard.start();
    const beat = createBeat();
    guard.onHeartbeat(beat);
    time.tick(1000);
    assertEquals([stalls[0]?.source, stalls[0]?.last], [source, beat]);
  }
});

for (
  const [what, act, stalledAfter] of [
    ["a first heartbeat", (guard) => guard.onHeartbeat(createBeat()), 5000],
    ["a result", (guard) => guard.onResult(), 1000],
    ["a second heartbeat", (guard) => {
      guard.onHeartbeat(createBeat());
      guard.onHeartbeat(createBeat());
    }, 1000],
    ["a heartbeat of a supervisor that waits", (guard) => {
      guard.onHeartbeat(createBeat());
      guard.onHeartbeat(createBeat({ restarting: { attempt: 2 } }));
    }, 5000],
  ] as [string, (guard: WorkerGuard) => void, number][]
) {
  Deno.test(`WorkerGuard waits ${stalledAfter} ms after ${what}`, () => {
    using time = new FakeTime();
    const { guard, stalls } = createGuard({ firstTimeout: 5000 });
    guard.start();
    time.tick(500);
    act(guard);
    time.tick(stalledAfter - 1);
    assertEquals(stalls, []);
    time.tick(1);
    assertEquals(stalls[0]?.timeout, stalledAfter);
  });
}

Deno.test("WorkerGuard counts no heartbeat that isHeartbeat refuses, and throws what it throws", () => {
  using time = new FakeTime();
  const { guard, stalls } = createGuard({
    isHeartbeat({ detail }) {
      if (detail === "bug") throw new Error("bug");
      return detail === "yes";
    },
  });
  guard.start();
  time.tick(500);
  guard.onHeartbeat(createBeat({ detail: "no" }));
  assertThrows(() => guard.onHeartbeat(createBeat({ detail: "bug" })), Error);
  time.tick(500);
  assertEquals([stalls[0]?.count, stalls[0]?.last], [0, undefined]);
});

Deno.test("WorkerGuard takes a heartbeat that only repeats a result for no news, once", () => {
  using time = new FakeTime();
  const { guard, stalls } = createGuard();
  const createResultBeat = () => {
    const beat = createBeat();
    markResultBeat(beat);
    return beat;
  };
  guard.start();
  guard.onResult();
  time.tick(400);
  guard.onHeartbeat(createResultBeat());
  time.tick(500);
  // without a result in between it says that there were some that nobody read
  guard.onHeartbeat(createResultBeat());
  time.tick(999);
  assertEquals(stalls, []);
  time.tick(1);
  assertEquals(stalls[0]?.count, 2);
});

Deno.test("WorkerGuard takes a heartbeat for news that only says that there were results, if it saw none", () => {
  using time = new FakeTime();
  const { guard, stalls } = createGuard();
  guard.start();
  time.tick(500);
  const beat = createBeat();
  markResultBeat(beat);
  guard.onHeartbeat(beat);
  time.tick(999);
  assertEquals(stalls, []);
  time.tick(1);
  assertEquals(stalls[0]?.count, 1);
});

Deno.test("WorkerGuard reports silences that results and heartbeats end, and fails with what onSilence throws", () => {
  using time = new FakeTime();
  const events: unknown[] = [];
  const bug = new Error("bug");
  const { guard, stalls } = createGuard({
    onSilence({ type, elapsed, timeout, count, last }) {
      events.push([type, elapsed, timeout, count, last]);
      if (events.length === 5) throw bug;
    },
  });
  const beat = createBeat();
  guard.start();
  time.tick(700);
  guard.onHeartbeat(beat);
  time.tick(600);
  guard.onResult();
  assertEquals(events, [
    ["silent", 500, 1000, 0, undefined],
    ["recovered", 700, 1000, 1, beat],
    ["silent", 500, 1000, 1, beat],
    ["recovered", 600, 1000, 1, beat],
  ]);
  time.tick(500);
  assertEquals<unknown[]>(stalls, [bug]);
  assertEquals(time.next(), false);
});

Deno.test("WorkerGuard records its gaps, and the first silence apart from them", () => {
  using time = new FakeTime();
  const gaps = new HeartbeatGaps();
  const { guard } = createGuard({ observe: gaps });
  guard.start();
  time.tick(400);
  guard.onHeartbeat(createBeat());
  assertEquals([gaps.first, gaps.count], [400, 0]);
  time.tick(300);
  guard.onResult();
  assertEquals([gaps.first, gaps.count, gaps.longest], [400, 1, 300]);
  guard.stop();
});

Deno.test("WorkerGuard leaves no timer when it is stopped", () => {
  using time = new FakeTime();
  const { guard, stalls } = createGuard({ firstTimeout: 5000 });
  guard.start();
  guard.stop();
  guard.onResult();
  guard.onHeartbeat(createBeat());
  assertEquals([time.next(), stalls], [false, []]);
});

Deno.test("HeartbeatEmitter marks the heartbeats that only say that units settled", () => {
  using time = new FakeTime();
  let isIdle = false;
  const marks: boolean[] = [];
  const emitter = new HeartbeatEmitter({
    worker: "w",
    interval: 100,
    detail: undefined,
    isIdle: () => isIdle,
    emit: (beat) => marks.push(isResultBeat(beat)),
  });
  emitter.start();
  emitter.recordProgress();
  time.tick(100);
  emitter.recordProgress();
  emitter.recordDetail(undefined);
  time.tick(100);
  isIdle = true;
  emitter.recordProgress();
  time.tick(100);
  isIdle = false;
  time.tick(100);
  emitter.stop();
  assertEquals(marks, [false, true, false, false]);
});
