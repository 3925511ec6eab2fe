// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { SilenceClock, type SilenceClockOptions } from "../_silence_clock.ts";
import { replaceGlobal, skewClock } from "./_help.ts";

/** Counts the timers that are set. */
function countTimers() {
  const timers = { count: 0 };
  const spy = replaceGlobal(
    "setTimeout",
    (fake) =>
      ((run: () => void, ms: number) => {
        timers.count++;
        return fake(run, ms);
      }) as typeof setTimeout,
  );
  return Object.assign(timers, spy);
}

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

Deno.test("SilenceClock takes a beat without a producer for no gap", () => {
  using time = new FakeTime();
  const gaps: string[] = [];
  const { clock } = createClock(time, {
    onGap: (gap) => gaps.push(`${gap}`),
    onFirstGap: (gap) => gaps.push(`first ${gap}`),
  });
  clock.beat();
  time.tick(100);
  clock.attach();
  time.tick(200);
  clock.beat();
  assertEquals(gaps, ["first 200"]);
  clock.stop();
});

Deno.test("SilenceClock has no timer where nobody asks for a silence that may last for ever", () => {
  using time = new FakeTime();
  const { clock } = createClock(time, {
    timeout: Infinity,
    firstTimeout: Infinity,
    warnAfter: 300,
  });
  clock.attach();
  assertEquals([clock.isNeeded, time.next()], [false, false]);
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
  assertEquals(reports, ["silence 1000: 1000 at 6000"]);
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
  assertEquals(reports, ["silence 1000: 1000 at 21900"]);
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
  assertEquals(reports, ["silence 1000: 1000 at 46000"]);
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
  assertEquals(reports, ["silence 1000: 1000 at 2400"]);
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
  assertEquals(reports.slice(1), ["silence 1000: 1000 at 1900"]);
});

Deno.test("SilenceClock is detached by a check although nobody asks for that", () => {
  using time = new FakeTime();
  const stalls: unknown[] = [];
  const clock = new SilenceClock({
    timeout: 1000,
    firstTimeout: 1000,
    isAttached: () => false,
    onStall: (stall) => stalls.push(stall),
  });
  clock.attach();
  time.tick(250);
  clock.beat();
  assertEquals([clock.isTimed, time.next(), stalls], [false, false, []]);
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
  assertEquals(reports, ["silence 1000: 1000 at 1900"]);
});

Deno.test("SilenceClock keeps its timer while it is suspended, for the producer that follows", () => {
  using time = new FakeTime();
  using timers = countTimers();
  const delays: number[] = [];
  const { clock, reports } = createClock(time, {
    onTimer: (delay) => delays.push(delay),
  });
  clock.attach();
  time.tick(100);
  clock.suspend();
  time.tick(100);
  clock.attach();
  assertEquals(timers.count, 1);
  time.tick(999);
  assertEquals(reports, []);
  time.tick(1);
  assertEquals(reports, ["silence 1000: 1000 at 1200"]);
  assertEquals(delays[0], 250);
  assertEquals(time.next(), false);
});

Deno.test("SilenceClock reports no stall while it is suspended, and sets no timer again", () => {
  using time = new FakeTime();
  const delays: number[] = [];
  const { clock, reports } = createClock(time, {
    onTimer: (delay) => delays.push(delay),
  });
  clock.attach();
  clock.suspend();
  time.tick(5_000);
  assertEquals([delays, reports, time.next()], [[250], [], false]);
  clock.attach();
  clock.suspend();
  clock.stop();
  assertEquals(time.next(), false);
  clock.suspend();
  clock.attach();
  assertEquals(time.next(), false, "it has ended");
});

Deno.test("SilenceClock begins a new silence when the chunk is forwarded for which a producer was attached", () => {
  using time = new FakeTime();
  const { clock, reports } = createClock(time);
  clock.onChunkArrived();
  clock.attach();
  time.tick(500);
  clock.onChunkForwarded(false);
  time.tick(999);
  assertEquals(reports, []);
  time.tick(1);
  assertEquals(reports, ["silence 1000: 1000 at 1500"]);
});

