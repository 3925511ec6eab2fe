// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Processes by `node:child_process`, for Node and Bun. Deno has it as well, but
 * there it needs the `env` permission, and its errors are not Deno's.
 *
 * @module
 */

import type * as ChildProcess from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type {
  CommandSignal,
  ExitStatus,
  ProcessRuntime,
  RunningProcess,
  SpawnOptions,
} from "./_command_types.ts";
import { listOtherGroups, readGroup } from "./_process_table.ts";
import type { ProcessSystem, SendResult } from "./_process_tree.ts";

/** What is used of the global `process`. */
interface NodeProcess {
  platform: string;
  env: Record<string, string | undefined>;
  versions: Record<string, string | undefined>;
  kill(pid: number, signal: string | number): unknown;
}

/** The modules of Node. They are loaded at the first command, since a browser has none. */
interface NodeModules {
  process: NodeProcess;
  childProcess: typeof ChildProcess;
  toPath: (url: URL) => string;
  signals: Record<string, number>;
}

function findProcess() {
  return (globalThis as { process?: Partial<NodeProcess> }).process;
}

/** Whether this is Node, or a runtime that has its modules. */
export function isNode(): boolean {
  return typeof findProcess()?.versions?.node === "string";
}

async function loadModules(): Promise<NodeModules> {
  const [childProcess, { fileURLToPath }, { constants }] = await Promise.all([
    import("node:child_process"),
    import("node:url"),
    import("node:os"),
  ]);
  const process = findProcess() as NodeProcess;
  const { signals } = constants;
  return { process, childProcess, toPath: fileURLToPath, signals };
}

/** A stream of Node as one of the platform; it reads ahead no further than Node does. */
function toReadable(
  stream: Readable,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks: AsyncIterator<Uint8Array<ArrayBuffer>> = stream
    [Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) return controller.close();
      // without the class of Node
      const { buffer, byteOffset, length } = value;
      controller.enqueue(new Uint8Array(buffer, byteOffset, length));
    },
    // the iterator's return() would wait for the chunk that is read
    cancel: () => void stream.destroy(),
  }, { highWaterMark: 0 });
}

function toWritable(stream: Writable): WritableStream<Uint8Array> {
  // what has stopped reading is seen by the next write
  stream.on("error", () => {});
  return new WritableStream({
    write(chunk) {
      if (!(chunk instanceof Uint8Array)) {
        throw new TypeError("Cannot write to a command what is not bytes");
      }
      return new Promise<void>((resolve, reject) => {
        stream.write(chunk, (error) => error ? reject(error) : resolve());
      });
    },
    close: () => void stream.end(),
  });
}

/** Resolves once the process runs; rejects if it cannot be started. */
function waitForSpawn(child: ChildProcess.ChildProcess) {
  return new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    // it stays, since failing to signal the process is such an error, too
    child.on("error", reject);
  });
}

function waitForExit(
  child: ChildProcess.ChildProcess,
  signals: Record<string, number>,
) {
  return new Promise<ExitStatus>((resolve) => {
    child.once("exit", (code, signal) => {
      resolve({
        code: code ?? 128 + (signals[signal!] ?? 0),
        signal: signal as CommandSignal | null,
      });
    });
  });
}

async function spawn(
  { process, childProcess, toPath, signals }: NodeModules,
  command: string | URL,
  { args, cwd, env, stdin }: SpawnOptions,
): Promise<RunningProcess> {
  const toString = (path: string | URL) =>
    path instanceof URL ? toPath(path) : path;
  const input =
    ({ inherit: "inherit", null: "ignore", piped: "pipe" } as const)[stdin];
  const child = childProcess.spawn(toString(command), args, {
    ...(cwd !== undefined && { cwd: toString(cwd) }),
    ...(env !== undefined && { env: { ...process.env, ...env } }),
    stdio: [input, "pipe", "pipe"],
    detached: true,
    windowsHide: true,
  });
  // before anything is awaited, as it may end at once
  const exited = waitForExit(child, signals);
  await waitForSpawn(child);
  return {
    pid: child.pid!,
    exited,
    stdout: toReadable(child.stdout!),
    stderr: toReadable(child.stderr!),
    stdin: child.stdin ? toWritable(child.stdin) : undefined,
    kill: (signal) => void child.kill(signal as NodeJS.Signals),
  };
}

function openSystem(
  { process, childProcess }: NodeModules,
): ProcessSystem {
  const run = (command: string, args: string[]) =>
    new Promise<string>((resolve) => {
      childProcess.execFile(
        command,
        args,
        { maxBuffer: Infinity },
        // it fails for a process that ends while it is read, so what was printed counts
        (_error, stdout) => resolve(stdout),
      );
    });
  return {
    hasProcessGroups: process.platform !== "win32",
    kill(pid, signal): SendResult {
      try {
        process.kill(pid, signal);
        return "sent";
      } catch (error) {
        if (error instanceof TypeError) throw error;
        const { code } = error as { code?: string };
        return code === "ESRCH" ? "missing" : "denied";
      }
    },
    killTree(pid) {
      const args = ["/T", "/F", "/PID", String(pid)];
      childProcess.spawnSync("taskkill", args, { stdio: "ignore" });
      return "sent";
    },
    readGroup: (pgid) => readGroup(pgid, process.platform, run),
    listOtherGroups: (sid) => listOtherGroups(sid, process.platform, run),
  };
}

/** Processes by Node. */
export async function openNodeRuntime(): Promise<ProcessRuntime> {
  const modules = await loadModules();
  return {
    spawn: (command, options) => spawn(modules, command, options),
    system: openSystem(modules),
  };
}
