// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ON_START, type ProcessTreeHook } from "../_process_tree.ts";
import {
  CommandError,
  startCommand,
  type StartCommandOptions,
} from "../command.ts";
import {
  assertOutput,
  collectOutput,
  createInput,
  decode,
  isWindows,
  LOOP,
  NEVER_MS,
  readText,
  startDeno,
  startShell,
  testPosix,
  waitForOutcome,
  withTempDir,
} from "./_command.ts";
import {
  advance,
  countListeners,
  isRunning,
  randomBytes,
  waitUntil,
} from "./_help.ts";

const NO_COMMAND = "no-such-command-of-heartbeat";

// output

Deno.test("startCommand delivers stdout and stderr byte by byte", async () => {
  const bytes = randomBytes(500_000);
  const { results, finished } = startDeno(
    `const [a, b] = Deno.stdin.readable.tee();
    await Promise.all([a.pipeTo(Deno.stdout.writable), b.pipeTo(Deno.stderr.writable)]);`,
    { stdin: new Blob([bytes]).stream() },
  );
  const { stdout, stderr, error } = await collectOutput(results);
  assertEquals(error, undefined);
  for (const output of [stdout, stderr]) {
    // not assertEquals(), which would print a difference of megabytes
    assert(
      output.length === bytes.length && output.every((b, i) => b === bytes[i]),
    );
  }
  await finished;
});

testPosix(
  "startCommand delivers stdout and stderr in the order of arrival",
  async () => {
    const input = createInput();
    const { results, finished } = startShell(
      "for i in 1 2 3; do printf out$i; read _; printf err$i >&2; read _; done",
      { stdin: input.readable },
    );
    const chunks: string[] = [];
    for await (const { from, bytes } of results) {
      chunks.push(`${from} ${decode(bytes)}`);
      // nobody may read the last answer
      input.write("\n").catch(() => {});
    }
    assertEquals(
      chunks,
      [1, 2, 3].flatMap((i) => [`stdout out${i}`, `stderr err${i}`]),
    );
    await finished;
  },
);

testPosix(
  "startCommand waits for the end of a command that closed its output",
  async () => {
    const outcome = waitForOutcome(
      startShell("exec >&- 2>&-; read _; exit 3", { killAfter: 1 }),
    );
    assertEquals(((await outcome).error as CommandError).code, 3);
  },
);

// how it starts

Deno.test("startCommand starts nothing when it is aborted or cancelled in the turn of the call", async () => {
  for (const isAborted of [true, false]) {
    const aborter = new AbortController();
    let isStarted = false;
    const hook: ProcessTreeHook = { [ON_START]: () => isStarted = true };
    const { signal } = aborter;
    const command = startCommand(Deno.execPath(), { signal, ...hook });
    if (isAborted) aborter.abort();
    else await command.results.cancel();
    await command.finished;
    assertEquals(isStarted, false);
  }
});

testPosix(
  "startCommand beats when whoever watches the process tree saw progress",
  async () => {
    const hook: ProcessTreeHook = { [ON_START]: (_, beat) => beat() };
    const command = startShell("sleep 0.2", { interval: 10, ...hook });
    const beats = Array.fromAsync(command.heartbeats);
    await collectOutput(command.results);
    assertEquals((await beats).length, 2);
  },
);

// how it ends by itself

const ENDS = [
  ["exit 0", 0, null, ""],
  ["exit 1", 1, null, "Command 'sh' ended with exit code 1"],
  ["exit 255", 255, null, "Command 'sh' ended with exit code 255"],
  ["kill -TERM $$", 143, "SIGTERM", "Command 'sh' ended by SIGTERM"],
  ["kill -INT $$", 130, "SIGINT", "Command 'sh' ended by SIGINT"],
  ["kill -KILL $$", 137, "SIGKILL", "Command 'sh' ended by SIGKILL"],
] as const;

for (const [end, code, signal, message] of ENDS) {
  testPosix(`startCommand ends after all output on '${end}'`, async () => {
    const { stdout, stderr, error, beats } = await waitForOutcome(
      startShell(`echo out; echo err >&2; ${end}`),
    );
    assertEquals([stdout, stderr], ["out\n", "err\n"]);
    assertStrictEquals(beats, error);
    if (code === 0) return assertEquals(error, undefined);
    assertInstanceOf(error, CommandError);
    const { name, message: text } = error as CommandError;
    assertEquals([name, text], ["CommandError", message]);
    const { code: actualCode, signal: actualSignal } = error as CommandError;
    assertEquals([actualCode, actualSignal], [code, signal]);
  });
}

