// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { IN_TERMINAL, type TerminalOption } from "../_terminal_process.ts";
import {
  type CommandError,
  startCommand,
  type StartCommandOptions,
} from "../command.ts";
import { HANG_MS, NEVER_MS, readText, waitForOutcome } from "./_command.ts";
import { isRunning, waitUntil } from "./_help.ts";

async function hasScript() {
  try {
    const args = ["--version"];
    const { stdout } = await new Deno.Command("script", { args }).output();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch {
    return false;
  }
}

const ignore = !await hasScript();

function test(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore, fn: () => deadline(fn(), HANG_MS) });
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
