// Copyright 2026 the heartbeat authors. MIT license.

import type {
  ProcessRuntime,
  RunningProcess,
  SpawnOptions,
} from "./_command_types.ts";
import { listOtherGroups, readGroup } from "./_process_table.ts";
import type { ProcessSystem } from "./_process_tree.ts";

/** Only with this permission may any process be signalled. It is queried, as a prompt would block. */
function mayRunAll() {
  return Deno.permissions.querySync({ name: "run" }).state === "granted";
}

async function run(command: string, args: string[]) {
  const { stdout } = await new Deno.Command(command, {
    args,
    stdin: "null",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}

function openSystem(): ProcessSystem {
  const { os } = Deno.build;
  return {
    hasProcessGroups: os !== "windows",
    kill(pid, signal) {
      if (!mayRunAll()) return "denied";
      try {
        Deno.kill(pid, signal as Deno.Signal);
        return "sent";
      } catch (error) {
        if (error instanceof TypeError) throw error;
        return error instanceof Deno.errors.NotFound ? "missing" : "denied";
      }
    },
    killTree(pid) {
      if (!mayRunAll()) return "denied";
      new Deno.Command("taskkill", {
        args: ["/T", "/F", "/PID", String(pid)],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).outputSync();
      return "sent";
    },
    async readGroup(pgid) {
      if (!mayRunAll()) return undefined;
      return await readGroup(pgid, os, run);
    },
    async listOtherGroups(sid) {
      return mayRunAll() ? await listOtherGroups(sid, os, run) : [];
    },
  };
}

function spawn(
  command: string | URL,
  { args, cwd, env, stdin }: SpawnOptions,
): RunningProcess {
  const child = new Deno.Command(command, {
    args,
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
    stdin,
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  return {
    pid: child.pid,
    exited: child.status,
    stdout: child.stdout,
    stderr: child.stderr,
    stdin: stdin === "piped" ? child.stdin : undefined,
    kill: (signal) => child.kill(signal as Deno.Signal),
  };
}

/** Processes by Deno. */
export function openDenoRuntime(): ProcessRuntime {
  return {
    // a promise that rejects with what spawn() throws
    spawn: (command, options) =>
      new Promise((resolve) => resolve(spawn(command, options))),
    system: openSystem(),
  };
}
