// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { MergedOutput } from "../_merged_output.ts";
import { createSource } from "./_help.ts";

function createOutput() {
  const out = createSource<Uint8Array<ArrayBuffer>>();
  const err = createSource<Uint8Array<ArrayBuffer>>();
  const events: unknown[] = [];
  const output = new MergedOutput(
    { stdout: out.stream, stderr: err.stream },
    {
      onChange: () => void events.push("change"),
      onError: (error) => void events.push(error),
    },
  );
  const take = () => {
    const chunk = output.take();
    return chunk && `${chunk.from} ${chunk.bytes[0]}`;
  };
  return { out: out.controller, err: err.controller, output, events, take };
}

/** Lets all microtasks run. */
function settle() {
  return new Promise<void>((resolve) => setTimeout(resolve));
}

Deno.test("MergedOutput gives the chunks in the order of their arrival", async () => {
  const { out, err, take } = createOutput();
  err.enqueue(new Uint8Array([1]));
  await settle();
  out.enqueue(new Uint8Array([2]));
  await settle();
  assertEquals([take(), take(), take()], ["stderr 1", "stdout 2", undefined]);
});

Deno.test("MergedOutput reads a pipe again once the chunk after is asked for", async () => {
  const { out, err, take } = createOutput();
  for (const n of [1, 2]) out.enqueue(new Uint8Array([n]));
  await settle();
  assertEquals(take(), "stdout 1");
  err.enqueue(new Uint8Array([3]));
  await settle();
  assertEquals([take(), take()], ["stderr 3", undefined]);
  await settle();
  assertEquals(take(), "stdout 2");
});

Deno.test("MergedOutput is open until both pipes have ended and nothing waits", async () => {
  const { out, err, output, events, take } = createOutput();
  out.close();
  err.enqueue(new Uint8Array([1]));
  err.close();
  await settle();
  assertEquals([output.isOpen, events], [true, ["change", "change"]]);
  take();
  assertEquals(output.isOpen, true, "the end has not been read");
  take();
  await settle();
  assertEquals([output.isOpen, events.length], [false, 3]);
});

Deno.test("MergedOutput drops what waits when it is closed, and cancels the pipes", async () => {
  const sources = [0, 1].map(() => createSource<Uint8Array<ArrayBuffer>>());
  const [out, err] = sources as [typeof sources[0], typeof sources[0]];
  const output = new MergedOutput({
    stdout: out!.stream,
    stderr: err!.stream,
  }, { onChange() {}, onError() {} });
  for (const n of [1, 2]) out!.controller.enqueue(new Uint8Array([n]));
  await settle();
  output.close();
  assertEquals([output.isOpen, output.take()], [false, undefined]);
  await settle();
  assertEquals(output.isOpen, false);
  assertEquals(sources.map((source) => "cancelled" in source!), [true, true]);
});

Deno.test("MergedOutput reads each pipe to its end when it is closed", async () => {
  const { out, err, output, events, take } = createOutput();
  for (const pipe of [out, err]) pipe.enqueue(new Uint8Array([1]));
  await settle();
  // one chunk is being consumed, and one waits
  assertEquals([take(), events.length], ["stdout 1", 2]);
  output.close();
  await settle();
  assertEquals(events.length, 4);
});

Deno.test("MergedOutput reports a pipe that fails", async () => {
  const { err, events } = createOutput();
  err.error("broken");
  await settle();
  assertEquals(events, ["broken"]);
});
