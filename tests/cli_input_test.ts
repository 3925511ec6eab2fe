// Copyright 2026 the heartbeat authors. MIT license.

import {
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { InputSource } from "../_cli_input.ts";

/** A file with some texts, of which each is one read. */
function createSource(...texts: string[]) {
  const file = {
    isClosed: false,
    read: (bytes: Uint8Array) => {
      const text = texts.shift();
      if (text === undefined) return Promise.resolve(null);
      return Promise.resolve(new TextEncoder().encodeInto(text, bytes).written);
    },
    close: () => void (file.isClosed = true),
  };
  return { source: new InputSource(file), file };
}

Deno.test("InputSource passes all bytes on, and ends with the file", async () => {
  const { source, file } = createSource("one", "two");
  const chunks = await Array.fromAsync(source.readable);
  const decoder = new TextDecoder();
  assertEquals(chunks.map((chunk) => decoder.decode(chunk)), ["one", "two"]);
  assertEquals(file.isClosed, false);
});

Deno.test("InputSource uses the buffer of a chunk again once it was given back, not before", async () => {
  const { source } = createSource("one", "two", "three");
  const reader = source.readable.getReader();
  const { value: one } = await reader.read();
  const { value: two } = await reader.read();
  assertNotStrictEquals(one!.buffer, two!.buffer);
  source.release(one!);
  const { value: three } = await reader.read();
  assertStrictEquals(three!.buffer, one!.buffer);
  assertEquals(new TextDecoder().decode(two), "two");
  assertEquals(new TextDecoder().decode(three), "three");
  await reader.cancel();
});

Deno.test("InputSource closes the file when nobody reads it any more", async () => {
  const { source, file } = createSource("one");
  await source.readable.cancel();
  assertEquals(file.isClosed, true);
});

Deno.test("InputSource shows each chunk before anybody can read it", async () => {
  const steps: string[] = [];
  const bytes = new TextEncoder().encode("one");
  const file = {
    read(buffer: Uint8Array) {
      buffer.set(bytes);
      return Promise.resolve(steps.length === 0 ? bytes.length : null);
    },
    close() {},
  };
  const source = new InputSource(file, (chunk) => {
    steps.push(`shown ${new TextDecoder().decode(chunk)}`);
  });
  for await (const _ of source.readable) steps.push("read");
  assertEquals(steps, ["shown one", "read"]);
});
