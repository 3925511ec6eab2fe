// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatMonitor, HeartbeatTimeoutError, watch } from "../monitor.ts";
import { type Heartbeat, startWorker } from "../worker.ts";
import { advance, createSource, replaceGlobal, skewClock } from "./_help.ts";

const HOUR = 3_600_000;

/** A monitored stream that is read all the time, and what came of it. */
function observe<T>(
  source: ReadableStream<T>,
  options: ConstructorParameters<typeof HeartbeatMonitor<T>>[0],
) {
  const seen: { chunks: T[]; error?: unknown; closed?: boolean } = {
    chunks: [],
  };
  (async () => {
    try {
      for await (
        const chunk of source.pipeThrough(new HeartbeatMonitor<T>(options))
      ) seen.chunks.push(chunk);
      seen.closed = true;
    } catch (error) {
      seen.error = error;
    }
  })();
  return seen;
}

Deno.test("HeartbeatMonitor passes every chunk in order and closes", async () => {
  const chunks = Array.from({ length: 1000 }, (_, i) => i);
  const monitor = new HeartbeatMonitor<number>({ timeout: 1000 });
  assertEquals(
    await Array.fromAsync(ReadableStream.from(chunks).pipeThrough(monitor)),
    chunks,
  );
  assertInstanceOf(monitor, TransformStream);
});

Deno.test("HeartbeatMonitor errors at the timeout and not before when nothing ever comes", async () => {
  using time = new FakeTime();
  const source = createSource();
  const seen = observe(source.stream, { timeout: 1000 });
  await advance(time, 999, 333);
  assertEquals(seen.error, undefined);
  await advance(time, 1);
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
  assertStrictEquals(seen.error, source.cancelled);
  const { name, message, timeout, elapsed, count, last } = seen
    .error as HeartbeatTimeoutError;
  assertEquals({ name, message, timeout, elapsed, count, last }, {
    name: "HeartbeatTimeoutError",
    message:
      "No heartbeat for 1000 ms after 0 heartbeats: the timeout is 1000 ms",
    timeout: 1000,
    elapsed: 1000,
    count: 0,
    last: undefined,
  });
});

Deno.test("HeartbeatMonitor measures each silence from the last chunk", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const seen = observe(source.stream, { timeout: 1000 });
  for (const pause of [990, 10, 700, 999]) {
    await advance(time, pause, 10);
    source.controller.enqueue(`after ${pause}`);
    await time.runMicrotasks();
  }
  await advance(time, 999, 9);
  assertEquals(seen.error, undefined);
  await advance(time, 1);
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
  assertEquals(seen.chunks.length, 4);
  const { count, last } = seen.error as HeartbeatTimeoutError;
  assertEquals([count, last], [4, "after 999"]);
});

for (const [firstTimeout, timeout] of [[5000, 300], [300, 5000]] as const) {
  Deno.test(`HeartbeatMonitor waits ${firstTimeout} ms for the first and ${timeout} ms for the next chunk`, async () => {
    using time = new FakeTime();
    const silent = observe(createSource().stream, { timeout, firstTimeout });
    const source = createSource();
    const beaten = observe(source.stream, { timeout, firstTimeout });
    await advance(time, 100);
    source.controller.enqueue(1);
    await advance(time, firstTimeout - 101, 7);
    assertEquals(silent.error, undefined);
    await advance(time, 1);
    assertEquals((silent.error as HeartbeatTimeoutError).timeout, firstTimeout);
    await advance(time, Math.max(timeout - (firstTimeout - 100), 0));
    const error = beaten.error as HeartbeatTimeoutError;
    assertEquals([error.timeout, error.elapsed, error.count], [
      timeout,
      timeout,
      1,
    ]);
  });
}

Deno.test("HeartbeatMonitor has no limit and no timer when the timeouts are infinite", async () => {
  using time = new FakeTime();
  const source = createSource();
  const seen = observe(source.stream, { timeout: Infinity });
  source.controller.enqueue(1);
  await time.runMicrotasks();
  assertEquals(time.next(), false);
  source.controller.close();
  await time.runMicrotasks();
  assertEquals(seen, { chunks: [1], closed: true });
});

Deno.test("HeartbeatMonitor does not end the first window by what is no heartbeat", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const seen = observe(source.stream, {
    timeout: 300,
    firstTimeout: 5000,
    isHeartbeat: (chunk) => chunk !== "ping",
  });
  await advance(time, 100);
  source.controller.enqueue("ping");
  await advance(time, 4899);
  assertEquals([seen.chunks, seen.error], [["ping"], undefined]);
  await advance(time, 1);
  assertEquals((seen.error as HeartbeatTimeoutError).limit, "first");
});

