// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { FakeTime } from "@std/testing/time";
import {
  CommandError,
  type CommandOutput,
  startCommand,
  type StartCommandOptions,
} from "../command.ts";
import { HeartbeatTimeoutError, watch } from "../monitor.ts";
import type { WorkerStreams } from "../worker.ts";
import { advance, isRunning, randomBytes, waitUntil } from "./_help.ts";

const HANG = 60_000;

const isWindows = Deno.build.os === "windows";

/** A test that needs a POSIX shell, and fails if it hangs. */
function test(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore: isWindows, fn: () => deadline(fn(), HANG) });
}

function startShell(script: string, options: StartCommandOptions = {}) {
  return startCommand("sh", { args: ["-c", script], ...options });
}

function startDeno(code: string, options: StartCommandOptions = {}) {
  return startCommand(Deno.execPath(), { args: ["eval", code], ...options });
}

function text(bytes: Uint8Array | undefined) {
  return new TextDecoder().decode(bytes);
}

/** The output to its end, and the error that ended it. */
async function collect(results: ReadableStream<CommandOutput>) {
  const stdout: Uint8Array<ArrayBuffer>[] = [];
  const stderr: Uint8Array<ArrayBuffer>[] = [];
  let error: unknown;
  try {
    for await (const { from, bytes } of results) {
      (from === "stdout" ? stdout : stderr).push(bytes);
    }
  } catch (reason) {
    error = reason;
  }
  return {
    stdout: new Uint8Array(await new Blob(stdout).arrayBuffer()),
    stderr: new Uint8Array(await new Blob(stderr).arrayBuffer()),
    error,
  };
}

/** What comes of a command that is left to end: its output as text, and both errors. */
async function outcome(
  { results, heartbeats, finished }: WorkerStreams<CommandOutput>,
) {
  const ended = Promise.all([
    collect(results),
    Array.fromAsync(heartbeats).then(() => undefined, (reason) => reason),
    finished,
  ]);
  const [{ stdout, stderr, error }, beats] = await deadline(ended, HANG);
  return { stdout: text(stdout), stderr: text(stderr), error, beats };
}

/** The stream of what is written by hand. */
function byHand() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  return {
    readable,
    write: (line: string) => writer.write(new TextEncoder().encode(line)),
    close: () => writer.close(),
  };
}

async function until(what: string, check: () => Promise<boolean> | boolean) {
  for (const start = performance.now(); !await check(); await delay(20)) {
    assert(performance.now() - start < 30_000, `never: ${what}`);
  }
}

