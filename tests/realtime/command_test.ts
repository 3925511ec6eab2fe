// Copyright 2026 the heartbeat authors. MIT license.

// What only real processes can show: how long it takes until they are gone.

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { startCommand, type StartCommandOptions } from "../../command.ts";
import { NPM_FLAGS } from "../_help.ts";

const HANG_MS = 15_000;
/** A `killAfter` that no test lives to see. */
const NEVER_MS = 600_000;
/** What a busy machine may add to a time. */
const MARGIN_MS = 5_000;

const isPosix = Deno.build.os !== "windows";

function startShell(script: string, options: StartCommandOptions = {}) {
  return startCommand("sh", { args: ["-c", script], ...options });
}

/** Runs a command that lives on in a session of its own, and kills what is left of it afterwards. */
async function withEscaped(
  escaped: string,
  options: StartCommandOptions,
  body: (command: ReturnType<typeof startCommand>) => Promise<void>,
) {
  const script = `setsid sh -c 'echo $$; ${escaped}' & sleep 50`;
  const command = startShell(script, options);
  const reader = command.results.getReader();
  const { value } = await reader.read();
  const id = parseInt(new TextDecoder().decode(value?.bytes));
  reader.releaseLock();
  try {
    await deadline(body(command), HANG_MS);
  } finally {
    Deno.kill(-id, "SIGKILL");
  }
}

async function hasPidNamespaces() {
  if (Deno.build.os !== "linux") return false;
  try {
    const args = ["--pid", "--fork", "--mount-proc", "true"];
    return (await new Deno.Command("unshare", { args }).output()).success;
  } catch {
    return false;
  }
}

const unshared = await hasPidNamespaces();
if (!unshared) {
  // deno-lint-ignore no-console
  console.log("no PID namespaces here: what needs one is not tested");
}

async function runInNamespace(scenario: string, permissions: string[]) {
  const url = new URL("_pid_namespace.ts", import.meta.url);
  const namespace = new Deno.Command("unshare", {
    args: [
      ..."--pid --fork --mount-proc --kill-child".split(" "),
      Deno.execPath(),
      ...["run", "--no-check", ...permissions, ...NPM_FLAGS],
      url.href,
      scenario,
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => namespace.kill("SIGKILL"), HANG_MS);
  const { stdout, stderr } = await namespace.output();
  clearTimeout(timer);
  const [text, errors] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  return text + errors!;
}

for (const permission of ["--allow-all", "--allow-run"]) {
  Deno.test({
    name: `startCommand does not wait for zombies with ${permission}`,
    ignore: !unshared,
    async fn() {
      assertEquals(await runInNamespace("zombie", [permission]), "stopped\n");
    },
  });
}

Deno.test({
  name: "startCommand never signals a stranger that got the command's id",
  ignore: !unshared,
  async fn() {
    assertEquals(await runInNamespace("stranger", ["-A"]), "spared\n");
  },
});

Deno.test({
  name:
    "startCommand closes within killAfter + 1 s of an abort, although an escaped process prints",
  ignore: !isPosix,
  async fn() {
    for (const pause of ["", "sleep 0.02"]) {
      const aborter = new AbortController();
      const escaped = `trap "" TERM; while :; do echo x; ${pause || ":"}; done`;
      const options = { killAfter: 300, signal: aborter.signal };
      await withEscaped(escaped, options, async (command) => {
        aborter.abort();
        const start = performance.now();
        for await (const _ of command.results);
        const elapsed = performance.now() - start;
        assert(elapsed < 1_300 + MARGIN_MS, `closed after ${elapsed} ms`);
        await command.finished;
      });
    }
  },
});

Deno.test({
  name:
    "startCommand finishes after a cancel, although an escaped process holds its output",
  ignore: !isPosix,
  async fn() {
    for (const side of ["results", "heartbeats"] as const) {
      await withEscaped(
        "exec sleep 50",
        { killAfter: NEVER_MS },
        async (command) => {
          await command[side].cancel("enough");
          await command.finished;
        },
      );
    }
  },
});

Deno.test({
  name:
    "startCommand errors with the input's error at once, although the command does not end",
  ignore: !isPosix,
  async fn() {
    const reason = new Error("input");
    let fail = (_: unknown) => {};
    const stdin = new ReadableStream<Uint8Array>({
      start: (controller) => void (fail = (error) => controller.error(error)),
    });
    const aborter = new AbortController();
    const command = startShell("trap '' TERM; echo ready; sleep 50; sleep 50", {
      stdin,
      killAfter: NEVER_MS,
      signal: aborter.signal,
    });
    const reader = command.results.getReader();
    await reader.read();
    fail(reason);
    const error = await deadline(reader.read(), HANG_MS).catch((
      error: unknown,
    ) => error);
    assertStrictEquals(error, reason);
    // asked a second time, it is killed
    aborter.abort();
    await deadline(command.finished, HANG_MS);
  },
});

Deno.test({
  name: "startCommand ends the command, if it may run no other",
  ignore: !isPosix,
  async fn() {
    const url = new URL("../../command.ts", import.meta.url);
    const code = `
      import { startCommand } from "${url}";
      const options = { args: ["50"], killAfter: ${NEVER_MS} };
      const { results, finished } = startCommand("sleep", options);
      await results.cancel();
      await finished;`;
    const flags = ["--no-prompt", "--allow-run=sleep", "--no-check"];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        ...flags,
        ...NPM_FLAGS,
        `data:text/javascript,${encodeURIComponent(code)}`,
      ],
      signal: AbortSignal.timeout(HANG_MS),
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  },
});
