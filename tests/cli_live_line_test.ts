// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { LiveLine } from "../_cli_live_line.ts";
import { advance } from "./_help.ts";

const CLEAR = "\r\x1b[K";

function createLine() {
  const printed: string[] = [];
  const output = {
    print: (text: string) => Promise.resolve(void printed.push(text)),
  };
  let frame = 0;
  return { printed, output, line: new LiveLine(output, () => `~${++frame}`) };
}

Deno.test("LiveLine prints lines as they are until it moves", async () => {
  using time = new FakeTime();
  const { line, printed } = createLine();
  await line.print("one\n");
  await line.stop();
  assertEquals(printed, ["one\n"]);
  assertEquals(time.next(), false);
});

Deno.test("LiveLine moves below the lines that are printed, until it stops", async () => {
  using time = new FakeTime();
  const { line, printed } = createLine();
  line.start();
  line.start();
  await line.print("one\n");
  await advance(time, 200, 100);
  await line.print("two\n");
  await line.stop();
  await line.print("three\n");
  assertEquals(printed, [
    `${CLEAR}one\n~1\r`,
    `${CLEAR}~2\r`,
    `${CLEAR}~3\r`,
    `${CLEAR}two\n~4\r`,
    CLEAR,
    "three\n",
  ]);
  assertEquals(time.next(), false);
});

Deno.test("LiveLine fails where it cannot be written, and only there", async () => {
  using time = new FakeTime();
  const { line, output } = createLine();
  output.print = () => Promise.reject(new Error("full"));
  line.start();
  await advance(time, 300, 100);
  await assertRejects(() => line.written, Error, "full");
  await assertRejects(() => line.print("one\n"), Error, "full");
  await assertRejects(() => line.stop(), Error, "full");
  assertEquals(time.next(), false);
});
