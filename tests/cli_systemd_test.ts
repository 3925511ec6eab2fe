// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  openSystemd,
  readEnvironment,
  type SystemdEnvironment,
} from "../_cli_systemd.ts";
import { isWindows, withTempDir } from "./_command.ts";
import { NPM_FLAGS, skewClock, waitUntil } from "./_help.ts";

const ENVIRONMENT: SystemdEnvironment = {
  socket: "/run/systemd/notify",
  watchdogUsec: "4000000",
  watchdogPid: undefined,
};

/** Where a `systemd-notify` of a test is, and what it was called with. */
interface Command {
  folder: string;
  open: typeof open;
  readMessages: () => Promise<string[]>;
}

/** Makes a `systemd-notify` that logs its arguments, and then runs a script in its folder. */
function withCommand(
  script: string,
  body: (command: Command) => Promise<void>,
) {
  return withTempDir(async (folder) => {
    const log = `${folder}/log`;
    const command = `${folder}/systemd-notify`;
    const text = `#!/bin/sh\ncd ${folder}\necho "$@" >> log\n${script}\n`;
    await Deno.writeTextFile(command, text, { mode: 0o755 });
    await body({
      folder,
      open: (environment) => open(environment, command),
      readMessages: async () =>
        (await Deno.readTextFile(log)).trim().split("\n"),
    });
  });
}

function open(
  environment: Partial<SystemdEnvironment> = {},
  command = "systemd-notify",
) {
  const failures: string[] = [];
  const notifier = openSystemd({
    onFailure: (message) => void failures.push(message),
    command,
  }, { ...ENVIRONMENT, ...environment });
  return { notifier: notifier!, failures };
}

Deno.test("openSystemd is undefined where nobody waits for messages", () => {
  for (const socket of [undefined, ""]) {
    assertEquals(open({ socket }).notifier, undefined);
  }
});

Deno.test({
  name:
    "SystemdNotifier sends that the service is ready, lives and stops, in this order",
  ignore: isWindows,
  fn: () =>
    withCommand("", async ({ open, readMessages }) => {
      const { notifier, failures } = open();
      notifier.onStarted();
      // a restart
      notifier.onStarted();
      await notifier.end();
      notifier.onProgress();
      await notifier.end();
      assertEquals(await readMessages(), [
        "READY=1",
        "STOPPING=1",
        "WATCHDOG=1",
        "STOPPING=1",
      ]);
      assertEquals(failures, []);
    }),
});

Deno.test({
  name:
    "SystemdNotifier sends signs of life four times a watchdog's time at most, whatever the clock does",
  ignore: isWindows,
  fn: () =>
    withCommand("", async ({ open, readMessages }) => {
      using time = new FakeTime();
      using clock = skewClock(time);
      const { notifier } = open();
      for (const ahead of [0, 0, 999, 1_000, -5_000]) {
        clock.ahead = ahead;
        notifier.onProgress();
        // while that is on its way
        notifier.onProgress();
        await notifier.end();
      }
      const beats = (await readMessages()).filter((text) =>
        text === "WATCHDOG=1"
      );
      assertEquals(beats.length, 3);
    }),
});

const NO_WATCHDOG: Record<string, Partial<SystemdEnvironment>> = {
  "is not set": { watchdogUsec: undefined },
  "is zero": { watchdogUsec: "0" },
  "is no number": { watchdogUsec: "1s" },
  "is no number either": { watchdogUsec: "s1" },
  "is for another process": { watchdogPid: "1234567890" },
};

for (const [when, environment] of Object.entries(NO_WATCHDOG)) {
  Deno.test({
    name: `SystemdNotifier sends no signs of life when the watchdog ${when}`,
    ignore: isWindows,
    fn: () =>
      withCommand("", async ({ open, readMessages }) => {
        const { notifier } = open(environment);
        notifier.onProgress();
        await notifier.end();
        assertEquals(await readMessages(), ["STOPPING=1"]);
      }),
  });
}

Deno.test({
  name:
    "SystemdNotifier sends signs of life when the watchdog is for this process",
  ignore: isWindows,
  fn: () =>
    withCommand("", async ({ open, readMessages }) => {
      const { notifier } = open({ watchdogPid: `${Deno.pid}` });
      notifier.onProgress();
      await notifier.end();
      assertEquals(await readMessages(), ["WATCHDOG=1", "STOPPING=1"]);
    }),
});

Deno.test({
  name: "SystemdNotifier reports a failure once, and says why",
  ignore: isWindows,
  async fn() {
    const scripts = [
      ["echo no socket >&2; exit 1", "no socket"],
      ["exit 3", "systemd-notify ended with exit code 3"],
    ] as const;
    for (const [script, why] of scripts) {
      await withCommand(script, async ({ open }) => {
        const { notifier, failures } = open();
        notifier.onStarted();
        await notifier.end();
        assertEquals(failures, [`cannot notify systemd: ${why}`]);
      });
    }
  },
});

Deno.test({
  name: "SystemdNotifier reports the next failure only after a success",
  ignore: isWindows,
  fn: () =>
    withCommand("test -f ok", async ({ folder, open }) => {
      const { notifier, failures } = open();
      for (const [isOk, count] of [[0, 1], [0, 1], [1, 1], [0, 2]]) {
        if (isOk) await Deno.writeTextFile(`${folder}/ok`, "");
        await notifier.end();
        assertEquals(failures.length, count);
        if (isOk) await Deno.remove(`${folder}/ok`);
      }
    }),
});

