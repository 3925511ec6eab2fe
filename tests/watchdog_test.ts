// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatTimeoutError, type SilenceEvent } from "../monitor.ts";
import { Watchdog, type WatchdogOptions, withHeartbeat } from "../watchdog.ts";
import { advance, countListeners, skewClock } from "./_help.ts";

const REASON = new Error("that is enough");
const FAILURE = new Error("lost");

/** A promise, and how it is settled. */
function track<T>(promise: Promise<T>) {
  const seen: { value?: T; error?: unknown } = {};
  promise.then((value) => seen.value = value, (error) => seen.error = error);
  return seen;
}

Deno.test("Watchdog aborts at the timeout after the last beat(), and not before", async () => {
  using time = new FakeTime();
  using dog = new Watchdog<string>({ timeout: 1_000, name: "migration" });
  for (let i = 0; i < 3; i++) {
    await advance(time, 900);
    dog.beat(`step ${i}`);
  }
  dog.beat();
  await advance(time, 999);
  assertEquals(dog.signal.aborted, false);
  await advance(time, 1);
  const { reason } = dog.signal;
  assertInstanceOf(reason, HeartbeatTimeoutError);
  const { timeout, elapsed, count, last, source, message } = reason;
  assertEquals(
    { timeout, elapsed, count, last, source, message },
    {
      timeout: 1_000,
      elapsed: 1_000,
      count: 4,
      last: "step 2",
      source: "migration",
      message:
        "No heartbeat from 'migration' for 1000 ms after 4 heartbeats: the timeout is 1000 ms",
    },
  );
});

Deno.test("Watchdog aborts with a TimeoutError at totalTimeout, whatever the progress", async () => {
  for (const totalTimeout of [250, 2 ** 33]) {
    using time = new FakeTime();
    using dog = new Watchdog({ timeout: 2 ** 30, totalTimeout });
    const step = Math.ceil(totalTimeout / 10);
    for (let i = 0; i < 10; i++) {
      assertEquals(dog.signal.aborted, false);
      dog.beat();
      await advance(time, step, step);
    }
    const { reason } = dog.signal;
    assertInstanceOf(reason, DOMException);
    assertEquals(reason.name, "TimeoutError");
    assertEquals(
      reason.message,
      `The work took longer than ${totalTimeout} ms`,
    );
  }
});

Deno.test("Watchdog follows the given signal, with the same reason", () => {
  using _time = new FakeTime();
  for (const when of ["before", "after"]) {
    const aborter = new AbortController();
    if (when === "before") aborter.abort(REASON);
    using dog = new Watchdog({ timeout: 100, signal: aborter.signal });
    aborter.abort(REASON);
    assertStrictEquals(dog.signal.reason, REASON);
  }
});

Deno.test("Watchdog leaves no timer and no listener, however it ends", async () => {
  const ends: Record<string, (dog: Watchdog, abort: () => void) => void> = {
    "stop": (dog) => dog.stop(),
    "stop, twice": (dog) => (dog.stop(), dog.stop()),
    "dispose": (dog) => dog[Symbol.dispose](),
    "abort": (_, abort) => abort(),
    "a stall": () => {},
    "totalTimeout": (dog) => dog.beat(),
  };
  for (const [name, end] of Object.entries(ends)) {
    using time = new FakeTime();
    const { aborter, signal, listeners } = countListeners();
    const dog = new Watchdog({ timeout: 100, totalTimeout: 150, signal });
    assertEquals(listeners.size, 1);
    await advance(time, 60, 10);
    end(dog, () => aborter.abort(REASON));
    await advance(time, 90, 10);
    assertEquals([name, listeners.size, time.next()], [name, 0, false]);
  }
});

Deno.test("Watchdog never aborts after stop()", async () => {
  using time = new FakeTime();
  const aborter = new AbortController();
  const dog = new Watchdog({ timeout: 100, signal: aborter.signal });
  dog.stop();
  dog.beat();
  aborter.abort(REASON);
  await advance(time, 1_000);
  assertEquals(dog.signal.aborted, false);
});

Deno.test("Watchdog gives the work a fresh timeout after an absence", async () => {
  using time = new FakeTime();
  using clock = skewClock(time);
  using dog = new Watchdog({ timeout: 1_000 });
  await advance(time, 200);
  clock.ahead = 60_000; // the process was stopped for a minute
  await advance(time, 900);
  assertEquals(dog.signal.aborted, false);
  await advance(time, 1_000);
  assertInstanceOf(dog.signal.reason, HeartbeatTimeoutError);
});

