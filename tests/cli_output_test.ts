// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { NoticeFile } from "../_cli_notice_file.ts";
import {
  CliOutput,
  formatCount,
  formatDuration,
  OutputError,
} from "../_cli_output.ts";

/** An output stream that keeps what it gets, a few bytes at a time. */
class Recorder {
  text = "";
  #isTerminal: boolean;

  constructor(isTerminal: boolean) {
    this.#isTerminal = isTerminal;
  }

  write(bytes: Uint8Array) {
    const taken = bytes.subarray(0, 5);
    this.text += new TextDecoder().decode(taken);
    return Promise.resolve(taken.length);
  }

  isTerminal() {
    return this.#isTerminal;
  }
}

function createOutput(terminals: ("stdout" | "stderr")[] = []) {
  const stdout = new Recorder(terminals.includes("stdout"));
  const stderr = new Recorder(terminals.includes("stderr"));
  const output = new CliOutput({ stdout, stderr });
  const forward = (from: "stdout" | "stderr", text: string) =>
    output.forward(from, new TextEncoder().encode(text));
  return { output, stdout, stderr, forward };
}

Deno.test("CliOutput begins a notice on a line of its own", async () => {
  const both = ["stdout", "stderr"] as const;
  const rows: [("stdout" | "stderr")[], "stdout" | "stderr", string, string][] =
    [
      [[], "stderr", "part", "part\nheartbeat: x\n"],
      [[], "stderr", "whole\n", "whole\nheartbeat: x\n"],
      [[], "stdout", "part", "heartbeat: x\n"],
      [["stdout"], "stdout", "part", "heartbeat: x\n"],
      [["stderr"], "stdout", "part", "heartbeat: x\n"],
      [[...both], "stdout", "part", "\nheartbeat: x\n"],
      [[...both], "stdout", "whole\n", "heartbeat: x\n"],
    ];
  for (const [terminals, from, text, expected] of rows) {
    const { output, stderr, forward } = createOutput(terminals);
    await forward(from, text);
    await output.notify("silent", "x");
    assertEquals(stderr.text, expected);
    await output.notify("silent", "y");
    assertEquals(stderr.text, `${expected}heartbeat: y\n`);
  }
});

Deno.test("CliOutput keeps the order of notices and forwarded bytes", async () => {
  const { output, stderr, forward } = createOutput();
  output.notify("silent", "a notice of many bytes");
  const forwarded = forward("stderr", "part");
  await forwarded;
  await output.notify("resumed", "b");
  assertEquals(
    stderr.text,
    "heartbeat: a notice of many bytes\npart\nheartbeat: b\n",
  );
});

Deno.test("CliOutput writes JSON lines, and only errors if it is to be quiet", async () => {
  const { output, stdout, stderr } = createOutput();
  output.format = { json: true, quiet: true };
  for (const type of ["silent", "resumed", "restarting", "unstopped"]) {
    await output.notify(type, "x");
  }
  assertEquals(stderr.text, "");
  const before = Date.now();
  await output.notify("stalled", "x", { silence: 5, who: "\u202e" });
  const { time, ...data } = JSON.parse(stderr.text);
  assertEquals(data, { type: "stalled", silence: 5, who: "\u202e" });
  assertEquals(time >= before, true);
  assertEquals(stderr.text.includes("\u202e"), false);
  await output.print("text");
  assertEquals(stdout.text, "text");
});

Deno.test("CliOutput errors where the output cannot be written, but for notices", async () => {
  const cause = new Error("full");
  const broken = {
    write: () => Promise.reject(cause),
    isTerminal: () => false,
  };
  const output = new CliOutput({ stdout: broken, stderr: broken });
  await output.notify("error", "x");
  for (
    const write of [
      () => output.print("x"),
      () => output.forward("stderr", new Uint8Array(1)),
    ]
  ) {
    const error = await assertRejects(
      write,
      OutputError,
      "cannot write the output: full",
    );
    assertEquals(error.cause, cause);
  }
});

Deno.test("CliOutput waits for a stream that is full and does not block", async () => {
  let calls = 0;
  const stdout = new Recorder(false);
  const full = {
    isTerminal: () => false,
    write: (bytes: Uint8Array) =>
      ++calls % 2
        ? Promise.reject(new Deno.errors.WouldBlock("full"))
        : stdout.write(bytes),
  };
  await new CliOutput({ stdout: full, stderr: stdout }).print("one two three");
  assertEquals([stdout.text, calls], ["one two three", 6]);
});

Deno.test("formatDuration() and formatCount() write what a reader expects", () => {
  const rows: [number, string][] = [
    [0.4, "0ms"],
    [999, "999ms"],
    [1_000, "1s"],
    [1_540, "1.5s"],
    [59_999, "60s"],
    [90_000, "1.5m"],
    [3_600_000, "1h"],
    [172_800_000, "48h"],
  ];
  for (const [ms, text] of rows) assertEquals(formatDuration(ms), text);
  assertEquals(formatCount(1, "result"), "1 result");
  assertEquals(formatCount(0, "result"), "0 results");
});

Deno.test("CliOutput keeps notices in a file, and errors in both places", async () => {
  const { output, stderr, forward } = createOutput();
  const file = new Recorder(false);
  output.useFile(new NoticeFile(file));
  await forward("stderr", "part");
  output.notify("silent", "x");
  await output.flush();
  assertEquals(stderr.text, "part");
  assertMatch(file.text, /^[\dT:.-]{23}Z heartbeat: x\n$/);
  output.notify("error", "y");
  await output.flush();
  assertEquals(stderr.text, "part\nheartbeat: y\n");
  assertMatch(file.text, /x\n[\dT:.-]{23}Z heartbeat: y\n$/);

  output.format = { json: true, quiet: true };
  file.text = "";
  output.notify("silent", "x");
  await output.flush();
  assertEquals(file.text, "");
  output.notify("stalled", "x", { silence: 5 });
  await output.flush();
  const { time, ...data } = JSON.parse(file.text);
  assertEquals([data, typeof time], [
    { type: "stalled", silence: 5 },
    "number",
  ]);
});
