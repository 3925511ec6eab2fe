// Copyright 2026 the heartbeat authors. MIT license.

// What startCommand() promises on every runtime that can run commands.

import {
  CommandError,
  type CommandOutput,
  startCommand,
  type StartCommandOptions,
} from "../../command.ts";
import { HeartbeatTimeoutError, watch } from "../../monitor.ts";

/** A `killAfter` (ms) that is never waited for. */
const NEVER_MS = 600_000;

function assertSame(actual: unknown, expected: unknown, what: string) {
  const [is, wanted] = [actual, expected].map((value) => JSON.stringify(value));
  if (is !== wanted) throw new Error(`${what}: ${is} instead of ${wanted}`);
}

function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(why);
}

function startShell(script: string, options: StartCommandOptions = {}) {
  return startCommand("sh", { args: ["-c", script], ...options });
}

function sleep(ms: number) {
  return new Promise<void>((resolve) => void setTimeout(resolve, ms));
}

/** Reads to the end, by a reader: not every stream can be iterated. */
async function collect(results: ReadableStream<CommandOutput>) {
  const text = { stdout: "", stderr: "" };
  let error: unknown;
  let size = 0;
  try {
    const reader = results.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.bytes.length;
      text[value.from] += new TextDecoder().decode(value.bytes);
    }
  } catch (reason) {
    error = reason;
  }
  return { ...text, size, error };
}

/** The first chunk, as text. */
async function readText(results: ReadableStream<CommandOutput>) {
  const reader = results.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value?.bytes);
}

async function isRunning(pid: number) {
  // a zombie has no command line
  const { stdout } = await collect(
    startShell(`ps -o stat= -p ${pid} || kill -0 ${pid} && echo S`).results,
  );
  return /^[^Z\s]/.test(stdout.trim());
}

async function assertGone(pid: number) {
  for (let i = 0; await isRunning(pid); i++) {
    assert(i < 100, `process ${pid} was not ended`);
    await sleep(20);
  }
}

/** Whether this runtime can run commands, and has a POSIX shell. */
export async function canRunCommands() {
  try {
    const { error } = await collect(startShell("exit 0").results);
    return error === undefined;
  } catch (error) {
    assert(error instanceof TypeError, `it was ${error}`);
    assertSame(
      error.message,
      "Cannot start command as this runtime has neither Deno.Command nor node:child_process",
      "message",
    );
    return false;
  }
}

