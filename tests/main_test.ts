// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import {
  assertBytes,
  assertEnds,
  DEMO,
  forEachRow,
  HANG,
  parseLines,
  runCli,
  startCli,
  testPosix,
} from "./_cli_process.ts";
import { randomBytes } from "./_help.ts";

Deno.test("the demo prints results, heartbeats and a summary, without any permission", async () => {
  const { code, stdout, stderr } = await runCli([...DEMO, "--runtime", "1s"]);
  assertEquals([code, stderr], [0, ""]);
  const [first, ...lines] = stdout.trimEnd().split("\n");
  assertMatch(
    first!,
    /^ +0\.\ds {2}start {6}a result every 20ms, a heartbeat every 50ms, an alarm after 3s without one$/,
  );
  const end = lines.pop()!;
  for (const line of lines) {
    assertMatch(line, /^ +\d+\.\ds {2}(result {5}|heartbeat {2})\d+$/);
  }
  const count = (type: string) => {
    const found = lines.filter((line) => line.includes(type));
    assert(found.length > 0, type);
    return found.length;
  };
  assertEquals(
    end.replace(/^ +\d+\.\ds {2}/, ""),
    `end        ${count("result")} results, ${
      count("heartbeat")
    } heartbeats, no alarm`,
  );
});

Deno.test("the demo's defaults are those of the help", async () => {
  const { stdout } = await runCli(["--runtime", "100ms"]);
  assertMatch(
    stdout,
    /a result every 500ms, a heartbeat every 1s, an alarm after 3s without one\n/,
  );
});

Deno.test("the demo prints JSON with --json", async () => {
  const { code, stdout } = await runCli([...DEMO, "--runtime", "1s", "--json"]);
  assertEquals(code, 0);
  const lines = parseLines(stdout);
  const { elapsed, ...start } = lines.shift();
  let last = elapsed;
  assertEquals(start, {
    type: "start",
    work: 20,
    interval: 50,
    timeout: 3000,
    runtime: 1000,
  });
  const { elapsed: _, ...end } = lines.pop();
  const results = lines.filter(({ type }) => type === "result");
  const beats = lines.filter(({ type }) => type === "heartbeat");
  assertEquals(end, {
    type: "end",
    results: results.length,
    heartbeats: beats.length,
    alarms: 0,
    restarts: 0,
  });
  assertEquals(results.length + beats.length, lines.length);
  assertEquals(results.map(({ value }) => value), results.map((_, i) => i + 1));
  for (const { worker, seq, time, detail } of beats.slice(1)) {
    assertEquals(worker, "demo");
    assert(seq > 1 && Math.abs(Date.now() - time) < HANG && detail.item > 0);
  }
  for (const { elapsed } of lines) {
    assert(elapsed >= last);
    last = elapsed;
  }
});

Deno.test("the command line has no limit with --runtime none and 0", async () => {
  await forEachRow(["none", "0"], async (runtime) => {
    const limits = ["--hang-after", "0", "--timeout", "100ms"];
    const { code, stdout } = await runCli(
      ["--json", "--runtime", runtime, ...limits],
    );
    assertEquals([code, parseLines(stdout)[0].runtime], [124, null]);
  });
});

Deno.test("the command line prints its options, exit codes and version", async () => {
  const [help, h, both, version] = await Promise.all(
    [["--help"], ["-h"], ["--version", "--help", "--quiet"], ["--version"]].map(
      (args) => runCli(args),
    ),
  );
  assertEquals([help!.code, help!.stderr], [0, ""]);
  assertEquals([h!.stdout, both!.stdout], [help!.stdout, help!.stdout]);
  for (
    const option of [
      "--timeout DURATION",
      "--runtime DURATION",
      "--retries N",
      "--interval DURATION",
      "--work DURATION",
      "--hang-after N",
      "--quiet",
      "--json",
      "--stats",
      "--help, --version",
    ]
  ) assertMatch(help!.stdout, RegExp(`^  ${option}  +\\S`, "m"));
  for (const code of ["0", "2", "124", "125", "126", "127", "128 \\+ n"]) {
    assertMatch(help!.stdout, RegExp(`^  ${code}  +\\S`, "m"));
  }
  assertMatch(help!.stdout, /130 for SIGINT[^]* 141 for SIGPIPE/);
  assertMatch(help!.stdout, /not ended[^]* heartbeat -- PRODUCER \| consumer/);
  assertEquals(version, { ...version!, code: 0, stderr: "" });
  assertEquals(version!.stdout, `heartbeat ${config.version}\n`);
});

