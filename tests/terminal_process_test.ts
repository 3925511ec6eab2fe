// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import type { ProcessRuntime, RunningProcess } from "../_command_types.ts";
import {
  IN_TERMINAL,
  openTerminalRuntime,
  type TerminalOption,
} from "../_terminal_process.ts";
import {
  type CommandError,
  startCommand,
  type StartCommandOptions,
} from "../command.ts";
import { HANG_MS, NEVER_MS, readText, waitForOutcome } from "./_command.ts";
import { isRunning, waitUntil } from "./_help.ts";
import { hasNoTerminal } from "./_terminal.ts";

/** Starts a process in a terminal that prints these chunks, and nothing else for now. */
async function spawnPrinting(...chunks: string[]) {
  const state = { pulls: 0, args: [] as readonly string[] };
  const stdout = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const chunk = chunks[state.pulls++];
      if (chunk === "end") return controller.close();
      if (chunk === undefined) return new Promise<void>(() => {});
      controller.enqueue(new TextEncoder().encode(chunk));
    },
  }, { highWaterMark: 0 });
  const script = { pid: 7, stdout } as RunningProcess;
  const { spawn } = openTerminalRuntime({
    spawn(command, { args }) {
      state.args = [String(command), ...args];
      return Promise.resolve(script);
    },
  } as ProcessRuntime, { columns: 90, rows: 30 });
  const process = await spawn("make", {
    ...{ args: [], cwd: undefined, env: undefined },
    stdin: "null",
  });
  return { process, state };
}

const LONG_LINE = "7".repeat(64);
const FIRST_LINES: [chunks: string[], pid: number, rest: string][] = [
  [["12\n", "a"], 12, "a"],
  [["1", "2", "\nab"], 12, "ab"],
  [["x12\n"], 7, "x12\n"],
  [["12x\n"], 7, "12x\n"],
  [["\n"], 7, "\n"],
  [["12", "end"], 7, "12"],
  [[LONG_LINE], 7, LONG_LINE],
];

for (const [chunks, pid, rest] of FIRST_LINES) {
  Deno.test(`a process in a terminal has the id ${pid} when it prints ${JSON.stringify(chunks)}`, async () => {
    const { process } = await spawnPrinting(...chunks);
    const { value } = await process.stdout.getReader().read();
    const text = new TextDecoder().decode(value);
    assertEquals([process.pid, text], [pid, rest]);
  });
}

Deno.test("a process in a terminal is started by a shell, and read no further than is asked for", async () => {
  const { state } = await spawnPrinting("12\n", "a", "b");
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(state.pulls, 1);
  const [command, option, script, name, words] = state.args;
  assertEquals([command, option, name], ["sh", "-c", "sh"]);
  assert(script!.includes("exec script"));
  assert(words!.endsWith("exec 'make'"));
});

function test(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore: hasNoTerminal, fn: () => deadline(fn(), HANG_MS) });
}

function startInTerminal(
  command: string | URL,
  args: string[],
  options: StartCommandOptions = {},
) {
  const terminal: TerminalOption = { [IN_TERMINAL]: { columns: 90, rows: 30 } };
  return startCommand(command, { args, ...options, ...terminal });
}

function startShell(script: string, options: StartCommandOptions = {}) {
  return startInTerminal("sh", ["-c", script], options);
}

test("startCommand in a terminal gives the command a terminal of its own, on all three streams", async () => {
  const script = "for fd in 0 1 2; do test -t $fd && echo $fd; done; stty size";
  const { stdout, error } = await waitForOutcome(startShell(script));
  assertEquals([stdout, error], ["0\n1\n2\n30 90\n", undefined]);
});

test("startCommand in a terminal passes the output on as it is, of stderr, too", async () => {
  const script = "printf 'a\\nb\\rc'; printf '\\nd\\n' >&2; printf é";
  const { stdout, stderr } = await waitForOutcome(startShell(script));
  assertEquals([stdout, stderr], ["a\nb\rc\nd\né", ""]);
});

