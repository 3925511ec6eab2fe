// Copyright 2026 the heartbeat authors. MIT license.

// What the command line does when time passes: real processes and real time, so
// the limits are wide. The tests mostly wait, so they run side by side.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  assertEnds,
  DEMO,
  forEachRow,
  HANG,
  parseLines,
  runCli,
  startCli,
  testSideBySide,
} from "../_cli_process.ts";

/** Says its process id, starts a child, says that one's, and is silent. */
const SILENT = "echo $$; sleep 50 & echo $!; wait";

testSideBySide("the command line, as time passes", {
  async "the demo heals with --retries, and loses and repeats no result"() {
    // --cpu burns until the end: that comes as soon as all has been seen
    await forEachRow([
      ["--runtime=16s"],
      ["--runtime=60s", "--cpu"],
    ], async (more) => {
      const isBurning = more.includes("--cpu");
      const cli = startCli([
        ...["--json", "--hang-after=3", "--retries=2", ...more],
        ...["--interval=100ms", "--work=100ms", "--timeout=4s"],
      ], { allowRead: true });
      if (isBurning) {
        await cli.waitFor("stdout", '"value":5');
        cli.kill("SIGTERM");
      }
      const { code, stdout } = await cli.ended;
      const lines = parseLines(stdout);
      const end = lines.pop();
      assertEquals(code, isBurning ? 143 : 0, stdout);
      assertEquals([end.alarms, end.restarts], [1, 1], stdout);
      const values = lines.filter(({ type }) => type === "result")
        .map(({ value }) => value);
      assert(values.length > 3, "it went on");
      assertEquals(values, values.map((_, i) => i + 1));
      const types = lines.map(({ type }) => type);
      assertEquals(
        types.filter((type) => !["result", "heartbeat"].includes(type)),
        ["start", "alarm", "restart", ...isBurning ? [] : ["unstopped"]],
      );
    });
  },

  async "--health answers 503 while what is guarded is silent"() {
    // it is down from 1.5 s of silence at the latest, until it starts again after 2.5 s
    const demo = ["--work=200ms", "--interval=200ms", "--timeout=1s"];
    const hang = ["--hang-after=10", "--retries=1", "--runtime=30s"];
    // it is killed 5 s after its verdict
    const silent = "trap '' TERM; echo one; while :; do sleep 1; done";
    await forEachRow([
      [...demo, ...hang],
      ["--timeout=2s", "--", "sh", "-c", silent],
    ], async (args) => {
      const cli = startCli(["--json", "--health=0", ...args]);
      await cli.waitFor("stderr", '/"}');
      const [, url] = /"url":"(.*?)"/.exec(cli.text("stderr"))!;
      const codes: number[] = [];
      while (codes.at(-1) !== 503) {
        const response = await fetch(`${url}livez`);
        await response.body?.cancel();
        codes.push(response.status);
        await delay(50);
      }
      assertEquals(codes[0], 200);
      cli.kill("SIGTERM");
      cli.kill("SIGTERM");
      await cli.ended;
    });
  },

  async "heartbeat starts a silent command again, --retries times"() {
    const folder = await Deno.makeTempDir();
    const again = (n: number, of: number) =>
      `starting it again (${n} of ${of})`;
    await forEachRow(
      [
        // silent until its third run
        ["2", "test $(wc -l < $1) -lt 3 || exit 5; exec sleep 50", 5, 3],
        ["1", "exec sleep 50", 124, 2],
        ["0", "exec sleep 50", 124, 1],
        ["3", "exit 3", 3, 1],
      ] as const,
      async ([retries, script, expected, runs]) => {
        const file = `${folder}/${retries}`;
        const args = ["-c", `echo run >> $1; ${script}`, "sh", file];
        const { code, stderr } = await runCli(
          ["--timeout", "2s", "--retries", retries, "--", "sh", ...args],
        );
        assertEquals(code, expected, stderr);
        assertEquals(await Deno.readTextFile(file), "run\n".repeat(runs));
        assertEquals(
          stderr.match(/starting it again .*/g) ?? [],
          Array.from({ length: runs - 1 }, (_, i) => again(i + 1, +retries)),
        );
      },
    );
    await Deno.remove(folder, { recursive: true });
  },

  async "heartbeat ends within a bounded time when nobody takes its output"() {
    await forEachRow([
      ["--runtime", "300ms", "-"],
      ["--runtime", "300ms", "--", "yes"],
      ["--", "yes"],
    ], async (args) => {
      const input = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
      });
      const cli = startCli(args, { input, takes: 0 });
      if (args[0] === "--") {
        await delay(2_000);
        cli.kill("SIGTERM");
      }
      const { code } = await cli.ended;
      assertEquals(code, args[0] === "--" ? 143 : 124);
    });
  },

  async "heartbeat ends a silent command and its children, and says so"() {
    const silent = "heartbeat: no output for 1s, it will be ended at 2s\n";
    const resumed = "heartbeat: output again after [\\d.]+m?s\n";
    const stalled = "heartbeat: 'sh' was silent for 2s: ended\n";
    await forEachRow([
      [[], SILENT],
      [["--json"], SILENT],
      [["--quiet"], `trap '' TERM; ${SILENT}; wait`],
    ] as [string[], string][], async ([more, script]) => {
      const { code, stdout, stderr } = await runCli(
        ["--timeout", "2s", ...more, "--", "sh", "-c", script],
      );
      assertEquals(code, 124);
      const ids = stdout.split("\n", 2).map(Number);
      for (const id of ids) await assertEnds(id);
      if (more[0] === "--json") {
        const lines = parseLines(stderr);
        const { type, silence, timeout, time } = lines.pop();
        assertEquals([type, timeout], ["stalled", 2000]);
        assert(silence >= 2000 && Math.abs(Date.now() - time) < HANG);
        assertEquals(lines.pop().type, "silent");
      } else {
        // a machine that is slow adds a silence at the start
        const notices = more.length === 0
          ? `(${silent}${resumed})*${silent}`
          : "";
        assertMatch(stderr, RegExp(`^${notices}${stalled}$`));
      }
    });
  },

  async "heartbeat ends at once by a second SIGINT"() {
    const script =
      "exec 2>/dev/null; trap '' TERM; trap 'echo first' INT; echo $$; while :; do sleep 0.05; done";
    const command = startCli(["--", "sh", "-c", script]);
    await command.waitFor("stdout", "\n");
    const begin = performance.now();
    command.kill("SIGINT");
    await command.waitFor("stdout", "first");
    command.kill("SIGINT");
    const { code, stdout } = await command.ended;
    const elapsed = performance.now() - begin;
    assertEquals(code, 130);
    assert(elapsed < 5000, `it waited for the grace of 5 s: ${elapsed} ms`);
    await assertEnds(Number.parseInt(stdout));

    // the first one, while a silent command does not end
    const stalled = startCli([
      "--timeout=2s",
      "--",
      "sh",
      "-c",
      "trap '' TERM INT; echo $$; exec sleep 50",
    ]);
    await stalled.waitFor("stderr", "was silent");
    const asked = performance.now();
    stalled.kill("SIGINT");
    const after = await stalled.ended;
    assertEquals(after.code, 130);
    assert(performance.now() - asked < 4000, "it waited for the grace of 5 s");
    await assertEnds(Number.parseInt(after.stdout));

    // hangs for ever, and so does the first
    const demo = startCli(["--hang-after", "0", "--timeout", "none", "--json"]);
    await demo.waitFor("stdout", '"item":1');
    let over = false;
    demo.ended.then(() => over = true);
    // two that come together are one
    for (; !over; await delay(300)) demo.kill("SIGINT");
    assertEquals((await demo.ended).code, 130);
  },

  async "one signal ends a demo that hangs"() {
    const demo = startCli(["--hang-after", "0", "--timeout", "none", "--json"]);
    await demo.waitFor("stdout", '"item":1');
    demo.kill("SIGTERM");
    assertEquals((await demo.ended).code, 143);
  },

  async "heartbeat gives notice of a silence once, and of its end"() {
    const script = "for i in 1 2 3; do echo $i; read _; done";
    await forEachRow([[], ["--json"]], async (more) => {
      const cli = startCli(
        ["--timeout", "4s", ...more, "--", "sh", "-c", script],
        { input: "written" },
      );
      await cli.waitFor("stderr", more.length === 0 ? "no output" : "silent");
      for (const line of ["2", "3"]) {
        await cli.write("\n");
        await cli.waitFor("stdout", line);
      }
      await cli.write("\n");
      const { code, stdout, stderr } = await cli.ended;
      assertEquals([code, stdout], [0, "1\n2\n3\n"]);
      if (more.length === 0) {
        return assertMatch(
          stderr,
          /^(heartbeat: no output for 2s, it will be ended at 4s\nheartbeat: output again after [\d.]+s\n)+$/,
        );
      }
      const lines = parseLines(stderr);
      lines.forEach(({ type }, i) =>
        assertEquals(type, i % 2 === 0 ? "silent" : "resumed")
      );
      const [silent, resumed] = lines;
      assertEquals([silent.silence, silent.timeout], [2000, 4000]);
      assert(resumed.silence >= 2000 && resumed.time >= silent.time);
    });
  },

  async "heartbeat ends with the exit code of a command that leaves a process behind"() {
    const script = (pause: number) =>
      `sleep ${pause}; sleep 20 & echo $! >&2; exit 3`;
    await forEachRow([0, 1.7], async (pause) => {
      const { code, stderr } = await runCli(
        ["--timeout=2s", "--quiet", "--", "sh", "-c", script(pause)],
      );
      assertEquals(code, 3, stderr);
      Deno.kill(Number(stderr), "SIGKILL");
    });
  },

  async "heartbeat puts its notices on lines of their own"() {
    const scripts: [string, string][] = [
      ["printf part >&2", "part\n"],
      ["echo whole >&2", "whole\n"],
      ["printf part", ""],
      ["printf part >&2; echo out", "part\n"],
    ];
    const modes = [["--json"], []];
    await forEachRow(
      modes.flatMap((more) =>
        scripts.map((script) => [more, ...script] as const)
      ),
      async ([more, script, before]) => {
        const { code, stderr } = await runCli(
          ["--timeout", "3s", ...more, "--", "sh", "-c", `${script}; sleep 50`],
        );
        assertEquals(code, 124);
        const notice = more.length === 0 ? "heartbeat: " : `{"type":"`;
        assert(stderr.startsWith(before + notice), stderr);
        assertEquals(
          stderr.split("\n").slice(-3, -1).map((line) =>
            line.startsWith(notice)
          ),
          [true, true],
        );
        assertEquals(stderr.match(/^$/gm)?.length, 1, "an empty line");
      },
    );
  },

  async "heartbeat gives a command its time to end, however short the timeout is"() {
    const script =
      "trap 'sleep 3; echo bye; exit' TERM; echo go; while :; do sleep 0.1; done";
    await forEachRow([[], ["--grep=go"]], async (more) => {
      const cli = startCli(
        ["--timeout=2s", ...more, "--", "sh", "-c", script],
      );
      await cli.waitFor("stdout", "go");
      cli.kill("SIGTERM");
      const { code, stdout, stderr } = await cli.ended;
      assertEquals([code, stdout], [143, "go\nbye\n"], stderr);
      assert(!stderr.includes("silent"), stderr);
    });
  },

  async "heartbeat ends a command at its runtime"() {
    await forEachRow([[], ["--json"]], async (more) => {
      const { code, stdout, stderr } = await runCli(
        [
          "--runtime",
          "2s",
          ...more,
          "--",
          "sh",
          "-c",
          "echo $$; exec sleep 50",
        ],
      );
      assertEquals(code, 124);
      await assertEnds(Number(stdout));
      if (more.length === 0) {
        assertEquals(stderr, "heartbeat: ended after its runtime of 2s\n");
      } else {
        const [{ time: _, ...line }] = parseLines(stderr);
        assertEquals(line, { type: "deadline", runtime: 2000 });
      }
    });
  },

  async "heartbeat ends when standard input goes silent, or at the runtime"() {
    await forEachRow([
      [
        ["--timeout", "1s"],
        /^(.* no input .*\n.* input again .*\n)*heartbeat: no input for 500ms, heartbeat will give up at 1s\nheartbeat: standard input was silent for 1s: gave up, its producer was not ended\n$/,
      ],
      [
        ["--timeout", "1s", "--quiet"],
        /^heartbeat: standard input was silent for 1s: gave up, its producer was not ended\n$/,
      ],
      [
        ["--timeout", "1s", "--json"],
        /\{"type":"stalled","time":\d+,"silence":\d+,"timeout":1000\}\n$/,
      ],
      [
        ["--timeout", "1s", "--json", "--quiet"],
        /^\{"type":"stalled"[^\n]+\n$/,
      ],
      [
        ["--timeout", "none", "--runtime", "1s"],
        /^heartbeat: ended after its runtime of 1s\n$/,
      ],
    ] as [string[], RegExp][], async ([args, said]) => {
      const cli = startCli([...args, "-"], { input: "written" });
      await cli.write("line\n");
      const { code, stdout, stderr } = await cli.ended;
      assertEquals([code, stdout], [124, "line\n"]);
      assertMatch(stderr, said);
    });
  },

  async "the demo shows where it hung, with --hang-after"() {
    const args = [...DEMO, "--timeout", "500ms", "--runtime", "30s"];
    await forEachRow(
      [[], ["--quiet"], ["--json"], ["--json", "--quiet"]],
      async (more) => {
        const { code, stdout, stderr } = await runCli(
          [...args, "--hang-after", "3", ...more],
        );
        assertEquals([code, stderr], [124, ""]);
        const lines = stdout.trimEnd().split("\n");
        const said = lines.slice(-2);
        if (more.includes("--json")) {
          const [alarm, end] = said.map((line) => JSON.parse(line));
          assertEquals([alarm.type, alarm.timeout], ["alarm", 500]);
          assertEquals([alarm.count, alarm.last.detail], [
            end.heartbeats,
            { item: 4 },
          ]);
          assert(alarm.silence >= 500);
          assertEquals([end.type, end.results, end.alarms], ["end", 3, 1]);
        } else {
          assertMatch(
            said[0]!,
            /alarm {6}No heartbeat for \d+ ms after \d+ heartbeats?: the timeout is 500 ms; last seen at \{"item":4\}$/,
          );
          assertMatch(said[1]!, /end {8}3 results, \d+ heartbeats, 1 alarm$/);
        }
        assertEquals(lines.length > 2, !more.includes("--quiet"), stdout);
      },
    );
  },
});
