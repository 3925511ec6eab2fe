// Copyright 2026 the heartbeat authors. MIT license.

// What only real processes and a real clock can show: how long it takes until they are gone.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { delay } from "@std/async/delay";
import {
  CommandError,
  type CommandOutput,
  startCommand,
  type StartCommandOptions,
} from "../../command.ts";
import { HeartbeatTimeoutError, watch } from "../../monitor.ts";
import type { WorkerStreams } from "../../worker.ts";
import {
  collectOutput,
  createInput,
  HANG_MS,
  isWindows,
  NEVER_MS,
  readText,
  startDeno,
  startShell,
  testPosix,
  waitForOutcome,
  withTempDir,
} from "../_command.ts";
import { isRunning, NPM_FLAGS, waitUntil } from "../_help.ts";
import { hasPidNamespaces, startInNamespace } from "./_namespaces.ts";

/** A `killAfter` (ms) that is waited for. */
const GRACE_MS = 300;
/** How early (ms) a timer may be. */
const EARLY_MS = 5;
/** What a busy machine may add to a time (ms). */
const MARGIN_MS = 5_000;

// backpressure and heartbeats

Deno.test("startCommand holds the command back while nobody reads", () =>
  withTempDir(async (folder) => {
    // a byte for each block of 64 KiB that it could write
    const { results, finished } = startDeno(
      `const block = new Uint8Array(65536);
      const count = Deno.openSync("count", { create: true, append: true });
      for (;;) {
        Deno.stdout.writeSync(block);
        count.writeSync(new Uint8Array(1));
      }`,
      { cwd: folder, killAfter: 100 },
    );
    const countBlocks = async () =>
      (await Deno.stat(`${folder}/count`).catch(() => ({ size: 0 }))).size;
    let before = 0;
    await waitUntil(async () => {
      const last = before;
      before = await countBlocks();
      await delay(200);
      return before > 0 && before === last || before > 200;
    }, "a command that is blocked");
    assert(before <= 32, `${before} blocks were written unread`);
    const reader = results.getReader();
    for (let size = 0; size < 65_536 * 100;) {
      size += (await reader.read()).value!.bytes.length;
    }
    await waitUntil(async () => await countBlocks() >= 90);
    // until more output waits, to be dropped
    await delay(200);
    await reader.cancel();
    await finished;
  }));

