// Copyright 2026 the heartbeat authors. MIT license.

// What the tests of startCommand() share.

import { assertEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import {
  type CommandOutput,
  startCommand,
  type StartCommandOptions,
} from "../command.ts";
import type { WorkerStreams } from "../worker.ts";

/** How long (ms) a test may hang. */
export const HANG_MS = 60_000;
/** A `killAfter` (ms) that no test lives to see. */
export const NEVER_MS = 10 * HANG_MS;

/** Prints "ready" and runs on, so that a trap runs soon. A shell reports the end of its child on stderr. */
export const LOOP = "echo ready; while :; do sleep 0.05; done";

export const isWindows = Deno.build.os === "windows";

/** A test that needs a POSIX shell, and fails if it hangs. */
export function testPosix(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore: isWindows, fn: () => deadline(fn(), HANG_MS) });
}

export function startShell(script: string, options: StartCommandOptions = {}) {
  return startCommand("sh", { args: ["-c", script], ...options });
}

export function startDeno(code: string, options: StartCommandOptions = {}) {
  return startCommand(Deno.execPath(), { args: ["eval", code], ...options });
}

export function decode(bytes: Uint8Array | undefined) {
  return new TextDecoder().decode(bytes);
}

/** The next chunk, as text. The stream can be read again afterwards. */
export async function readText(results: ReadableStream<CommandOutput>) {
  const reader = results.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return decode(value?.bytes);
}

/** The output to its end, and the error that ended it. */
export async function collectOutput(results: ReadableStream<CommandOutput>) {
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

/** Waits until a command has ended. Returns its output as text, and the errors of both streams. */
export async function waitForOutcome(
  { results, heartbeats, finished }: WorkerStreams<CommandOutput>,
) {
  const ended = Promise.all([
    collectOutput(results),
    Array.fromAsync(heartbeats).then(() => undefined, (reason) => reason),
    finished,
  ]);
  const [{ stdout, stderr, error }, beats] = await deadline(ended, HANG_MS);
  return { stdout: decode(stdout), stderr: decode(stderr), error, beats };
}

/** Asserts that a command ends without an error, and with this output. */
export async function assertOutput(
  command: WorkerStreams<CommandOutput>,
  stdout: string,
) {
  assertEquals(await waitForOutcome(command), {
    stdout,
    stderr: "",
    error: undefined,
    beats: undefined,
  });
}

/** A stream of the lines that are written to it. */
export function createInput() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  return {
    readable,
    write: (line: string) => writer.write(new TextEncoder().encode(line)),
    close: () => writer.close(),
  };
}

/** Calls `body` with the path of a folder, and removes it afterwards. */
export async function withTempDir(body: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Replaces a property of an object until it is disposed of. */
export function replaceProperty<T extends object, K extends keyof T>(
  object: T,
  key: K,
  value: T[K],
) {
  const original = Object.getOwnPropertyDescriptor(object, key);
  Object.defineProperty(object, key, { configurable: true, value });
  return {
    [Symbol.dispose]() {
      if (original) Object.defineProperty(object, key, original);
      else delete object[key];
    },
  };
}