test("startCommand in a terminal passes arguments, folder and environment on", async () => {
  const args = ["a b", "'", '"', "$HOME", "`id`", "\\", "*", "", "é\n"];
  const script = 'printf "%s|" "$@"; printf "%s|" "$ONE" "$SHELL" "$(pwd)"';
  for (const command of ["sh", new URL("file:///bin/sh")]) {
    const { stdout } = await waitForOutcome(
      startInTerminal(command, ["-c", script, "sh", ...args], {
        env: { ONE: "1 '2'", SHELL: "/no/shell" },
        cwd: "/",
      }),
    );
    assertEquals(stdout.split("|").slice(0, -1), [
      ...args,
      "1 '2'",
      "/no/shell",
      "/",
    ]);
  }
});

const ENDS: [script: string, code: number][] = [
  ["exit 0", 0],
  ["exit 7", 7],
  ["kill -TERM $$", 143],
  ["exec no-such-command-of-heartbeat", 127],
];

for (const [script, code] of ENDS) {
  test(`startCommand in a terminal ends as the command does: ${script}`, async () => {
    const { error } = await waitForOutcome(startShell(script));
    assertEquals((error as CommandError | undefined)?.code ?? 0, code);
  });
}

test("startCommand in a terminal lets the command read its input", async () => {
  const stdin = new Blob(["one\ntwo\n"]).stream();
  const script = "read a; read b; echo $b $a";
  const { stdout } = await waitForOutcome(startShell(script, { stdin }));
  assertEquals(stdout, "two one\n");
});

for (const command of ["no-such-command-of-heartbeat", "/tmp", "/etc/passwd"]) {
  test(`startCommand in a terminal cannot start ${command}, and says why`, async () => {
    const { stdout, error } = await waitForOutcome(
      startInTerminal(command, []),
    );
    const plain = await waitForOutcome(startCommand(command));
    assert(plain.error instanceof Error);
    assertEquals([stdout, `${error}`], ["", `${plain.error}`]);
  });
}

test("startCommand in a terminal runs what the shell has built in, too", async () => {
  const { stdout } = await waitForOutcome(startInTerminal("printf", ["a"]));
  assertEquals(stdout, "a");
});

test("startCommand in a terminal says that it needs 'script'", async () => {
  const path = await Deno.makeTempDir();
  try {
    await Deno.symlink("/bin/sh", `${path}/sh`);
    const options = { env: { PATH: path } };
    const command = startInTerminal("/bin/true", [], options);
    const { stdout, error } = await waitForOutcome(command);
    assertEquals(
      [stdout, `${error}`],
      ["", "Error: a terminal needs 'script' of util-linux"],
    );
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

test("startCommand in a terminal passes the input on as it is", async () => {
  const input = `${"long".repeat(2_000)}\n\r\x03\x04\x7f\0é`;
  for (let i = 0; i < 5; i++) { // a terminal repeats what comes early
    const stdin = new Blob([input]).stream();
    const script = "test -t 0 || test -t 1 && cat";
    const { stdout } = await waitForOutcome(startShell(script, { stdin }));
    assertEquals(stdout, input);
  }
});

test("startCommand in a terminal asks the command itself to end, and delivers its last words", async () => {
  const aborter = new AbortController();
  const command = startShell(
    "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done",
    { signal: aborter.signal, killAfter: NEVER_MS },
  );
  assertEquals(await readText(command.results), "ready\n");
  aborter.abort();
  const { stdout, error } = await waitForOutcome(command);
  assertMatch(stdout, /^(Terminated\n)?bye\n$/);
  assertEquals(error, undefined);
});

test("startCommand in a terminal kills what ignores every request", async () => {
  const command = startShell(
    "trap '' TERM HUP INT; echo $$; while :; do sleep 0.05; done",
    { killAfter: 200 },
  );
  const id = parseInt(await readText(command.results));
  await command.results.cancel();
  await command.finished;
  await waitUntil(async () => !await isRunning(id));
});
