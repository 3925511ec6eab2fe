// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  HeartbeatGaps,
  type HeartbeatMonitorOptions,
  HeartbeatTimeoutError,
  watch,
} from "../monitor.ts";
import { advance, createSource, readAll, waitUntil } from "./_help.ts";

/** The stall that a stream ended with. */
function stallOf({ end }: { end?: unknown }): HeartbeatTimeoutError {
  assertInstanceOf(end, HeartbeatTimeoutError);
  return end as HeartbeatTimeoutError;
}

/** A promise that settles after a time. */
const sleep = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));
const forever = () => new Promise<never>(() => {});

Deno.test("watch starts work and returns its results", async () => {
  using time = new FakeTime();
  const results = watch(() => [1, Promise.resolve(2), 3], { timeout: 3000 });
  assertEquals(await Array.fromAsync(results), [1, 2, 3]);
  await time.runMicrotasks();
  assertEquals(time.next(), false);
});

Deno.test("watch finds work that hangs before its first result, from before the call on", async () => {
  for (
    const work of [forever, async function* () {
      yield await forever();
    }]
  ) {
    using time = new FakeTime();
    let reason: unknown;
    const seen = readAll(watch(({ signal }) => {
      signal.onabort = () => reason = signal.reason;
      return work();
    }, { timeout: 1000, firstTimeout: 5000, name: "answer" }));
    await advance(time, 4999);
    assertEquals([seen.end, reason], [undefined, undefined]);
    await advance(time, 1);
    const { source, timeout } = stallOf(seen);
    assertStrictEquals(seen.end, reason);
    assertEquals([source, timeout], ["answer", 5000]);
    assertEquals(time.next(), false);
  }
});

Deno.test("watch aborts the signal of work before it waits for its iterator", async () => {
  using time = new FakeTime();
  const calls: string[] = [];
  const seen = readAll(watch(({ signal }) => {
    signal.onabort = () => calls.push("abort");
    return {
      [Symbol.asyncIterator]: () => ({
        next: forever,
        return() {
          calls.push("return");
          return forever();
        },
      }),
    };
  }, { timeout: 1000 }));
  await advance(time, 1000);
  assertInstanceOf(seen.end, HeartbeatTimeoutError);
  assertEquals(calls, ["abort", "return"]);
});

Deno.test("watch errors although the work takes the abort for a clean end", async () => {
  using time = new FakeTime();
  const seen = readAll(watch(async function* ({ signal }) {
    yield "a";
    await new Promise((resolve) => signal.onabort = resolve);
  }, { timeout: 1000 }));
  await advance(time, 1000);
  assertInstanceOf(seen.end, HeartbeatTimeoutError);
  assertEquals(seen.chunks, ["a"]);
});

Deno.test("watch takes results and beat() of its work for signs of life, however short the timeout", async () => {
  using time = new FakeTime();
  const seen = readAll(watch(async function* ({ beat }) {
    for (let i = 0; i < 30; i++) {
      await sleep(40);
      beat(i);
    }
    for (let i = 0; i < 5; i++) {
      await sleep(90);
      yield i;
    }
    await forever();
  }, { timeout: 100 }));
  await advance(time, 30 * 40 + 5 * 90 + 90, 5);
  assertEquals([seen.chunks, seen.end], [[0, 1, 2, 3, 4], undefined]);
  await advance(time, 20, 5);
  assertEquals((stallOf(seen).last as { detail: unknown }).detail, 29);
});

Deno.test("watch looks for a beat() as often as it is asked to", async () => {
  using time = new FakeTime();
  const seen = readAll(watch(async function* ({ beat }) {
    for (let i = 0; i < 30; i++) {
      await sleep(40);
      beat();
    }
    yield 1;
  }, { timeout: 1000, interval: 2000 }));
  await advance(time, 1000);
  assertInstanceOf(seen.end, HeartbeatTimeoutError);
  await advance(time, 300);
});

