// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  type ProcessSystem,
  ProcessTree,
  type SendResult,
} from "../_process_tree.ts";
import { advance } from "./_help.ts";

const PID = 7;
const KILL_AFTER_MS = 1_000;

/** A system with one process group, which a test fills and empties. */
function createSystem(options: Partial<ProcessSystem> = {}) {
  const sent: unknown[] = [];
  let onExit = () => {};
  const state = {
    sent,
    leader: "missing" as SendResult,
    group: "sent" as SendResult,
    isDefunct: undefined as boolean | undefined,
    scans: 0,
    others: [] as number[],
    exit: () => onExit(),
  };
  const system: ProcessSystem = {
    hasProcessGroups: true,
    kill(pid, signal) {
      const result = pid < 0 ? state.group : state.leader;
      if (signal === "SIGNONE") throw new TypeError("no such signal");
      if (signal !== 0) sent.push(`${signal} ${pid}: ${result}`);
      return result;
    },
    killTree: (pid) => (sent.push(`killTree ${pid}`), "sent"),
    readGroup() {
      state.scans++;
      const { isDefunct } = state;
      const group = isDefunct === undefined
        ? undefined
        : { isDefunct, cpuTime: 70 };
      return Promise.resolve(group);
    },
    listOtherGroups: () => Promise.resolve([...state.others]),
    ...options,
  };
  const tree = new ProcessTree({
    pid: PID,
    exited: new Promise<void>((resolve) => onExit = resolve),
    kill: (signal) => void sent.push(`${signal} to the leader`),
  }, system);
  return { state, tree };
}

/** How long (ms) a promise takes, in steps of 50 ms of fake time; `undefined` if longer than `limit`. */
async function measure(time: FakeTime, promise: Promise<void>, limit: number) {
  const start = time.now;
  let end: number | undefined;
  promise.then(() => end = time.now);
  await time.runMicrotasks();
  while (end === undefined && time.now < start + limit) {
    await advance(time, 50);
  }
  return end === undefined ? undefined : end - start;
}

Deno.test("ProcessTree signals the group while the leader runs, and while others outlive it", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  state.leader = "sent";
  tree.send("SIGHUP");
  state.leader = "missing";
  state.exit();
  await advance(time, 1);
  tree.send("SIGUSR1");
  assertEquals(state.sent, ["SIGHUP -7: sent", "SIGUSR1 -7: sent"]);
  await tree.leaderEnded;
});

Deno.test("ProcessTree never signals a group that was empty when the leader ended", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  state.group = "missing";
  state.exit();
  await advance(time, 1);
  // a stranger's, whose leader has ended as well
  state.group = "sent";
  tree.send("SIGTERM");
  assertEquals(await measure(time, tree.terminate("SIGTERM", 100), 200), 0);
  assertEquals(state.sent, []);
});

Deno.test("ProcessTree sees a stranger by the process that has the leader's id", async () => {
  for (const leader of ["sent", "denied"] as const) {
    using time = new FakeTime();
    const { state, tree } = createSystem();
    state.exit();
    await advance(time, 1);
    state.leader = leader;
    tree.send("SIGTERM");
    state.leader = "missing";
    tree.send("SIGTERM");
    assertEquals(state.sent, []);
  }
});

Deno.test("ProcessTree kills after killAfter, and gives up a moment later", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  const terminated = tree.terminate("SIGINT", KILL_AFTER_MS);
  const asked = ["SIGINT -7: sent", "SIGCONT -7: sent"];
  await advance(time, KILL_AFTER_MS - 1);
  assertEquals(state.sent, asked);
  await advance(time, 1);
  assertEquals(state.sent, [...asked, "SIGKILL -7: sent"]);
  assertEquals(await measure(time, terminated, 1_000), 300);
  assertEquals(state.scans, 0);
});

Deno.test("ProcessTree kills at once on killNow()", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  const terminated = tree.terminate("SIGTERM", Infinity);
  await advance(time, 1_000);
  tree.killNow();
  await advance(time, 1);
  assertEquals(state.sent.slice(2), ["SIGKILL -7: sent"]);
  state.exit();
  state.group = "missing";
  assertEquals(await measure(time, terminated, 100), 50);
});

