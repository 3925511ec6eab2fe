// Copyright 2026 the heartbeat authors. MIT license.

// What only real files and real processes can show.

import { assertEquals } from "@std/assert";
import { AliveProbe } from "../../_cli_alive.ts";
import { ON_START, type ProcessTreeHook } from "../../_process_tree.ts";
import { startCommand, type StartCommandOptions } from "../../command.ts";
import { HeartbeatTimeoutError, watch } from "../../monitor.ts";
import { NEVER_MS, testPosix, withTempDir } from "../_command.ts";
import { waitUntil } from "../_help.ts";

Deno.test("AliveProbe counts a file that appears, changes or is replaced", () =>
  withTempDir(async (folder) => {
    const path = `${folder}/log`;
    const ended = Promise.withResolvers<void>();
    const state = { signs: 0 };
    const failures: string[] = [];
    const probe = new AliveProbe({ type: "file", path }, {
      timeout: 1,
      onFailure: (message) => void failures.push(message),
    });
    const tree = { readCpuTime: () => Promise.resolve(0) };
    const watched = probe.watch(tree, () => state.signs++, ended.promise);
    const wait = () => new Promise((resolve) => setTimeout(resolve, 250));
    const steps: [what: string, change: () => Promise<void>][] = [
      ["appears", () => Deno.writeTextFile(path, "a")],
      ["grows", () => Deno.writeTextFile(path, "b", { append: true })],
      ["is touched", () => Deno.utime(path, 1, 1)],
      ["is the same again", async () => {
        await Deno.copyFile(path, `${path}2`);
        await Deno.utime(`${path}2`, 1, 1);
        await Deno.rename(`${path}2`, path);
      }],
    ];
    await wait();
    assertEquals(state.signs, 0, "there is no file");
    for (const [what, change] of steps) {
      const before = state.signs;
      await change();
      await waitUntil(() => state.signs > before, what);
      // until it has seen all of the change
      await wait();
    }
    const before = state.signs;
    await wait();
    await Deno.remove(path);
    await wait();
    assertEquals([state.signs, failures], [before, []]);
    ended.resolve();
    await watched;
  }));

/** Watches a shell that prints nothing, with the CPU time as its sign of life. */
async function watchShell(script: string, timeout: number) {
  const ended = Promise.withResolvers<void>();
  const onFailure = (message: string) => ended.reject(new Error(message));
  const probe = new AliveProbe({ type: "cpu" }, { timeout, onFailure });
  let watched: Promise<void> | undefined;
  const options: StartCommandOptions & ProcessTreeHook = {
    args: ["-c", script],
    interval: timeout / 20,
    killAfter: NEVER_MS,
    [ON_START](tree, beat) {
      watched = probe.watch(tree, beat, ended.promise);
    },
  };
  const command = startCommand("sh", options);
  command.finished.then(ended.resolve);
  const error = await Array.fromAsync(watch(command, { timeout }))
    .then(() => undefined, (error) => error);
  // the probe may look at the processes once more, by a process of its own
  await Promise.all([command.finished, ended.promise, watched]);
  return error;
}

testPosix(
  "AliveProbe keeps a silent command alive that computes, and not one that sleeps",
  async () => {
    const computing =
      "end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do :; done";
    const [computed, slept] = await Promise.all([
      watchShell(computing, 2_000),
      watchShell("exec sleep 50", 2_000),
    ]);
    assertEquals(computed, undefined);
    assertEquals(slept instanceof HeartbeatTimeoutError, true, `${slept}`);
  },
);
