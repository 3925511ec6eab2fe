// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import config from "../deno.json" with { type: "json" };
import { isRunning, NPM_FLAGS, randomBytes } from "./_help.ts";

/** The longest that a run may take (ms) before it is killed. */
const HANG = 40_000;

interface Options {
  /** Whether it may run commands; by default, only where it is to. */
  allowRun?: boolean;
  /** Whether it may read files, as a local thread must. */
  allowRead?: boolean;
  /** What it reads: nothing, or all of it, or what `write()` writes. */
  input?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | "by hand";
  /** What a shell does with its output. */
  redirect?: string;
  /** How many chunks of stdout are read before the pipe is closed. */
  takes?: number;
}

/** Starts the command line. */
function start(args: string[], options: Options = {}) {
  const { allowRun = args.includes("--"), allowRead = false } = options;
  const { input, redirect, takes = Infinity } = options;
  const child = new Deno.Command(redirect ? "sh" : Deno.execPath(), {
    args: [
      ...(redirect ? ["-c", `"$0" "$@" ${redirect}`, Deno.execPath()] : []),
      "run",
      "--quiet",
      "--no-check",
      "--no-prompt",
      ...(allowRun ? ["--allow-run"] : []),
      ...(allowRead ? ["--allow-read"] : []),
      ...NPM_FLAGS,
      "main.ts",
      ...args,
    ],
    cwd: new URL("..", import.meta.url),
    stdin: input ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), HANG);
  const output = { stdout: new Uint8Array(), stderr: new Uint8Array() };
  const text = (side: "stdout" | "stderr") =>
    new TextDecoder().decode(output[side]);

  async function drain(side: "stdout" | "stderr", takes: number) {
    if (takes === 0) {
      await child.status;
      return child[side].cancel();
    }
    for await (const chunk of child[side]) {
      const all = [output[side], chunk];
      output[side] = new Uint8Array(await new Blob(all).arrayBuffer());
      if (--takes === 0) break;
    }
  }

  const writer = input === "by hand" ? child.stdin.getWriter() : undefined;
  async function feed() {
    if (!input || input === "by hand") return;
    const stream = input instanceof Uint8Array
      ? new Blob([input]).stream()
      : input;
    await stream.pipeTo(child.stdin).catch(() => {});
  }

  async function end() {
    const fed = feed();
    const drained = [drain("stdout", takes), drain("stderr", Infinity)];
    const [{ code }] = await Promise.all([child.status, ...drained]);
    clearTimeout(timer);
    await writer?.close().catch(() => {});
    await fed;
    return { code, stdout: text("stdout"), stderr: text("stderr"), output };
  }
  const ended = end();

  return {
    ended,
    kill(signal: Deno.Signal) {
      try {
        child.kill(signal);
      } catch {
        // it has ended
      }
    },
    write: (line: string) => writer!.write(new TextEncoder().encode(line)),
    /** Resolves when it has said something. */
    async said(side: "stdout" | "stderr", what: string) {
      let over = false;
      ended.then(() => over = true);
      while (!text(side).includes(what)) {
        assert(!over, `it ended and did not say '${what}': ${text("stderr")}`);
        await delay(10);
      }
    },
  };
}

function run(args: string[], options?: Options) {
  return start(args, options).ended;
}

/** Runs `body` for every row, 4 at a time. */
async function each<T>(rows: T[], body: (row: T) => Promise<void>) {
  const rest = rows.values();
  const lanes = Array.from({ length: 4 }, async () => {
    for (const row of rest) await body(row);
  });
  // one that fails leaves nothing of the others to the next test
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
}

/** A test that needs a POSIX shell and signals. */
function test(name: string, fn: () => Promise<void>) {
  const ignore = Deno.build.os === "windows";
  Deno.test({ name, ignore, fn: () => deadline(fn(), 2 * HANG) });
}