Deno.test("HeartbeatMonitor waits for the first chunk for ever when only firstTimeout is infinite", async () => {
  using time = new FakeTime();
  const source = createSource();
  const seen = observe(source.stream, {
    timeout: 1000,
    firstTimeout: Infinity,
  });
  await advance(time, 10_000, 1000);
  source.controller.enqueue(1);
  await advance(time, 999);
  assertEquals(seen.error, undefined);
  await advance(time, 1);
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor keeps a timeout longer than the longest timer", async () => {
  using time = new FakeTime();
  const delays: number[] = [];
  using _spy = replaceGlobal(
    "setTimeout",
    (fake) =>
      ((run: () => void, ms: number) => {
        delays.push(ms);
        return fake(run, ms);
      }) as typeof setTimeout,
  );
  const timeout = 2 ** 34;
  const seen = observe(createSource().stream, { timeout });
  await advance(time, timeout - 1, 2 ** 29);
  assertEquals(seen.error, undefined);
  await advance(time, 1);
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
  assert(delays.length >= 8 && Math.max(...delays) <= 2 ** 31 - 1, `${delays}`);
});

Deno.test("HeartbeatMonitor stands still while the consumer is slow", async () => {
  using time = new FakeTime();
  let made = 0;
  const source = new ReadableStream<number>({
    pull: (controller) => made < 20 ? controller.enqueue(made++) : undefined,
  }, { highWaterMark: 0 });
  const reader = source.pipeThrough(new HeartbeatMonitor({ timeout: 1000 }))
    .getReader();
  assertEquals(await reader.read(), { done: false, value: 0 });
  await advance(time, HOUR, 60_000);
  assert(made < 10, `backpressure: ${made} chunks were made`);
  assertEquals(time.next(), false, "no timer while a chunk waits");
  const chunks = [];
  for (let i = 1; i < 20; i++) {
    chunks.push((await reader.read()).value);
    if (i === 10) await advance(time, HOUR, 60_000);
  }
  assertEquals(chunks, Array.from({ length: 19 }, (_, i) => i + 1));
  const dead = assertRejects(() => reader.read(), HeartbeatTimeoutError);
  await advance(time, 1000);
  assertEquals((await dead).elapsed, 1000);
});

Deno.test("HeartbeatMonitor finds a dead producer whether or not anybody reads", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const reader = source.stream.pipeThrough(
    new HeartbeatMonitor({ timeout: 1000 }),
  ).getReader();
  source.controller.enqueue(1);
  await reader.read();
  await advance(time, 1000);
  assertInstanceOf(source.cancelled, HeartbeatTimeoutError);
  await assertRejects(() => reader.read(), HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor drops nothing that had arrived when it errors", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const reader = source.stream.pipeThrough(
    new HeartbeatMonitor({ timeout: 1000 }),
  ).getReader();
  for (let i = 0; i < 10; i++) source.controller.enqueue(i);
  const chunks = [];
  for (let i = 0; i < 10; i++) {
    chunks.push((await reader.read()).value);
    await advance(time, 3000, 500);
    if (i < 9) assertEquals(source.cancelled, undefined);
  }
  assertEquals(chunks, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await assertRejects(() => reader.read(), HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor lets a chunk that is no heartbeat pass and leaves the clock alone", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const seen = observe(source.stream, {
    timeout: 1000,
    isHeartbeat: (chunk) => chunk !== "ping",
  });
  source.controller.enqueue("token");
  for (let i = 0; i < 9; i++) {
    await advance(time, 100);
    source.controller.enqueue("ping");
    await time.runMicrotasks();
  }
  await advance(time, 99, 33);
  assertEquals(seen.error, undefined);
  await advance(time, 1);
  const error = seen.error as HeartbeatTimeoutError;
  assertEquals([error.count, error.last, error.elapsed], [1, "token", 1000]);
  assertEquals(seen.chunks.length, 10);
});

