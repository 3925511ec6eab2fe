// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import {
  LineFilter,
  LineMatcher,
  type LineTest,
  openLineTest,
} from "../_cli_grep.ts";
import type { CommandOutput } from "../_command_types.ts";
import { markResultBeat } from "../_result_beats.ts";
import type { Heartbeat, WorkerStreams } from "../_worker_types.ts";
import { createSource, readAll } from "./_help.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A test of lines that nothing stops. */
const createTest = (pattern: RegExp): LineTest => (lines) =>
  lines.some((line) => pattern.test(line));

const LATE = "--grep takes too long for a line: it is no sign of life";
const UNSEEN = "--grep takes too long: some lines were not looked at";

/** Opens the test for a pattern, with what it reports. */
async function openTest(pattern: RegExp) {
  const reports: string[] = [];
  const report = (message: string) => void reports.push(message);
  return { isMatch: await openLineTest(pattern, report), reports };
}

Deno.test("openLineTest() stops a pattern that backtracks for too long, and goes on", async () => {
  const { isMatch, reports } = await openTest(/^(a+)+$/);
  const hard = `${"a".repeat(50)}b`;
  const many = Array<string>(4).fill(hard);
  const late = many.map(() => LATE);
  const rows: [lines: string[], isSign: boolean, reports: string[]][] = [
    [["b", "aa"], true, []],
    [["b", ""], false, []],
    [[hard], false, [LATE]],
    [["b", hard, "aa"], true, [LATE]],
    [many, false, late],
    [[...many, "aa"], false, [...late, UNSEEN]],
    [["aa"], true, []],
  ];
  for (const [lines, isSign, expected] of rows) {
    assertEquals(isMatch(lines), isSign, `${lines}`);
    assertEquals(reports.splice(0), expected, `${lines}`);
  }
});

/** Lines of which the time is over before one is read, for the first time. */
function stopBefore(index: number, lines: string[]) {
  const line = lines[index];
  let looks = 0;
  Object.defineProperty(lines, index, {
    get() {
      looks++;
      const end = performance.now() + 5_000;
      // stopped as a pattern is
      while (looks === 1 && performance.now() < end);
      return line;
    },
  });
  return lines;
}

Deno.test("openLineTest() goes on where lines together take long, but none by itself", async () => {
  const { isMatch, reports } = await openTest(/^(a+)+$/);
  // the last line that was looked at is none of the next chunk
  assertEquals(isMatch(["b", "b", "b"]), false);
  const rows: [index: number, lines: string[]][] = [
    [0, ["aa", "b", "b"]],
    [0, ["b", "b", "aa"]],
    [1, ["b", "aa", "b"]],
    [1, ["b", "b", "aa"]],
    [2, ["b", "b", "aa"]],
  ];
  for (const [index, lines] of rows) {
    const row = `${lines}, ${index}`;
    assertEquals(isMatch(stopBefore(index, lines)), true, row);
  }
  assertEquals(reports, []);
});

Deno.test("openLineTest() reports lines that were not looked at, although none took long", async () => {
  // some milliseconds each
  const { isMatch, reports } = await openTest(/ +x/);
  const slow = " ".repeat(3_000);
  assertEquals(isMatch([...Array(5_000).fill(slow), " x"]), false);
  assertEquals(reports, [UNSEEN]);
});

Deno.test("LineMatcher finds lines, however they are split into chunks", () => {
  const rows: [RegExp, string[], boolean[]][] = [
    [/b/, ["abc\n", "b", "\n"], [true, false, true]],
    [/^step \d$/, ["st", "ep 1", "\nstep ", "2\n"], [false, false, true, true]],
    [/^step \d$/, ["step 12\n", "a step 1\n"], [false, false]],
    // a progress bar
    [/^50%$/, ["49%\r50", "%\r", "\r\n"], [false, true, false]],
    [/^a$/, ["x\na\ny\n", "x\r\na\r\n"], [true, true]],
    // no line of one is a line of the next
    [/ab/, ["a\n", "b\n"], [false, false]],
    [/^$/, ["", "\n"], [false, true]],
    // the line feed of a line that has ended is no line
    [/^$/, ["a\r", "", "\nb\r", "\n", "\n"], [...Array(4).fill(false), true]],
  ];
  for (const [pattern, chunks, expected] of rows) {
    const matcher = new LineMatcher(createTest(pattern));
    const found = chunks.map((chunk) => matcher.test(bytes(chunk)));
    assertEquals(found, expected, `${pattern}`);
  }
});

Deno.test("LineMatcher takes characters that are split into chunks", () => {
  const matcher = new LineMatcher(createTest(/^日本$/));
  const found = [...bytes("日本\n")]
    .map((byte) => matcher.test(new Uint8Array([byte])));
  assertEquals(found, [...Array(6).fill(false), true]);
});

