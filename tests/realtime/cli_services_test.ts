// Copyright 2026 the heartbeat authors. MIT license.

// The services that the command line informs about what it guards.

import { assert, assertEquals } from "@std/assert";
import {
  forEachRow,
  runCli,
  startCli,
  testSideBySide,
} from "../_cli_process.ts";
import { withTempDir } from "../_command.ts";
import { waitUntil } from "../_help.ts";

/** A dead man's switch that keeps what it was asked for, by its run. */
function servePings(
  respond: () => Response | Promise<Response> = () => new Response("OK"),
) {
  const paths: string[] = [];
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const server = Deno.serve(options, ({ url }) => {
    paths.push(new URL(url).pathname);
    return respond();
  });
  return {
    paths,
    url: `http://127.0.0.1:${server.addr.port}/ping`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const shell = (script: string) => ["--", "sh", "-c", script];

testSideBySide("services", {
  async "--ping reports the start and the exit code"() {
    const input = new TextEncoder().encode("line\n");
    await forEachRow([
      [shell("echo 1"), 0],
      [shell("echo 1; exit 7"), 7],
      [["--timeout=1s", ...shell("echo 1; exec sleep 50")], 124],
      [["--runtime=1s", ...shell("echo 1; exec sleep 50")], 124],
      [["-"], 0],
    ] as [string[], number][], async ([args, expected]) => {
      await using service = servePings();
      const cli = [`--ping=${service.url}`, ...args];
      const { code, stderr } = await runCli(cli, { input });
      assertEquals(code, expected, stderr);
      // none for progress while the first one is on its way
      const paths = service.paths.filter((path) => path !== "/ping");
      assertEquals(paths, ["/ping/start", `/ping/${expected}`]);
    });
  },

  async "--ping pings again while signs of life come, and once for a signal"() {
    await using service = servePings();
    const cli = startCli([
      ...[`--ping=${service.url}`, "--ping-every=100ms"],
      ...shell("while :; do echo; sleep 0.05; done"),
    ]);
    const pings = () => service.paths.filter((path) => path === "/ping").length;
    await waitUntil(() => pings() >= 3, "it pings meanwhile");
    cli.kill("SIGTERM");
    assertEquals((await cli.ended).code, 143);
    assertEquals(service.paths.at(-1), "/ping/143");
  },

  async "--ping never changes the exit code of a command that has ended"() {
    // it answers once the test is over
    const over = Promise.withResolvers<void>();
    await using service = servePings(async () => {
      await over.promise;
      return new Response("OK");
    });
    using _ = { [Symbol.dispose]: over.resolve };
    await forEachRow([undefined, "SIGTERM"] as const, async (signal) => {
      const limit = signal ? "30s" : "2s";
      const cli = startCli([
        ...["--summary", `--ping=${service.url}`, `--runtime=${limit}`],
        ...shell("exit 3"),
      ]);
      await cli.waitFor("stderr", "exit code 3");
      if (signal) cli.kill(signal);
      const { code, stderr } = await cli.ended;
      assertEquals(code, 3, stderr);
      assert(!stderr.includes("runtime"), stderr);
    });
  },

  async "--ping never fails the command, and prints no URL"() {
    await using service = servePings(() => new Response("", { status: 500 }));
    await forEachRow([
      [service.url, "the answer was 500"],
      // nothing listens there
      ["http://127.0.0.1:1/ping", "Requests to port 1 are blocked"],
      ["http://192.0.2.1/ping", "it needs --allow-net"],
    ], async ([url, why]) => {
      const { code, stdout, stderr } = await runCli(
        [`--ping=${url}`, ...shell("echo 1")],
      );
      const { host } = new URL(`${url}`);
      assertEquals([code, stdout, stderr], [
        0,
        "1\n",
        `heartbeat: cannot ping ${host}: ${why}\n`,
      ]);
    });
  },

  "heartbeat check finds a command that hangs, and that it goes on"() {
    return withTempDir(async (folder) => {
      // each attempt beats until it is to hang; then it is down until it is killed,
      // 5 s after its verdict, and those that follow hang until they are not to
      const beat = "while [ ! -e hang ]; do echo; sleep 0.1; done";
      const hang = "while :; do sleep 1; done";
      const cli = startCli([
        ...["--json", "--health=0", "--runtime=2m", "--timeout=2s"],
        ...["--retries=50", "--backoff=100ms"],
        ...shell(`cd ${folder}; trap '' TERM; ${beat}; ${hang}`),
      ]);
      let hasEnded = false;
      cli.ended.then(() => hasEnded = true);
      await cli.waitFor("stderr", '/"}');
      const [, url] = /"url":"(.*?)"/.exec(cli.text("stderr"))!;
      const waitForCode = async (expected: number) => {
        for (;;) {
          const { code } = await runCli(["check", "--quiet", `${url}livez`]);
          assert(!hasEnded && code < 2, `${code}: ${cli.text("stderr")}`);
          if (code === expected) return;
        }
      };
      await waitForCode(0);
      await Deno.writeTextFile(`${folder}/hang`, "");
      await waitForCode(1);
      await Deno.remove(`${folder}/hang`);
      await waitForCode(0);
      cli.kill("SIGTERM");
      await cli.ended;
    });
  },

  "reports to systemd that it is ready, lives and stops"() {
    return withTempDir(async (folder) => {
      const notify = `#!/bin/sh\necho "$@" >> ${folder}/log\n`;
      const path = `${folder}/systemd-notify`;
      await Deno.writeTextFile(path, notify, { mode: 0o755 });
      const env = {
        NOTIFY_SOCKET: "/run/systemd/notify",
        WATCHDOG_USEC: "2000000",
        PATH: `${folder}:${Deno.env.get("PATH")}`,
      };
      const { code, stderr } = await runCli(
        [
          "--timeout=30s",
          ...shell("sleep 1; echo 1; sleep 1; echo 2; sleep 2"),
        ],
        { env },
      );
      assertEquals([code, stderr], [0, ""]);
      const log = await Deno.readTextFile(`${folder}/log`);
      const messages = log.trim().split("\n");
      assertEquals([messages.shift(), messages.pop()], [
        "READY=1",
        "STOPPING=1",
      ]);
      // nothing while it is silent
      assert(messages.length === 1 || messages.length === 2, log);
      assert(messages.every((message) => message === "WATCHDOG=1"), log);
    });
  },
});
