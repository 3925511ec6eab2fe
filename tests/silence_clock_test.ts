// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { SilenceClock, type SilenceClockOptions } from "../_silence_clock.ts";

/** A clock, with what it reported, by fake time. */
function createClock(
  time: FakeTime,
  options: Partial<SilenceClockOptions> = {},
) {
  const start = time.now;
  const reports: string[] = [];
  const clock = new SilenceClock({
    timeout: 1000,
    firstTimeout: 1000,
    onDetached: () => reports.push(`detached at ${time.now - start}`),
    onStall: ({ limit, timeout, elapsed }) =>
      reports.push(
        `${limit} ${timeout}: ${elapsed} at ${time.now - start}`,
      ),
    ...options,
  });
  return { clock, reports };
}

Deno.test("SilenceClock has no timer before a producer is attached", () => {
  using time = new FakeTime();
  const { clock } = createClock(time);
  clock.beat();
  clock.onChunkArrived();
  clock.onChunkForwarded(true);
  clock.onProgress();
  assertEquals([clock.isTimed, time.next()], [false, false]);
});

Deno.test("SilenceClock reports the first silence, and that after progress", () => {
  using time = new FakeTime();
  const options = { firstTimeout: 5000 };
  const silent = createClock(time, options);
  const working = createClock(time, options);
  silent.clock.attach();
  working.clock.attach();
  time.tick(100);
  working.clock.beat();
  working.clock.onProgress();
  assertEquals(working.clock.timeout, 1000);
  time.tick(10_000);
  assertEquals(silent.reports, ["first 5000: 5000 at 5000"]);
  assertEquals(working.reports, ["silence 1000: 1000 at 1100"]);
});

Deno.test("SilenceClock begins a new silence at a beat, and sets no timer for it", () => {
  using time = new FakeTime();
  const { clock, reports } = createClock(time);
  clock.attach();
  for (let i = 0; i < 50; i++) {
    time.tick(100);
    clock.beat();
  }
  assertEquals(reports, []);
  time.tick(999);
  assertEquals(reports, []);
  time.tick(1);
  assertEquals(reports, ["first 1000: 1000 at 6000"]);
});

Deno.test("SilenceClock stands still while a chunk waits, and has no timer then", () => {
  using time = new FakeTime();
  const { clock, reports } = createClock(time);
  clock.attach();
  time.tick(900);
  clock.onChunkArrived();
  clock.onChunkArrived();
  time.tick(10_000);
  assertEquals([clock.isTimed, time.next()], [false, false]);
  clock.onChunkForwarded(true);
  time.tick(10_000);
  assertEquals(time.next(), false);
  clock.onChunkForwarded(true);
  time.tick(999);
  assertEquals(reports, []);
  time.tick(1);
  assertEquals(reports, ["first 1000: 1000 at 21900"]);
});

Deno.test("SilenceClock lets a silence go on after chunks that are no heartbeats", () => {
  using time = new FakeTime();
  const { clock, reports } = createClock(time, { isSelective: true });
  clock.attach();
  for (let i = 0; i < 9; i++) {
    time.tick(100);
    clock.onChunkArrived();
    time.tick(5000);
    clock.onChunkForwarded(false);
  }
  time.tick(99);
  assertEquals(reports, []);
  time.tick(1);
  assertEquals(reports, ["first 1000: 1000 at 46000"]);
});

Deno.test("SilenceClock begins a new silence at the last of the chunks of which one is a heartbeat", () => {
  using time = new FakeTime();
  const { clock, reports } = createClock(time, { isSelective: true });
  clock.attach();
  time.tick(900);
  clock.onChunkArrived();
  clock.onChunkArrived();
  clock.onChunkForwarded(true);
  time.tick(500);
  clock.onChunkForwarded(false);
  time.tick(999);
  assertEquals(reports, []);
  time.tick(1);
  assertEquals(reports, ["first 1000: 1000 at 2400"]);
});

Deno.test("SilenceClock is detached by a check that finds no producer, and attached again", () => {
  using time = new FakeTime();
  let isAttached = true;
  const { clock, reports } = createClock(time, {
    isAttached: () => isAttached,
  });
  clock.attach();
  isAttached = false;
  time.tick(900);
  assertEquals(reports, ["detached at 250"]);
  assertEquals(time.next(), false);
  isAttached = true;
  clock.attach();
  time.tick(1000);
  assertEquals(reports.slice(1), ["first 1000: 1000 at 1900"]);
});

Deno.test("SilenceClock has no timer while it is detached, and a new silence afterwards", () => {
  using time = new FakeTime();
  const { clock, reports } = createClock(time);
  clock.attach();
  time.tick(900);
  clock.detach();
  assertEquals(time.next(), false);
  clock.onChunkArrived();
  clock.attach();
  assertEquals([clock.isTimed, time.next()], [false, false], "a chunk waits");
  clock.onChunkForwarded(false);
  time.tick(999);
  assertEquals(reports, []);
  time.tick(1);
  assertEquals(reports, ["first 1000: 1000 at 1900"]);
});

Deno.test("SilenceClock has ended when it reports a stall, and does nothing after it", () => {
  using time = new FakeTime();
  let isEnded = false;
  const { clock, reports } = createClock(time, {
    onStall() {
      isEnded = clock.isEnded;
      reports.push("stall");
      // a consumer may react at once
      use();
    },
  });
  function use() {
    clock.attach();
    clock.beat();
    clock.onChunkArrived();
    clock.onChunkForwarded(true);
    clock.onProgress();
    clock.detach();
    clock.attach();
  }
  clock.attach();
  time.tick(1000);
  assertEquals([reports, isEnded, clock.isTimed], [["stall"], true, false]);
  assertEquals(time.next(), false);
  use();
  assertEquals([clock.isEnded, time.next()], [true, false]);
});

Deno.test("SilenceClock stops in every phase, for good", () => {
  using time = new FakeTime();
  const phases: ((clock: SilenceClock) => void)[] = [
    () => {},
    (clock) => clock.attach(),
    (clock) => {
      clock.attach();
      clock.onChunkArrived();
    },
    (clock) => {
      clock.attach();
      clock.detach();
    },
  ];
  for (const reach of phases) {
    const { clock, reports } = createClock(time, {
      timeout: 300,
      firstTimeout: 1000,
    });
    reach(clock);
    clock.stop();
    assertEquals([clock.isEnded, time.next()], [true, false]);
    clock.attach();
    clock.onChunkForwarded(true);
    clock.onProgress();
    assertEquals([clock.isEnded, reports, time.next()], [true, [], false]);
  }
});

Deno.test("SilenceClock has no timer for a limit that is infinite, and one from the first progress on", () => {
  using time = new FakeTime();
  const { clock, reports } = createClock(time, { firstTimeout: Infinity });
  clock.attach();
  assertEquals(time.next(), false);
  clock.onProgress();
  time.tick(1000);
  assertEquals(reports, ["silence 1000: 1000 at 1000"]);
  const other = createClock(time, { timeout: Infinity });
  other.clock.attach();
  other.clock.onProgress();
  assertEquals(time.next(), false);
});
