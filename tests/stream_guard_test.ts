// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { SilenceClock } from "../_silence_clock.ts";
import { StreamGuard } from "../_stream_guard.ts";
import { advance, createSource, readAll } from "./_help.ts";

const TIMEOUT = 1_000;
const FAILURE = new Error("lost");

/** A guarded stream, and how often it has ended. */
function createGuard<T>(
  source: ReadableStream<T>,
  isHeartbeat?: (chunk: T) => boolean,
) {
  const ends: string[] = [];
  const clock = new SilenceClock({
    timeout: TIMEOUT,
    firstTimeout: 2 * TIMEOUT,
    isSelective: isHeartbeat !== undefined,
    onStall: ({ limit }) => guard.fail(limit),
  });
  const guard: StreamGuard<T> = new StreamGuard({
    source,
    limits: [{ clock, isHeartbeat }],
    onEnd: () => ends.push("end"),
  });
  return { guard, clock, ends };
}

Deno.test("StreamGuard fails in the first window, or after a silence", async () => {
  for (const chunks of [0, 2]) {
    using time = new FakeTime();
    const source = createSource<number>();
    const { guard, ends } = createGuard(source.stream);
    const seen = readAll(guard.readable);
    for (let n = 0; n < chunks; n++) {
      await advance(time, 900, 100);
      source.controller.enqueue(n);
    }
    await advance(time, (chunks ? 1 : 2) * TIMEOUT - 1, 111);
    assertEquals(seen.end, undefined);
    await advance(time, 1, 1);
    assertEquals(seen.end, chunks ? "silence" : "first");
    assertEquals([seen.chunks.length, ends], [chunks, ["end"]]);
    assertEquals(source.cancelled, seen.end);
    assertEquals(time.next(), false);
  }
});

Deno.test("StreamGuard lets a silence go on after chunks that are no heartbeats", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const { guard } = createGuard(source.stream, (chunk) => chunk !== "ping");
  const seen = readAll(guard.readable);
  await advance(time, 10);
  source.controller.enqueue("data");
  for (let n = 0; n < 9; n++) {
    await advance(time, 100);
    source.controller.enqueue("ping");
  }
  await advance(time, 90, 10);
  assertEquals(seen.end, undefined);
  await advance(time, 10, 1);
  assertEquals(seen.end, "silence");
});

Deno.test("StreamGuard does not end the first window by a chunk that is no heartbeat", async () => {
  using time = new FakeTime();
  const source = createSource<string>();
  const { guard } = createGuard(source.stream, (chunk) => chunk !== "ping");
  const seen = readAll(guard.readable);
  source.controller.enqueue("ping");
  await advance(time, 2 * TIMEOUT - 1, 333);
  assertEquals([seen.chunks, seen.end], [["ping"], undefined]);
  await advance(time, 1, 1);
  assertEquals(seen.end, "first");
});

Deno.test("StreamGuard takes a second read that waits for no sign of life", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const { guard } = createGuard(source.stream);
  const reader = guard.readable.getReader();
  const read = () => reader.read().catch((error) => error);
  const reads = [read()];
  await advance(time, TIMEOUT / 2);
  reads.push(read());
  await advance(time, 1.5 * TIMEOUT);
  assertEquals(await Promise.all(reads), ["first", "first"]);
});

Deno.test("StreamGuard drops what arrives in the turn in which it fails", async () => {
  const source = createSource<number>();
  const taken: number[] = [];
  const { guard } = createGuard(source.stream, (n) => taken.push(n) > 0);
  const seen = readAll(guard.readable);
  // its read waits
  await new Promise((resolve) => setTimeout(resolve));
  source.controller.enqueue(1);
  guard.fail(FAILURE);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([seen.chunks, taken], [[], []]);
  assertStrictEquals(seen.end, FAILURE);
});

Deno.test("StreamGuard drops the chunk whose look ends the stream", async () => {
  for (const end of ["fail", "cancel"]) {
    const source = createSource<number>();
    const { guard } = createGuard(source.stream, () => {
      if (end === "fail") guard.fail(FAILURE);
      else reader.cancel(FAILURE);
      return true;
    });
    const reader = guard.readable.getReader();
    source.controller.enqueue(1);
    const result = await reader.read().catch((error) => error);
    if (end === "fail") assertStrictEquals(result, FAILURE);
    else assertEquals(result, { done: true, value: undefined });
    assertStrictEquals(source.cancelled, FAILURE);
  }
});

Deno.test("StreamGuard stops its clocks while nobody reads, and however it ends", async () => {
  for (const end of ["close", "error", "cancel", "throw"]) {
    using time = new FakeTime();
    const source = createSource<number>();
    const { guard, clock, ends } = createGuard(source.stream, () => {
      if (end === "throw") throw FAILURE;
      return true;
    });
    assertEquals(time.next(), false);
    const reader = guard.readable.getReader();
    const read = reader.read().catch((error) => error);
    await advance(time, 10);
    source.controller.enqueue(1);
    await read;
    await advance(time, 10 * TIMEOUT, TIMEOUT);
    if (end === "close") source.controller.close();
    if (end === "error") source.controller.error(FAILURE);
    if (end === "cancel") await reader.cancel(FAILURE);
    if (end === "close") assert((await reader.read()).done);
    else if (end !== "cancel") {
      assertStrictEquals(await assertRejects(() => reader.read()), FAILURE);
    }
    assertEquals([end, ends, clock.isEnded], [end, ["end"], true]);
    if (end === "cancel") assertStrictEquals(source.cancelled, FAILURE);
    guard.fail(new Error("late"));
    assertEquals([end, ends], [end, ["end"]]);
    assertEquals(time.next(), false);
  }
});

Deno.test("StreamGuard keeps a byte stream one, to its end", async () => {
  const source = new ReadableStream({
    type: "bytes",
    start(controller) {
      controller.enqueue(new Uint8Array([1, 2, 3]));
      controller.close();
    },
  });
  const { guard } = createGuard(source);
  const reader = guard.readable.getReader({ mode: "byob" });
  const sizes = [];
  for (let n = 0; n < 3; n++) {
    const { done, value } = await reader.read(new Uint8Array(2));
    sizes.push([done, value?.length]);
  }
  assertEquals(sizes, [[false, 2], [false, 1], [true, 0]]);
});
