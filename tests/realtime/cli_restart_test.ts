// Copyright 2026 the heartbeat authors. MIT license.

// When the command line starts a command again, in real time.

import { assert, assertEquals } from "@std/assert";
import {
  forEachRow,
  runCli,
  startCli,
  testSideBySide,
} from "../_cli_process.ts";
import { withTempDir } from "../_command.ts";

/** Counts its runs in a file, `$1`, and goes on as `script`. */
const counted = (script: string, file: string) => [
  "--",
  ...["sh", "-c", `echo run >> $1; n=$(wc -l < $1); ${script}`, "sh", file],
];

/** How often a script was run. */
const countRuns = async (file: string) =>
  (await Deno.readTextFile(file)).length / "run\n".length;

testSideBySide("--restart", {
  "decides after what a command is started again"() {
    const hang = "exec sleep 50";
    return withTempDir(async (folder) => {
      await forEachRow(
        [
          // two runs at most
          ["never", hang, 124, 1],
          ["never", "exit 3", 3, 1],
          ["on-stall", hang, 124, 2],
          ["on-stall", "exit 3", 3, 1],
          ["on-failure", hang, 124, 2],
          ["on-failure", "exit 3", 3, 2],
          ["on-failure", "kill -KILL $$", 137, 2],
          ["on-failure", "test $n = 2", 0, 2],
          ["always", hang, 124, 2],
          ["always", "exit $n", 2, 2],
          ["always", "exit 0", 0, 2],
        ] as const,
        async ([when, script, expected, runs]) => {
          const file = `${folder}/${when} ${script}`.replaceAll("$", "");
          const { code, stderr } = await runCli([
            ...["--timeout=2s", `--restart=${when}`],
            ...when === "never" ? [] : ["--retries=1"],
            ...counted(script, file),
          ]);
          const what = `${when} ${script}: ${stderr}`;
          assertEquals([code, await countRuns(file)], [expected, runs], what);
        },
      );
    });
  },

  "has no limit of its own, but one within a time"() {
    return withTempDir(async (folder) => {
      const file = `${folder}/file`;
      const { code, stderr } = await runCli([
        ...["--restart=on-failure", "--backoff=10ms"],
        ...counted("test $n = 8", file),
      ]);
      assertEquals([code, await countRuns(file)], [0, 8], stderr);
      const limited = await runCli([
        ...["--restart=always", "--retries=2", "--within=1h"],
        ...["--backoff=10ms..20ms", ...counted("exit 5", `${folder}/other`)],
      ]);
      assertEquals(limited.code, 5);
      assertEquals(
        limited.stderr,
        [
          "'sh' ended with exit code 5",
          "starting it again in 10ms (1)",
          "'sh' ended with exit code 5",
          "starting it again in 20ms (2)",
          "'sh' ended with exit code 5",
        ].map((line) => `heartbeat: ${line}\n`).join(""),
      );
    });
  },

  async "never follows a signal, whether a command runs or not"() {
    const trap =
      "trap 'exit 0' INT TERM; trap 'exit 3' HUP; echo ready; while :; do sleep 0.05; done";
    await forEachRow(
      [
        ["SIGINT", trap, 130],
        ["SIGTERM", trap, 143],
        // between two attempts
        ["SIGINT", "echo ready; exit 3", 130],
        ["SIGHUP", "echo ready; exec sleep 50", 129],
        // it has an exit code of its own for that
        ["SIGHUP", trap, 3],
      ] as const,
      async ([signal, script, expected]) => {
        const cli = startCli([
          ...["--restart=always", "--backoff=20s"],
          ...["--", "sh", "-c", script],
        ]);
        if (script.endsWith("exit 3")) await cli.waitFor("stderr", "again");
        else await cli.waitFor("stdout", "ready");
        cli.kill(signal);
        const { code, stdout } = await cli.ended;
        assertEquals([code, stdout], [expected, "ready\n"]);
      },
    );
  },

  async "ends at the runtime"() {
    const { code, stdout } = await runCli([
      ...["--restart=always", "--backoff=50ms", "--runtime=3s"],
      ...["--", "echo", "run"],
    ]);
    assertEquals(code, 124);
    assert(stdout.length > 2 * "run\n".length, stdout);
  },
});