Deno.test("watch ends its work gracefully when the signal aborts, and errors with what it throws", async () => {
  using time = new FakeTime();
  const aborter = new AbortController();
  const seen = readAll(watch(async function* () {
    for (let i = 0;; i++) {
      await sleep(100);
      yield i;
    }
  }, { timeout: 1000, signal: aborter.signal }));
  await advance(time, 250, 10);
  aborter.abort();
  await advance(time, 100, 10);
  assertEquals([seen.chunks, seen.end], [[0, 1, 2], "closed"]);
  assertEquals(time.next(), false);
  const failure = new Error("failed");
  const failing = watch(() => {
    throw failure;
  }, { timeout: 1000 });
  assertStrictEquals(
    await assertRejects(() => failing.getReader().read()),
    failure,
  );
  assertEquals(time.next(), false);
});

/** A watched stream that is read all the time. */
function watchSource<T>(options: HeartbeatMonitorOptions<T>) {
  const source = createSource<T>();
  return { source, seen: readAll(watch(source.stream, options)) };
}

Deno.test("watch passes a stream on, in order, and closes with it", async () => {
  using time = new FakeTime();
  const chunks = Array.from({ length: 1000 }, (_, i) => i);
  const stream = watch(ReadableStream.from(chunks), { timeout: 1000 });
  assertEquals(await Array.fromAsync(stream), chunks);
  assertEquals(time.next(), false);
});

Deno.test("watch errors a silent stream at the timeout, and cancels its source with the same error", async () => {
  using time = new FakeTime();
  const { source, seen } = watchSource<string>({
    timeout: 1000,
    firstTimeout: 5000,
    name: "body",
  });
  await advance(time, 4000);
  source.controller.enqueue("a");
  await advance(time, 999);
  assertEquals(seen.end, undefined);
  await advance(time, 1);
  const { count, last, source: name, elapsed, limit } = stallOf(seen);
  assertStrictEquals(source.cancelled, seen.end);
  assertEquals([count, last, name, elapsed, limit], [
    ...[1, "a", "body", 1000, "silence"],
  ]);
  assertEquals(time.next(), false);
});

Deno.test("watch leaves the clock of a stream alone while nobody reads, and has no timer then", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const reader = watch(source.stream, { timeout: 1000 }).getReader();
  await advance(time, 10_000, 500);
  assertEquals(time.next(), false);
  source.controller.enqueue(1);
  assertEquals((await reader.read()).value, 1);
  await advance(time, 10_000, 500);
  assertEquals([source.cancelled, time.next()], [undefined, false]);
  const dead = assertRejects(() => reader.read(), HeartbeatTimeoutError);
  await advance(time, 1000);
  assertEquals((await dead).elapsed, 1000);
});

Deno.test("watch takes only those chunks of a stream for signs of life that isHeartbeat accepts", async () => {
  using time = new FakeTime();
  const bug = new Error("bug");
  const { source, seen } = watchSource<string>({
    timeout: 1000,
    isHeartbeat: (chunk) => chunk !== "ping",
  });
  for (const chunk of ["token", "ping", "ping"]) {
    source.controller.enqueue(chunk);
    await advance(time, 400);
  }
  const { count, last } = stallOf(seen);
  assertEquals([count, last], [1, "token"]);
  assertEquals(seen.chunks, ["token", "ping", "ping"]);
  const failing = watchSource<string>({
    timeout: 1000,
    isHeartbeat() {
      throw bug;
    },
  });
  failing.source.controller.enqueue("a");
  await time.runMicrotasks();
  assertEquals([failing.seen.end, failing.source.cancelled], [bug, bug]);
  assertEquals(time.next(), false);
});