Deno.test("heartbeat passes a command's input and output on byte by byte", async () => {
  const input = randomBytes(1_000_000);
  const copy = `const [a, b] = Deno.stdin.readable.tee();
    await Promise.all([a.pipeTo(Deno.stdout.writable), b.pipeTo(Deno.stderr.writable)]);
    Deno.exit(7);`;
  const { code, output } = await runCli(
    ["--", Deno.execPath(), "eval", copy],
    { input },
  );
  assertEquals(code, 7);
  assertBytes(output.stdout, input);
  assertBytes(output.stderr, input);
});

Deno.test("heartbeat passes standard input on byte by byte, and ends with it", async () => {
  const input = randomBytes(1_000_000);
  const { code, output, stderr } = await runCli(["-"], { input });
  assertEquals([code, stderr], [0, ""]);
  assertBytes(output.stdout, input);
});

testPosix(
  "heartbeat passes a command's exit code on, or says why it cannot be run",
  async () => {
    const folder = await Deno.makeTempDir();
    const file = `${folder}/file`;
    await Deno.writeTextFile(file, "#!/bin/sh\n", { mode: 0o600 });
    const shell = (script: string) => ["--", "sh", "-c", script];
    await forEachRow([
      [shell("exit 0"), 0],
      [shell("exit 5"), 5],
      [shell("exit 255"), 255],
      [shell("kill -TERM $$"), 143],
      [shell("kill -KILL $$"), 137],
      [
        ["--", "no-such-command-of-heartbeat"],
        127,
        "no-such-command-of-heartbeat",
      ],
      [["--", "--", "true"], 127, "'--'"],
      [["--", folder], 126, folder],
      [["--", file], 126, file],
      [["--quiet", "--", file], 126, file],
      [["--", "true"], 125, "--allow-run"],
    ] as [string[], number, string?][], async ([args, expected, said]) => {
      const { code, stdout, stderr } = await runCli(args, {
        allowRun: expected !== 125,
      });
      assertEquals([code, stdout], [expected, ""], `${args}: ${stderr}`);
      if (!said) return assertEquals(stderr, "");
      assertMatch(stderr, /^heartbeat: [^\n]+\n$/);
      assert(stderr.includes(said), stderr);
    });
    await Deno.remove(folder, { recursive: true });

    const { code, stderr } = await runCli(["--json", "--", "no-such-command"]);
    const [{ time, ...line }] = parseLines(stderr);
    assert(Math.abs(Date.now() - time) < HANG);
    assertEquals([code, line], [127, {
      type: "error",
      code: 127,
      message: "cannot find the command 'no-such-command'",
    }]);
  },
);

testPosix("heartbeat escapes what a terminal would obey", async () => {
  const command = "no\x1b[31m\u009b2J\u202esuch\nheartbeat: forged";
  const shown = String.raw`no\u001b[31m\u009b2J\u202esuch\nheartbeat: forged`;
  const [text, json] = await Promise.all(
    [[], ["--json"]].map((more) => runCli([...more, "--", command])),
  );
  assertEquals(
    text!.stderr,
    `heartbeat: cannot find the command '${shown}'\n`,
  );
  assert(json!.stderr.includes(shown), json!.stderr);
  const [{ message }] = parseLines(json!.stderr);
  assertEquals(message, `cannot find the command '${command}'`);
});

Deno.test({
  name: "heartbeat says so when its own output cannot be written",
  ignore: Deno.build.os !== "linux",
  async fn() {
    for (const args of [DEMO, ["--", "echo", "hi"], ["-"], ["--help"]]) {
      const input = new Uint8Array(1);
      const redirect = "> /dev/full";
      const { code, stderr } = await runCli([...args], { input, redirect });
      assertEquals(code, 125);
      assertMatch(stderr, /^heartbeat: cannot write the output: [^\n]+\n$/);
    }
  },
});