// deno-lint-ignore no-explicit-any
function parseLines(text: string): any[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** As assertEquals(), which would print a difference of megabytes. */
function assertBytes(actual: Uint8Array, expected: Uint8Array) {
  assertEquals(actual.length, expected.length);
  assert(actual.every((byte, i) => byte === expected[i]), "other bytes");
}

/** Waits for a process to end. */
async function assertEnds(id: number) {
  assert(id > 0);
  for (let tries = 0; await isRunning(id); tries++) {
    assert(tries < 600, `process ${id} goes on`);
    await delay(50);
  }
}

const DEMO = ["--interval", "50ms", "--work", "20ms"];

Deno.test("the demo tells results, heartbeats and a summary, without any permission", async () => {
  const { code, stdout, stderr } = await run([...DEMO, "--runtime", "1s"]);
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
  const { stdout } = await run(["--runtime", "100ms"]);
  assertMatch(
    stdout,
    /a result every 500ms, a heartbeat every 1s, an alarm after 3s without one\n/,
  );
});

Deno.test("the demo tells JSON with --json", async () => {
  const { code, stdout } = await run([...DEMO, "--runtime", "1s", "--json"]);
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

Deno.test("the demo tells where it hung, with --hang-after", async () => {
  const args = [...DEMO, "--timeout", "500ms", "--runtime", "30s"];
  await each(
    [[], ["--quiet"], ["--json"], ["--json", "--quiet"]],
    async (more) => {
      const { code, stdout, stderr } = await run(
        [...args, "--hang-after", "3", ...more],
      );
      assertEquals([code, stderr], [124, ""]);
      const lines = stdout.trimEnd().split("\n");
      const told = lines.slice(-2);
      if (more.includes("--json")) {
        const [alarm, end] = told.map((line) => JSON.parse(line));
        assertEquals([alarm.type, alarm.timeout], ["alarm", 500]);
        assertEquals([alarm.count, alarm.last.detail], [
          end.heartbeats,
          { item: 4 },
        ]);
        assert(alarm.silence >= 500);
        assertEquals([end.type, end.results, end.alarms], ["end", 3, 1]);
      } else {
        assertMatch(
          told[0]!,
          /alarm {6}No heartbeat for \d+ ms after \d+ heartbeats?: the timeout is 500 ms; last seen at \{"item":4\}$/,
        );
        assertMatch(told[1]!, /end {8}3 results, \d+ heartbeats, 1 alarm$/);
      }
      assertEquals(lines.length > 2, !more.includes("--quiet"), stdout);
    },
  );
});

Deno.test("the demo heals with --retries, and loses and repeats no result", async () => {
  await each([[], ["--cpu"]], async (more) => {
    const { code, stdout } = await run([
      ...["--json", "--hang-after", "3", "--retries", "2", "--runtime", "12s"],
      ...["--interval", "100ms", "--work", "100ms", "--timeout", "2s"],
      ...more,
    ], { allowRead: true });
    const lines = parseLines(stdout);
    const end = lines.pop();
    assertEquals([code, end.alarms, end.restarts], [0, 1, 1], stdout);
    const values = lines.filter(({ type }) => type === "result")
      .map(({ value }) => value);
    assert(values.length > 3, "it went on");
    assertEquals(values, values.map((_, i) => i + 1));
    const types = lines.map(({ type }) => type);
    assertEquals(
      types.filter((type) => !["result", "heartbeat"].includes(type)),
      ["start", "alarm", "restart", ...more.length ? [] : ["unstopped"]],
    );
  });
});

Deno.test("the command line takes durations in every form", async () => {
  await each(
    [
      ["250ms", 250],
      ["0.5s", 500],
      [".01m", 600],
      ["1.5h", 5_400_000],
      ["300ms", 300],
      ["1m30s", 90_000],
      ["1h2m3s4ms", 3_723_004],
      ["2d", 172_800_000],
      ["1d.5h", 88_200_000],
      ["596h", 2_145_600_000],
      ["0", null],
      ["0s", null],
      ["none", null],
    ] as const,
    async ([text, ms]) => {
      const limit = ["--timeout", text, "--runtime", "50ms"];
      const { stdout, stderr } = await run(["--json", ...limit]);
      assertEquals(stderr, "");
      assertEquals(parseLines(stdout)[0].timeout, ms, text);
    },
  );
});

Deno.test("the command line has no limit with --runtime none and 0", async () => {
  await each(["none", "0"], async (runtime) => {
    const limits = ["--hang-after", "0", "--timeout", "100ms"];
    const { code, stdout } = await run(
      ["--json", "--runtime", runtime, ...limits],
    );
    assertEquals([code, parseLines(stdout)[0].runtime], [124, null]);
  });
});

Deno.test("the command line refuses what it does not know, in one line", async () => {
  const OPTIONS =
    "--timeout, --runtime, --retries, --interval, --work, --hang-after, --cpu, --quiet, --json, --help, --version";
  const limited = ["250ms, 3s, 1.5m, 1h", "596h", "0 or none for no limit"];
  const counted = ["whole number"];
  await each([
    [["--bogus"], "'--bogus'", OPTIONS],
    [["--no-quiet"], "'--no-quiet'", OPTIONS],
    [["--no-cpu=1"], "'--no-cpu=1'", OPTIONS],
    [["--_=1"], "'--_=1'", OPTIONS],
    [["-x"], "'-x'", OPTIONS],
    [["--_=x"], "'--_=x'", OPTIONS],
    [["--timeout"], "--timeout", "''", ...limited],
    [["--timeout="], "--timeout", "''", ...limited],
    [["--timeout", "3 s"], "--timeout", "'3 s'", ...limited],
    [["--timeout", "-5s"], "--timeout", "'-5s'", ...limited],
    [["--timeout", "--json"], "--timeout", "'--json'", ...limited],
    [["--retries", "-1", "--", "true"], "--retries", "'-1'", ...counted],
    [["--timeout=-5s"], "--timeout", "'-5s'", ...limited],
    [["--timeout", "597h"], "--timeout", "'597h'", ...limited],
    [["--timeout=Infinity", "-"], "--timeout", "'Infinity'", ...limited],
    [["--timeout=1e3", "--", "true"], "--timeout", "'1e3'", ...limited],
    [["--runtime=5w"], "--runtime", "'5w'", ...limited],
    [["--runtime=25d"], "--runtime", "'25d'", ...limited],
    [["--runtime=30s1m"], "--runtime", "'30s1m'", ...limited],
    [["--runtime=1s1s"], "--runtime", "'1s1s'", ...limited],
    [["--runtime=1m30"], "--runtime", "'1m30'", ...limited],
    [["--timeout", "90"], "--timeout", "'90'", ": 90s or 90ms?"],
    [["--timeout=90", "--", "true"], "--timeout", "'90'", ": 90s or 90ms?"],
    [["--interval", "0.5"], "--interval", "'0.5'", ": 0.5s or 0.5ms?"],
    [["--runtime", ".", "--", "true"], "--runtime", "'.'", ...limited],
    [["--retries", "", "--", "true"], "--retries", "''", ...counted],
    [["--interval", "0"], "--interval", "'0'", "1.5m", "more than 0"],
    [["--interval", "none"], "--interval", "'none'", "1.5m", "more than 0"],
    [["--work", "0s"], "--work", "'0s'", "1.5m", "more than 0"],
    [["--work", "soon"], "--work", "'soon'", "1.5m", "more than 0"],
    [["--hang-after", "1.5"], "--hang-after", "'1.5'", ...counted],
    [["--hang-after=-1"], "--hang-after", "'-1'", ...counted],
    [["--retries=x", "--", "true"], "--retries", "'x'", ...counted],
    [["--quiet=1"], "--quiet", "'1'", "no value"],
    [["--json=false"], "--json", "'false'", "no value"],
    [["--help=me"], "--help", "'me'", "no value"],
    [["--version="], "--version", "''", "no value"],
    [["--quiet", "false"], "--quiet", "'false'", "no value"],
    [["-h", "false"], "--help", "'false'", "no value"],
    [["0x10"], "'0x10'"],
    [["--timeout", "1\n2"], "--timeout", "'1 2'", ...limited],
    [["--"], "missing command after --", "heartbeat -- make test"],
    [["--quiet", "--", ""], "missing command after --"],
    [["make", "test"], "'make'", "heartbeat -- make test"],
    [["-", "make"], "'-'", "given after --"],
    [["make", "--", "true"], "'make'", "heartbeat -- make true"],
    [["--retries", "2", "-"], "--retries", "'2'", "-- COMMAND only"],
    [["--retries=2", "-"], "--retries", "'2'", "-- COMMAND only"],
    [["--interval=1s", "--", "true"], "--interval", "'1s'", "the demo only"],
    [["--work=1s", "-"], "--work", "'1s'", "the demo only"],
    [["--cpu", "-"], "--cpu", "the demo only"],
    [["--hang-after=1", "--", "true"], "--hang-after", "'1'", "the demo only"],
  ] as [string[], ...string[]][], async ([args, ...told]) => {
    const { code, stdout, stderr } = await run(args);
    assertEquals([code, stdout], [2, ""], args.join(" "));
    assertMatch(stderr, /^heartbeat: [^\n]+\n$/);
    for (const what of told) {
      assert(stderr.includes(what), `${args}: '${what}' is not in ${stderr}`);
    }
  });
});

Deno.test("the command line tells its options, exit codes and version", async () => {
  const [help, h, both, version] = await Promise.all(
    [["--help"], ["-h"], ["--version", "--help", "--quiet"], ["--version"]].map(
      (args) => run(args),
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
  const { code, output } = await run(
    ["--", Deno.execPath(), "eval", copy],
    { input },
  );
  assertEquals(code, 7);
  assertBytes(output.stdout, input);
  assertBytes(output.stderr, input);
});

Deno.test("heartbeat passes standard input on byte by byte, and ends with it", async () => {
  const input = randomBytes(1_000_000);
  const { code, output, stderr } = await run(["-"], { input });
  assertEquals([code, stderr], [0, ""]);
  assertBytes(output.stdout, input);
});

test("heartbeat passes a command's exit code on, or says why it cannot be run", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/file`;
  await Deno.writeTextFile(file, "#!/bin/sh\n", { mode: 0o600 });
  const shell = (script: string) => ["--", "sh", "-c", script];
  await each([
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
  ] as [string[], number, string?][], async ([args, expected, told]) => {
    const { code, stdout, stderr } = await run(args, {
      allowRun: expected !== 125,
    });
    assertEquals([code, stdout], [expected, ""], `${args}: ${stderr}`);
    if (!told) return assertEquals(stderr, "");
    assertMatch(stderr, /^heartbeat: [^\n]+\n$/);
    assert(stderr.includes(told), stderr);
  });
  await Deno.remove(folder, { recursive: true });

  const { code, stderr } = await run(["--json", "--", "no-such-command"]);
  const [{ time, ...line }] = parseLines(stderr);
  assert(Math.abs(Date.now() - time) < HANG);
  assertEquals([code, line], [127, {
    type: "error",
    code: 127,
    message: "cannot find the command 'no-such-command'",
  }]);
});

test("heartbeat escapes what a terminal would obey", async () => {
  const command = "no\x1b[31m\u009b2J\u202esuch\nheartbeat: forged";
  const shown = String.raw`no\u001b[31m\u009b2J\u202esuch\nheartbeat: forged`;
  const [text, json] = await Promise.all(
    [[], ["--json"]].map((more) => run([...more, "--", command])),
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
      const { code, stderr } = await run([...args], { input, redirect });
      assertEquals(code, 125);
      assertMatch(stderr, /^heartbeat: cannot write the output: [^\n]+\n$/);
    }
  },
});

/** Says its process id, starts a child, says that one's, and is silent. */
const SILENT = "echo $$; sleep 50 & echo $!; wait";

test("heartbeat ends a silent command and its children, and says so", async () => {
  const silent = "heartbeat: no output for 1s, it will be ended at 2s\n";
  const resumed = "heartbeat: output again after [\\d.]+m?s\n";
  const stalled = "heartbeat: 'sh' was silent for 2s: ended\n";
  await each([
    [[], SILENT],
    [["--json"], SILENT],
    [["--quiet"], `trap '' TERM; ${SILENT}; wait`],
  ] as [string[], string][], async ([more, script]) => {
    const { code, stdout, stderr } = await run(
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
});

test("heartbeat puts its notices on lines of their own", async () => {
  const scripts: [string, string][] = [
    ["printf part >&2", "part\n"],
    ["echo whole >&2", "whole\n"],
    ["printf part", ""],
    ["printf part >&2; echo out", "part\n"],
  ];
  const modes = [["--json"], []];
  await each(
    modes.flatMap((more) =>
      scripts.map((script) => [more, ...script] as const)
    ),
    async ([more, script, before]) => {
      const { code, stderr } = await run(
        ["--timeout", "1s", ...more, "--", "sh", "-c", `${script}; sleep 50`],
      );
      assertEquals(code, 124);
      const notice = more.length === 0 ? "heartbeat: " : `{"type":"`;
      assert(stderr.startsWith(before + notice), stderr);
      assertEquals(
        stderr.split("\n").slice(-3, -1).map((line) => line.startsWith(notice)),
        [true, true],
      );
      assertEquals(stderr.match(/^$/gm)?.length, 1, "an empty line");
    },
  );
});

test("heartbeat gives notice of a silence once, and of its end", async () => {
  const script = "for i in 1 2 3; do echo $i; read _; done";
  await each([[], ["--json"]], async (more) => {
    const { said, write, ended } = start(
      ["--timeout", "4s", ...more, "--", "sh", "-c", script],
      { input: "by hand" },
    );
    await said("stderr", more.length === 0 ? "no output" : "silent");
    for (const line of ["2", "3"]) {
      await write("\n");
      await said("stdout", line);
    }
    await write("\n");
    const { code, stdout, stderr } = await ended;
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
});

test("heartbeat ends a command at its runtime", async () => {
  await each([[], ["--json"]], async (more) => {
    const { code, stdout, stderr } = await run(
      ["--runtime", "1s", ...more, "--", "sh", "-c", "echo $$; exec sleep 50"],
    );
    assertEquals(code, 124);
    await assertEnds(Number(stdout));
    if (more.length === 0) {
      assertEquals(stderr, "heartbeat: ended after its runtime of 1s\n");
    } else {
      const [{ time: _, ...line }] = parseLines(stderr);
      assertEquals(line, { type: "deadline", runtime: 1000 });
    }
  });
});

test("heartbeat starts a silent command again, --retries times", async () => {
  const folder = await Deno.makeTempDir();
  const again = (n: number, of: number) => `starting it again (${n} of ${of})`;
  await each(
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
      const { code, stderr } = await run(
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
});

/** Says what signal it got; a shell tells the end of its child on stderr. */
const TRAPS =
  'exec 2>/dev/null; for name in INT TERM HUP; do trap "echo got $name; exit" $name; done; echo ready; while :; do sleep 0.05; done';

test("heartbeat passes SIGINT, SIGTERM and SIGHUP on, and ends by them", async () => {
  const modes = [
    [["--", "sh", "-c", TRAPS], "ready"],
    [["-"], "ready"],
    [DEMO, "result"],
  ] as const;
  const signals = [["INT", 130], ["TERM", 143], ["HUP", 129]] as const;
  await each(
    modes.flatMap((mode) =>
      signals.map((signal) => [...mode, ...signal] as const)
    ),
    async ([args, ready, name, expected]) => {
      const input = "by hand";
      const { said, write, kill, ended } = start([...args], { input });
      await write("ready\n");
      await said("stdout", ready);
      kill(`SIG${name}`);
      const { code, stdout, stderr } = await ended;
      assertEquals([code, stderr], [expected, ""], `${args}`);
      if (args[0] === "--") assertEquals(stdout, `ready\ngot ${name}\n`);
      if (args[0] === "-") assertEquals(stdout, "ready\n");
      if (args === DEMO) assertMatch(stdout, /heartbeats?, no alarm\n$/);
    },
  );
});

test("heartbeat forwards SIGHUP, SIGUSR1 and SIGUSR2 to the command, and goes on", async () => {
  const names = ["USR1", "HUP", "USR2"];
  const traps = names.map((name) => `trap "echo got ${name}" ${name}`);
  const script = [
    "exec 2>/dev/null",
    ...traps,
    "echo ready",
    "while :; do sleep 0.05; done",
  ].join("; ");
  const command = start(["--", "sh", "-c", script]);
  await command.said("stdout", "ready");
  for (const name of names) {
    command.kill(`SIG${name}` as Deno.Signal);
    await command.said("stdout", `got ${name}`);
  }
  command.kill("SIGTERM");
  const { code, stdout, stderr } = await command.ended;
  assertEquals([code, stderr], [143, ""]);
  assertEquals(stdout, "ready\ngot USR1\ngot HUP\ngot USR2\n");
});

test("heartbeat ends as the command does that a forwarded signal ends", async () => {
  const signals = [["HUP", 129], ["USR1", 138], ["USR2", 140]] as const;
  await each([...signals], async ([name, expected]) => {
    const { said, kill, ended } = start(
      ["--", "sh", "-c", "echo $$; exec sleep 50"],
    );
    await said("stdout", "\n");
    kill(`SIG${name}`);
    const { code, stdout, stderr } = await ended;
    assertEquals([code, stderr], [expected, ""]);
    await assertEnds(Number(stdout));
  });
});

test("heartbeat ends at once by a second SIGINT", async () => {
  const script =
    "exec 2>/dev/null; trap '' TERM; trap 'echo first' INT; echo $$; while :; do sleep 0.05; done";
  const command = start(["--", "sh", "-c", script]);
  await command.said("stdout", "\n");
  const begin = performance.now();
  command.kill("SIGINT");
  await command.said("stdout", "first");
  command.kill("SIGINT");
  const { code, stdout } = await command.ended;
  const elapsed = performance.now() - begin;
  assertEquals(code, 130);
  assert(elapsed < 5000, `it waited for the grace of 5 s: ${elapsed} ms`);
  await assertEnds(Number.parseInt(stdout));

  // the first one, while a silent command does not end
  const stalled = start([
    "--timeout=500ms",
    "--",
    "sh",
    "-c",
    "trap '' TERM INT; echo $$; exec sleep 50",
  ]);
  await stalled.said("stderr", "was silent");
  const asked = performance.now();
  stalled.kill("SIGINT");
  const after = await stalled.ended;
  assertEquals(after.code, 130);
  assert(performance.now() - asked < 4000, "it waited for the grace of 5 s");
  await assertEnds(Number.parseInt(after.stdout));

  // hangs for ever, and so does the first
  const demo = start(["--hang-after", "0", "--timeout", "none", "--json"]);
  await demo.said("stdout", '"item":1');
  let over = false;
  demo.ended.then(() => over = true);
  // two that come together are one
  for (; !over; await delay(300)) demo.kill("SIGINT");
  assertEquals((await demo.ended).code, 130);
});

test("heartbeat ends as by SIGPIPE when nobody reads its output any more", async () => {
  await each([
    ["--", "sh", "-c", "echo $$ >&2; exec yes"],
    ["-"],
    DEMO,
  ], async (args) => {
    const input = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
    });
    const { code, stderr } = await run(args, { input, takes: 1 });
    assertEquals(code, 141, stderr);
    if (args[0] === "--") await assertEnds(Number(stderr));
    else assertEquals(stderr, "");
  });
});

test("heartbeat ends within a bounded time when nobody takes its output", async () => {
  await each([
    ["--runtime", "300ms", "-"],
    ["--runtime", "300ms", "--", "yes"],
    ["--", "yes"],
  ], async (args) => {
    const input = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
    });
    const { kill, ended } = start(args, { input, takes: 0 });
    if (args[0] === "--") {
      await delay(2_000);
      kill("SIGTERM");
    }
    const { code } = await ended;
    assertEquals(code, args[0] === "--" ? 143 : 124);
  });
});

Deno.test("heartbeat ends when standard input goes silent, or at the runtime", async () => {
  await each([
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
    [["--timeout", "1s", "--json", "--quiet"], /^\{"type":"stalled"[^\n]+\n$/],
    [
      ["--timeout", "none", "--runtime", "1s"],
      /^heartbeat: ended after its runtime of 1s\n$/,
    ],
  ] as [string[], RegExp][], async ([args, told]) => {
    const { write, ended } = start([...args, "-"], { input: "by hand" });
    await write("line\n");
    const { code, stdout, stderr } = await ended;
    assertEquals([code, stdout], [124, "line\n"]);
    assertMatch(stderr, told);
  });
});
