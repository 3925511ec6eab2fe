// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Shutdown } from "../_cli_shutdown.ts";

/** A shutdown that listens to no signals of this process. */
function createShutdown(
  { runtime = Infinity, hasCommand = false, expired = 1_000 } = {},
) {
  const grace = { expired, interrupted: 1_000 };
  const { addSignalListener } = Deno;
  const listened: string[] = [];
  Deno.addSignalListener = (name) => void listened.push(name);
  const deadlines: string[] = [];
  const shutdown = new Shutdown({
    ...{ runtime, grace, hasCommand },
    onDeadline: () => void deadlines.push(shutdown.phase),
  });
  try {
    shutdown.listen();
  } finally {
    Deno.addSignalListener = addSignalListener;
  }
  const show = () => [
    shutdown.phase,
    shutdown.toExitCode(7),
    shutdown.signal.aborted,
    shutdown.killNow.aborted,
  ];
  return { shutdown, listened, deadlines, show };
}

Deno.test("a signal ends the run, a second one at once", () => {
  for (
    const [name, code] of [
      ["SIGINT", 130],
      ["SIGQUIT", 131],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const
  ) {
    using _time = new FakeTime();
    const { shutdown, show } = createShutdown();
    assertEquals(show(), ["running", 7, false, false]);
    shutdown.onSignal(name);
    assertEquals(show(), ["interrupted", code, true, false]);
    assertEquals(shutdown.signal.reason, { signal: name });
    shutdown.onSignal("SIGINT");
    assertEquals(show(), ["interrupted", code, true, true]);
    assertEquals(shutdown.killNow.reason.message, "ended at once by SIGINT");
  }
});

Deno.test("the deadline ends the run, and a signal after it sets the exit code", () => {
  using time = new FakeTime();
  const { shutdown, deadlines, show } = createShutdown({ runtime: 5_000 });
  time.tick(4_999);
  assertEquals(show(), ["running", 7, false, false]);
  time.tick(1);
  assertEquals(show(), ["expired", 124, true, false]);
  assertEquals(deadlines, ["running"]);
  assertEquals(shutdown.signal.reason.name, "TimeoutError");
  shutdown.onSignal("SIGTERM");
  assertEquals(show(), ["interrupted", 143, true, false]);
  time.tick(1_000);
  assertEquals(show(), ["interrupted", 143, true, true]);
});

Deno.test("the end takes no longer than the grace, which the first event starts", () => {
  using time = new FakeTime();
  const { shutdown, deadlines, show } = createShutdown({ runtime: 500 });
  shutdown.onSignal("SIGINT");
  time.tick(999);
  assertEquals([show(), deadlines], [
    ["interrupted", 130, true, false],
    [],
  ]);
  time.tick(1);
  assertEquals(show(), ["interrupted", 130, true, true]);
});

Deno.test("a signal begins a grace of its own where the deadline has none", () => {
  using time = new FakeTime();
  const { shutdown, show } = createShutdown({
    ...{ runtime: 500, expired: Infinity },
  });
  time.tick(10_000);
  assertEquals(show(), ["expired", 124, true, false]);
  shutdown.onSignal("SIGTERM");
  time.tick(999);
  assertEquals(show(), ["interrupted", 143, true, false]);
  time.tick(1);
  assertEquals(show(), ["interrupted", 143, true, true]);
});

Deno.test("the exit code of a run that is over stays, and a signal ends the wait at once", () => {
  using time = new FakeTime();
  const { shutdown, deadlines, show } = createShutdown({ runtime: 500 });
  assertEquals(shutdown.settle(3), 3);
  time.tick(10_000);
  assertEquals([show(), deadlines], [["settled", 3, false, false], []]);
  shutdown.onSignal("SIGTERM");
  assertEquals(show(), ["settled", 3, false, true]);
});

Deno.test("what ended a run is its exit code, and the grace goes on", () => {
  using time = new FakeTime();
  const { shutdown, show } = createShutdown({ runtime: 500 });
  shutdown.onSignal("SIGTERM");
  assertEquals(shutdown.settle(3), 143);
  assertEquals(show(), ["settled", 143, true, false]);
  time.tick(1_000);
  assertEquals(show(), ["settled", 143, true, true]);

  const { shutdown: other } = createShutdown({ runtime: 500 });
  time.tick(500);
  assertEquals(other.settle(0), 124);
});

Deno.test({
  name: "a command gets SIGHUP, SIGUSR1 and SIGUSR2 while it runs",
  ignore: Deno.build.os === "windows",
  async fn() {
    using _time = new FakeTime();
    const { shutdown, listened, show } = createShutdown({ hasCommand: true });
    assertEquals(listened.toSorted(), [
      ...["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"],
    ]);
    const sent: string[] = [];
    const createCommand = () => ({
      send: (name: string) => void sent.push(name),
    });
    const names = ["SIGUSR1", "SIGUSR2", "SIGHUP"] as const;

    shutdown.onSignal("SIGUSR1");
    const first = Promise.withResolvers<void>();
    shutdown.onCommandStarted(createCommand(), first.promise);
    for (const name of names) shutdown.onSignal(name);
    assertEquals(sent, [...names]);

    // the end of the first one comes after the start of the next
    const second = Promise.withResolvers<void>();
    shutdown.onCommandStarted(createCommand(), second.promise);
    first.resolve();
    await first.promise;
    shutdown.onSignal("SIGHUP");
    assertEquals(sent, [...names, "SIGHUP"]);
    assertEquals(show(), ["running", 7, false, false]);

    second.resolve();
    await second.promise;
    shutdown.onSignal("SIGUSR2");
    assertEquals(show(), ["running", 7, false, false]);
    shutdown.onSignal("SIGHUP");
    assertEquals(show(), ["interrupted", 129, true, false]);
    assertEquals(sent, [...names, "SIGHUP"]);
  },
});

Deno.test({
  name: "a command that ends soon after SIGHUP was ended by it",
  ignore: Deno.build.os === "windows",
  fn() {
    using time = new FakeTime();
    const { shutdown } = createShutdown({ hasCommand: true });
    const command = { send: () => {} };
    shutdown.onCommandStarted(command, Promise.withResolvers<void>().promise);
    shutdown.onSignal("SIGUSR1");
    assertEquals(shutdown.isHungUp, false);
    shutdown.onSignal("SIGHUP");
    time.tick(4_999);
    assertEquals(shutdown.isHungUp, true);
    // it was to read its configuration again, and goes on
    time.tick(1);
    assertEquals(shutdown.isHungUp, false);
  },
});

Deno.test("without a command, SIGUSR1 and SIGUSR2 are the platform's", () => {
  using _time = new FakeTime();
  const { listened } = createShutdown();
  const expected = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"];
  assertEquals(listened.toSorted(), expected);
});