/** The behaviours, by name. */
export const commandBehaviours: Record<string, () => Promise<void>> = {
  async "a command's output is delivered, and its end"() {
    const { results, finished } = startShell("printf out; printf err >&2");
    const { stdout, stderr, error } = await collect(results);
    assertSame([stdout, stderr, error], ["out", "err", undefined], "output");
    await finished;
  },

  async "a command's exit code and signal are an error"() {
    for (
      const [end, code, signal] of [
        ["exit 3", 3, null],
        ["kill -TERM $$", 143, "SIGTERM"],
        ["kill -KILL $$", 137, "SIGKILL"],
      ] as const
    ) {
      const { stdout, error } = await collect(
        startShell(`echo out; ${end}`).results,
      );
      assert(error instanceof CommandError, `${end}: ${error}`);
      assertSame(
        [stdout, error.code, error.signal],
        ["out\n", code, signal],
        end,
      );
    }
  },

  async "a command that does not exist is an error"() {
    const command = startCommand("no-such-command-of-heartbeat");
    const { error } = await collect(command.results);
    const { name, code } = error as { name?: string; code?: string };
    assert(code === "ENOENT" || name === "NotFound", `it was ${error}`);
    await command.finished;
  },

  async "a command is given its arguments, folder, environment and a URL"() {
    const { results } = startCommand(new URL("file:///bin/sh"), {
      args: ["-c", 'echo "$1|$ONE|${PATH:+path}|$(pwd)"', "sh", "a b"],
      cwd: new URL("file:///"),
      env: { ONE: "1 2" },
    });
    assertSame((await collect(results)).stdout, "a b|1 2|path|/\n", "output");
  },

  async "a command reads a stream, and answers byte by byte"() {
    const block = new Uint8Array(65_536).fill(65);
    let blocks = 0;
    const stdin = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (blocks++ < 16) controller.enqueue(block);
        else controller.close();
      },
    });
    const { results, finished } = startCommand("cat", { stdin });
    const { size, stdout } = await collect(results);
    assertSame(size, 16 * 65_536, "bytes");
    assert(!/[^A]/.test(stdout), "other bytes");
    await finished;
  },

  async "a command and its input are held back while nobody reads"() {
    let blocks = 0;
    let isCancelled = false;
    const stdin = new ReadableStream<Uint8Array>({
      pull(controller) {
        blocks++;
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel: () => void (isCancelled = true),
    });
    const { results, finished } = startCommand("cat", { stdin });
    let before = -1;
    while (before !== blocks) {
      before = blocks;
      await sleep(200);
    }
    assert(blocks <= 64, `${blocks} blocks were read, and nobody reads them`);
    const reader = results.getReader();
    for (let size = 0; size < 65_536 * 100;) {
      size += (await reader.read()).value!.bytes.length;
    }
    await reader.cancel();
    await finished;
    assert(isCancelled, "the input was not cancelled");
  },

  async "an input that errors ends its command"() {
    const reason = new Error("input");
    const stdin = new ReadableStream<Uint8Array>({
      pull: () => Promise.reject(reason),
    });
    const { results, finished } = startShell("exec sleep 50", { stdin });
    assert((await collect(results)).error === reason, "another error");
    await finished;
  },

  async "an input that is not bytes is a TypeError"() {
    const stdin = new ReadableStream<Uint8Array>({
      // deno-lint-ignore no-explicit-any
      start: (controller) => controller.enqueue("text" as any),
    });
    const { results, finished } = startShell("exec sleep 50", { stdin });
    const { error } = await collect(results);
    assert(error instanceof TypeError, `it was ${error}`);
    await finished;
  },

  async "a command shares this process's input"() {
    const scope = globalThis as {
      process?: { execPath: string };
      Deno?: { execPath(): string };
    };
    const script = new URL("./inherit.js", import.meta.url);
    const stdin = new Blob(["input"]).stream();
    const { results } = scope.Deno
      ? startCommand(scope.Deno.execPath(), {
        args: ["run", "--allow-run", script.href],
        stdin,
      })
      : startCommand(scope.process!.execPath, {
        args: [script.pathname],
        stdin,
      });
    const { stdout, stderr, error } = await collect(results);
    assertSame([stdout, stderr, error], ["input\n", "", undefined], "output");
  },

  async "a command that stops reading cancels its input"() {
    let isCancelled = false;
    const stdin = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1024)),
      cancel: () => void (isCancelled = true),
    });
    const { results, finished } = startShell("exec head -c 1", { stdin });
    assertSame((await collect(results)).size, 1, "bytes");
    await finished;
    assert(isCancelled, "it was not cancelled");
  },

  async "an aborted command says its last, and its tree is gone"() {
    const aborter = new AbortController();
    const command = startShell(
      "sleep 50 & exec 2>/dev/null; trap 'echo bye; exit 3' TERM; echo $!; wait; wait",
      { signal: aborter.signal, killAfter: NEVER_MS },
    );
    const pid = Number(await readText(command.results));
    aborter.abort();
    const { stdout, error } = await collect(command.results);
    assertSame([stdout, error], ["bye\n", undefined], "output");
    await command.finished;
    await assertGone(pid);
  },

  async "a silent command that ignores SIGTERM is killed"() {
    const command = startShell("trap '' TERM; echo $$; sleep 50; sleep 50", {
      killAfter: 200,
    });
    const pid = Number(await readText(command.results));
    const { error } = await collect(watch(command, { timeout: 300 }));
    assert(error instanceof HeartbeatTimeoutError, `it was ${error}`);
    await command.finished;
    await assertGone(pid);
  },

  async "a signal that does not exist is an error, and SIGTERM is sent"() {
    const aborter = new AbortController();
    const { results, finished } = startShell("echo ready; exec sleep 50", {
      signal: aborter.signal,
      killAfter: NEVER_MS,
      // deno-lint-ignore no-explicit-any
      killSignal: "SIGNONE" as any,
    });
    await readText(results);
    aborter.abort();
    const { error } = await collect(results);
    assert(error instanceof TypeError, `it was ${error}`);
    await finished;
  },

  async "an abort ends the output of a process that has escaped"() {
    const aborter = new AbortController();
    const { results, finished } = startShell(
      "setsid sh -c 'trap \"\" PIPE; echo $$; while :; do echo x; sleep 0.05; done' & sleep 50",
      { signal: aborter.signal, killAfter: 300 },
    );
    const pid = parseInt(await readText(results));
    aborter.abort();
    assertSame((await collect(results)).error, undefined, "error");
    await finished;
    assert(await isRunning(pid), "it was ended");
    await collect(startShell(`kill -KILL -${pid}`).results);
  },
};