Deno.test("HeartbeatMonitor stands still while a chunk that is no heartbeat waits", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const reader = source.stream.pipeThrough(
    new HeartbeatMonitor({
      timeout: 1000,
      isHeartbeat: (chunk) => chunk !== "ping",
    }),
  ).getReader();
  source.controller.enqueue("token");
  await reader.read();
  await advance(time, 600);
  source.controller.enqueue("ping");
  await advance(time, 10_000, 1000);
  assertEquals((await reader.read()).value, "ping");
  await advance(time, 399, 133);
  assertEquals(source.cancelled, undefined);
  await advance(time, 1);
  assertEquals((source.cancelled as HeartbeatTimeoutError).elapsed, 1000);
  reader.closed.catch(() => {});
});

Deno.test("HeartbeatMonitor starts a whole window behind a heartbeat that is followed by a waiting ping", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const reader = source.stream.pipeThrough(
    new HeartbeatMonitor({
      timeout: 1000,
      isHeartbeat: (chunk) => chunk !== "ping",
    }),
  ).getReader();
  reader.closed.catch(() => {});
  await advance(time, 900);
  source.controller.enqueue("token");
  source.controller.enqueue("ping");
  await advance(time, 5000, 500);
  await reader.read();
  await reader.read();
  await advance(time, 999);
  assertEquals(source.cancelled, undefined);
  await advance(time, 1);
  assertInstanceOf(source.cancelled, HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor errors with what isHeartbeat throws, and leaves no timer", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const bug = new Error("bug");
  const seen = observe(source.stream, {
    timeout: 1000,
    isHeartbeat: () => {
      throw bug;
    },
  });
  await time.runMicrotasks();
  source.controller.enqueue("token");
  await time.runMicrotasks();
  assertStrictEquals(seen.error, bug);
  assertStrictEquals(source.cancelled, bug);
  assertEquals(time.next(), false);
});

for (const absence of [400, 2000, HOUR]) {
  Deno.test(`HeartbeatMonitor raises no alarm when a look is ${absence} ms late, and finds the stall after it`, async () => {
    using time = new FakeTime();
    using clock = skewClock(time);
    const source = createSource();
    const seen = observe(source.stream, { timeout: 1000 });
    await advance(time, 740, 10);
    clock.ahead = absence;
    await advance(time, 900, 10);
    assertEquals(seen.error, undefined);
    source.controller.enqueue("was waiting");
    await advance(time, 990, 10);
    assertEquals(seen.error, undefined);
    await advance(time, 10);
    assertInstanceOf(seen.error, HeartbeatTimeoutError);
  });
}

for (const absence of [400, HOUR]) {
  Deno.test(`HeartbeatMonitor raises no alarm when a chunk that is no heartbeat arrives after ${absence} ms of absence, and finds the stall after it`, async () => {
    using time = new FakeTime();
    using clock = skewClock(time);
    const source = createSource<string>();
    const reader = source.stream.pipeThrough(
      new HeartbeatMonitor({
        timeout: 1000,
        isHeartbeat: (chunk) => chunk !== "ping",
      }),
    ).getReader();
    reader.closed.catch(() => {});
    source.controller.enqueue("token");
    await reader.read();
    await advance(time, 740, 10);
    clock.ahead = absence;
    source.controller.enqueue("ping");
    await advance(time, 5000, 500);
    assertEquals((await reader.read()).value, "ping");
    await advance(time, 990, 10);
    assertEquals(source.cancelled, undefined);
    await advance(time, 10);
    assertInstanceOf(source.cancelled, HeartbeatTimeoutError);
  });
}

for (const step of [10, 400, HOUR]) {
  Deno.test(`HeartbeatMonitor reports a stall at the timeout although the wall clock is set back by ${step} ms`, async () => {
    using time = new FakeTime();
    using clock = skewClock(time);
    const source = createSource();
    const seen = observe(source.stream, { timeout: 1000 });
    await advance(time, 740, 10);
    clock.ahead = -step;
    await advance(time, 250, 10);
    assertEquals(seen.error, undefined);
    await advance(time, 20, 10);
    assertInstanceOf(seen.error, HeartbeatTimeoutError);
  });
}

for (
  const [lag, timeout, most] of [[100, 300, 650], [30, 300, 510], [
    500,
    3000,
    5500,
  ], [900, 300, 2700]]
) {
  Deno.test(`HeartbeatMonitor reports a stall within ${most} ms in a loop that is ${lag} ms late at each turn, for a timeout of ${timeout} ms`, async () => {
    using time = new FakeTime();
    // each timer is late, the last turn before the verdict included
    using _late = replaceGlobal(
      "setTimeout",
      (fake) =>
        ((run: () => void, ms: number) =>
          fake(run, ms + lag!)) as typeof setTimeout,
    );
    const source = createSource();
    const seen = observe(source.stream, { timeout: timeout! });
    await time.runMicrotasks();
    source.controller.enqueue("a heartbeat");
    const step = timeout! / 30;
    await advance(time, timeout! - step, step);
    assertEquals(seen.error, undefined);
    await advance(time, most! - timeout! + step, step);
    assertInstanceOf(seen.error, HeartbeatTimeoutError);
  });
}