Deno.test("CommandError keeps its cause", () => {
  const cause = new Error("cause");
  const error = new CommandError("make", { code: 2, signal: null, cause });
  assertStrictEquals(error.cause, cause);
  assertEquals(error.message, "Command 'make' ended with exit code 2");
  return Promise.resolve();
});

Deno.test("startCommand errors when there is no such command", async () => {
  const { error, beats } = await waitForOutcome(startCommand(NO_COMMAND));
  assertInstanceOf(error, Deno.errors.NotFound);
  assertStrictEquals(beats, error);
});

testPosix(
  "startCommand errors when the command cannot be run",
  () =>
    withTempDir(async (folder) => {
      const { error, beats } = await waitForOutcome(startCommand(folder));
      assertInstanceOf(error, Deno.errors.PermissionDenied);
      assertStrictEquals(beats, error);
    }),
);

// how it is ended

testPosix(
  "startCommand delivers what an aborted command still prints, then closes",
  async () => {
    for (const end of ["exit 0", "exit 3", "kill -KILL $$"]) {
      const aborter = new AbortController();
      const command = startShell(
        `exec 3>&2 2>/dev/null; trap 'echo bye; echo bye >&3; ${end}' TERM; ${LOOP}`,
        { signal: aborter.signal },
      );
      let text = "";
      for await (const { bytes } of command.results) {
        text += decode(bytes);
        if (text === "ready\n") aborter.abort();
      }
      assertEquals(text, "ready\nbye\nbye\n", end);
      assertEquals((await waitForOutcome(command)).beats, undefined);
    }
  },
);

testPosix(
  "startCommand closes when it is aborted after the command has ended",
  async () => {
    const aborter = new AbortController();
    const command = startShell("sleep 50 & echo $!; exit 3", {
      killAfter: NEVER_MS,
      signal: aborter.signal,
    });
    const id = Number(await readText(command.results));
    aborter.abort();
    await assertOutput(command, "");
    await waitUntil(async () => !await isRunning(id));
  },
);

testPosix(
  "startCommand spawns nothing when it was aborted before",
  () =>
    withTempDir(async (folder) => {
      const signal = AbortSignal.abort();
      const options = { cwd: folder, signal };
      await assertOutput(startShell("echo out; echo > spawned", options), "");
      assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    }),
);

testPosix(
  "startCommand kills at once when it is aborted after a stall",
  async () => {
    const aborter = new AbortController();
    const { results, heartbeats, finished } = startShell(
      "trap '' TERM; echo ready; while :; do sleep 1; done",
      { killAfter: NEVER_MS, signal: aborter.signal },
    );
    await readText(results);
    await heartbeats.cancel();
    aborter.abort();
    await finished;
  },
);

testPosix(
  "startCommand does not kill when it is asked again for the same reason",
  () =>
    withTempDir(async (cwd) => {
      const aborter = new AbortController();
      const { signal } = aborter;
      const { results, heartbeats, finished } = startShell(
        `exec 2>/dev/null; trap 'sleep 0.1; echo > bye; exit' TERM; ${LOOP}`,
        { killAfter: NEVER_MS, signal, cwd },
      );
      await readText(results);
      aborter.abort();
      await heartbeats.cancel(signal.reason);
      await finished;
      assert((await Deno.stat(`${cwd}/bye`)).isFile);
    }),
);

Deno.test({
  name: "startCommand kills after five seconds by default",
  ignore: isWindows,
  async fn() {
    using time = new FakeTime();
    const aborter = new AbortController();
    const { results, finished } = startShell(
      "trap '' TERM; echo $$; while :; do read _ || exit; done",
      { signal: aborter.signal, stdin: new ReadableStream() },
    );
    const id = Number(await readText(results));
    aborter.abort();
    await advance(time, 4_999);
    assert(await isRunning(id), "killed early");
    await advance(time, 1);
    await FakeTime.restoreFor(() =>
      waitUntil(async () => !await isRunning(id))
    );
    let hasFinished = false;
    finished.then(() => hasFinished = true);
    while (!hasFinished) await advance(time, 50);
  },
});