Deno.test("SilenceClock measures gaps that end by chunks and by beats", () => {
  using time = new FakeTime();
  const gaps: number[] = [];
  const { clock } = createClock(time, { onGap: (gap) => gaps.push(gap) });
  clock.attach();
  for (const gap of [100, 200]) {
    time.tick(gap);
    clock.onChunkArrived();
    time.tick(50);
    clock.onChunkForwarded(true);
    time.tick(gap + 1);
    clock.beat();
  }
  clock.stop();
  assertEquals(gaps, [101, 200, 201]);
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

Deno.test("SilenceClock reports a silence once, at half of its limit, and its end", () => {
  using time = new FakeTime();
  const reports: string[] = [];
  const { clock } = createClock(time, {
    firstTimeout: 4000,
    onSilence: ({ type, limit, timeout, elapsed }) =>
      reports.push(`${type} ${limit} ${timeout}: ${elapsed}`),
  });
  clock.attach();
  time.tick(1999);
  assertEquals(reports, []);
  time.tick(1500);
  clock.beat();
  assertEquals(reports.splice(0), [
    ...["silent first 4000: 2000", "recovered first 4000: 3499"],
  ]);
  time.tick(1999);
  assertEquals(reports, []);
  clock.beat();
  clock.onProgress();
  time.tick(2000);
  assertEquals(reports, ["silent silence 1000: 500"]);
});

Deno.test("SilenceClock reports a silence after warnAfter, wherever that is between two checks", () => {
  using time = new FakeTime();
  for (const warnAfter of [1, 100, 333, 999]) {
    const start = time.now;
    const at: number[] = [];
    const { clock } = createClock(time, {
      warnAfter,
      onSilence: () => at.push(time.now - start),
    });
    clock.attach();
    for (let i = 0; i < 1100; i++) time.tick(1);
    assertEquals([at, clock.isEnded], [[warnAfter], true]);
  }
});

Deno.test("SilenceClock reports silences and no stall where the limit is infinite, with one timer a silence", () => {
  using time = new FakeTime();
  const reports: string[] = [];
  const { clock } = createClock(time, {
    timeout: Infinity,
    firstTimeout: Infinity,
    warnAfter: 300,
    onSilence: ({ type, elapsed }) => reports.push(`${type} ${elapsed}`),
  });
  clock.attach();
  for (let i = 0; i < 3; i++) {
    time.tick(5000);
    assertEquals([clock.isTimed, time.next()], [false, false]);
    clock.beat();
    assertEquals(reports.splice(0), ["silent 300", "recovered 5000"]);
    time.tick(299);
    clock.beat();
  }
  assertEquals(reports, []);
});

Deno.test("SilenceClock reports the end of a silence when the chunk is forwarded, and leaves out the wait", () => {
  for (const isSelective of [false, true]) {
    using time = new FakeTime();
    const reports: string[] = [];
    const { clock } = createClock(time, {
      isSelective,
      onSilence: ({ type, elapsed }) => reports.push(`${type} ${elapsed}`),
    });
    clock.attach();
    time.tick(700);
    clock.onChunkArrived();
    time.tick(60_000);
    assertEquals(reports, ["silent 500"]);
    clock.onChunkForwarded(true);
    assertEquals(reports.splice(0), ["silent 500", "recovered 700"]);
    time.tick(500);
    assertEquals(reports, ["silent 500"]);
  }
});

Deno.test("SilenceClock reports no end of a silence by what is no heartbeat, and none after it ended", () => {
  using time = new FakeTime();
  const reports: string[] = [];
  const { clock } = createClock(time, {
    isSelective: true,
    onSilence: ({ type, elapsed }) => reports.push(`${type} ${elapsed}`),
  });
  clock.attach();
  time.tick(700);
  clock.onChunkArrived();
  clock.onChunkForwarded(false);
  time.tick(299);
  assertEquals([clock.isEnded, reports], [false, ["silent 500"]]);
  time.tick(1);
  assertEquals([clock.isEnded, reports], [true, ["silent 500"]]);
  clock.beat();
  assertEquals(reports, ["silent 500"]);
});

Deno.test("SilenceClock reports the silences of each producer, and no end of one whose producer is gone", () => {
  using time = new FakeTime();
  const reports: string[] = [];
  const gaps: number[] = [];
  const { clock } = createClock(time, {
    onSilence: ({ type, elapsed }) => reports.push(`${type} ${elapsed}`),
    onGap: (gap) => gaps.push(gap),
  });
  for (let producer = 0; producer < 2; producer++) {
    clock.attach();
    time.tick(100);
    clock.beat();
    time.tick(700);
    clock.detach();
    clock.beat();
    assertEquals(reports.splice(0), ["silent 500"]);
  }
  assertEquals(gaps, []);
});

Deno.test("SilenceClock sets no timer at progress, but for the first", () => {
  using time = new FakeTime();
  const { clock } = createClock(time, { firstTimeout: 5000 });
  clock.attach();
  clock.onProgress();
  using timers = countTimers();
  for (let i = 0; i < 3; i++) {
    clock.beat();
    clock.onProgress();
  }
  assertEquals(timers.count, 0);
  clock.stop();
});

Deno.test("SilenceClock has one timer, whatever onSilence does", () => {
  using time = new FakeTime();
  using timers = countTimers();
  const { clock } = createClock(time, {
    onSilence({ type }) {
      if (type === "recovered") return;
      clock.onChunkArrived();
      clock.onChunkForwarded(true);
    },
  });
  clock.attach();
  time.tick(250);
  const before = timers.count;
  time.tick(250);
  assertEquals(timers.count - before, 1);
  clock.stop();
  assertEquals(time.next(), false);
});

Deno.test("SilenceClock takes no absence for a silence where the limit is infinite, and reports no stall after many", () => {
  using time = new FakeTime();
  using skew = skewClock(time);
  const { clock, reports } = createClock(time, {
    timeout: Infinity,
    firstTimeout: Infinity,
    warnAfter: 400,
    onSilence: ({ type, elapsed }) => reports.push(`${type} ${elapsed}`),
  });
  clock.attach();
  skew.ahead = 60_000;
  // what came meanwhile may wait unread: the whole time follows
  time.tick(590);
  assertEquals(reports, []);
  time.tick(10);
  assertEquals(reports, ["silent 400"]);
  clock.beat();
  for (const absence of [2_000, 5_000, 11_000, 23_000]) {
    skew.ahead += absence;
    time.tick(200);
  }
  assertEquals([reports.length > 1, clock.isEnded], [true, false]);
  clock.stop();
});