testPosix(
  "startCommand holds its input back while the command does not read, and cancels it at the end",
  async () => {
    let blocks = 0;
    let isCancelled = false;
    const stdin = new ReadableStream<Uint8Array>({
      pull(controller) {
        blocks++;
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel: () => void (isCancelled = true),
    });
    const command = startCommand("sleep", { args: ["50"], stdin });
    await waitUntil(() => blocks > 1);
    await delay(200);
    assert(blocks <= 32, `${blocks} blocks were read`);
    await command.results.cancel();
    await command.finished;
    assert(isCancelled);
  },
);

testPosix(
  "startCommand beats at the start and once for each output, and not in silence",
  async () => {
    const input = createInput();
    const { results, heartbeats, finished } = startShell(
      "while read line; do printf x; read line; printf y >&2; done",
      { stdin: input.readable, name: "echo", interval: 20 },
    );
    const output = collectOutput(results);
    const reader = heartbeats.getReader();
    for (let seq = 1; seq <= 7; seq++) {
      const next = reader.read();
      if (seq > 1) {
        const early = await Promise.race([next, delay(80)]);
        assertEquals(early, undefined, "a beat in silence");
        await input.write("\n");
      }
      const { value } = await next;
      assertEquals([value?.worker, value?.seq], ["echo", seq]);
    }
    await input.close();
    await reader.cancel();
    await output;
    await finished;
  },
);

// the end of a whole tree

/** Shells that write their own process id and their child's to `ids`, and run on in silence. */
const TREES = {
  "that ends when it is asked":
    "trap 'echo asked > asked; exit' TERM; sleep 50 & echo $$ $! > ids; wait",
  "that ignores SIGTERM":
    "trap '' TERM; sleep 50 & echo $$ $! > ids; wait; sleep 50",
  "whose child ignores SIGTERM":
    "trap '' TERM; sleep 50 & trap 'echo asked > asked; exit' TERM; echo $$ $! > ids; wait",
};

/** Ends a command in some way, and checks how its results ended. */
type Ending = (
  command: WorkerStreams<CommandOutput>,
  abort: (reason: unknown) => void,
) => Promise<void>;

const ENDINGS: Record<string, Ending> = {
  "it is silent under watch()": async (command) => {
    const results = watch(command, { timeout: 200 });
    await assertRejects(
      () => Array.fromAsync(results),
      HeartbeatTimeoutError,
    );
  },
  "its heartbeats are cancelled": async (command) => {
    const reason = new Error("stalled");
    const read = command.results.getReader().read();
    await command.heartbeats.cancel(reason);
    let hasFinished = false;
    command.finished.then(() => hasFinished = true);
    assertStrictEquals(await read.catch((error) => error), reason);
    assert(!hasFinished, "the results waited for the processes to end");
  },
  "its results are cancelled": async (command) => {
    await command.results.cancel();
    await Array.fromAsync(command.heartbeats);
  },
  "its signal aborts": async (command, abort) => {
    abort(new Error("enough"));
    const { error, beats } = await waitForOutcome(command);
    assertEquals([error, beats], [undefined, undefined]);
  },
};

/** Starts a tree, ends it, and waits until all of it is gone. */
function endTree(script: string, end: Ending) {
  return withTempDir(async (cwd) => {
    const aborter = new AbortController();
    const { signal } = aborter;
    const command = startShell(script, { cwd, killAfter: GRACE_MS, signal });
    const readIds = () => Deno.readTextFile(`${cwd}/ids`).catch(() => "");
    await waitUntil(async () => (await readIds()).endsWith("\n"));
    const ids = (await readIds()).split(" ").map(Number);
    const start = performance.now();
    await end(command, (reason) => aborter.abort(reason));
    await command.finished;
    const elapsed = performance.now() - start;
    assertEquals(ids.length, 2);
    for (const id of ids) {
      await waitUntil(async () => !await isRunning(id), "the end of a shell");
    }
    if (script.includes("trap ''")) {
      assert(elapsed > GRACE_MS - EARLY_MS, `killed after ${elapsed} ms`);
    }
    if (script.includes("asked")) {
      assertEquals(await Deno.readTextFile(`${cwd}/asked`), "asked\n");
    }
  });
}

for (const [when, end] of Object.entries(ENDINGS)) {
  testPosix(
    `startCommand ends the whole process tree when ${when}`,
    async () => {
      const trees = Object.values(TREES).map((script) => endTree(script, end));
      await Promise.all(trees);
    },
  );
}

testPosix(
  "startCommand kills at once when it is silent after an abort",
  async () => {
    const aborter = new AbortController();
    const command = startShell(
      "trap '' TERM; echo $$; while :; do sleep 1; done",
      { killAfter: NEVER_MS, signal: aborter.signal },
    );
    const id = Number(await readText(command.results));
    aborter.abort();
    const error = await Array.fromAsync(watch(command, { timeout: 200 }))
      .catch((reason) => reason);
    assertInstanceOf(error, HeartbeatTimeoutError);
    await command.finished;
    await waitUntil(async () => !await isRunning(id));
  },
);

// background processes, and those that have escaped

testPosix(
  "startCommand waits for a background process that prints",
  async () => {
    const script = "(sleep 0.3; echo late; echo late >&2) & echo early; exit 3";
    const { stdout, stderr, error } = await waitForOutcome(
      startShell(script, { killAfter: HANG_MS }),
    );
    assertEquals([stdout, stderr], ["early\nlate\n", "late\n"]);
    assertInstanceOf(error, CommandError);
    assertEquals((error as CommandError).code, 3);
  },
);

testPosix(
  "startCommand leaves a background process alone that prints nothing for killAfter",
  async () => {
    const start = performance.now();
    const { error, stdout } = await waitForOutcome(
      startShell("sleep 50 & echo $!; exit 0", { killAfter: GRACE_MS }),
    );
    assert(performance.now() - start > GRACE_MS - EARLY_MS, "left too early");
    assertEquals(error, undefined);
    const id = Number(stdout);
    assert(await isRunning(id), "it was not left alone");
    Deno.kill(id);
  },
);

Deno.test({
  name: "startCommand ends what timeout(1) has put into another group",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const inner = 'trap "" TERM; echo $$; while :; do sleep 0.1; done';
    const { results, heartbeats, finished } = startShell(
      `timeout 50 sh -c '${inner}'; true`,
      { killAfter: GRACE_MS },
    );
    const reader = results.getReader();
    const { value } = await reader.read();
    const id = parseInt(new TextDecoder().decode(value!.bytes));
    assert(await isRunning(id));
    reader.releaseLock();
    await Promise.all([results.cancel(), heartbeats.cancel()]);
    await finished;
    assert(!await isRunning(id), "it was left behind");
  },
});

/** Runs a command that lives on in a session of its own, and kills what is left of it afterwards. */
async function withEscaped(
  escaped: string,
  options: StartCommandOptions,
  body: (command: ReturnType<typeof startCommand>) => Promise<void>,
) {
  const script = `setsid sh -c 'echo $$; ${escaped}' & sleep 50`;
  const command = startShell(script, options);
  const id = parseInt(await readText(command.results));
  try {
    await body(command);
  } finally {
    Deno.kill(-id, "SIGKILL");
  }
}

