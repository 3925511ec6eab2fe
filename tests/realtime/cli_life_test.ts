// Copyright 2026 the heartbeat authors. MIT license.

// What counts as a sign of life of a guarded command, in real time.

import { assertEquals, assertMatch } from "@std/assert";
import {
  assertEnds,
  forEachRow,
  runCli,
  startCli,
  testSideBySide,
} from "../_cli_process.ts";
import { withTempDir } from "../_command.ts";

const shell = (script: string) => ["--", "sh", "-c", script];

testSideBySide("--alive-if", {
  async "keeps a silent command alive that computes, and not one that sleeps"() {
    const busy =
      "end=$(($(date +%s) + 5)); while [ $(date +%s) -lt $end ]; do :; done";
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

  "keeps a silent command alive that writes a file"() {
    return withTempDir(async (folder) => {
      const script =
        `for i in 1 2 3 4 5; do echo $i >> ${folder}/log; sleep 1; done`;
      const { code, stderr } = await runCli(
        ["--timeout=3s", `--alive-if=${folder}/log`, ...shell(script)],
        { allowRead: true },
      );
      assertEquals([code, stderr], [0, ""]);
    });
  },

  async "reports a file that may not be read, once"() {
    const { code, stderr } = await runCli(
      ["--timeout=1s", "--alive-if=/tmp/log", ...shell("exec sleep 50")],
    );
    assertEquals(code, 124);
    const reported = stderr.match(/^heartbeat: cannot see whether .*$/gm);
    assertEquals(reported?.length, 1, stderr);
  },
});

testSideBySide("--tty", {
  async "gives a terminal to the command, which ends with its own exit code"() {
    const script = "test -t 1 && test -t 2 && stty size; echo two >&2; exit 3";
    const { code, stdout, stderr } = await runCli(["--tty", ...shell(script)]);
    assertEquals([code, stdout, stderr], [3, "24 80\ntwo\n", ""]);
  },

  async "passes signals on, and ends what is silent"() {
    const script =
      "exec 2>/dev/null; trap 'echo bye; exit 3' TERM; echo $$; while :; do sleep 0.1; done";
    await forEachRow(
      [["--timeout=20s", 143], ["--timeout=1s", 124]] as const,
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
});