/** Runs `body` with a folder that is gone afterwards. */
async function inFolder(body: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("startCommand delivers stdout and stderr byte by byte", async () => {
  const bytes = randomBytes(500_000);
  const { results, finished } = startDeno(
    `const [a, b] = Deno.stdin.readable.tee();
    await Promise.all([a.pipeTo(Deno.stdout.writable), b.pipeTo(Deno.stderr.writable)]);`,
    { stdin: new Blob([bytes]).stream() },
  );
  const { stdout, stderr, error } = await collect(results);
  assertEquals(error, undefined);
  // not assertEquals(), which would print a difference of megabytes
  assert(
    stdout.length === bytes.length && stdout.every((b, i) => b === bytes[i]),
  );
  assert(
    stderr.length === bytes.length && stderr.every((b, i) => b === bytes[i]),
  );
  await finished;
});

test("startCommand delivers stdout and stderr in the order of arrival", async () => {
  const input = byHand();
  const { results, finished } = startShell(
    "for i in 1 2 3; do printf out$i; read _; printf err$i >&2; read _; done",
    { stdin: input.readable },
  );
  const seen: string[] = [];
  for await (const { from, bytes } of results) {
    seen.push(`${from} ${text(bytes)}`);
    // the last answer may find nobody
    input.write("\n").catch(() => {});
  }
  assertEquals(
    seen,
    [1, 2, 3].flatMap((i) => [`stdout out${i}`, `stderr err${i}`]),
  );
  await finished;
});

Deno.test("startCommand holds the command back while nobody reads", () =>
  inFolder(async (folder) => {
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
    const written = async () =>
      (await Deno.stat(`${folder}/count`).catch(() => ({ size: 0 }))).size;
    let before = 0;
    await until("a command that is blocked", async () => {
      const last = before;
      before = await written();
      await delay(300);
      return before > 0 && before === last || before > 200;
    });
    assert(before <= 32, `${before} blocks were written unread`);
    const reader = results.getReader();
    for (let size = 0; size < 65_536 * 100;) {
      size += (await reader.read()).value!.bytes.length;
    }
    await until("a command that goes on", async () => await written() >= 90);
    // until more output waits, to be dropped
    await delay(300);
    await reader.cancel();
    await finished;
  }));

test("startCommand beats at the start and once for each output, and not in silence", async () => {
  const input = byHand();
  const { results, heartbeats, finished } = startShell(
    "while read line; do printf x; read line; printf y >&2; done",
    { stdin: input.readable, name: "echo", interval: 20 },
  );
  const output = collect(results);
  const reader = heartbeats.getReader();
  for (let seq = 1; seq <= 7; seq++) {
    const next = reader.read();
    if (seq > 1) {
      const early = await Promise.race([next, delay(100)]);
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
});

test("startCommand closes or errors after all output when the command ends by itself", async () => {
  for (
    const [end, code, signal, message] of [
      ["exit 0", 0, null, ""],
      ["exit 1", 1, null, "Command 'sh' ended with exit code 1"],
      ["exit 255", 255, null, "Command 'sh' ended with exit code 255"],
      ["kill -TERM $$", 143, "SIGTERM", "Command 'sh' ended by SIGTERM"],
      ["kill -INT $$", 130, "SIGINT", "Command 'sh' ended by SIGINT"],
      ["kill -KILL $$", 137, "SIGKILL", "Command 'sh' ended by SIGKILL"],
    ] as const
  ) {
    const { stdout, stderr, error, beats } = await outcome(
      startShell(`echo out; echo err >&2; ${end}`),
    );
    assertEquals([stdout, stderr], ["out\n", "err\n"], end);
    assertStrictEquals(beats, error, end);
    if (code === 0) {
      assertEquals(error, undefined);
    } else {
      assertInstanceOf(error, CommandError);
      const { name, message: said, code: got, signal: by } =
        error as CommandError;
      assertEquals([name, said, got, by], [
        "CommandError",
        message,
        code,
        signal,
      ]);
    }
  }
});

Deno.test("CommandError keeps its cause", () => {
  const cause = new Error("cause");
  const error = new CommandError("make", { code: 2, signal: null, cause });
  assertStrictEquals(error.cause, cause);
  assertEquals(error.message, "Command 'make' ended with exit code 2");
  return Promise.resolve();
});

Deno.test("startCommand errors when there is no such command", async () => {
  const { error, beats } = await outcome(
    startCommand("no-such-command-of-heartbeat"),
  );
  assertInstanceOf(error, Deno.errors.NotFound);
  assertStrictEquals(beats, error);
});

test("startCommand errors when the command cannot be run", () =>
  inFolder(async (folder) => {
    const { error, beats } = await outcome(startCommand(folder));
    assertInstanceOf(error, Deno.errors.PermissionDenied);
    assertStrictEquals(beats, error);
  }));

/** Shells that write their own process id and their child's to `ids`, and go on in silence. */
const TREES = {
  "that ends when it is asked":
    "trap 'echo asked > asked; exit' TERM; sleep 50 & echo $$ $! > ids; wait",
  "that ignores SIGTERM":
    "trap '' TERM; sleep 50 & echo $$ $! > ids; wait; sleep 50",
  "whose child ignores SIGTERM":
    "trap '' TERM; sleep 50 & trap 'echo asked > asked; exit' TERM; echo $$ $! > ids; wait",
};
const GRACE = 400;

/** Says that it is ready, and lets a trap run soon. A shell tells the end of its child on stderr. */
const LOOP = "echo ready; while :; do sleep 0.05; done";

/** Ends a command in some way; says how its results ended. */
type Ending = (
  command: WorkerStreams<CommandOutput>,
  abort: (reason: unknown) => void,
) => Promise<void>;

const ENDINGS: Record<string, Ending> = {
  "it is silent under watch()": async (command) => {
    const results = watch(command, { timeout: 300 });
    await assertRejects(
      () => Array.fromAsync(results),
      HeartbeatTimeoutError,
    );
  },
  "its heartbeats are cancelled": async (command) => {
    const reason = new Error("stalled");
    const read = command.results.getReader().read();
    await command.heartbeats.cancel(reason);
    let finished = false;
    command.finished.then(() => finished = true);
    assertStrictEquals(await read.catch((error) => error), reason);
    assert(!finished, "the results waited for the processes to end");
  },
  "its results are cancelled": async (command) => {
    await command.results.cancel();
    await Array.fromAsync(command.heartbeats);
  },
  "its signal aborts": async (command, abort) => {
    abort(new Error("enough"));
    const { error, beats } = await outcome(command);
    assertEquals([error, beats], [undefined, undefined]);
  },
};

for (const [when, end] of Object.entries(ENDINGS)) {
  test(
    `startCommand ends the whole process tree when ${when}`,
    async () => {
      const trees = Object.entries(TREES).map(([what, script]) =>
        inFolder(async (folder) => {
          const aborter = new AbortController();
          const command = startShell(script, {
            cwd: folder,
            killAfter: GRACE,
            signal: aborter.signal,
          });
          let ids: number[] = [];
          await until(`a shell ${what}`, async () => {
            const line = await Deno.readTextFile(`${folder}/ids`).catch(() =>
              ""
            );
            ids = line.endsWith("\n") ? line.split(" ").map(Number) : [];
            return ids.length === 2;
          });
          const start = performance.now();
          await end(command, (reason) => aborter.abort(reason));
          await command.finished;
          const elapsed = performance.now() - start;
          for (const id of ids) {
            await until(
              `the end of a shell ${what}`,
              async () => !await isRunning(id),
            );
          }
          if (script.includes("trap ''")) {
            assert(elapsed > GRACE - 5, `killed after ${elapsed} ms`);
          }
          if (script.includes("asked")) {
            assertEquals(await Deno.readTextFile(`${folder}/asked`), "asked\n");
          }
        })
      );
      await Promise.all(trees);
    },
  );
}

test("startCommand delivers what an aborted command still prints, then closes", async () => {
  for (const end of ["exit 0", "exit 3", "kill -KILL $$"]) {
    const aborter = new AbortController();
    const command = startShell(
      `exec 3>&2 2>/dev/null; trap 'echo bye; echo bye >&3; ${end}' TERM; ${LOOP}`,
      { signal: aborter.signal },
    );
    let said = "";
    for await (const { bytes } of command.results) {
      said += text(bytes);
      if (said === "ready\n") aborter.abort();
    }
    assertEquals(said, "ready\nbye\nbye\n", end);
    assertEquals((await outcome(command)).beats, undefined);
  }
});

test("startCommand spawns nothing when it was aborted before", () =>
  inFolder(async (folder) => {
    const ended = await outcome(
      startShell("echo out; echo spawned > spawned", {
        cwd: folder,
        signal: AbortSignal.abort(),
      }),
    );
    assertEquals(ended, {
      stdout: "",
      stderr: "",
      error: undefined,
      beats: undefined,
    });
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
  }));

test("startCommand kills at once when it is silent after an abort", async () => {
  const aborter = new AbortController();
  const command = startShell(
    "trap '' TERM; echo $$; while :; do sleep 1; done",
    {
      killAfter: 10 * HANG,
      signal: aborter.signal,
    },
  );
  const reader = command.results.getReader();
  const id = Number(text((await reader.read()).value?.bytes));
  reader.releaseLock();
  aborter.abort();
  const error = await Array.fromAsync(watch(command, { timeout: 300 }))
    .catch((reason) => reason);
  assertInstanceOf(error, HeartbeatTimeoutError);
  await command.finished;
  await until("the end of the shell", async () => !await isRunning(id));
});

test("startCommand kills at once when it is aborted after a stall", async () => {
  const aborter = new AbortController();
  const { results, heartbeats, finished } = startShell(
    "trap '' TERM; echo ready; while :; do sleep 1; done",
    { killAfter: 10 * HANG, signal: aborter.signal },
  );
  await results.getReader().read();
  await heartbeats.cancel();
  await delay(100);
  aborter.abort();
  await finished;
});

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
    const { value } = await results.getReader().read();
    const id = Number(text(value?.bytes));
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

Deno.test("startCommand throws what is missing on another runtime", () => {
  const property = Object.getOwnPropertyDescriptor(globalThis, "Deno")!;
  try {
    Object.defineProperty(globalThis, "Deno", { ...property, value: {} });
    assertThrows(
      () => startCommand("make"),
      TypeError,
      "Cannot start command as this runtime has no Deno.Command",
    );
  } finally {
    Object.defineProperty(globalThis, "Deno", property);
  }
});

test("startCommand asks with SIGTERM when killSignal throws, or is no signal", async () => {
  for (
    const [killSignal, message] of [
      [() => {
        throw new Error("no idea");
      }, "no idea"],
      ["SIGNONE" as Deno.Signal, "SIGNONE"],
    ] as const
  ) {
    const aborter = new AbortController();
    const command = startCommand("sleep", {
      args: ["50"],
      signal: aborter.signal,
      killSignal,
      killAfter: 10 * HANG,
    });
    await delay(100);
    aborter.abort();
    const { error } = await outcome(command);
    assert(String(error).includes(message), String(error));
  }
});

test("startCommand asks with killSignal, or with what it chooses by the reason", async () => {
  const reason = new Error("enough");
  const reasons: unknown[] = [];
  for (
    const [killSignal, asked] of [
      [undefined, "TERM"],
      ["SIGINT", "INT"],
      [(why: unknown): Deno.Signal => {
        reasons.push(why);
        return "SIGUSR1";
      }, "USR1"],
    ] as const
  ) {
    const traps = ["TERM", "INT", "USR1"].map((name) =>
      `trap 'echo ${name}; exit' ${name};`
    );
    const aborter = new AbortController();
    const { results, finished } = startShell(
      `exec 2>/dev/null; ${traps.join(" ")} ${LOOP}`,
      { killSignal, signal: aborter.signal },
    );
    let said = "";
    for await (const { bytes } of results) {
      said += text(bytes);
      if (said === "ready\n") aborter.abort(reason);
    }
    assertEquals(said, `ready\n${asked}\n`);
    await finished;
  }
  assertEquals(reasons.length, 1);
  assertStrictEquals(reasons[0], reason);
});

Deno.test("startCommand gives no input, or this process's own, as stdin says", async () => {
  const url = new URL("../command.ts", import.meta.url);
  for (
    const [options, expected] of [
      [{}, ""],
      [{ stdin: "null" }, ""],
      [{ stdin: "inherit" }, "input"],
    ] as const
  ) {
    const copy = "Deno.stdin.readable.pipeTo(Deno.stdout.writable)";
    const command = JSON.stringify({ args: ["eval", copy], ...options });
    const ended = await outcome(startDeno(
      `import { startCommand } from "${url}";
      const { results } = startCommand(Deno.execPath(), ${command});
      for await (const { bytes } of results) await Deno.stdout.write(bytes);`,
      { stdin: new Blob(["input"]).stream() },
    ));
    assertEquals(ended, {
      stdout: expected,
      stderr: "",
      error: undefined,
      beats: undefined,
    });
  }
});

test("startCommand errors with the input's error and ends the command", async () => {
  const reason = new Error("input");
  let reads = 0;
  const stdin = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (reads++ > 0) throw reason;
      await Promise.resolve();
      controller.enqueue(new TextEncoder().encode("first"));
    },
  });
  const { error, beats } = await outcome(
    // the input ends for it as well: only the signal ends it
    startShell("cat; exec sleep 50", { stdin }),
  );
  assertStrictEquals(error, reason);
  assertStrictEquals(beats, reason);
});