/** What a process prints that is not ended. */
const PRINTERS = {
  "lines, quickly": 'trap "" TERM; while :; do echo x; done',
  "a line now and then": "while :; do echo x; sleep 0.02; done",
  "more than anybody can read": "exec yes",
};

for (const [what, escaped] of Object.entries(PRINTERS)) {
  testPosix(
    `startCommand closes within killAfter + 1 s of an abort, although an escaped process prints ${what}`,
    async () => {
      const aborter = new AbortController();
      const options = { killAfter: GRACE_MS, signal: aborter.signal };
      await withEscaped(escaped, options, async (command) => {
        aborter.abort();
        const start = performance.now();
        for await (const _ of command.results);
        const elapsed = performance.now() - start;
        const most = GRACE_MS + 1_000 + MARGIN_MS;
        assert(elapsed < most, `closed after ${elapsed} ms`);
        await command.finished;
      });
    },
  );
}

testPosix(
  "startCommand delivers all output after an abort to a consumer that is slower than the drain",
  async () => {
    const aborter = new AbortController();
    const { results, finished } = startShell(
      "trap '' TERM; head -c 200000 /dev/zero",
      { signal: aborter.signal },
    );
    let size = 0;
    let chunks = 0;
    for await (const { bytes } of results) {
      aborter.abort();
      size += bytes.length;
      chunks++;
      await delay(250);
    }
    assertEquals(size, 200_000);
    assert(chunks > 2, `${chunks} chunks`);
    await finished;
  },
);

for (const side of ["results", "heartbeats"] as const) {
  testPosix(
    `startCommand finishes after a cancel of its ${side}, although an escaped process holds its output`,
    async () => {
      const options = { killAfter: NEVER_MS };
      await withEscaped("exec sleep 50", options, async (command) => {
        await command[side].cancel("enough");
        await command.finished;
      });
    },
  );
}

testPosix(
  "startCommand errors with the input's error at once, although the command does not end",
  async () => {
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
    const error = await reader.read().catch((error: unknown) => error);
    assertStrictEquals(error, reason);
    // asked a second time, it is killed
    aborter.abort();
    await command.finished;
  },
);

// permissions, and a PID namespace

Deno.test({
  name: "startCommand ends the command, if it may run no other",
  ignore: isWindows,
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

async function runScenario(scenario: string, permission: string) {
  const url = new URL("_pid_namespace.ts", import.meta.url);
  const script = [permission, ...NPM_FLAGS, url.href, scenario];
  await using namespace = startInNamespace(["run", "--no-check", ...script]);
  const { stdout, stderr } = await namespace.output;
  return stdout + stderr;
}

for (const permission of ["--allow-all", "--allow-run"]) {
  Deno.test({
    name: `startCommand does not wait for zombies with ${permission}`,
    ignore: !hasPidNamespaces,
    async fn() {
      assertEquals(await runScenario("zombie", permission), "stopped\n");
    },
  });
}

Deno.test({
  name: "startCommand never signals a stranger that got the command's id",
  ignore: !hasPidNamespaces,
  async fn() {
    assertEquals(await runScenario("stranger", "-A"), "spared\n");
  },
});

Deno.test({
  name: "listOtherGroups takes no group of another PID namespace for its own",
  ignore: !hasPidNamespaces,
  async fn() {
    const list = `import { listOtherGroups } from "./_process_table.ts";
      const run = async (command, args) => {
        const { stdout } = await new Deno.Command(command, { args }).output();
        return new TextDecoder().decode(stdout);
      };
      const groups = await listOtherGroups(Number(Deno.args[0]), "linux", run);
      console.log(groups.length);`;
    const child = new Deno.Command("sh", {
      args: ["-c", "timeout 60 sleep 60; true"],
      ...{ stdin: "null", stdout: "null", stderr: "null" } as const,
      detached: true,
    }).spawn();
    // `/proc` stays that of this namespace
    const count = async (...wrapper: string[]) => {
      const [command, ...args] = [...wrapper, Deno.execPath()];
      const { stdout } = await new Deno.Command(command!, {
        args: [...args, "eval", ...NPM_FLAGS, list, `${child.pid}`],
        cwd: new URL("../../", import.meta.url),
      }).output();
      return new TextDecoder().decode(stdout);
    };
    try {
      await waitUntil(async () => await count() === "1\n");
      assertEquals(await count("unshare", "--pid", "--fork"), "0\n");
    } finally {
      // `timeout` ends what it has started, and then the shell ends
      const found = await new Deno.Command("pgrep", {
        args: ["-P", `${child.pid}`],
      }).output();
      Deno.kill(Number(new TextDecoder().decode(found.stdout)), "SIGTERM");
      await child.status;
    }
  },
});