for (const jump of [HOUR, -HOUR]) {
  Deno.test(`HeartbeatMonitor reports a true stall although the wall clock jumps by ${jump} ms`, async () => {
    using time = new FakeTime();
    using clock = skewClock(time);
    const seen = observe(createSource().stream, { timeout: 1000 });
    await advance(time, 500);
    clock.ahead = jump;
    await advance(time, 1500);
    assertInstanceOf(seen.error, HeartbeatTimeoutError);
  });
}

Deno.test("HeartbeatMonitor reports no stall early although the wall clock takes small steps", async () => {
  using time = new FakeTime();
  using clock = skewClock(time);
  const seen = observe(createSource().stream, { timeout: 2000 });
  for (let i = 0; i < 19; i++) {
    await advance(time, 100);
    if (i % 5 === 1) clock.ahead += 240;
  }
  await advance(time, 90, 10);
  assertEquals(seen.error, undefined);
  await advance(time, 110, 10);
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor stops where Transformer.cancel is missing, when it is next due", async () => {
  const Native = globalThis.TransformStream;
  // deno-lint-ignore no-explicit-any
  globalThis.TransformStream = class extends Native<any, any> {
    constructor(
      { cancel: _, ...transformer }: Transformer = {},
      ...more: (QueuingStrategy | undefined)[]
    ) {
      super(transformer, ...more as QueuingStrategy[]);
    }
  };
  // a module of its own, that extends it; not to be resolved by the type check
  const url: string = new URL("../monitor.ts?bare", import.meta.url).href;
  const bare = await import(url);
  globalThis.TransformStream = Native;
  using time = new FakeTime();
  const source = createSource<number>();
  const stream = source.stream.pipeThrough(
    new bare.HeartbeatMonitor({ timeout: 1000 }),
  );
  await advance(time, 100);
  await stream.cancel();
  await time.runMicrotasks();
  assert(time.next(), "it is not reported");
  await time.runMicrotasks();
  assertEquals(time.next(), false);
});

Deno.test("HeartbeatMonitor finds a stall in a loop that is always late", async () => {
  using time = new FakeTime();
  using clock = skewClock(time);
  const seen = observe(createSource().stream, { timeout: 1000 });
  for (let i = 0; i < 100; i++) {
    clock.ahead += 300;
    await advance(time, 250, 250);
  }
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor excuses late looks anew after every heartbeat", async () => {
  using time = new FakeTime();
  using clock = skewClock(time);
  const source = createSource<number>();
  const seen = observe(source.stream, { timeout: 1000 });
  for (let i = 0; i < 20; i++) {
    await advance(time, 500);
    clock.ahead += 600;
    await advance(time, 500);
    source.controller.enqueue(i);
    await time.runMicrotasks();
  }
  assertEquals(seen.error, undefined);
  source.controller.close();
  await time.runMicrotasks();
  assertEquals(seen.closed, true);
});

Deno.test("HeartbeatMonitor lets in what has arrived before it gives a verdict", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const seen = observe(source.stream, { timeout: 1000 });
  let verdicts = 0;
  // after the last look of the window, and a turn before the verdict
  using _spy = replaceGlobal(
    "setTimeout",
    (fake) =>
      ((run: () => void, ms: number) => {
        if (ms > 0) return fake(run, ms);
        queueMicrotask(() => source.controller.enqueue(++verdicts));
        return fake(run, 1);
      }) as typeof setTimeout,
  );
  for (let i = 0; i < 2; i++) {
    await advance(time, 980);
    await advance(time, 30, 1);
  }
  assertEquals(seen, { chunks: [1, 2] });
  source.controller.close();
  await time.runMicrotasks();
});

Deno.test("HeartbeatMonitor holds no timer when it was never attached", () => {
  using time = new FakeTime();
  const monitor = new HeartbeatMonitor({ timeout: 1000 });
  assertEquals(monitor.readable.locked, false);
  assertEquals(time.next(), false);
});

