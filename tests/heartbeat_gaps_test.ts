// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatGaps, HeartbeatMonitor, watch } from "../monitor.ts";
import { startWorker } from "../worker.ts";
import { advance, mulberry32, skewClock } from "./_help.ts";

Deno.test("HeartbeatGaps knows nothing before the first gap", () => {
  const gaps = new HeartbeatGaps();
  const { count, longest, p50, p99, p999 } = gaps;
  assertEquals([count, longest, p50, p99, p999], [0, 0, 0, 0, 0]);
  assertEquals(gaps.suggestTimeout(), undefined);
});

Deno.test("HeartbeatGaps knows each quantile to 9 %, and is never below it", () => {
  const random = mulberry32(7);
  for (const scale of [1, 50, 4_000, 1e9]) {
    const gaps = new HeartbeatGaps();
    const all = Array.from({ length: 20_000 }, () => scale * random() ** 3);
    for (const gap of all) gaps.record(gap);
    all.sort((a, b) => a - b);
    for (const share of [0, 0.001, 0.5, 0.99, 0.999, 1]) {
      const exact = all[Math.max(Math.ceil(share * all.length), 1) - 1]!;
      const most = Math.max(1.091 * exact, 1);
      const known = gaps.quantile(share);
      assert(known >= exact && known <= most, `${share}: ${known}, ${exact}`);
    }
    assertEquals([gaps.count, gaps.longest], [20_000, all.at(-1)]);
    assertEquals(gaps.p50, gaps.quantile(0.5));
    assertEquals(gaps.p99, gaps.quantile(0.99));
    assertEquals(gaps.p999, gaps.quantile(0.999));
  }
});

Deno.test("HeartbeatGaps knows when the longest gap ended", () => {
  using time = new FakeTime(1_000);
  const gaps = new HeartbeatGaps();
  assertEquals(gaps.longestAt, undefined);
  for (const gap of [5, 90, 90, 7]) {
    time.tick(100);
    gaps.record(gap);
  }
  assertEquals(gaps.longestAt, 1_200);
  const none = new HeartbeatGaps();
  none.record(0);
  assertEquals(none.longestAt, 1_400);
});

Deno.test("HeartbeatGaps takes the lower of two gaps for the median", () => {
  const gaps = new HeartbeatGaps();
  for (const gap of [1, 1000]) gaps.record(gap);
  assertEquals(gaps.p50, 1);
});

Deno.test("HeartbeatGaps takes gaps of any length", () => {
  const gaps = new HeartbeatGaps();
  for (const gap of [0, 0.1, 1, 2 ** 40]) gaps.record(gap);
  assertEquals([gaps.p50, gaps.longest], [1, 2 ** 40]);
});

Deno.test("HeartbeatGaps suggests three times the 99.9th percentile, or twice the longest", () => {
  const gaps = new HeartbeatGaps();
  for (let i = 0; i < 10_000; i++) gaps.record(64);
  assertEquals(gaps.suggestTimeout(), 192);
  assertEquals(gaps.suggestTimeout(10), 640);
  gaps.record(500.2);
  assertEquals(gaps.suggestTimeout(), 1001);
});

Deno.test("HeartbeatMonitor observes the gaps on the producer's turn, but for the first and the stall", async () => {
  using time = new FakeTime();
  for (const isHeartbeat of [undefined, (chunk: string) => chunk !== "ping"]) {
    const monitor = new HeartbeatMonitor<string>({
      timeout: 1000,
      firstTimeout: 9000,
      observe: true,
      isHeartbeat,
    });
    const writer = monitor.writable.getWriter();
    const reader = monitor.readable.getReader();
    const pass = async (chunk: string, wait = 0) => {
      const written = writer.write(chunk);
      await advance(time, wait);
      await Promise.all([reader.read(), written]);
    };
    await advance(time, 5000);
    await pass("a");
    await advance(time, 300);
    await pass("b", 60_000);
    await advance(time, 400);
    if (isHeartbeat) await pass("ping");
    await advance(time, 300);
    await pass("c");
    const dead = reader.read().catch((error) => error);
    await advance(time, 1000);
    assertEquals((await dead).name, "HeartbeatTimeoutError");
    writer.closed.catch(() => {});
    const { count, longest, first } = monitor.gaps!;
    assertEquals([count, longest, first], [2, 700, 5000]);
  }
  assertEquals(new HeartbeatMonitor({ timeout: 1 }).gaps, undefined);
});

Deno.test("HeartbeatMonitor takes its own absence for no gap", async () => {
  using time = new FakeTime();
  using clock = skewClock(time);
  const gaps = new HeartbeatGaps();
  const monitor = new HeartbeatMonitor<number>({
    timeout: 1000,
    observe: gaps,
  });
  const writer = monitor.writable.getWriter();
  const reader = monitor.readable.getReader();
  await Promise.all([writer.write(1), reader.read()]);
  await advance(time, 100);
  clock.ahead = 60_000;
  await Promise.all([writer.write(2), reader.read()]);
  await writer.close();
  assertEquals(monitor.gaps, gaps);
  assertEquals([gaps.count, gaps.longest < 1000], [1, true]);
});

Deno.test("watch adds the gaps of a worker to those that it is given", async () => {
  using time = new FakeTime();
  const observe = new HeartbeatGaps();
  const worker = startWorker(async function* () {
    for (const wait of [100, 100, 700]) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      yield wait;
    }
  }, { interval: 10_000 });
  const all = Array.fromAsync(watch(worker, { timeout: 3000, observe }));
  await advance(time, 1000, 10);
  assertEquals((await all).length, 3);
  assertEquals([observe.count, observe.longest], [3, 700]);
});

Deno.test("watch() counts the wait for the first result as a gap only where timeout limits it", async () => {
  using time = new FakeTime();
  async function* work() {
    for (const ms of [800, 50, 50]) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      yield ms;
    }
  }
  for (
    const [limits, first, longest] of [
      [{ timeout: 3000, firstTimeout: 60_000 }, 800, 50],
      [{ timeout: 3000 }, 0, 800],
    ] as const
  ) {
    const observe = new HeartbeatGaps();
    const all = Array.fromAsync(watch(work, { ...limits, observe }));
    await advance(time, 900, 10);
    await all;
    assertEquals([observe.first, observe.longest], [first, longest]);
  }
});