Deno.test("LineMatcher looks at the first 65,536 characters of a line", () => {
  const matcher = new LineMatcher(createTest(/x/));
  const long = bytes("a".repeat(40_000));
  assertEquals([long, long, bytes("x\n")].map((chunk) => matcher.test(chunk)), [
    ...[false, false],
    false,
  ]);
  assertEquals(matcher.test(bytes(`${"a".repeat(65_535)}x\n`)), true);
  assertEquals(matcher.test(bytes(`${"a".repeat(65_536)}x\n`)), false);
  assertEquals(matcher.test(bytes("x\n")), true);
});

Deno.test("openLineTest() costs no more for a line than a few tests of it", async () => {
  const pattern = /zzz/;
  const tests = [
    createTest(pattern),
    await openLineTest(pattern, () => {}),
  ];
  const lines = Array<string>(200_000).fill("a".repeat(80));
  // interleaved, and the best of each, so that noise meets both
  const best = tests.map(() => Infinity);
  for (let round = 0; round < 10; round++) {
    tests.forEach((isMatch, i) => {
      const start = performance.now();
      isMatch(lines);
      best[i] = Math.min(best[i]!, performance.now() - start);
    });
  }
  const ratio = best[1]! / best[0]!;
  assert(ratio < 5, `${ratio.toFixed(1)} times as long`);
});

function createFilter() {
  const results = createSource<CommandOutput>();
  const heartbeats = createSource<Heartbeat>();
  const forwarded: string[] = [];
  const filter = new LineFilter(createTest(/!/));
  const command: WorkerStreams<CommandOutput> = {
    results: results.stream,
    heartbeats: heartbeats.stream,
    finished: Promise.resolve(),
  };
  const watched = filter.apply(command, ({ bytes }) => {
    forwarded.push(new TextDecoder().decode(bytes));
    return Promise.resolve();
  });
  let seq = 0;
  return {
    ...{ filter, results, heartbeats, forwarded, watched },
    print: (text: string, from: CommandOutput["from"] = "stdout") =>
      results.controller.enqueue({ from, bytes: bytes(text) }),
    beat(isOfResults = false) {
      const heartbeat = { worker: "make", seq: ++seq, time: 0 };
      if (isOfResults) markResultBeat(heartbeat);
      heartbeats.controller.enqueue(heartbeat);
    },
  };
}

/** Lets the streams run. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("LineFilter gives the lines that match, and forwards the others in between", async () => {
  const { print, results, watched, forwarded } = createFilter();
  const seen = readAll(watched.results);
  print("a\nb!\n");
  print("c\n");
  // one line, of one stream
  print("d", "stderr");
  print("!\n", "stdout");
  print("!\n", "stderr");
  await settle();
  results.controller.close();
  await settle();
  const texts = seen.chunks.map(({ bytes }) => new TextDecoder().decode(bytes));
  assertEquals(texts, ["a\nb!\n", "!\n", "!\n"]);
  assertEquals([forwarded, seen.end], [["c\n", "d"], "closed"]);
});

Deno.test("LineFilter drops the heartbeats that stand for other output only", async () => {
  const { filter, print, beat, watched } = createFilter();
  const seen = readAll(watched.heartbeats);
  readAll(watched.results);
  const steps: [what: string, isSign: boolean, happens: () => void][] = [
    ["the start", true, () => {}],
    ["a line that matches", true, () => print("!\n")],
    ["another line", false, () => print("a\n")],
    ["both", true, () => (print("!\n"), print("a\n"))],
    ["another sign of life", true, () => (print("a\n"), filter.onSign())],
    ["a slow consumer", true, () => {}],
  ];
  for (const [what, isSign, happens] of steps) {
    const before = seen.chunks.length;
    happens();
    await settle();
    beat();
    await settle();
    assertEquals(seen.chunks.length - before, +isSign, what);
  }
  const before = seen.chunks.length;
  beat(true);
  await settle();
  assertEquals(seen.chunks.length, before, "results that nobody has read");
});

Deno.test("LineFilter passes a cancellation on, and an error", async () => {
  const reason = new Error("stop");
  const cancelled = createFilter();
  await cancelled.watched.results.cancel(reason);
  await cancelled.watched.heartbeats.cancel(reason);
  await settle();
  assertEquals(cancelled.results.cancelled, reason);
  assertEquals(cancelled.heartbeats.cancelled, reason);

  const failed = createFilter();
  const seen = readAll(failed.watched.results);
  failed.results.controller.error(reason);
  await settle();
  assertEquals(seen.end, reason);
});
