// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  limitTime,
  LongTimer,
  MAX_DELAY_MS,
  OwnedTimer,
  sleep,
  startTimer,
  waitAtMost,
} from "../_timers.ts";
import { countListeners } from "./_help.ts";

Deno.test("startTimer() calls once, after delays of any length", () => {
  for (const delay of [0, 0.5, 1, MAX_DELAY_MS, MAX_DELAY_MS + 1, 2 ** 33]) {
    using time = new FakeTime(0);
    const calls: number[] = [];
    startTimer(() => calls.push(time.now), delay);
    while (time.next());
    assertEquals(calls, [Math.ceil(delay)], `delay ${delay}`);
  }
});

Deno.test("startTimer() sets no timer for an infinite delay", () => {
  using time = new FakeTime();
  const cancel = startTimer(() => {}, Infinity);
  assertEquals(time.next(), false);
  cancel();
});

Deno.test("startTimer() can be cancelled in any of its steps", () => {
  for (const steps of [0, 1, 2]) {
    using time = new FakeTime();
    let calls = 0;
    const cancel = startTimer(() => calls++, 3 * MAX_DELAY_MS);
    time.tick(steps * MAX_DELAY_MS);
    cancel();
    cancel();
    assertEquals(time.next(), false);
    assertEquals(calls, 0);
  }
});

Deno.test("LongTimer says in each of its steps whether the process waits for it", () => {
  using time = new FakeTime();
  const { setTimeout } = globalThis;
  const seen: string[] = [];
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    seen.push("set");
    const timer = Object(setTimeout(...args));
    const ref = () => seen.push("ref");
    return Object.assign(timer, { ref, unref: () => seen.push("unref") });
  }) as typeof setTimeout;
  try {
    const timer = new LongTimer(() => {}, 3 * MAX_DELAY_MS);
    timer.isWaitedFor = false;
    time.tick(MAX_DELAY_MS);
    timer.isWaitedFor = true;
    time.tick(MAX_DELAY_MS);
    timer.cancel();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assertEquals(seen, ["set", "unref", "set", "unref", "ref", "set"]);
});

Deno.test("OwnedTimer calls with its owner, whether or not it keeps it", () => {
  using time = new FakeTime();
  const calls: string[] = [];
  function start(name: string) {
    const owner = { name };
    const timer = new OwnedTimer(owner, ({ name }) => calls.push(name), 10);
    return { owner, timer };
  }
  const kept = start("kept");
  const loose = start("loose");
  const again = start("again");
  const cancelled = start("cancelled");
  loose.timer.letGo(loose.owner);
  again.timer.letGo(again.owner);
  again.timer.keep(again.owner);
  cancelled.timer.cancel();
  time.tick(10);
  assertEquals([kept.owner.name, ...calls], ["kept", "kept", "loose", "again"]);
});

Deno.test("sleep() resolves after its delay, or when the signal aborts", async () => {
  for (
    const [delay, abortAt, expected] of [
      [100, undefined, 100],
      [100, 30, 30],
      [1000, 30, 30],
      [Infinity, 30, 30],
      [100, 0, 0],
      [0, undefined, 0],
    ] as const
  ) {
    using time = new FakeTime(0);
    const { aborter, signal, listeners } = countListeners();
    if (abortAt === 0) aborter.abort();
    else if (abortAt) setTimeout(() => aborter.abort(), abortAt);
    let end: number | undefined;
    sleep(delay, signal).then(() => end = time.now);
    for (let i = 0; i <= 10; i++) await time.tickAsync(i && 10);
    assertEquals(end, expected, `delay ${delay}, abort at ${abortAt}`);
    assertEquals(listeners.size, 0);
    assertEquals(time.next(), false);
  }
});

Deno.test("waitAtMost() waits for a promise, however it ends, and not longer than its delay", async () => {
  const rows: [() => Promise<void>, number][] = [
    [() => Promise.resolve(), 0],
    [() => Promise.reject("lost"), 0],
    [() => new Promise(() => {}), 100],
  ];
  for (const [start, expected] of rows) {
    using time = new FakeTime(0);
    let end: number | undefined;
    waitAtMost(start(), 100).then(() => end = time.now);
    for (let i = 0; i <= 20; i++) await time.tickAsync(i && 10);
    assertEquals(end, expected);
    assertEquals(time.next(), false);
  }
});

Deno.test("limitTime() aborts after the time, with the other signal, or at its end, and leaves nothing", () => {
  const ways: [
    string,
    (tick: () => void, abort: () => void, end: () => void) => void,
  ][] = [
    ["the time", (tick) => tick()],
    ["the signal", (_, abort) => abort()],
    ["the end", (_tick, _abort, end) => end()],
  ];
  for (const [what, happens] of ways) {
    using time = new FakeTime();
    const other = countListeners();
    const { listeners } = other;
    const { signal, end } = limitTime(100, other.signal);
    time.tick(99);
    assertEquals([signal.aborted, listeners.size], [false, 1], what);
    happens(() => time.tick(1), () => other.aborter.abort(), end);
    end();
    assertEquals([signal.aborted, listeners.size], [true, 0], what);
    assertEquals(time.next(), false, what);
  }
});

Deno.test("limitTime() has no time with a signal that has aborted", () => {
  using time = new FakeTime();
  assertEquals(limitTime(100, AbortSignal.abort()).signal.aborted, true);
  assertEquals(time.next(), false);
});
