// Copyright 2026 the heartbeat authors. MIT license.

// What counts as a sign of life of a guarded command, in real time.

import { assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  assertEnds,
  type CliOptions,
  forEachRow,
  runCli,
  startCli,
  testSideBySide,
} from "../_cli_process.ts";
import { withTempDir } from "../_command.ts";
import { waitUntil } from "../_help.ts";

const shell = (script: string) => ["--", "sh", "-c", script];

testSideBySide("signs of life", {
  async "--alive-if keeps a silent command alive that computes, and not one that sleeps"() {
    const busy =
      "end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do :; done";
    await forEachRow(
      [
        [busy, 0],
        ["exec sleep 50", 124],
      ] as const,
      async ([script, expected]) => {
        const { code, stderr } = await runCli(
          ["--timeout=2s", "--alive-if=cpu", ...shell(script)],
        );
        assertEquals(code, expected, stderr);
        if (expected === 0) return;
        assertMatch(stderr, /^heartbeat: no sign of life for 1s, it will be /);
      },
    );
  },

  "--alive-if keeps a silent command alive that writes a file"() {
    return withTempDir(async (folder) => {
      const script =
        `for i in 1 2 3 4; do echo $i >> ${folder}/log; sleep 1; done`;
      const { code, stderr } = await runCli(
        ["--timeout=3s", `--alive-if=${folder}/log`, ...shell(script)],
        { allowRead: true },
      );
      assertEquals(code, 0, stderr);
    });
  },

  async "--alive-if does not count what a command does while it is ended"() {
    const script =
      "trap 'end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do :; done; exit' TERM; sleep 50 & wait";
    const { code, stderr } = await runCli(
      ["--timeout=2s", "--alive-if=cpu", ...shell(script)],
    );
    assertEquals(code, 124);
    assertMatch(stderr, /'sh' was silent for 2s: ended\n$/);
  },

  async "--alive-if starts nothing where it cannot look"() {
    const { code, stdout, stderr } = await runCli(
      ["--alive-if=/etc/passwd/x", "--", "echo", "out"],
      { allowRead: true },
    );
    assertEquals([code, stdout], [125, ""]);
    assertMatch(
      stderr,
      /^heartbeat: cannot use --alive-if '\/etc\/passwd\/x': Not a directory.*\n$/,
    );
  },

  async "--alive-if starts nothing where it may not look"() {
    const { code, stdout, stderr } = await runCli(
      ["--alive-if=/tmp/log", "--", "echo", "out"],
    );
    assertEquals([code, stdout, stderr], [
      125,
      "",
      "heartbeat: cannot use --alive-if '/tmp/log': it needs --allow-read\n",
    ]);
  },

  async "--grep ends a command whose other output goes on, and passes all of it on"() {
    const turn = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done";
    await forEachRow([
      [turn, {}, /^1\n2\n3\n4\n/],
      // more than is read
      ["exec yes", { redirect: "> /dev/null" }, /^$/],
    ] as [string, CliOptions, RegExp][], async ([script, options, printed]) => {
      const args = ["--timeout=2s", "--grep=^x", ...shell(script)];
      const { code, stdout, stderr } = await runCli(args, {
        allowRun: true,
        ...options,
      });
      assertEquals(code, 124, stderr);
      assertMatch(stdout, printed);
      assertMatch(
        stderr,
        // on a busy machine a command may wait for its consumer, which is no silence
        /^(heartbeat: no matching line for 1s, it will be ended at 2s\n(heartbeat: matching line again after [\d.]+s\n)?)+heartbeat: 'sh' had no matching line for 2s: ended\n$/,
      );
    });
  },

  async "--grep keeps a command alive by lines that match"() {
    const script =
      "for i in 1 2 3 4; do echo step $i; for j in 1 2 3; do echo noise >&2; sleep 0.3; done; done";
    const { code, stdout, stderr } = await runCli(
      ["--timeout=3s", "--grep=^step \\d$", ...shell(script)],
    );
    assertEquals([code, stdout], [0, "step 1\nstep 2\nstep 3\nstep 4\n"]);
    assertEquals(stderr.match(/^noise$/gm)?.length, 12, stderr);
  },

  async "--grep ends a pipe whose other input goes on"() {
    const cli = startCli(["--timeout=2s", "--grep=x", "-"], {
      input: "written",
    });
    let isOver = false;
    cli.ended.then(() => isOver = true);
    for (let i = 0; !isOver; i++) {
      await cli.write(`${i}\n`).catch(() => {});
      await delay(100);
    }
    const { code, stdout, stderr } = await cli.ended;
    assertEquals(code, 124);
    assertMatch(stdout, /^0\n1\n2\n/);
    assertMatch(
      stderr,
      /heartbeat: standard input had no matching line for 2s: /,
    );
  },
  async "--grep finds a pipe silent whose input never waits"() {
    // a pattern that takes much longer than to read and to write
    const lines = new TextEncoder().encode(`${" ".repeat(600)}\n`.repeat(100));
    const { code, stderr } = await runCli(["--timeout=1s", "--grep= +x", "-"], {
      input: new ReadableStream({ pull: (c) => c.enqueue(lines) }),
      redirect: "> /dev/null",
    });
    assertEquals(code, 124, stderr);
  },

  async "--grep with a pattern that backtracks for ever blocks nothing"() {
    const { code, stdout, stderr } = await runCli([
      ...["--timeout=10s", "--grep=^(a+)+$"],
      ...shell("echo $0; exit 3"),
      `${"a".repeat(50)}b`,
    ]);
    assertEquals([code, stdout.length], [3, 52], stderr);
    const late = "--grep takes too long for a line: it is no sign of life";
    assertEquals(stderr, `heartbeat: ${late}\n`);
  },

  async "--tty gives a terminal to the command, which ends with its own exit code"() {
    const script = "test -t 1 && test -t 2 && stty size; echo two >&2; exit 3";
    const { code, stdout, stderr } = await runCli(["--tty", ...shell(script)]);
    assertEquals([code, stdout, stderr], [3, "24 80\ntwo\n", ""]);
  },

  async "--tty passes signals on, and ends what is silent"() {
    const script =
      "exec 2>/dev/null; trap 'echo bye; exit 3' TERM; echo $$; while :; do sleep 0.1; done";
    await forEachRow(
      [["--timeout=20s", 143], ["--timeout=3s", 124]] as const,
      async ([limit, expected]) => {
        const cli = startCli(["--tty", limit, ...shell(script)]);
        await cli.waitFor("stdout", "\n");
        if (expected === 143) cli.kill("SIGTERM");
        const { code, stdout } = await cli.ended;
        assertEquals(code, expected);
        // of an attempt that was given up, nothing is delivered any more
        const said = expected === 143 ? /^\d+\nbye\n$/ : /^\d+\n$/;
        assertMatch(stdout, said);
        await assertEnds(Number.parseInt(stdout));
      },
    );
  },

  async "--tty gives a command its time to end that was asked to while it started"() {
    await withTempDir(async (folder) => {
      const { PATH = "" } = Deno.env.toObject();
      // it passes on what the terminal prints only once it may
      const slow = `#!/bin/sh
        PATH=$REAL_PATH script "$@" | {
          read id; until [ -e ${folder}/go ]; do sleep 0.05; done; echo $id; cat
        }`;
      await Deno.writeTextFile(`${folder}/script`, slow, { mode: 0o755 });
      const script =
        `exec 2>/dev/null; trap 'sleep 3.5; echo bye; exit' TERM; echo > ${folder}/started; while :; do sleep 0.1; done`;
      const cli = startCli(["--tty", "--timeout=2s", ...shell(script)], {
        env: { PATH: `${folder}:${PATH}`, REAL_PATH: PATH },
      });
      const hasStarted = () =>
        Deno.stat(`${folder}/started`).then(() => true, () => false);
      await waitUntil(hasStarted, "a start");
      cli.kill("SIGTERM");
      await delay(100);
      await Deno.writeTextFile(`${folder}/go`, "");
      const { code, stdout, stderr } = await cli.ended;
      assertEquals([code, stdout], [143, "bye\n"], stderr);
    });
  },
});
