// Copyright 2026 the heartbeat authors. MIT license.

// What the command line prints at the end of a run, and where.

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  forEachRow,
  parseLines,
  runCli,
  startCli,
  testSideBySide,
} from "../_cli_process.ts";
import { withTempDir } from "../_command.ts";

const shell = (script: string) => ["--", "sh", "-c", script];

testSideBySide("--summary and --notices", {
  async "sums a run up, whatever ends it"() {
    const input = new TextEncoder().encode("line\n");
    await forEachRow([
      [shell("echo 1; sleep 1; echo 2; exit 3"), 3, { chunks: 2 }],
      [shell("exec sleep 0.1"), 0, { chunks: 0 }],
      [["-"], 0, { chunks: 1 }],
      [["--timeout=1s", ...shell("echo 1; exec sleep 50")], 124, { stalls: 1 }],
      [["--runtime=1s", ...shell("echo 1; exec sleep 50")], 124, {}],
      [["--", "no-such-command"], 127, { chunks: 0 }],
      [
        ["--restart=always", "--retries=2", "--backoff=1ms", ...shell("echo")],
        0,
        { restarts: 2, chunks: 3 },
      ],
    ] as [string[], number, object][], async ([args, expected, figures]) => {
      const { code, stderr } = await runCli(
        ["--summary", "--stats", "--json", ...args],
        { input },
      );
      const lines = parseLines(stderr);
      const { type, duration, ...summary } = lines.at(-1);
      assertEquals([code, type, summary.code], [expected, "summary", expected]);
      assert(duration >= 0 && duration < 60_000, stderr);
      assert(summary.longest >= 0, stderr);
      assertEquals({ ...summary, ...figures }, summary);
      assertEquals(lines.some(({ type }) => type === "stats"), false);
    });
  },

  async "counts the silences before the first and after the last output"() {
    await forEachRow([
      "sleep 1; echo 1",
      "echo 1; sleep 1",
      "sleep 1",
    ], async (script) => {
      const { stderr } = await runCli(["--stats", "--json", ...shell(script)]);
      assert(parseLines(stderr).at(-1).longest >= 900, stderr);
    });
    const args = ["--stats", "--json", "--timeout=3s", "-"];
    const cli = startCli(args, { input: "written" });
    // half of the timeout after it has begun to read
    await cli.waitFor("stderr", '"silent"');
    await cli.write("line\n");
    await cli.waitFor("stdout", "line\n");
    cli.kill("SIGTERM");
    const { stderr } = await cli.ended;
    assert(parseLines(stderr).at(-1).longest >= 1_400, stderr);
  },

  "keeps the notices out of standard error, and appends them"() {
    return withTempDir(async (folder) => {
      const file = `${folder}/notices`;
      const allowWrite = true;
      const args = ["--timeout=2s", "--summary", `--notices=${file}`];
      const script = "echo out; printf err >&2; exec sleep 50";
      for (const format of ["--quiet", "--json"]) {
        const { code, stdout, stderr } = await runCli(
          [...args, format, ...shell(script)],
          { allowWrite },
        );
        assertEquals([code, stdout, stderr], [124, "out\n", "err"]);
      }
      const lines = (await Deno.readTextFile(file)).trimEnd().split("\n");
      const time = "\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z";
      assertMatch(
        lines[0]!,
        RegExp(`^${time} heartbeat: 'sh' was silent for 2s`),
      );
      assertMatch(
        lines[1]!,
        RegExp(`^${time} heartbeat: exit code 124 after `),
      );
      const types = lines.slice(2).map((line) => JSON.parse(line).type);
      // a machine that is slow adds a silence at the start
      assertMatch(`${types}`, /^(silent,resumed,)*silent,stalled,summary$/);
    });
  },

  "starts no command if the notices cannot be written"() {
    return withTempDir(async (folder) => {
      await forEachRow(
        [
          [`${folder}/no/file`, true],
          [folder, true],
          [`${folder}/file`, false],
        ] as const,
        async ([file, allowWrite]) => {
          const { code, stdout, stderr } = await runCli(
            ["--notices", file, "--", "echo", "out"],
            { allowWrite },
          );
          assertEquals([code, stdout], [125, ""]);
          assertMatch(stderr, /^heartbeat: cannot write notices to '[^\n]+\n$/);
        },
      );
    });
  },

  "waits neither for a pipe that nobody opens, nor for one that nobody empties"() {
    return withTempDir(async (folder) => {
      const pipe = `${folder}/pipe`;
      await new Deno.Command("mkfifo", { args: [pipe] }).output();
      const args = [`--notices=${pipe}`, ...shell("echo err >&2; exit 3")];
      const unopened = await runCli(args, { allowWrite: true });
      assertEquals([unopened.code, unopened.stderr], [
        125,
        `heartbeat: cannot write notices to '${pipe}': it takes too long to open, as a pipe does that nobody reads\n`,
      ]);
      // it holds 64 KiB
      const script =
        'exec 3<>"$0"; head -c 65536 /dev/zero >&3; echo full; exec sleep 60';
      const holder = new Deno.Command("sh", {
        args: ["-c", script, pipe],
        stdout: "piped",
      }).spawn();
      const reader = holder.stdout.getReader();
      await reader.read();
      try {
        const { code, stderr } = await runCli(
          ["--summary", ...args],
          { allowWrite: true },
        );
        assertEquals([code, stderr], [3, "err\n"]);
      } finally {
        holder.kill("SIGKILL");
        await reader.cancel();
        await holder.status;
      }
    });
  },
});