const BAD_KILL_SIGNALS: Record<string, StartCommandOptions["killSignal"]> = {
  "no idea": () => {
    throw new Error("no idea");
  },
  "SIGNONE": "SIGNONE" as Deno.Signal,
};

for (const [message, killSignal] of Object.entries(BAD_KILL_SIGNALS)) {
  testPosix(
    `startCommand sends SIGTERM and errors when killSignal is bad: ${message}`,
    async () => {
      const aborter = new AbortController();
      const command = startShell("echo ready; exec sleep 50", {
        signal: aborter.signal,
        killSignal,
        killAfter: NEVER_MS,
      });
      await readText(command.results);
      aborter.abort();
      const { error } = await waitForOutcome(command);
      assert(String(error).includes(message), String(error));
    },
  );
}

testPosix(
  "startCommand sends killSignal, or the one that it chooses by the reason",
  async () => {
    const reason = new Error("enough");
    const reasons: unknown[] = [];
    const choose = (why: unknown): Deno.Signal => {
      reasons.push(why);
      return "SIGUSR1";
    };
    const traps = ["TERM", "INT", "USR1"].map((name) =>
      `trap 'echo ${name}; exit' ${name};`
    );
    for (
      const [killSignal, sent] of [
        [undefined, "TERM"],
        ["SIGINT", "INT"],
        [choose, "USR1"],
      ] as const
    ) {
      const aborter = new AbortController();
      const { signal } = aborter;
      const script = `exec 2>/dev/null; ${traps.join(" ")} ${LOOP}`;
      const command = startShell(script, { killSignal, signal });
      await readText(command.results);
      aborter.abort(reason);
      await assertOutput(command, `${sent}\n`);
    }
    assertEquals(reasons.length, 1);
    assertStrictEquals(reasons[0], reason);
  },
);

// input

const STDINS: [options: StartCommandOptions, expected: string][] = [
  [{}, ""],
  [{ stdin: "null" }, ""],
  [{ stdin: "inherit" }, "input"],
];

for (const [options, expected] of STDINS) {
  const json = JSON.stringify(options);
  Deno.test(`startCommand passes the input on as options say: ${json}`, async () => {
    const url = new URL("../command.ts", import.meta.url);
    const copy = "Deno.stdin.readable.pipeTo(Deno.stdout.writable)";
    const inner = JSON.stringify({ args: ["eval", copy], ...options });
    const outer = startDeno(
      `import { startCommand } from "${url}";
      const { results } = startCommand(Deno.execPath(), ${inner});
      for await (const { bytes } of results) await Deno.stdout.write(bytes);`,
      { stdin: new Blob(["input"]).stream() },
    );
    await assertOutput(outer, expected);
  });
}

testPosix(
  "startCommand errors with the input's error and ends the command",
  async () => {
    const reason = new Error("input");
    let reads = 0;
    const stdin = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (reads++ > 0) throw reason;
        await Promise.resolve();
        controller.enqueue(new TextEncoder().encode("first"));
      },
    });
    const { error, beats } = await waitForOutcome(
      // its input ends as well, but only the signal ends it
      startShell("cat; exec sleep 50", { stdin }),
    );
    assertStrictEquals(error, reason);
    assertStrictEquals(beats, reason);
  },
);

testPosix(
  "startCommand errors when a chunk of the input is not bytes",
  async () => {
    // deno-lint-ignore no-explicit-any
    const stdin = ReadableStream.from(["text"]) as any;
    const command = startShell("cat; exec sleep 50", { stdin });
    assertInstanceOf((await waitForOutcome(command)).error, TypeError);
  },
);

testPosix(
  "startCommand starts nothing when its input is locked by then",
  () =>
    withTempDir(async (cwd) => {
      const stdin = new ReadableStream<Uint8Array>();
      const command = startShell("echo > spawned", { cwd, stdin });
      stdin.getReader();
      assertInstanceOf((await waitForOutcome(command)).error, TypeError);
      assertEquals(await Array.fromAsync(Deno.readDir(cwd)), []);
    }),
);

