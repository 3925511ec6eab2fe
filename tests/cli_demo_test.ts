// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { DemoReport, type DemoTerminal } from "../_cli_demo.ts";
import { DEFAULTS } from "./_cli_settings.ts";
import { advance } from "./_help.ts";

const BEAT = { worker: "demo", seq: 1, time: 0 };

/** The report of a demo in a terminal of so many columns, or in none. */
function createReport(columns: number | undefined, more = {}) {
  const printed: string[] = [];
  const output = {
    print: (text: string) => Promise.resolve(void printed.push(text)),
  };
  const terminal: DemoTerminal | undefined = columns === undefined
    ? undefined
    : { getColumns: () => columns };
  const report = new DemoReport({ ...DEFAULTS, ...more }, output, terminal);
  return { report, printed };
}

/** The trace of a frame, and its colour. */
function readTrace(frame: string) {
  // deno-lint-ignore no-control-regex
  const match = /^\r\x1b\[K +\d+\.\ds {2}\x1b\[(\d+)m(.*)\x1b\[0m\r$/
    .exec(frame);
  return [match?.[2], Number(match?.[1])];
}

const CYAN = 36, RED = 31;

Deno.test("DemoReport shows the heartbeats as a trace that moves, and is red in silence", async () => {
  using time = new FakeTime(0);
  const { report, printed } = createReport(22);
  await report.onStart();
  await report.onHeartbeat(BEAT);
  await advance(time, 400, 100);
  assertEquals(readTrace(printed.at(-1)!), ["▁▁▁▁▁▁▁▁▁█▁▁", CYAN]);
  await advance(time, 600, 100);
  await report.onHeartbeat(BEAT);
  await report.onHeartbeat({ ...BEAT, restarting: { attempt: 2 } });
  await advance(time, 100, 100);
  assertEquals(readTrace(printed.at(-1)!), ["▁▁▁▁▁█▁▁▁▁▁█", CYAN]);
  await advance(time, 1_600, 100);
  assertEquals(readTrace(printed.at(-1)!)[1], RED);
  await advance(time, 1_400, 100);
  assertEquals(readTrace(printed.at(-1)!), ["▁".repeat(12), RED]);
  await report.onEnd();
  assertMatch(printed.at(-1)!, /^ +\d+\.\ds .*no alarm\n$/);
  assertEquals(time.next(), false);
});

Deno.test("DemoReport has a trace that fits the window", async () => {
  using time = new FakeTime();
  for (const [columns, width] of [[200, 48], [40, 30], [11, 1], [5, 0]]) {
    const { report, printed } = createReport(columns);
    await report.onStart();
    await advance(time, 100, 100);
    assertEquals(readTrace(printed.at(-1)!)[0], "▁".repeat(width!));
    await report.stop();
  }
});

Deno.test("DemoReport prints whole lines and nothing else without a terminal, with --json and --quiet", async () => {
  using time = new FakeTime();
  const rows: [number | undefined, Record<string, boolean>][] = [
    [undefined, {}],
    [80, { json: true }],
    [80, { quiet: true }],
  ];
  for (const [columns, more] of rows) {
    const { report, printed } = createReport(columns, more);
    await report.onStart();
    await report.onHeartbeat(BEAT);
    await advance(time, 1_000, 100);
    await report.onEnd();
    const text = printed.join("");
    assertEquals(text.split("\n").length - 1, more.quiet ? 1 : 3);
    assert(!text.includes("\r") && !text.includes("▁"), text);
    assertEquals(time.next(), false);
  }
});
