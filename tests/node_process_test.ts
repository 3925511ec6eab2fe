// Copyright 2026 the heartbeat authors. MIT license.

// Commands by node:child_process, which Deno has as well. tests/runtimes/ runs
// the same behaviours on Node and Bun.

import process from "node:process";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { SpawnOptions } from "../_command_types.ts";
import { isNode, openNodeRuntime } from "../_node_process.ts";
import { startCommand } from "../command.ts";
import { isWindows, replaceProperty } from "./_command.ts";
import { commandBehaviours } from "./runtimes/command.ts";

/** Hides `Deno.Command`, so startCommand() takes node:child_process. */
async function withoutDeno(body: () => Promise<void>) {
  const property = Object.getOwnPropertyDescriptor(globalThis, "Deno")!;
  const value = Object.create(Deno, { Command: { value: undefined } });
  Object.defineProperty(globalThis, "Deno", { ...property, value });
  try {
    await body();
  } finally {
    Object.defineProperty(globalThis, "Deno", property);
  }
}

/** This starts the bundle of tests/runtimes/. */
const NEEDS_BUNDLE = "a command shares this process's input";

for (const [name, behaviour] of Object.entries(commandBehaviours)) {
  Deno.test({
    name: `${name}, by node:child_process`,
    ignore: isWindows || name === NEEDS_BUNDLE,
    fn: () => withoutDeno(behaviour),
  });
}

const OPTIONS: SpawnOptions = {
  args: ["-c", "exec sleep 50"],
  cwd: undefined,
  env: undefined,
  stdin: "null",
};

Deno.test({
  name: "openNodeRuntime finds out what became of a signal",
  ignore: isWindows,
  async fn() {
    const { spawn, system } = await openNodeRuntime();
    const child = await spawn("sh", OPTIONS);
    assertEquals(system.hasProcessGroups, true);
    assertEquals(system.kill(child.pid, 0), "sent");
    assertEquals(system.kill(-child.pid, 0), "sent");
    assertEquals((await system.readGroup(child.pid))?.isDefunct, false);
    assertThrows(() => system.kill(-child.pid, "SIGNONE"), TypeError);
    child.kill("SIGINT");
    assertEquals(await child.exited, { code: 130, signal: "SIGINT" });
    assertEquals(system.kill(child.pid, 0), "missing");
    await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
    assertEquals(child.stdin, undefined);
  },
});

Deno.test({
  name: "openNodeRuntime rejects with the system's error",
  ignore: isWindows,
  async fn() {
    const { spawn } = await openNodeRuntime();
    for (
      const [command, code] of [["no-such-command", "ENOENT"], ["/", "EACCES"]]
    ) {
      const error = await assertRejects(() => spawn(command!, OPTIONS), Error);
      assertEquals((error as Error & { code?: string }).code, code);
    }
  },
});

Deno.test({
  name: "openNodeRuntime closes the pipes of a process that nobody reads",
  ignore: isWindows,
  async fn() {
    const { spawn } = await openNodeRuntime();
    const { stdout, stderr, exited } = await spawn("yes", {
      ...OPTIONS,
      args: [],
    });
    await Promise.all([stdout.cancel(), stderr.cancel()]);
    assertEquals((await exited).signal, "SIGPIPE");
  },
});

Deno.test({
  name: "openNodeRuntime writes nothing but bytes to a process",
  ignore: isWindows,
  async fn() {
    const { spawn } = await openNodeRuntime();
    const child = await spawn("sh", { ...OPTIONS, stdin: "piped" });
    await assertRejects(
      () => child.stdin!.getWriter().write("text" as never),
      TypeError,
      "Cannot write to a command what is not bytes",
    );
    child.kill("SIGINT");
    await child.exited;
    await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
  },
});

Deno.test("isNode is false where there is no process", () => {
  assertEquals(isNode(), true);
  using _ = replaceProperty(
    globalThis as { process?: unknown },
    "process",
    undefined,
  );
  assertEquals(isNode(), false);
});

Deno.test({
  name: "startCommand takes node:child_process where there is no Deno",
  ignore: isWindows,
  async fn() {
    const start = () => {
      const scope = globalThis as { Deno?: unknown };
      using _ = replaceProperty(scope, "Deno", undefined);
      return startCommand("no-such-command");
    };
    const error = await assertRejects(() => Array.fromAsync(start().results));
    assertEquals((error as { code?: string }).code, "ENOENT");
  },
});

Deno.test("openNodeRuntime takes a signal that the system refuses for denied", async () => {
  using _ = replaceProperty(process, "kill", () => {
    throw Object.assign(new Error("not yours"), { code: "EPERM" });
  });
  const { system } = await openNodeRuntime();
  assertEquals(system.kill(1, "SIGTERM"), "denied");
});

Deno.test("openNodeRuntime has process groups everywhere but on Windows", async () => {
  for (const platform of ["win32", "linux", "darwin"] as const) {
    using _ = replaceProperty(process, "platform", platform);
    const { hasProcessGroups } = (await openNodeRuntime()).system;
    assertEquals(hasProcessGroups, platform !== "win32");
  }
});

Deno.test({
  name: "openNodeRuntime does not mind that taskkill is missing",
  ignore: isWindows,
  async fn() {
    assertEquals((await openNodeRuntime()).system.killTree(77), "sent");
  },
});