Deno.test("startCommand leaves the input alone when the command cannot be started", async () => {
  const stdin = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(1)),
  });
  await waitForOutcome(startCommand(NO_COMMAND, { stdin }));
  const { value } = await stdin.getReader().read();
  assertEquals(value?.length, 1);
});

const READERS: [what: string, script: string, isEndless: boolean][] = [
  ["ends, while more comes", "exec head -c 1", true],
  ["ends, and nothing more comes", "exec head -c 1", false],
  ["closes its input", "head -c 1; exec sleep 50 <&-", true],
];

for (const [what, script, isEndless] of READERS) {
  testPosix(
    `startCommand cancels the input when the command ${what}`,
    async () => {
      let isCancelled = false;
      const stdin = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new Uint8Array([65, 66])),
        pull(controller) {
          if (!isEndless) return new Promise(() => {});
          controller.enqueue(new Uint8Array(1024).fill(67));
        },
        cancel: () => void (isCancelled = true),
      });
      const { results, finished } = startShell(script, { stdin });
      assertEquals(await readText(results), "A");
      if (!script.includes("sleep")) assertEquals(await readText(results), "");
      await waitUntil(() => isCancelled);
      await results.cancel();
      await finished;
    },
  );
}

// options

testPosix(
  "startCommand passes args, cwd, env and the name on",
  () =>
    withTempDir(async (folder) => {
      const path = await Deno.realPath(folder);
      const sh = new URL("file:///bin/sh");
      for (
        const [command, cwd, name, worker] of [
          ["sh", folder, undefined, "sh"],
          ["sh", new URL(`file://${folder}`), "shell", "shell"],
          [sh, undefined, undefined, "file:///bin/sh"],
        ] as const
      ) {
        const { results, heartbeats, finished } = startCommand(command, {
          args: ["-c", 'echo "$0 $1|$ONE|${PATH:+path}|$(pwd -P)"', "a b", "*"],
          env: { ONE: "1 2" },
          cwd,
          name,
        });
        const { stdout } = await collectOutput(results);
        const [beat] = await Array.fromAsync(heartbeats);
        assertEquals(
          [decode(stdout), beat?.worker],
          [`a b *|1 2|path|${cwd ? path : await Deno.realPath(".")}\n`, worker],
        );
        await finished;
      }
    }),
);

testPosix(
  "startCommand leaves no listener on its signal, however it ends",
  async () => {
    const { signal, listeners } = countListeners();
    const { addEventListener } = signal;
    let added = 0;
    signal.addEventListener = (
      ...args: Parameters<typeof addEventListener>
    ) => {
      added++;
      addEventListener.apply(signal, args);
    };
    const ends: Record<string, () => ReturnType<typeof startCommand>> = {
      "exit 0": () => startShell("exit 0", { signal }),
      "exit 1": () => startShell("exit 1", { signal }),
      "no command": () => startCommand(NO_COMMAND, { signal }),
    };
    for (const [end, start] of Object.entries(ends)) {
      await waitForOutcome(start());
      assertEquals(listeners.size, 0, end);
    }
    for (const side of ["results", "heartbeats"] as const) {
      const command = startCommand("sleep", { args: ["50"], signal });
      await waitUntil(() => listeners.size > 0);
      await command[side].cancel();
      await command.finished;
      assertEquals(listeners.size, 0, side);
    }
    assertEquals(added, 4);
  },
);

Deno.test("startCommand takes Infinity for no limit", async () => {
  const options = { killAfter: Infinity, interval: Infinity };
  await assertOutput(startDeno("", options), "");
});

Deno.test("startCommand throws what is missing on another runtime", () => {
  const missing = { Deno: "Command", process: "versions" };
  const properties = Object.getOwnPropertyDescriptors(globalThis) as Record<
    string,
    PropertyDescriptor
  >;
  try {
    for (const [name, member] of Object.entries(missing)) {
      const original = Reflect.get(globalThis, name);
      const value = Object.create(original, { [member]: { value: undefined } });
      Object.defineProperty(globalThis, name, { value, configurable: true });
    }
    assertThrows(
      () => startCommand("make"),
      TypeError,
      "Cannot start command as this runtime has neither Deno.Command nor node:child_process",
    );
  } finally {
    for (const name of Object.keys(missing)) {
      Object.defineProperty(globalThis, name, properties[name]!);
    }
  }
});