Deno.test("watch leaves the wait of a chunk that is no heartbeat out of the silence", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const stream = watch(source.stream, {
    timeout: 1000,
    isHeartbeat: (chunk) => chunk !== "ping",
  });
  const reader = stream.getReader();
  const read = () => reader.read().catch((error) => error);
  const first = read();
  await advance(time, 100);
  source.controller.enqueue("ping");
  await first;
  await advance(time, 5000);
  let end: unknown;
  read().then((error) => end = error);
  await advance(time, 899);
  assertEquals(end, undefined);
  await advance(time, 1);
  assertInstanceOf(end, HeartbeatTimeoutError);
});

Deno.test("watch adds the gaps of a stream to those that it is given", async () => {
  using time = new FakeTime();
  const gaps = new HeartbeatGaps();
  const source = createSource<number>();
  readAll(watch(source.stream, { timeout: 1000, observe: gaps }));
  for (const gap of [400, 300]) {
    await advance(time, gap);
    source.controller.enqueue(gap);
  }
  source.controller.close();
  await advance(time, 1);
  assertEquals([gaps.first, gaps.count, gaps.longest], [400, 1, 300]);
});

Deno.test("watch reports the silence of a stream to onSilence, and errors with what it throws", async () => {
  using time = new FakeTime();
  const bug = new Error("bug");
  const events: unknown[] = [];
  const { source, seen } = watchSource<string>({
    timeout: 1000,
    onSilence({ type, elapsed, count }) {
      events.push([type, elapsed, count]);
      if (events.length === 3) throw bug;
    },
  });
  await advance(time, 700);
  source.controller.enqueue("a");
  await advance(time, 600);
  assertEquals(events, [
    ["silent", 500, 0],
    ["recovered", 700, 1],
    ["silent", 500, 1],
  ]);
  assertEquals([seen.end, source.cancelled], [bug, bug]);
  assertEquals(time.next(), false);
});

Deno.test("watch leaves a byte stream a byte stream", async () => {
  using time = new FakeTime();
  let controller!: ReadableByteStreamController;
  let cancelled: unknown;
  const stream = watch(
    new ReadableStream({
      type: "bytes",
      start: (c) => void (controller = c),
      cancel: (reason) => void (cancelled = reason),
    }),
    { timeout: 1000 },
  );
  const reader = stream.getReader({ mode: "byob" });
  const read = reader.read(new Uint8Array(4));
  await time.runMicrotasks();
  controller.enqueue(new Uint8Array([1, 2, 3]));
  assertEquals((await read).value, new Uint8Array([1, 2, 3]));
  const dead = assertRejects(
    () => reader.read(new Uint8Array(4)),
    HeartbeatTimeoutError,
  );
  await advance(time, 1000);
  assertStrictEquals(await dead, cancelled);
});

Deno.test("watch passes an error and a cancel of a stream on, and leaves no timer", async () => {
  using time = new FakeTime();
  const { source, seen } = watchSource<number>({ timeout: 1000 });
  await advance(time, 100);
  const lost = new Error("lost");
  source.controller.error(lost);
  await time.runMicrotasks();
  assertEquals([seen.end, time.next()], [lost, false]);
  const other = watchSource<number>({ timeout: 1000 });
  await advance(time, 100);
  await other.seen.cancel("enough");
  assertEquals([other.source.cancelled, time.next()], ["enough", false]);
});

Deno.test("watch makes one line of a client that waits in next(): the request ends with the stall", async () => {
  const requests = new Set<AbortSignal>();
  async function* create(signal: AbortSignal) {
    requests.add(signal);
    try {
      yield "token";
      await new Promise((_, reject) =>
        signal.onabort = () => reject(new DOMException("", "AbortError"))
      );
    } finally {
      requests.delete(signal);
    }
  }
  const answer = watch(
    // as SDKs do it, after the headers came
    ({ signal }) => Promise.resolve(create(signal)),
    { timeout: 50 },
  );
  const error = await assertRejects(
    () => Array.fromAsync(answer),
    HeartbeatTimeoutError,
  );
  await waitUntil(() => requests.size === 0);
  assert(error.elapsed >= 50);
});
