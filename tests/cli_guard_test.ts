// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { parseArguments, type Settings } from "../_cli_args.ts";
import { forwardOutput, GuardStats, SilenceReporter } from "../_cli_guard.ts";
import { CliOutput } from "../_cli_output.ts";

/** The two output streams, as texts. */
function createOutput() {
  const texts = { stdout: "", stderr: "" };
  const createStream = (name: keyof typeof texts) => ({
    isTerminal: () => false,
    write(bytes: Uint8Array) {
      texts[name] += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  });
  const output = new CliOutput({
    stdout: createStream("stdout"),
    stderr: createStream("stderr"),
  });
  return { output, texts };
}

function createReporter(mode: "command" | "pipe") {
  const { output, texts } = createOutput();
  const args = mode === "pipe" ? ["-"] : ["--", "make"];
  const settings = parseArguments(["--timeout", "10s", ...args]) as Settings;
  return { reporter: new SilenceReporter(settings, output, mode), texts };
}

const silent = { type: "silent" as const, elapsed: 5_003, timeout: 10_000 };
const recovered = { ...silent, type: "recovered" as const, elapsed: 6_000 };
const seen = { count: 1, last: undefined };

Deno.test("SilenceReporter reports a silence and its end, and that a pipe's producer goes on", async () => {
  const expected = {
    command:
      `heartbeat: no output for 5s, it will be ended at 10s\nheartbeat: output again after 6s\nheartbeat: 'make' was silent for 10s: ended\n`,
    pipe:
      `heartbeat: no input for 5s, heartbeat will give up at 10s\nheartbeat: input again after 6s\nheartbeat: 'make' was silent for 10s: gave up, its producer was not ended\n`,
  };
  for (const mode of ["command", "pipe"] as const) {
    using time = new FakeTime();
    const { reporter, texts } = createReporter(mode);
    reporter.onSilence({ ...silent, ...seen });
    await time.tickAsync(997);
    reporter.onSilence({ ...recovered, ...seen });
    // the chunk that ended it
    await reporter.onOutput();
    await reporter.reportStall("'make'", 10_001);
    assertEquals(texts.stderr, expected[mode]);
  }
});

Deno.test("SilenceReporter reports the first output after a stall", async () => {
  using time = new FakeTime();
  const { reporter, texts } = createReporter("command");
  await reporter.onOutput();
  reporter.onSilence({ ...silent, ...seen });
  await reporter.reportStall("'make'", 10_001);
  await time.tickAsync(5_000);
  texts.stderr = "";
  await reporter.onOutput();
  await reporter.onOutput();
  assertEquals(texts.stderr, "heartbeat: output again after 10s\n");
});

Deno.test("forwardOutput() passes chunks on, and cancels its source whatever ends it", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const chunks = [
    { from: "stderr" as const, bytes: bytes("e") },
    bytes("a"),
    { from: "stdout" as const, bytes: bytes("b") },
  ];
  const { output, texts } = createOutput();
  const { reporter } = createReporter("command");
  const stop = new AbortController();
  const forwarded: string[] = [];
  const onChunk = (bytes: Uint8Array) =>
    void forwarded.push(new TextDecoder().decode(bytes));
  const source = ReadableStream.from<typeof chunks[number]>(chunks);
  await forwardOutput(source, output, reporter, onChunk, stop.signal);
  assertEquals(texts, { stdout: "ab", stderr: "e" });
  assertEquals(forwarded, ["e", "a", "b"]);

  const reason = new Error("stop");
  const cancelled: unknown[] = [];
  const endless = () =>
    new ReadableStream<Uint8Array>({
      cancel: (why) => void cancelled.push(why),
    });
  const stopped = forwardOutput(
    endless(),
    output,
    reporter,
    onChunk,
    stop.signal,
  );
  stop.abort(reason);
  await stopped;
  await forwardOutput(endless(), output, reporter, onChunk, stop.signal);
  assertEquals(cancelled, [reason, reason]);

  const broken = new ReadableStream({ pull: (c) => c.error(reason) });
  const { signal } = new AbortController();
  await assertRejects(
    () => forwardOutput(broken, output, reporter, onChunk, signal),
    Error,
    "stop",
  );
});

Deno.test("GuardStats reports the chunks, the longest silence and a timeout for it", async () => {
  using time = new FakeTime(new Date(2026, 0, 1, 12, 30));
  const rows: [number[], string, Record<string, unknown>][] = [
    [[], "3 chunks; no silence between two of them", { longest: 0 }],
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
    const stats = new GuardStats();
    for (let chunk = 0; chunk < 3; chunk++) stats.onChunk();
    for (const gap of gaps) stats.gaps.record(gap);
    output.format = { json: false, quiet: true };
    await stats.report(output);
    assertEquals(texts.stderr, `heartbeat: ${text}\n`);
    texts.stderr = "";
    output.format = { json: true, quiet: false };
    await stats.report(output);
    const counts = { time: time.now, chunks: 3, stalls: 0 };
    const expected = { type: "stats", ...counts, ...data };
    assertEquals(JSON.parse(texts.stderr), expected);

    // how long a silence that was ended would have been is not known
    stats.onStall();
    texts.stderr = "";
    output.format = { json: false, quiet: false };
    await stats.report(output);
    const [chunks, ...others] = text.replace(/; suggested.*/, "").split("; ");
    const parts = [chunks, "silent for too long 1 time", ...others];
    assertEquals(texts.stderr, `heartbeat: ${parts.join("; ")}\n`);
  }
});
