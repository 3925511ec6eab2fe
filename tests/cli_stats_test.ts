// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { GuardStats } from "../_cli_stats.ts";
import { createOutput } from "./_cli_output.ts";

Deno.test("GuardStats reports the chunks, the longest silence and a timeout for it", async () => {
  using time = new FakeTime(new Date(2026, 0, 1, 12, 30));
  const rows: [number[], string, Record<string, unknown>][] = [
    [[], "3 chunks; no silence that has ended", { longest: 0 }],
    [
      [100, 20_100],
      "3 chunks; longest silence 20.1s, until 12:30:00; suggested: --timeout 61s",
      {
        longest: 20_100,
        longestAt: time.now,
        suggestedTimeout: 60_300,
      },
    ],
    [
      [1, 20],
      "3 chunks; longest silence 20ms, until 12:30:00; suggested: --timeout 60ms",
      {
        longest: 20,
        longestAt: time.now,
        suggestedTimeout: 60,
      },
    ],
  ];
  for (const [gaps, text, data] of rows) {
    const { output, texts } = createOutput();
    const stats = new GuardStats({ summary: false, mode: "command" }, output);
    for (let chunk = 0; chunk < 3; chunk++) stats.onChunk();
    for (const gap of gaps) stats.gaps.record(gap);
    output.format = { json: false, quiet: true };
    await stats.end({ code: 0 });
    assertEquals(texts.stderr, `heartbeat: ${text}\n`);
    texts.stderr = "";
    output.format = { json: true, quiet: false };
    await stats.end({ code: 0 });
    const counts = { time: time.now, chunks: 3, stalls: 0 };
    const expected = { type: "stats", ...counts, ...data };
    assertEquals(JSON.parse(texts.stderr), expected);

    // how long a silence that was ended would have been is not known
    stats.onEvent({ type: "stalled" });
    texts.stderr = "";
    output.format = { json: false, quiet: false };
    await stats.end({ code: 0 });
    const [chunks, ...others] = text.replace(/; suggested.*/, "").split("; ");
    const parts = [chunks, "silent for too long 1 time", ...others];
    assertEquals(texts.stderr, `heartbeat: ${parts.join("; ")}\n`);
  }
});

Deno.test("GuardStats sums the run up", async () => {
  using time = new FakeTime(new Date(2026, 0, 1, 12, 30));
  const { output, texts } = createOutput();
  const stats = new GuardStats({ summary: true, mode: "command" }, output);
  stats.onEvent({ type: "started" });
  stats.onChunk();
  time.tick(90_000);
  await stats.end({ code: 0 });
  const silences = "1 chunk; no silence that has ended";
  assertEquals(
    texts.stderr,
    `heartbeat: exit code 0 after 1.5m; ${silences}\n`,
  );
  for (const type of ["stalled", "restarting", "started"] as const) {
    stats.onEvent({ type });
  }
  texts.stderr = "";
  await stats.end({ code: 124 });
  assertEquals(
    texts.stderr,
    "heartbeat: exit code 124 after 1.5m; 1 restart; 1 chunk; silent for too long 1 time; no silence that has ended\n",
  );
  texts.stderr = "";
  output.format = { json: true, quiet: true };
  await stats.end({ code: 124 });
  assertEquals(JSON.parse(texts.stderr), {
    ...{ type: "summary", time: time.now, code: 124, duration: 90_000 },
    ...{ restarts: 1, chunks: 1, stalls: 1, longest: 0 },
  });
});

Deno.test("GuardStats counts the silence before the end, but not that of a stall", async () => {
  using time = new FakeTime(new Date(2026, 0, 1, 12, 30));
  const rows = [
    ["ended", 20_000],
    ["failed", 20_000],
    ["stalled", 0],
    // a pipe has no event for its end, and a monitor that skips its first silence
    [undefined, 30_000],
  ] as const;
  for (const [type, longest] of rows) {
    const mode = type ? "command" : "pipe";
    const { output, texts } = createOutput();
    const stats = new GuardStats({ summary: false, mode }, output);
    output.format = { json: true, quiet: true };
    stats.onStarted();
    time.tick(30_000);
    stats.onProgress();
    time.tick(20_000);
    if (type) stats.onEvent({ type });
    if (type) time.tick(40_000);
    await stats.end({ code: 0 });
    assertEquals(JSON.parse(texts.stderr).longest, longest, type);
  }
});
