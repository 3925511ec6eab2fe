// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { parseArguments, type Settings } from "../_cli_args.ts";
import { NoticeReporter } from "../_cli_notices.ts";
import { createOutput } from "./_cli_output.ts";

function createReporter(...args: string[]) {
  const { output, texts } = createOutput();
  const settings = parseArguments(["--timeout", "10s", ...args]) as Settings;
  return { reporter: new NoticeReporter(settings, output), output, texts };
}

const stalled = {
  ...{ type: "stalled" as const, time: 0, attempt: 1, count: 1 },
  ...{ limit: "silence" as const, elapsed: 10_001, timeout: 10_000 },
};

const silent = { type: "silent" as const, elapsed: 5_003, timeout: 10_000 };
const recovered = { ...silent, type: "recovered" as const, elapsed: 6_000 };
const seen = { count: 1, last: undefined };

Deno.test("NoticeReporter reports a silence and its end, and that a pipe's producer goes on", async () => {
  const expected = {
    command:
      `heartbeat: no output for 5s, it will be ended at 10s\nheartbeat: output again after 6s\nheartbeat: 'make' was silent for 10s: ended\n`,
    pipe:
      `heartbeat: no input for 5s, heartbeat will give up at 10s\nheartbeat: input again after 6s\nheartbeat: standard input was silent for 10s: gave up, its producer was not ended\n`,
  };
  for (const mode of ["command", "pipe"] as const) {
    using time = new FakeTime();
    const args = mode === "pipe" ? ["-"] : ["--", "make"];
    const { reporter, output, texts } = createReporter(...args);
    reporter.onSilence({ ...silent, ...seen });
    await time.tickAsync(997);
    reporter.onSilence({ ...recovered, ...seen });
    // the chunk that ended it
    reporter.onProgress();
    reporter.onEvent(stalled);
    await output.flush();
    assertEquals(texts.stderr, expected[mode]);
  }
});

Deno.test("NoticeReporter takes the end of a command for no output", async () => {
  const { reporter, output, texts } = createReporter("--", "make");
  reporter.onSilence({ ...silent, ...seen });
  await output.flush();
  const before = texts.stderr;
  reporter.onSilence({ ...recovered, ...seen });
  await output.flush();
  assertEquals(texts.stderr, before);
});

Deno.test("NoticeReporter reports the first output after a stall", async () => {
  using time = new FakeTime();
  const { reporter, output, texts } = createReporter("--", "make");
  reporter.onProgress();
  reporter.onSilence({ ...silent, ...seen });
  reporter.onEvent(stalled);
  await time.tickAsync(5_000);
  texts.stderr = "";
  reporter.onProgress();
  reporter.onProgress();
  await output.flush();
  assertEquals(texts.stderr, "heartbeat: output again after 10s\n");
});

Deno.test("NoticeReporter names what counts as a sign of life", async () => {
  const rows = [
    [
      ["--grep=x", "--", "make"],
      "matching line",
      "'make' had no matching line",
    ],
    [["--grep=x", "-"], "matching line", "standard input had no matching line"],
    [["--alive-if=cpu", "--", "make"], "sign of life", "'make' was silent"],
  ] as const;
  for (const [args, noun, verdict] of rows) {
    using time = new FakeTime();
    const { reporter, output, texts } = createReporter(...args);
    reporter.onSilence({ ...silent, ...seen });
    await time.tickAsync(997);
    reporter.onProgress();
    reporter.onEvent(stalled);
    await output.flush();
    const [notice, again, stall] = texts.stderr.split("\n");
    assertStringIncludes(notice!, `no ${noun} for 5s, `);
    assertEquals(again, `heartbeat: ${noun} again after 6s`);
    assertStringIncludes(stall!, `heartbeat: ${verdict} for 10s: `);
  }
});

Deno.test("NoticeReporter reports a restart, and what did not end before it", async () => {
  const { reporter, output, texts } = createReporter(
    "--retries=3",
    "--",
    "make",
  );
  const event = { time: 0, attempt: 2 };
  reporter.onEvent({ ...event, type: "restarting", delay: 100 });
  reporter.onEvent({ ...event, type: "unstopped" });
  reporter.onEvent({ ...event, type: "started" });
  await output.flush();
  assertEquals(
    texts.stderr,
    "heartbeat: starting it again (2 of 3)\nheartbeat: it did not end: it is left behind\n",
  );
});

Deno.test("NoticeReporter says how often and when a command is started again", async () => {
  const rows = [
    [["--retries=3"], "starting it again (2 of 3)"],
    [["--restart=always"], "starting it again (2)"],
    [["--retries=3", "--within=1h"], "starting it again (2)"],
    [["--retries=3", "--backoff=1s"], "starting it again in 1.5s (2 of 3)"],
  ] as const;
  for (const [args, expected] of rows) {
    const { reporter, output, texts } = createReporter(...args, "--", "make");
    const event = { type: "restarting" as const, time: 0, attempt: 2 };
    reporter.onEvent({ ...event, delay: 1_500 });
    await output.flush();
    assertEquals(texts.stderr, `heartbeat: ${expected}\n`);
  }
});