Deno.test({
  name: "SystemdNotifier waits for all messages together when they hang",
  ignore: isWindows,
  fn: () =>
    withCommand("exec sleep 60", async ({ open, readMessages }) => {
      using time = new FakeTime();
      const { notifier, failures } = open();
      notifier.onStarted();
      const ended = notifier.end();
      // no timer runs, so each look takes its time
      while (!(await readMessages().catch(() => []))[0]);
      // the time of one message
      time.tick(5_000);
      await ended;
      assertEquals(await readMessages(), ["READY=1"]);
      assertEquals(failures, [
        "cannot notify systemd: systemd-notify takes too long",
      ]);
    }),
});

Deno.test({
  name: "SystemdNotifier does not wait for what a systemd-notify leaves behind",
  ignore: isWindows,
  fn: () =>
    withCommand(
      "(sleep 5; touch over) & wait",
      async ({ folder, open, readMessages }) => {
        using time = new FakeTime();
        const { notifier, failures } = open();
        const ended = notifier.end();
        // no timer runs, so each look takes its time
        while (!(await readMessages().catch(() => []))[0]);
        time.tick(5_000);
        await ended;
        assertEquals(failures.length, 1);
        // it still has the pipe that the reason of a failure comes from
        await assertRejects(() => Deno.stat(`${folder}/over`));
      },
    ),
});

Deno.test({
  name:
    "SystemdNotifier takes a message as sent although systemd-notify leaves a process behind",
  ignore: isWindows,
  fn: () =>
    // it has the pipe that the reason of a failure comes from
    withCommand("sleep 60 & echo $! >> left", async (command) => {
      const { folder, open, readMessages } = command;
      const { notifier, failures } = open();
      notifier.onStarted();
      await notifier.end();
      assertEquals(await readMessages(), ["READY=1", "STOPPING=1"]);
      assertEquals(failures, []);
      const left = (await Deno.readTextFile(`${folder}/left`)).trim();
      for (const id of left.split("\n")) Deno.kill(Number(id), "SIGKILL");
    }),
});

Deno.test({
  name:
    "SystemdNotifier says why a systemd-notify failed that leaves a process behind",
  ignore: isWindows,
  fn: () =>
    withCommand(
      "sleep 60 & echo $! > left; echo no socket >&2; exit 1",
      async ({ folder, open }) => {
        const { notifier, failures } = open();
        await notifier.end();
        assertEquals(failures, ["cannot notify systemd: no socket"]);
        const id = Number(await Deno.readTextFile(`${folder}/left`));
        Deno.kill(id, "SIGKILL");
      },
    ),
});

Deno.test({
  name: "SystemdNotifier reports that there is no systemd-notify",
  ignore: isWindows,
  async fn() {
    const { notifier, failures } = open({}, "/nowhere/systemd-notify");
    await notifier.end();
    assertEquals(failures.length, 1);
    assertMatch(failures[0]!, /^cannot notify systemd: .*systemd-notify/);
  },
});

Deno.test({
  name: "openSystemd reads what systemd has set",
  ignore: isWindows,
  fn: () =>
    withCommand("", async ({ folder, readMessages }) => {
      const variables = new Map([
        ["NOTIFY_SOCKET", "/run/systemd/notify"],
        ["WATCHDOG_USEC", "1000000"],
        ["WATCHDOG_PID", `${Deno.pid}`],
      ]);
      const command = `${folder}/systemd-notify`;
      const options = { onFailure() {}, command };
      const read = () => readEnvironment((name) => variables.get(name));
      assertEquals(openSystemd(options), undefined);
      const notifier = openSystemd(options, read())!;
      notifier.onProgress();
      await notifier.end();
      variables.set("WATCHDOG_PID", "1234567890");
      const other = openSystemd(options, read())!;
      other.onProgress();
      await other.end();
      const messages = await readMessages();
      assertEquals(messages, ["WATCHDOG=1", "STOPPING=1", "STOPPING=1"]);
    }),
});

async function hasSystemdNotify() {
  try {
    const args = ["--version"];
    return (await new Deno.Command("systemd-notify", { args }).output())
      .success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "SystemdNotifier is understood by a socket of systemd's",
  ignore: !await hasSystemdNotify(),
  fn: () =>
    withTempDir(async (folder) => {
      const path = `${folder}/socket`;
      const receiver = `
        const socket = Deno.listenDatagram({ transport: "unixpacket", path: "${path}" });
        let isStopping = false;
        for await (const [bytes] of socket) {
          const text = new TextDecoder().decode(bytes);
          // the sender waits for the barrier behind its message, if it knows one
          if (text.includes("BARRIER")) {
            if (isStopping) Deno.exit();
            continue;
          }
          console.log(text.trim());
          isStopping = text.includes("STOPPING");
          if (isStopping) setTimeout(Deno.exit, 2_000);
        }`;
      const run = (code: string, flags: string[] = []) =>
        new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "-A",
            "--no-check",
            ...flags,
            ...NPM_FLAGS,
            toUrl(code),
          ],
          env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "1000000" },
        }).output();
      const received = run(receiver, ["--unstable-net"]);
      const exists = () => Deno.lstat(path).then(() => true, () => false);
      await waitUntil(exists, "a socket");
      const sender = `
        import { openSystemd } from "${new URL(
        "../_cli_systemd.ts",
        import.meta.url,
      )}";
        const notifier = openSystemd({ onFailure: console.log });
        notifier.onStarted();
        await notifier.end();`;
      const { stdout: failures } = await run(sender);
      assertEquals(new TextDecoder().decode(failures), "");
      const { stdout } = await received;
      const text = new TextDecoder().decode(stdout);
      assertMatch(text, /^READY=1\nSTOPPING=1\n/);
    }),
});

function toUrl(code: string) {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}
