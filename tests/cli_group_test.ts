// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ErrorStreak } from "../_cli_group.ts";

Deno.test("ErrorStreak reports errors that go on, once in a streak", () => {
  using time = new FakeTime();
  const streak = new ErrorStreak();
  const errorAfter = (ms: number) => {
    time.tick(ms);
    return streak.onError();
  };
  // one alone, and two of two short outages
  assertEquals([0, 10_001, 9_000].map(errorAfter), [false, false, false]);
  assertEquals([10_001, 2_500].map(errorAfter), [false, false]);
  assertEquals(errorAfter(2_499), false);
  assertEquals([1, 1, 10_000].map(errorAfter), [true, false, false]);
  // the next streak
  assertEquals([10_001, 4_999, 1].map(errorAfter), [false, false, true]);
});

Deno.test("ErrorStreak reports errors that come as seldom as long leases are renewed", () => {
  using time = new FakeTime();
  const streak = new ErrorStreak();
  const errorAfter = (ms: number) => {
    time.tick(ms);
    return streak.onError(30_000);
  };
  assertEquals([0, 15_000, 15_000].map(errorAfter), [false, false, true]);
});

Deno.test("ErrorStreak starts anew after a reset", () => {
  using time = new FakeTime();
  const streak = new ErrorStreak();
  streak.onError();
  time.tick(4_999);
  streak.onError();
  streak.reset();
  assertEquals(streak.onError(), false);
  time.tick(4_999);
  assertEquals(streak.onError(), false);
  time.tick(1);
  assertEquals(streak.onError(), true);
});