test("startCommand errors when a chunk of the input is no bytes", async () => {
  // deno-lint-ignore no-explicit-any
  const stdin = ReadableStream.from(["text"]) as any;
  const { error } = await outcome(startShell("cat; exec sleep 50", { stdin }));
  assertInstanceOf(error, TypeError);
});

test("startCommand cancels the input when the command stops reading", async () => {
  for (
    const [endless, script] of [
      [true, "exec head -c 1"],
      [false, "exec head -c 1"],
      // it goes on without
      [true, "head -c 1; exec sleep 50 <&-"],
    ] as const
  ) {
    let cancelled = false;
    const stdin = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array([65, 66])),
      async pull(controller) {
        // or there is never more
        if (!endless) return new Promise(() => {});
        await delay(1);
        controller.enqueue(new Uint8Array(1024).fill(67));
      },
      cancel: () => void (cancelled = true),
    });
    const { results, finished } = startShell(script, { stdin });
    const reader = results.getReader();
    assertEquals(text((await reader.read()).value?.bytes), "A");
    if (!script.includes("sleep")) assert((await reader.read()).done);
    await until("an input that is cancelled", () => cancelled);
    await reader.cancel();
    await finished;
  }
});

test("startCommand holds its input back while the command does not read, and cancels it at the end", async () => {
  let blocks = 0;
  let cancelled = false;
  const stdin = new ReadableStream<Uint8Array>({
    pull(controller) {
      blocks++;
      controller.enqueue(new Uint8Array(65_536));
    },
    cancel: () => void (cancelled = true),
  });
  const command = startCommand("sleep", { args: ["50"], stdin });
  await until("input that is read", () => blocks > 1);
  await delay(300);
  assert(blocks <= 32, `${blocks} blocks were read`);
  await command.results.cancel();
  await command.finished;
  assert(cancelled);
});

