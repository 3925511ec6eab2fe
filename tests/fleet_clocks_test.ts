// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FleetClocks, MAX_TIMEOUTS } from "../_fleet_clocks.ts";

const START = 1_700_000_000_000;

Deno.test("FleetClocks has one clock for each timeout, up to a limit", () => {
  const clocks = new FleetClocks(1_000, 300);
  assertEquals(clocks.ensureGroup(1_000), 0);
  assertEquals(clocks.ensureGroup(2_000), 1);
  assertEquals([clocks.ensureGroup(500), clocks.ensureGroup(2_000)], [2, 1]);
  assertEquals(
    [0, 1, 2].map((group) => clocks.of(group).timeout),
    [1_000, 2_000, 500],
  );
  for (let i = 3; i < MAX_TIMEOUTS; i++) {
    assertEquals(clocks.ensureGroup(10_000 + i), i);
  }
  assertEquals(clocks.ensureGroup(9), undefined);
  assertEquals(clocks.ensureGroup(500), 2);
  assertEquals(MAX_TIMEOUTS, 1_000);
});

Deno.test("FleetClocks knows its longest timeout that is finite", () => {
  const clocks = new FleetClocks(Infinity, 300);
  assertEquals(
    [clocks.isFirstInfinite, clocks.longest, clocks.window],
    [true, 0, 0],
  );
  clocks.ensureGroup(1_000);
  clocks.ensureGroup(500);
  // with a period and the jitter
  assertEquals([clocks.longest, clocks.window], [1_000, 1_109.5]);
  const one = new FleetClocks(1_000, 300);
  one.ensureGroup(Infinity);
  assertEquals([one.isFirstInfinite, one.longest], [false, 1_000]);
});

Deno.test("FleetClocks finds each timeout, also one that is new between two ticks", () => {
  const clocks = new FleetClocks(1_000, 300);
  clocks.start(START);
  clocks.tick(START + 100);
  clocks.read(START + 150);
  clocks.ensureGroup(500);
  clocks.endRead();
  assertEquals(clocks.of(0).position, 100.5);
  const { position } = clocks.of(1);
  /** When the limit reaches a position, by group. */
  const found = [0, 0];
  for (let at = 200; at <= 1_500; at += 100) {
    clocks.tick(START + at);
    const limits = clocks.limits();
    found[0] ||= limits[0]! >= 100.5 ? at : 0;
    found[1] ||= limits[1]! >= position ? at : 0;
  }
  // a period later than the timeout after the tick at 100, as the heartbeats came before 200
  assertEquals(found, [1_300, 800]);
});

Deno.test("FleetClocks.limitsAhead is half a timeout ahead, and never for an infinite one", () => {
  const clocks = new FleetClocks(1_000, 300);
  clocks.ensureGroup(400);
  clocks.ensureGroup(Infinity);
  clocks.start(START);
  for (let at = 100; at <= 2_000; at += 100) clocks.tick(START + at);
  const [first, second, third] = clocks.limits();
  assertEquals(clocks.limitsAhead().slice(0, 2), [first! + 500, second! + 200]);
  assertEquals(third, -Infinity);
  assertEquals(0 <= clocks.limitsAhead()[2]!, false);
});

Deno.test("FleetClocks wants the wall clock to be read if one of its clocks does", () => {
  const clocks = new FleetClocks(10_000, 300);
  assertEquals(clocks.mustRead, true);
  clocks.start(START);
  assertEquals(clocks.mustRead, false);
  clocks.ensureGroup(600);
  assertEquals(clocks.mustRead, false);
  // 200 ms are late for a timeout of 600 ms only
  clocks.tick(START + 300);
  clocks.tick(START + 600);
  assertEquals(clocks.mustRead, true);
  assertEquals([clocks.of(0).mustRead, clocks.of(1).mustRead], [false, true]);
  clocks.stop();
  assertEquals(clocks.of(0).mustRead, true);
});