/** Says what signal it got; a shell reports the end of its child on stderr. */
const TRAPS =
  'exec 2>/dev/null; for name in INT TERM HUP; do trap "echo got $name; exit 129" $name; done; echo ready; while :; do sleep 0.05; done';

testPosix(
  "heartbeat passes SIGINT, SIGTERM and SIGHUP on, and ends by them",
  async () => {
    const modes = [
      [["--", "sh", "-c", TRAPS], "ready"],
      [["-"], "ready"],
      [DEMO, "result"],
    ] as const;
    const signals = [["INT", 130], ["TERM", 143], ["HUP", 129]] as const;
    await forEachRow(
      modes.flatMap((mode) =>
        signals.map((signal) => [...mode, ...signal] as const)
      ),
      async ([args, ready, name, expected]) => {
        const input = "written";
        const cli = startCli([...args], { input });
        await cli.write("ready\n");
        await cli.waitFor("stdout", ready);
        cli.kill(`SIG${name}`);
        const { code, stdout, stderr } = await cli.ended;
        assertEquals([code, stderr], [expected, ""], `${args}`);
        if (args[0] === "--") assertEquals(stdout, `ready\ngot ${name}\n`);
        if (args[0] === "-") assertEquals(stdout, "ready\n");
        if (args === DEMO) assertMatch(stdout, /heartbeats?, no alarm\n$/);
      },
    );
  },
);

testPosix(
  "heartbeat forwards SIGHUP, SIGUSR1 and SIGUSR2 to the command, and goes on",
  async () => {
    const names = ["USR1", "HUP", "USR2"];
    const traps = names.map((name) => `trap "echo got ${name}" ${name}`);
    const script = [
      "exec 2>/dev/null",
      ...traps,
      "echo ready",
      "while :; do sleep 0.05; done",
    ].join("; ");
    const command = startCli(["--", "sh", "-c", script]);
    await command.waitFor("stdout", "ready");
    for (const name of names) {
      command.kill(`SIG${name}` as Deno.Signal);
      await command.waitFor("stdout", `got ${name}`);
    }
    command.kill("SIGTERM");
    const { code, stdout, stderr } = await command.ended;
    assertEquals([code, stderr], [143, ""]);
    assertEquals(stdout, "ready\ngot USR1\ngot HUP\ngot USR2\n");
  },
);

testPosix(
  "heartbeat ends as the command does that a forwarded signal ends",
  async () => {
    const signals = [["HUP", 129], ["USR1", 138], ["USR2", 140]] as const;
    await forEachRow([...signals], async ([name, expected]) => {
      const cli = startCli(
        ["--", "sh", "-c", "echo $$; exec sleep 50"],
      );
      await cli.waitFor("stdout", "\n");
      cli.kill(`SIG${name}`);
      const { code, stdout, stderr } = await cli.ended;
      assertEquals([code, stderr], [expected, ""]);
      await assertEnds(Number(stdout));
    });
  },
);

testPosix(
  "heartbeat ends as by SIGPIPE when nobody reads its output any more",
  async () => {
    await forEachRow([
      ["--", "sh", "-c", "echo $$ >&2; exec yes"],
      ["-"],
      DEMO,
    ], async (args) => {
      const input = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
      });
      const { code, stderr } = await runCli(args, { input, takes: 1 });
      assertEquals(code, 141, stderr);
      if (args[0] === "--") await assertEnds(Number(stderr));
      else assertEquals(stderr, "");
    });
  },
);

testPosix(
  "heartbeat prints with --stats how silent it was, of a command and of a pipe",
  async () => {
    const input = new TextEncoder().encode("line\n");
    await forEachRow([
      ["--stats", "--quiet", "--", "sh", "-c", "echo 1; sleep 1; echo 2"],
      ["--stats", "-"],
    ], async (args) => {
      const { code, stderr } = await runCli(args, { input });
      assertEquals(code, 0);
      const count = args.includes("-") ? "1 chunk" : "2 chunks";
      const expected = RegExp(
        `^heartbeat: ${count}; longest silence [\\d.]+m?s, until [\\d:]{8}; suggested: --timeout \\w+\n$`,
      );
      assertMatch(stderr, expected);
    });
  },
);