Deno.test("HeartbeatMonitor guards a writable that was put aside and taken later", async () => {
  using time = new FakeTime();
  const { readable, writable } = new HeartbeatMonitor({ timeout: 5000 });
  await advance(time, HOUR, 60_000);
  const source = createSource();
  const piped = assertRejects(
    () => source.stream.pipeTo(writable),
    HeartbeatTimeoutError,
  );
  const read = assertRejects(
    () => readable.getReader().read(),
    HeartbeatTimeoutError,
  );
  await advance(time, 4999);
  assertEquals(source.cancelled, undefined);
  await advance(time, 1001);
  assertStrictEquals(await piped, source.cancelled);
  assertStrictEquals(await read, source.cancelled);
});

Deno.test("HeartbeatMonitor has one timer, however often its writable is put aside", async () => {
  using time = new FakeTime();
  let timers = 0;
  using _spy = replaceGlobal(
    "setTimeout",
    (fake) =>
      ((run: () => void, ms: number) => {
        timers++;
        return fake(run, ms);
      }) as typeof setTimeout,
  );
  const monitor = new HeartbeatMonitor({ timeout: 5000 });
  for (let i = 0; i < 3; i++) {
    assertEquals(monitor.writable.locked, false);
    await advance(time, 10);
  }
  assertEquals(timers, 1);
  await advance(time, 970, 970);
  assertEquals(timers, 2);
  await monitor.writable.abort();
});

Deno.test("HeartbeatMonitor has one timer when its producer lets go and its writable is put aside", async () => {
  using time = new FakeTime();
  const monitor = new HeartbeatMonitor({ timeout: 1000 });
  const writer = monitor.writable.getWriter();
  await time.runMicrotasks();
  writer.releaseLock();
  let timers = 0;
  using _spy = replaceGlobal(
    "setTimeout",
    (fake) =>
      ((run: () => void, ms: number) => {
        timers++;
        return fake(run, ms);
      }) as typeof setTimeout,
  );
  assertEquals(monitor.writable.locked, false);
  await time.runMicrotasks();
  assertEquals(timers, 0, "the one that is set serves");
  await advance(time, 250, 250);
  assertEquals(timers, 1);
  await monitor.writable.abort();
});

Deno.test("HeartbeatMonitor has no timer after a stall, although a writer keeps its writable and more is asked of it", async () => {
  using time = new FakeTime();
  const monitor = new HeartbeatMonitor<number>({ timeout: 1000 });
  const writer = monitor.writable.getWriter();
  const read = assertRejects(
    () => monitor.readable.getReader().read(),
    HeartbeatTimeoutError,
  );
  await advance(time, 1000);
  const error = await read;
  await assertRejects(() => writer.write(1), HeartbeatTimeoutError);
  await assertRejects(() => writer.closed, HeartbeatTimeoutError);
  writer.releaseLock();
  assertEquals(monitor.writable.locked, false);
  assertEquals(
    await monitor.writable.getWriter().closed.catch((e) => e),
    error,
  );
  await time.runMicrotasks();
  assertEquals(time.next(), false);
});

Deno.test("HeartbeatMonitor observes without an end where only onSilence and warnAfter are given, and leaves no timer", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const events: unknown[] = [];
  const seen = observe(source.stream, {
    timeout: Infinity,
    warnAfter: 1000,
    onSilence: (event) => events.push(event),
  });
  await advance(time, 4000);
  source.controller.enqueue("one");
  await advance(time, 900);
  source.controller.enqueue("two");
  await advance(time, 4000);
  const timeout = Infinity;
  assertEquals(events, [
    { type: "silent", elapsed: 1000, timeout, count: 0, last: undefined },
    { type: "recovered", elapsed: 4000, timeout, count: 1, last: "one" },
    { type: "silent", elapsed: 1000, timeout, count: 2, last: "two" },
  ]);
  source.controller.close();
  await time.runMicrotasks();
  assertEquals([seen.closed, time.next()], [true, false]);
});

for (const type of ["silent", "recovered"]) {
  Deno.test(`HeartbeatMonitor errors with what onSilence throws of a "${type}", and leaves no timer`, async () => {
    using time = new FakeTime();
    const bug = new Error("bug");
    const source = createSource<string>();
    const seen = observe(source.stream, {
      timeout: 1000,
      onSilence(event) {
        if (event.type === type) throw bug;
      },
    });
    await advance(time, 600);
    if (type === "recovered") source.controller.enqueue("token");
    await time.runMicrotasks();
    assertStrictEquals(seen.error, bug);
    assertStrictEquals(source.cancelled, bug);
    assertEquals(time.next(), false);
  });
}