Deno.test("Watchdog sets no timer for a beat()", async () => {
  using time = new FakeTime();
  let timers = 0;
  const { setTimeout } = globalThis;
  using dog = new Watchdog({ timeout: 1_000 });
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    timers++;
    return setTimeout(...args);
  }) as typeof setTimeout;
  for (let i = 0; i < 10_000; i++) dog.beat(i);
  globalThis.setTimeout = setTimeout;
  await advance(time, 10);
  assertEquals(timers, 0);
});

Deno.test("withHeartbeat returns what the work returns, and leaves nothing", async () => {
  using time = new FakeTime();
  const { signal, listeners } = countListeners();
  const options = { timeout: 1_000, totalTimeout: 5_000, signal };
  const works = [() => 7, () => Promise.resolve(7)];
  for (const work of works) {
    assertEquals(await withHeartbeat(work, options), 7);
  }
  assertEquals([listeners.size, time.next()], [0, false]);
});

Deno.test("withHeartbeat rejects with what the work throws", async () => {
  using time = new FakeTime();
  const works = [() => {
    throw FAILURE;
  }, () => Promise.reject(FAILURE)];
  for (const work of works) {
    const seen = track(withHeartbeat(work, { timeout: 1_000 }));
    await advance(time, 1);
    assertStrictEquals(seen.error, FAILURE);
  }
  assertEquals(time.next(), false);
});

Deno.test("withHeartbeat rejects at the verdict, although the work ignores its signal", async () => {
  using time = new FakeTime();
  let fail!: (error: unknown) => void;
  const seen = track(withHeartbeat(({ beat, signal }) => {
    beat("connect");
    setTimeout(() => beat("read"), 500);
    return new Promise((_, reject) => {
      fail = reject;
      signal.addEventListener("abort", () => assert(signal.aborted));
    });
  }, { timeout: 1_000 }));
  await advance(time, 1_499, 10);
  assertEquals(seen, {});
  await advance(time, 10, 1);
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
  assertEquals((seen.error as HeartbeatTimeoutError).last, "read");
  // a late rejection is no unhandled one: the test would fail
  fail(FAILURE);
  await advance(time, 10);
});

Deno.test("withHeartbeat follows the given signal, and does not call work that was aborted before", async () => {
  using time = new FakeTime();
  const aborter = new AbortController();
  const options = { timeout: 1_000, signal: aborter.signal };
  const seen = track(withHeartbeat(() => new Promise(() => {}), options));
  await advance(time, 100);
  aborter.abort(REASON);
  await advance(time, 1);
  assertStrictEquals(seen.error, REASON);
  let calls = 0;
  const late = track(withHeartbeat(() => calls++, options));
  await advance(time, 1);
  assertStrictEquals(late.error, REASON);
  assertEquals([calls, time.next()], [0, false]);
});

Deno.test("withHeartbeat rejects bad arguments", async () => {
  const cases = [
    [5, { timeout: 1 }, TypeError],
    [() => {}, undefined, TypeError],
    [() => {}, { timeout: "1" }, TypeError],
    [() => {}, { timeout: 0 }, RangeError],
    [() => {}, { timeout: 1, totalTimeout: NaN }, RangeError],
    [() => {}, { timeout: 1, signal: {} }, TypeError],
    [() => {}, { timeout: 1, name: 5 }, TypeError],
  ] as unknown as [() => void, WatchdogOptions, typeof TypeError][];
  for (const [work, options, kind] of cases) {
    const seen = track(withHeartbeat(work, options));
    await Promise.resolve();
    await Promise.resolve();
    assertInstanceOf(seen.error, kind);
  }
});

Deno.test("Watchdog reports a long silence, and that it has ended", async () => {
  using time = new FakeTime();
  const events: SilenceEvent<string>[] = [];
  using dog = new Watchdog<string>({
    timeout: Infinity,
    warnAfter: 1_000,
    onSilence: (event) => events.push(event),
  });
  dog.beat("connect");
  await advance(time, 3_000, 250);
  dog.beat("read");
  await advance(time, 500, 250);
  assertEquals(events, [
    {
      type: "silent",
      elapsed: 1_000,
      timeout: Infinity,
      count: 1,
      last: "connect",
    },
    {
      type: "recovered",
      elapsed: 3_000,
      timeout: Infinity,
      count: 2,
      last: "read",
    },
  ]);
  assertEquals(dog.signal.aborted, false);
});

Deno.test("Watchdog aborts with what onSilence throws", async () => {
  using time = new FakeTime();
  using dog = new Watchdog({
    timeout: 1_000,
    onSilence() {
      throw FAILURE;
    },
  });
  await advance(time, 500, 250);
  assertStrictEquals(dog.signal.reason, FAILURE);
  assertEquals(time.next(), false);
});