Deno.test("ProcessTree ends the other groups of its session, too", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  state.others = [8, 9];
  const terminated = tree.terminate("SIGINT", KILL_AFTER_MS);
  state.group = "missing";
  state.exit();
  await advance(time, 500);
  assertEquals(state.sent.slice(2), [
    ...["SIGINT -8: missing", "SIGINT -9: missing"],
    ...["SIGCONT -8: missing", "SIGCONT -9: missing"],
  ]);
  // one that was not there before
  state.others = [9, 10];
  await advance(time, 500);
  assertEquals(state.sent.slice(6), [
    ...["SIGKILL -9: missing", "SIGKILL -10: missing"],
  ]);
  state.others = [];
  assertEquals(await measure(time, terminated, 1_000), 50);
});

Deno.test("ProcessTree waits no longer for the other groups than they last", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  state.others = [8];
  const terminated = tree.terminate("SIGTERM", Infinity);
  state.group = "missing";
  state.exit();
  assertEquals(await measure(time, terminated, 5_000), undefined);
  state.others = [];
  const rest = await measure(time, terminated, 1_000);
  assertEquals(rest! <= 400, true, `${rest}`);
  assertEquals(state.sent.length, 4);
});

Deno.test("ProcessTree signals no other group once a stranger has the leader's id", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  state.others = [8];
  const terminated = tree.terminate("SIGTERM", KILL_AFTER_MS);
  state.group = "missing";
  state.exit();
  await advance(time, 100);
  state.leader = "sent";
  assertEquals(await measure(time, terminated, 1_000), 50);
  assertEquals(state.sent.length, 4);
});

Deno.test("ProcessTree waits for what outlives the leader, but not for zombies", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  const terminated = tree.terminate("SIGTERM", 100_000);
  state.exit();
  state.isDefunct = false;
  assertEquals(await measure(time, terminated, 2_000), undefined);
  // at the looks 1, 2, 4, and at every eighth of 40
  assertEquals(state.scans, 3 + 40 / 8);
  state.isDefunct = true;
  const rest = await measure(time, terminated, 1_000);
  assertEquals(rest! <= 400, true, `${rest}`);
  assertEquals(state.sent.length, 2);
});

Deno.test("ProcessTree sees that the group is empty, where zombies cannot be seen", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  const terminated = tree.terminate("SIGTERM", 100_000);
  state.exit();
  assertEquals(await measure(time, terminated, 2_000), undefined);
  state.group = "missing";
  assertEquals(await measure(time, terminated, 1_000), 50);
  assertEquals(time.next(), false);
});

Deno.test("ProcessTree signals the leader alone when it may not signal the group", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem();
  state.group = "denied";
  const terminated = tree.terminate("SIGTERM", KILL_AFTER_MS);
  await advance(time, KILL_AFTER_MS);
  assertEquals(state.sent.filter((line) => /leader/.test(`${line}`)), [
    "SIGTERM to the leader",
    "SIGCONT to the leader",
    "SIGKILL to the leader",
  ]);
  state.exit();
  assertEquals(await measure(time, terminated, 100), 50);
});

Deno.test("ProcessTree kills the tree at once where there are no groups, while the leader runs", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem({ hasProcessGroups: false });
  tree.send("SIGTERM");
  const terminated = tree.terminate("SIGTERM", KILL_AFTER_MS);
  await advance(time, 1);
  assertEquals(state.sent, ["killTree 7"]);
  state.exit();
  assertEquals(await measure(time, terminated, 100), 50);
  await tree.terminate("SIGTERM", KILL_AFTER_MS);
  assertEquals(state.sent, ["killTree 7"]);
});

Deno.test("ProcessTree kills the leader alone where it may not kill the tree", async () => {
  using time = new FakeTime();
  const { state, tree } = createSystem({
    hasProcessGroups: false,
    killTree: () => "denied",
  });
  const terminated = tree.terminate("SIGTERM", KILL_AFTER_MS);
  await advance(time, 1);
  assertEquals(state.sent, ["SIGKILL to the leader"]);
  state.exit();
  await measure(time, terminated, 100);
});

Deno.test("ProcessTree throws for a signal that does not exist", () => {
  const { tree } = createSystem();
  assertThrows(() => tree.terminate("SIGNONE", 1), TypeError, "no such signal");
});

Deno.test("ProcessTree reads the CPU time while anything of it lives", async () => {
  const { state, tree } = createSystem();
  assertEquals(await tree.readCpuTime(), undefined, "it cannot be found out");
  state.isDefunct = false;
  assertEquals(await tree.readCpuTime(), 70);
  state.exit();
  await tree.leaderEnded;
  assertEquals(await tree.readCpuTime(), 70);
  state.leader = "sent";
  assertEquals(await tree.readCpuTime(), undefined, "it is a stranger's");
});