test("startCommand passes args, cwd, env and the name on", () =>
  inFolder(async (folder) => {
    const path = await Deno.realPath(folder);
    const sh = new URL("file:///bin/sh");
    for (
      const [command, cwd, name, named] of [
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
      const { stdout } = await collect(results);
      const [beat] = await Array.fromAsync(heartbeats);
      assertEquals(
        [text(stdout), beat?.worker],
        [`a b *|1 2|path|${cwd ? path : await Deno.realPath(".")}\n`, named],
      );
      await finished;
    }
  }));

test("startCommand waits killAfter for a background process that prints, then leaves it", async () => {
  const { stdout, stderr, error } = await outcome(
    startShell("(sleep 0.3; echo late; echo late >&2) & echo early; exit 3", {
      killAfter: HANG,
    }),
  );
  assertEquals([stdout, stderr], ["early\nlate\n", "late\n"]);
  assertEquals((error as CommandError).code, 3);

  const start = performance.now();
  const left = await outcome(
    startShell("sleep 50 & echo $!; exit 0", { killAfter: GRACE }),
  );
  assert(performance.now() - start > GRACE - 5, "left before killAfter");
  assertEquals(left.error, undefined);
  const id = Number(left.stdout);
  assert(await isRunning(id), "the background process was not left alone");
  Deno.kill(id);
});

test("startCommand leaves no listener on its signal, however it ends", async () => {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  let added = 0;
  const { addEventListener, removeEventListener } = signal;
  // deno-lint-ignore no-explicit-any
  signal.addEventListener = (...args: [any, any, any?]) => {
    added++;
    listeners.add(args[1]);
    addEventListener.apply(signal, args);
  };
  // deno-lint-ignore no-explicit-any
  signal.removeEventListener = (...args: [any, any, any?]) => {
    listeners.delete(args[1]);
    removeEventListener.apply(signal, args);
  };
  for (let i = 0; i < 10; i++) {
    await outcome(startShell("exit 0", { signal }));
    await outcome(startShell("exit 1", { signal }));
    await outcome(startCommand("no-such-command-of-heartbeat", { signal }));
    for (const side of ["results", "heartbeats"] as const) {
      const command = startCommand("sleep", { args: ["50"], signal });
      await until("a listener", () => listeners.size > 0);
      await command[side].cancel();
      await command.finished;
    }
  }
  assertEquals([added, listeners.size], [40, 0]);
});

Deno.test("startCommand takes Infinity for no limit", async () => {
  const { error } = await outcome(
    startDeno("", { killAfter: Infinity, interval: Infinity }),
  );
  assertEquals(error, undefined);
});
