// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FleetClock } from "../_fleet_clock.ts";

const START = 1_700_000_000_000;

/** Starts a clock with a period of 100 ms, a jitter of 10 and a timeout of 1,000. */
function startClock() {
  const clock = new FleetClock(1000, 300);
  clock.start(START);
  return clock;
}

for (
  const [timeout, resolution, period] of [
    [1000, 300, 100],
    [1000, 100, 33],
    [1000, 2, 1],
    [1000, 0.1, 1],
    [2 ** 40, 2 ** 35, 2 ** 31 - 1],
  ] as const
) {
  Deno.test(`FleetClock ticks every ${period} ms for a resolution of ${resolution}`, () => {
    assertEquals(new FleetClock(timeout, resolution).period, period);
  });
}

Deno.test("FleetClock keeps a heartbeat with the tick before it, and half a millisecond", () => {
  const clock = startClock();
  assertEquals([clock.position, clock.mustRead], [0.5, false]);
  clock.tick(START + 100);
  assertEquals([clock.position, clock.wall], [100.5, START + 100]);
  clock.read(START + 150);
  assertEquals([clock.position, clock.wall], [100, START + 150]);
  clock.endRead();
  assertEquals(clock.position, 100.5);
});

Deno.test("FleetClock makes a tick for heartbeats that are there while the timer is overdue", () => {
  const clock = startClock();
  clock.read(START + 100 + 50);
  assertEquals(clock.position, 0);
  clock.read(START + 100 + 126);
  assertEquals([clock.position, clock.present], [226, 100]);
  // the timer fires at once, and on time
  clock.tick(START + 228);
  assertEquals([clock.position, clock.present], [228.5, 102]);
  clock.tick(START + 328);
  assertEquals(clock.position, 328.5);
});

Deno.test("FleetClock counts lateness of up to an eighth of the timeout as it was planned, unless it recurs", () => {
  const clock = startClock();
  clock.read(START + 100 + 125);
  assertEquals([clock.position, clock.present], [100, 100]);
  clock.tick(START + 225);
  assertEquals(clock.position, 100.5);
  clock.tick(START + 325 + 125);
  assertEquals([clock.position, clock.present], [325.5, 200]);
});

Deno.test("FleetClock wants the wall clock to be read while it is stopped", () => {
  const clock = new FleetClock(1000, 300);
  assertEquals(clock.mustRead, true);
  clock.start(START);
  assertEquals(clock.mustRead, false);
  clock.tick(START + 100);
  clock.stop();
  assertEquals(clock.mustRead, true);
  // stopped, it takes no time for a delay
  clock.read(START + 100_000);
  clock.start(START + 100_000);
  assertEquals([clock.present, clock.mustRead], [100, false]);
});

Deno.test("FleetClock takes no lateness within the tolerance of its ticks for late", () => {
  const clock = new FleetClock(100, 300);
  clock.start(START);
  clock.tick(START + 150);
  clock.tick(START + 300);
  assertEquals(clock.mustRead, false);
  clock.tick(START + 451);
  clock.tick(START + 602);
  assertEquals(clock.mustRead, true);
});

Deno.test("FleetClock wants the wall clock to be read after two late ticks of nine, until eight in a row are on time", () => {
  const clock = startClock();
  let wall = START;
  /** Ticks, each by so much late, and returns after which of them the clock is to be read. */
  const tick = (...lateness: number[]) =>
    lateness.map((late) => {
      clock.tick(wall += 100 + late);
      return clock.mustRead;
    });
  const onTime = (count: number) => Array(count).fill(0);
  // up to a sixth of the timeout does not matter
  assertEquals(tick(166, 166, 167), [false, false, false]);
  assertEquals(tick(...onTime(9), 167), Array(10).fill(false));
  assertEquals(tick(...onTime(8), 167), [...Array(8).fill(false), true]);
  assertEquals(tick(...onTime(9)), [...Array(8).fill(true), false]);
});

for (
  const [resolution, period, jitter] of [[300, 100, 10], [30, 10, 5], [9, 3, 2]]
) {
  Deno.test(`FleetClock has a jitter of ${jitter} ms for a period of ${period} ms`, () => {
    const clock = new FleetClock(1000, resolution!);
    assertEquals(clock.window, 1000 + period! + jitter! - 0.5);
  });
}

Deno.test("FleetClock takes no time before its start for a delay", () => {
  const clock = new FleetClock(1000, 300);
  clock.read(START);
  assertEquals([clock.position, clock.present], [0, 0]);
});

Deno.test("FleetClock.limit is a timeout, a period and the jitter ago", () => {
  const clock = startClock();
  for (let i = 1; i <= 12; i++) clock.tick(START + 100 * i);
  assertEquals(clock.window, 1109.5);
  assertEquals(clock.limit(), 1200 - 1109.5);
});

Deno.test("FleetClock gives everybody a window after an absence, and after restart()", () => {
  const clock = startClock();
  let wall = START;
  for (let i = 0; i < 10; i++) clock.tick(wall += 100);
  clock.tick(wall += 5000);
  const end = clock.position;
  for (let i = 0; i < 11; i++) {
    clock.tick(wall += 100);
    assertEquals(clock.limit() < 0, true, `${i}`);
  }
  clock.tick(wall += 100);
  // who beat before the absence is silent, who beat in the turn after it is, too
  assertEquals(clock.limit() >= end - 5000, true);
  clock.restart();
  for (let i = 0; i < 11; i++) {
    clock.tick(wall += 100);
    assertEquals(clock.limit(), -Infinity, `${i}`);
  }
  clock.tick(wall += 100);
  assertEquals(clock.limit() > end, true);
});

Deno.test("FleetClock with an infinite timeout finds nobody silent", () => {
  const clock = new FleetClock(Infinity, 300);
  clock.start(START);
  for (let i = 1; i < 1000; i++) {
    clock.tick(START + 500 * i);
    assertEquals(clock.limit(), -Infinity);
  }
});
