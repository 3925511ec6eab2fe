// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ConflatedStream } from "../_conflated_stream.ts";

const FAILURE = new Error("lost");
const REASON = new Error("that is enough");

/** A stream, its reader, and the reasons for which it was cancelled. */
function createStream() {
  const reasons: unknown[] = [];
  const stream = new ConflatedStream<number>((reason) => reasons.push(reason));
  return { stream, reasons, reader: stream.readable.getReader() };
}

/** Lets the stream start, and what was read arrive. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("ConflatedStream delivers the latest value only", async () => {
  const { stream, reader } = createStream();
  for (const value of [1, 2, 3]) stream.put(value);
  assertEquals(await reader.read(), { done: false, value: 3 });
  const read = reader.read();
  await settle();
  stream.put(4);
  assertEquals(await read, { done: false, value: 4 });
});

Deno.test("ConflatedStream gives each of two reads that wait a value of its own", async () => {
  const { stream, reader } = createStream();
  const reads = [reader.read(), reader.read()];
  await settle();
  stream.put(1);
  await settle();
  stream.put(2);
  stream.put(3);
  assertEquals((await Promise.all(reads)).map(({ value }) => value), [1, 2]);
  assertEquals((await reader.read()).value, 3);
});

Deno.test("ConflatedStream ends after the value that is unread, and takes no other", async () => {
  for (const end of ["close", "error"] as const) {
    const { stream, reader, reasons } = createStream();
    stream.put(1);
    if (end === "close") stream.close();
    else stream.error(FAILURE);
    stream.put(2);
    stream.close();
    stream.error(REASON);
    assertEquals(await reader.read(), { done: false, value: 1 });
    if (end === "close") assertEquals((await reader.read()).done, true);
    else {
      assertStrictEquals(await assertRejects(() => reader.read()), FAILURE);
    }
    stream.put(3);
    stream.close();
    stream.error(REASON);
    assertEquals(reasons, []);
  }
});

Deno.test("ConflatedStream ends at once when nothing is unread", async () => {
  const closed = createStream();
  closed.stream.close();
  assertEquals((await closed.reader.read()).done, true);
  const failed = createStream();
  failed.stream.error(undefined);
  assertEquals(
    await failed.reader.read().then(() => "value", (error) => error),
    undefined,
  );
});

Deno.test("ConflatedStream reports its cancel once, and takes nothing after it", async () => {
  const { stream, reader, reasons } = createStream();
  stream.put(1);
  await reader.cancel(REASON);
  stream.put(2);
  stream.close();
  stream.error(FAILURE);
  assertEquals(reasons, [REASON]);
  assertEquals((await reader.read()).done, true);
});