Deno.test("HeartbeatMonitor says who was silent, and keeps the last heartbeat from loggers", async () => {
  using time = new FakeTime();
  const source = createSource<{ secret: string }>();
  const seen = observe(source.stream, { timeout: 300, name: "crawl" });
  for (const secret of ["one", "two"]) {
    source.controller.enqueue({ secret });
    await time.runMicrotasks();
  }
  await advance(time, 300);
  const error = seen.error as HeartbeatTimeoutError<{ secret: string }>;
  assertEquals(
    error.message,
    "No heartbeat from 'crawl' for 300 ms after 2 heartbeats: the timeout is 300 ms",
  );
  assertEquals([error.source, error.last], ["crawl", { secret: "two" }]);
  const keys = [];
  for (const key in error) keys.push(key);
  assertEquals(keys.includes("last"), false);
  assert(!Deno.inspect(error).includes("two"), Deno.inspect(error));
  assert(!JSON.stringify({ ...error }).includes("two"));
});

Deno.test("HeartbeatMonitor does not mind that its writable is looked at", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const monitor = new HeartbeatMonitor<number>({ timeout: 1000 });
  source.stream.pipeThrough(monitor).getReader().closed.catch(() => {});
  for (let i = 0; i < 20; i++) {
    assertEquals(monitor.writable.locked, i < 10);
    await advance(time, 100);
  }
  assertInstanceOf(source.cancelled, HeartbeatTimeoutError);
  assertEquals(time.next(), false, "a timer after the stall");
});

