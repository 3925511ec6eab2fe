// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertThrows } from "@std/assert";
import { openDenoRuntime } from "../_deno_process.ts";
import type { SpawnOptions } from "../_command_types.ts";
import { isWindows, replaceProperty } from "./_command.ts";

const OPTIONS: SpawnOptions = {
  args: ["-c", "exec sleep 50"],
  cwd: undefined,
  env: undefined,
  stdin: "null",
};

/** Plays a process that may run some commands only. */
function denyRun() {
  const state = { state: "prompt" } as Deno.PermissionStatus;
  return replaceProperty(Deno.permissions, "querySync", ({ name }) => {
    assertEquals(name, "run");
    return state;
  });
}

Deno.test({
  name: "openDenoRuntime finds out what became of a signal",
  ignore: isWindows,
  async fn() {
    const { spawn, system } = openDenoRuntime();
    const child = await spawn("sh", OPTIONS);
    assertEquals(system.hasProcessGroups, true);
    assertEquals(system.kill(child.pid, "SIGCONT"), "sent");
    assertEquals(system.kill(-child.pid, "SIGCONT"), "sent");
    assertEquals((await system.readGroup(child.pid))?.isDefunct, false);
    assertThrows(() => system.kill(-child.pid, "SIGNONE"), TypeError);
    child.kill("SIGINT");
    assertEquals((await child.exited).signal, "SIGINT");
    assertEquals(system.kill(child.pid, "SIGCONT"), "missing");
    await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
    assertEquals(child.stdin, undefined);
  },
});

Deno.test({
  name:
    "openDenoRuntime signals nobody without the permission for all commands",
  ignore: isWindows,
  async fn() {
    const { spawn, system } = openDenoRuntime();
    const child = await spawn("sh", OPTIONS);
    {
      using _ = denyRun();
      assertEquals(system.kill(child.pid, "SIGKILL"), "denied");
      assertEquals(system.killTree(child.pid), "denied");
      assertEquals(await system.readGroup(child.pid), undefined);
    }
    child.kill("SIGINT");
    assertEquals((await child.exited).signal, "SIGINT");
    await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
  },
});

Deno.test("openDenoRuntime takes a signal that the system refuses for denied", () => {
  using _ = replaceProperty(Deno, "kill", () => {
    throw new Deno.errors.PermissionDenied("not yours");
  });
  assertEquals(openDenoRuntime().system.kill(1, "SIGTERM"), "denied");
});

Deno.test("openDenoRuntime has process groups everywhere but on Windows", () => {
  for (const os of ["windows", "linux", "darwin"] as const) {
    using _ = replaceProperty(Deno, "build", { ...Deno.build, os });
    const { hasProcessGroups } = openDenoRuntime().system;
    assertEquals(hasProcessGroups, os !== "windows");
  }
});

Deno.test("openDenoRuntime ends a tree by taskkill", () => {
  const calls: unknown[] = [];
  class Command {
    constructor(command: string, options: Deno.CommandOptions) {
      calls.push(command, options);
    }
    outputSync = () => void calls.push("run");
  }
  using _ = replaceProperty(
    Deno,
    "Command",
    Command as unknown as typeof Deno.Command,
  );
  assertEquals(openDenoRuntime().system.killTree(77), "sent");
  const args = ["/T", "/F", "/PID", "77"];
  const silent = { stdin: "null", stdout: "null", stderr: "null" };
  assertEquals(calls, ["taskkill", { args, ...silent }, "run"]);
});
