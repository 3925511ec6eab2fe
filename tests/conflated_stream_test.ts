// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ConflatedStream } from "../_conflated_stream.ts";

const FAILURE = new Error("lost");

function createStream() {
  const reasons: unknown[] = [];
  const stream = new ConflatedStream<number>((reason) =>
    void reasons.push(reason)
  );
  return { stream, reader: stream.readable.getReader(), reasons };
}

/** The reader's next value; `undefined` at the end. */
async function next(reader: ReadableStreamDefaultReader<number>) {
  return (await reader.read()).value;
}

Deno.test("ConflatedStream keeps the latest value only, before the first read and after a read that waited", async () => {
  const { stream, reader } = createStream();
  stream.put(1);
  stream.put(2);
  assertEquals(await next(reader), 2);
  const waiting = next(reader);
  await undefined;
  stream.put(3);
  stream.put(4);
  stream.put(5);
  assertEquals(await waiting, 3);
  assertEquals(await next(reader), 5);
});

Deno.test("ConflatedStream closes behind the unread value, and ignores what comes then", async () => {
  const { stream, reader } = createStream();
  stream.put(1);
  stream.close();
  stream.put(2);
  stream.error(FAILURE);
  assertEquals(await next(reader), 1);
  assertEquals(await next(reader), undefined);
  stream.put(3);
  stream.close();
});

Deno.test("ConflatedStream errors behind the unread value, and ignores what comes then", async () => {
  const { stream, reader } = createStream();
  stream.put(1);
  stream.error(FAILURE);
  stream.put(2);
  stream.close();
  assertEquals(await next(reader), 1);
  assertStrictEquals(await assertRejects(() => next(reader)), FAILURE);
});

Deno.test("ConflatedStream that is cancelled reports the reason once, and ignores what comes then", async () => {
  const { stream, reader, reasons } = createStream();
  stream.put(1);
  await reader.cancel(FAILURE);
  stream.put(2);
  stream.close();
  stream.error(FAILURE);
  assertEquals(reasons, [FAILURE]);
  assertEquals(await next(reader), undefined);
});
