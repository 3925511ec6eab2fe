// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { NoticeFile } from "../_cli_notice_file.ts";
import { createOutput } from "./_cli_output.ts";

Deno.test("NoticeFile appends lines in their order, whatever fails", async () => {
  const written: string[] = [];
  const file = new NoticeFile({
    async write(bytes) {
      await Promise.resolve();
      const text = new TextDecoder().decode(bytes);
      if (text === "two\n") throw new Error("the disk is full");
      written.push(text);
      return bytes.length;
    },
  });
  for (const line of ["one", "two", "three"]) file.append(line);
  await file.flush();
  assertEquals(written, ["one\n", "three\n"]);
});

Deno.test("a NoticeFile that is never written delays neither the output nor the end for long", async () => {
  using time = new FakeTime();
  const { output, texts } = createOutput();
  output.useFile(new NoticeFile({ write: () => new Promise(() => {}) }));
  await output.notify("silent", "x");
  await output.forward("stderr", new TextEncoder().encode("out\n"));
  await output.notify("error", "y");
  assertEquals(texts.stderr, "out\nheartbeat: y\n");
  let isFlushed = false;
  const flushed = output.flush().then(() => isFlushed = true);
  await time.tickAsync(999);
  assertEquals(isFlushed, false);
  await time.tickAsync(1);
  await flushed;
});