Deno.test("HeartbeatMonitor has a stopped clock between two producers", async () => {
  using time = new FakeTime();
  const monitor = new HeartbeatMonitor<number>({ timeout: 1000 });
  const reader = monitor.readable.getReader();
  reader.closed.catch(() => {});
  const [first, second] = [createSource<number>(), createSource<number>()];
  const piped = first.stream.pipeTo(monitor.writable, { preventClose: true });
  first.controller.enqueue(1);
  await reader.read();
  await advance(time, 900);
  first.controller.close();
  await piped;
  await advance(time, 10_000);
  second.stream.pipeTo(monitor.writable).catch(() => {});
  await advance(time, 999);
  assertEquals(second.cancelled, undefined);
  await advance(time, 1);
  assertInstanceOf(second.cancelled, HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor gives a producer that follows at once a window of its own", async () => {
  using time = new FakeTime();
  const monitor = new HeartbeatMonitor<number>({ timeout: 1000 });
  monitor.readable.getReader().closed.catch(() => {});
  const writer = monitor.writable.getWriter();
  await advance(time, 900);
  writer.releaseLock();
  const source = createSource<number>();
  source.stream.pipeTo(monitor.writable).catch(() => {});
  await advance(time, 999);
  assertEquals(source.cancelled, undefined);
  await advance(time, 1);
  assertInstanceOf(source.cancelled, HeartbeatTimeoutError);
});

Deno.test("HeartbeatMonitor leaves no timer, however the stream ends", async (t) => {
  const ways: Record<
    string,
    (
      source: ReturnType<typeof createSource<number>>,
      stream: ReadableStream<number>,
      aborter: AbortController,
    ) => unknown
  > = {
    "source closes": (source) => source.controller.close(),
    "source errors": (source) => source.controller.error(new Error("lost")),
    "readable is cancelled": (_, stream) => stream.cancel("enough"),
    "pipe is aborted": (_source, _stream, aborter) => aborter.abort(),
  };
  for (const [name, end] of Object.entries(ways)) {
    for (const chunks of [0, 1]) {
      await t.step(`${name} after ${chunks} chunks`, async () => {
        using time = new FakeTime();
        const source = createSource<number>();
        const aborter = new AbortController();
        const monitor = new HeartbeatMonitor<number>({ timeout: 1000 });
        const stream = source.stream.pipeThrough(monitor, {
          signal: aborter.signal,
        });
        await advance(time, 300);
        if (chunks) source.controller.enqueue(1);
        await advance(time, 300);
        await end(source, stream, aborter);
        await time.runMicrotasks();
        if (!chunks || name.startsWith("readable")) {
          assertEquals(time.next(), false);
        } else {
          const reader = stream.getReader();
          reader.closed.catch(() => {});
          await reader.read().catch(() => {});
          await time.runMicrotasks();
          assertEquals(time.next(), false);
        }
      });
    }
  }
});

Deno.test("HeartbeatMonitor takes chunks from a writer", async () => {
  using time = new FakeTime();
  const { readable, writable } = new HeartbeatMonitor<number>({
    timeout: 1000,
  });
  const writer = writable.getWriter();
  const reader = readable.getReader();
  const written = writer.write(1);
  assertEquals((await reader.read()).value, 1);
  await written;
  await advance(time, 1000);
  await assertRejects(() => writer.write(2), HeartbeatTimeoutError);
  await assertRejects(() => reader.read(), HeartbeatTimeoutError);
  await assertRejects(() => writer.closed, HeartbeatTimeoutError);
});

Deno.test("watch returns the results of a worker that ends, and leaves no timer", async () => {
  using time = new FakeTime();
  const worker = startWorker(() => [1, 2, 3]);
  assertEquals(await Array.fromAsync(watch(worker, { timeout: 3000 })), [
    1,
    2,
    3,
  ]);
  await time.runMicrotasks();
  assertEquals(time.next(), false);
});

Deno.test("watch errors the results with the stall, which says where the work hung", async () => {
  using time = new FakeTime();
  let reason: unknown;
  const worker = startWorker(async function* ({ beat, signal }) {
    signal.addEventListener("abort", () => reason = signal.reason);
    yield "one";
    beat({ step: 2 });
    await new Promise(() => {});
  });
  const reader = watch(worker, { timeout: 3000 }).getReader();
  assertEquals((await reader.read()).value, "one");
  const read = assertRejects(() => reader.read(), HeartbeatTimeoutError);
  await advance(time, 1000 + 3000);
  const error = await read;
  assertEquals((error.last as Heartbeat).detail, { step: 2 });
  assertStrictEquals(reason, error);
});

Deno.test("watch guards any pair of streams, although it does not know of the contract", async () => {
  using time = new FakeTime();
  const [results, heartbeats] = [
    createSource<number>(),
    createSource<Heartbeat>(),
  ];
  const reader = watch(
    { results: results.stream, heartbeats: heartbeats.stream },
    { timeout: 1000 },
  ).getReader();
  const read = assertRejects(() => reader.read(), HeartbeatTimeoutError);
  await advance(time, 1000);
  const error = await read;
  assertStrictEquals(results.cancelled, error);
  assertStrictEquals(heartbeats.cancelled, error);
});

Deno.test("watch errors when the heartbeats do", async () => {
  const [results, heartbeats] = [
    createSource<number>(),
    createSource<Heartbeat>(),
  ];
  const reader = watch(
    { results: results.stream, heartbeats: heartbeats.stream },
    { timeout: 1000 },
  ).getReader();
  const lost = new Error("connection lost");
  heartbeats.controller.error(lost);
  assertStrictEquals(await assertRejects(() => reader.read()), lost);
  assertStrictEquals(results.cancelled, lost);
});

Deno.test("watch goes on when only the heartbeats close, and ends them when only the results do", async () => {
  using time = new FakeTime();
  const [results, heartbeats] = [
    createSource<number>(),
    createSource<Heartbeat>(),
  ];
  const reader = watch(
    { results: results.stream, heartbeats: heartbeats.stream },
    { timeout: 1000 },
  ).getReader();
  heartbeats.controller.close();
  await advance(time, 5000);
  results.controller.enqueue(1);
  assertEquals((await reader.read()).value, 1);
  results.controller.close();
  assertEquals((await reader.read()).done, true);

  const [ending, beating] = [createSource<number>(), createSource<Heartbeat>()];
  const read = watch(
    { results: ending.stream, heartbeats: beating.stream },
    { timeout: 1000 },
  ).getReader().read();
  ending.controller.close();
  assertEquals((await read).done, true);
  await time.runMicrotasks();
  assert(beating.cancelled, "the heartbeats were not cancelled");
  assertEquals(time.next(), false);
});

Deno.test("watch passes an error of the results on, and a cancel to both streams", async () => {
  using time = new FakeTime();
  const failure = new Error("failed");
  const worker = startWorker(() => {
    throw failure;
  });
  const failing = watch(worker, { timeout: 1000 }).getReader();
  assertStrictEquals(await assertRejects(() => failing.read()), failure);

  const [results, heartbeats] = [
    createSource<number>(),
    createSource<Heartbeat>(),
  ];
  await watch(
    { results: results.stream, heartbeats: heartbeats.stream },
    { timeout: 1000 },
  ).cancel("enough");
  await time.runMicrotasks();
  assertEquals([results.cancelled, heartbeats.cancelled], ["enough", "enough"]);
  assertEquals(time.next(), false);
});

Deno.test("watch reads one result at a time, when it is asked for", async () => {
  let units = 0;
  const worker = startWorker(function* () {
    for (;;) yield ++units;
  });
  const stream = watch(worker, { timeout: 1000 });
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(units, 1);
  const reader = stream.getReader();
  await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(units, 2);
  await reader.cancel();
});

Deno.test("watch takes results for signs of life, so a worker may have an interval that is longer than the timeout", async () => {
  using time = new FakeTime();
  const worker = startWorker(async function* () {
    for (let i = 0; i < 30; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      yield i;
    }
  });
  const results = Array.fromAsync(watch(worker, { timeout: 500 }));
  await advance(time, 3000, 10);
  assertEquals((await results).length, 30);
});

for (
  const [timeout, interval] of [[500, 1000], [3000, 1000], [700, 50]] as const
) {
  Deno.test(`watch reports a stall ${timeout} ms after the last result for an interval of ${interval} ms`, async () => {
    using time = new FakeTime();
    let reason: unknown;
    const worker = startWorker(async function* ({ signal }) {
      signal.onabort = () => reason = signal.reason;
      for (let i = 0; i < 13; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        yield i;
      }
      await new Promise(() => {});
    }, { interval, name: "crawl" });
    const read = assertRejects(
      () => Array.fromAsync(watch(worker, { timeout })),
      HeartbeatTimeoutError,
    );
    await advance(time, 1300 + timeout - 10, 10);
    assertEquals(reason, undefined);
    await advance(time, 30, 10);
    const error = await read;
    assertStrictEquals(reason, error);
    assertEquals([error.source, error.elapsed], ["crawl", timeout]);
    assertEquals((error.last as Heartbeat).worker, "crawl");
  });
}

Deno.test("watch takes a heartbeat for a sign of life although it follows a result, if there was a beat() after it", async () => {
  using time = new FakeTime();
  const worker = startWorker(async function* ({ beat }) {
    yield 1;
    for (let i = 0; i < 40; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      beat();
    }
    yield 2;
  });
  const results = Array.fromAsync(watch(worker, { timeout: 1500 }));
  await advance(time, 4100, 10);
  assertEquals(await results, [1, 2]);
});

Deno.test("watch keeps the first window until the first progress, which the beat at the start is not", async () => {
  for (const progress of ["none", "result", "beat"]) {
    using time = new FakeTime();
    const [results, heartbeats] = [
      createSource<number>(),
      createSource<Heartbeat>(),
    ];
    const read = assertRejects(
      () =>
        Array.fromAsync(
          watch({ results: results.stream, heartbeats: heartbeats.stream }, {
            timeout: 300,
            firstTimeout: 5000,
          }),
        ),
      HeartbeatTimeoutError,
    );
    const beat = { worker: "w", seq: 1, time: 0 };
    heartbeats.controller.enqueue(beat);
    await advance(time, 100);
    // a supervisor that waits to restart lives, without progress
    heartbeats.controller.enqueue({
      ...beat,
      seq: 2,
      restarting: { attempt: 2 },
    });
    await advance(time, 900);
    assertEquals(results.cancelled, undefined);
    if (progress === "result") results.controller.enqueue(1);
    if (progress === "beat") heartbeats.controller.enqueue({ ...beat, seq: 3 });
    const timeout = progress === "none" ? 5000 : 300;
    const rest = progress === "none" ? 4100 : 300;
    await advance(time, rest - 10, 10);
    assertEquals(results.cancelled, undefined, progress);
    await advance(time, 20, 10);
    const error = await read;
    assertEquals([error.timeout, error.elapsed], [timeout, timeout]);
  }
});

Deno.test("watch errors with what isHeartbeat throws, and cancels both streams", async () => {
  using time = new FakeTime();
  const bug = new Error("bug");
  const [results, heartbeats] = [
    createSource<number>(),
    createSource<Heartbeat>(),
  ];
  const read = watch(
    { results: results.stream, heartbeats: heartbeats.stream },
    {
      timeout: 1000,
      isHeartbeat: () => {
        throw bug;
      },
    },
  ).getReader().read();
  heartbeats.controller.enqueue({ worker: "w", seq: 1, time: 0 });
  assertStrictEquals(await assertRejects(() => read), bug);
  assertEquals([results.cancelled, heartbeats.cancelled], [bug, bug]);
  assertEquals(time.next(), false);
});
