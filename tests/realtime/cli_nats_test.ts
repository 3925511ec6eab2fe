// Copyright 2026 the heartbeat authors. MIT license.

// The command line on both sides of a real broker: a command whose heartbeats are
// published, and the watcher of a fleet.

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  forEachRow,
  HANG,
  parseLines,
  runCli,
  startCli,
} from "../_cli_process.ts";
import { waitUntil } from "../_help.ts";
import {
  Broker,
  Link,
  separateSight,
  startExample,
  testWithBroker,
  users,
} from "../_nats.ts";
import { Talker } from "../_talker.ts";

/** Prints something every 50 ms, `count` times. */
const talk = (count: number, more = "") => [
  "--",
  "sh",
  "-c",
  `for i in $(seq ${count}); do echo line $i; sleep 0.05; done; ${more}`,
];

const guard = ({ servers }: Broker, name: string) => [
  `--nats=${servers}`,
  `--name=${name}`,
  // a heartbeat every 150 ms
  "--timeout=3s",
];

interface Published {
  worker: string;
  seq: number;
  ended?: string;
  detail?: { line: string; code?: number };
}

/** Collects what is published to the broker. */
async function listen(broker: Broker) {
  const connection = await broker.connect();
  const published: Published[] = [];
  const subjects = new Set<string>();
  connection.subscribe("heartbeats.>", {
    callback(error, message) {
      if (error) throw error;
      subjects.add(message.subject);
      published.push(message.json());
    },
  });
  await connection.flush();
  return { connection, published, subjects };
}

testWithBroker(
  "a guarded command publishes its heartbeats, its last line and how it ended",
  async () => {
    await using broker = await Broker.start();
    const { connection, published, subjects } = await listen(broker);
    await forEachRow([
      ["alpha", "", 0, "done"],
      ["beta", "exit 7", 7, "failed"],
      ["gamma", "exec sleep 50", 124, "failed"],
    ], async ([name, more, expected, ended]) => {
      await using talker = new Talker();
      const args = guard(broker, `${name}`);
      const cli = startCli([...args, ...talker.command(`${more}`)]);
      const beats = () => published.filter(({ worker }) => worker === name);
      await waitUntil(() => beats().length > 5, "it beats meanwhile");
      talker.end();
      const { code, stdout } = await cli.ended;
      assertEquals(code, expected);
      await waitUntil(() => beats().at(-1)?.ended !== undefined, "its end");
      const all = beats();
      const line = stdout.trimEnd().split("\n").at(-1)!;
      assertEquals(all.at(-1)!.ended, ended);
      assertEquals(all.at(-1)!.detail, { line, code: expected as number });
      assert(all.every(({ seq }, i) => i === 0 || seq > all[i - 1]!.seq));
      const lines = new Set(all.map(({ detail }) => detail!.line));
      assert(lines.size > 2, "the last line of each moment");
    });
    assertEquals([...subjects].sort(), [
      ...["heartbeats.alpha", "heartbeats.beta", "heartbeats.gamma"],
    ]);
    await connection.close();
  },
);

testWithBroker(
  "a guarded command that is ended by a signal says goodbye",
  async () => {
    await using broker = await Broker.start();
    const { connection, published } = await listen(broker);
    const cli = startCli([...guard(broker, "alpha"), ...talk(1_000)]);
    await waitUntil(() => published.length > 0);
    cli.kill("SIGTERM");
    assertEquals((await cli.ended).code, 143);
    await waitUntil(() => published.at(-1)!.ended !== undefined, "its end");
    assertEquals(published.at(-1)?.ended, "done");
    assertEquals(published.at(-1)?.detail?.code, 143);
    await connection.close();
  },
);

testWithBroker("a guarded command does not need the broker", async () => {
  await using broker = await Broker.start();
  await broker.stop();
  const begin = performance.now();
  const { code, stdout, stderr } = await runCli(
    [...guard(broker, "alpha"), ...talk(1, "exit 3")],
  );
  assertEquals([code, stdout, stderr], [3, "line 1\n", ""]);
  assert(performance.now() - begin < HANG / 4, "it waited for the broker");

  // it comes, goes and comes back
  const quiet = "--timeout=5s"; // a machine that is slow is no silence
  const cli = startCli([...guard(broker, "beta"), quiet, ...talk(10_000)]);
  await cli.waitFor("stdout", "line 3\n");
  for (let life = 0; life < 2; life++) {
    await broker.start();
    const { connection, published } = await listen(broker);
    await waitUntil(() => published.some(({ worker }) => worker === "beta"));
    await connection.close();
    await broker.stop();
  }
  cli.kill("SIGINT");
  const ended = await cli.ended;
  assertEquals([ended.code, ended.stderr], [130, ""]);
});

testWithBroker(
  "a guarded command goes on if the broker refuses it, and no password is shown",
  async () => {
    await using broker = await Broker.start(users("alpha", "secret"));
    await using talker = new Talker();
    const args = ["--name=alpha", "--json", ...talker.command()];
    const { servers } = broker;
    const credentials = { NATS_USER: "alpha", NATS_PASSWORD: "wrong-secret" };
    const runs = [
      startCli([`--nats=alpha:wrong-secret@${servers}`, ...args]),
      startCli([`--nats=${servers}`, ...args], { env: credentials }),
      startCli([`--nats=${servers}`, ...args]),
    ];
    for (const run of runs) await run.waitFor("stderr", "unpublished");
    talker.end();
    for (const { ended } of runs) {
      const { code, stderr } = await ended;
      assertEquals(code, 0);
      const [{ type, server, message }] = parseLines(stderr);
      assertEquals([type, server], ["unpublished", `nats://${servers}`]);
      assertMatch(message, /Authorization Violation/i);
      assert(!stderr.includes("secret"), stderr);
    }
    const right = { ...credentials, NATS_PASSWORD: "secret" };
    const { stderr } = await runCli(
      [`--nats=${servers}`, "--name=alpha", ...talk(40)],
      { env: right },
    );
    assertEquals(stderr, "");
  },
);

testWithBroker(
  "heartbeat fleet prints who is up, down and blind, and runs a command for each",
  async () => {
    await using broker = await Broker.start();
    const connection = await broker.connect();
    const publish = (subject: string, worker: string) =>
      connection.publish(subject, JSON.stringify({ worker, seq: 1, time: 0 }));
    const exec = 'echo "$HEARTBEAT_TYPE <$HEARTBEAT_WORKER> $HEARTBEAT_EVENT"';
    const fleet = startCli([
      ...["fleet", `--nats=${broker.servers}`, "--timeout=1s", "--json"],
      ...["--exec", exec],
    ], { allowRun: true });
    await fleet.waitFor("stdout", "watching");
    publish("heartbeats.alpha", "alpha");
    publish("heartbeats.odd", "not the name");
    publish("heartbeats.\x1b[31m\u202e", "\x1b[31m\u202e");
    await fleet.waitFor("stderr", "down <alpha>");
    await fleet.waitFor("stderr", "down <\x1b");
    const events = () => {
      const text = fleet.text("stdout");
      return parseLines(text.slice(0, text.lastIndexOf("\n")))
        .map(({ type, worker }) => `${type} ${worker ?? ""}`.trim());
    };
    const waitForSight = (sight: string) =>
      waitUntil(() => separateSight(events()).sight === sight, sight);
    await broker.stop();
    await waitForSight("blind");
    await fleet.waitFor("stderr", "blind <>");
    await broker.start();
    await waitForSight("sees");
    fleet.kill("SIGINT");
    const { code, stdout, stderr } = await fleet.ended;
    assertEquals(code, 130);
    for (const raw of ["\x1b", "\u202e"]) assert(!stdout.includes(raw), stdout);
    const lines = parseLines(stdout);
    const types = (worker: string) =>
      lines.filter((line) => line.worker === worker).map(({ type }) => type);
    assertEquals(types("alpha"), ["up", "down"]);
    assertEquals(types("\x1b[31m\u202e"), ["up", "down"]);
    assertEquals(
      lines.filter(({ type }) => !/^(up|down|blind|sees)$/.test(type))
        .map(({ type }) => type),
      ["watching", "malformed"],
    );
    const [, up] = /^up <alpha> (\{.*\})$/m.exec(stderr)!;
    assertEquals(JSON.parse(up!).worker, "alpha");
    assertMatch(stderr, /^blind <> \{.*\}$/m);
    await connection.close();
  },
);

testWithBroker(
  "heartbeat fleet and the example watch once they say so, however slow the link is",
  async () => {
    await using broker = await Broker.start();
    using link = new Link(broker);
    link.latency = 300;
    const connection = await broker.connect();
    const beat = JSON.stringify({ worker: "alpha", seq: 1, time: 0 });
    const fleet = startCli(["fleet", `--nats=${link.servers}`, "--json"]);
    await fleet.waitFor("stdout", "watching");
    connection.publish("heartbeats.alpha", beat);
    await fleet.waitFor("stdout", '"up"');
    fleet.kill("SIGINT");
    await fleet.ended;
    await using example = startExample("watcher", [
      ...["--server", link.servers, "--json"],
    ]);
    await waitUntil(() => example.lines.length > 0);
    connection.publish("heartbeats.alpha", beat);
    await waitUntil(() => example.lines.some((line) => line.includes('"up"')));
    await connection.close();
  },
);

testWithBroker(
  "heartbeat fleet prints that a guarded command left as planned, or failed",
  async () => {
    await using broker = await Broker.start();
    for (const flags of [["--json"], []]) {
      const fleet = startCli([
        ...["fleet", `--nats=${broker.servers}`, "--timeout=20s", ...flags],
      ]);
      await fleet.waitFor("stdout", "watching");
      await forEachRow([["alpha", ""], ["beta", "exit 7"]], async (
        [name, more],
      ) => {
        await using talker = new Talker();
        const args = guard(broker, `${name}`);
        const { ended } = startCli([...args, ...talker.command(more)]);
        await fleet.waitFor("stdout", `${name}`);
        talker.end();
        await ended;
      });
      await fleet.waitFor("stdout", "left");
      await fleet.waitFor("stdout", "down");
      fleet.kill("SIGINT");
      const { stdout } = await fleet.ended;
      if (flags.length === 0) {
        assertMatch(stdout, / left {7}alpha {2}\(as planned\)\n/);
        assertMatch(stdout, / down {7}beta {2}\(failed with exit code 7\)\n/);
        continue;
      }
      const seen = parseLines(stdout).filter(({ worker }) => worker)
        .map(({ type, worker, reason }) => [worker, type, reason]);
      assertEquals(seen.filter(([, type]) => type !== "up").sort(), [
        ["alpha", "left", undefined],
        ["beta", "down", "failed"],
      ]);
    }
  },
);

testWithBroker(
  "heartbeat fleet exits with 125 where it cannot connect, and shows no password",
  async () => {
    await using broker = await Broker.start(users("watcher", "secret"));
    const { servers } = broker;
    const wrong = [`--nats=watcher:wrong-secret@${servers}`];
    const refused = await runCli(["fleet", ...wrong]);
    await broker.stop();
    const absent = await runCli(["fleet", ...wrong]);
    for (const { code, stdout, stderr } of [refused, absent]) {
      assertEquals([code, stdout], [125, ""]);
      const expected = `heartbeat: cannot connect to nats://${servers}: `;
      assert(stderr.startsWith(expected), stderr);
      assert(!stderr.includes("secret"), stderr);
    }
  },
);

testWithBroker(
  "the command line says what it needs to reach a server, and asks nobody",
  async () => {
    await using broker = await Broker.start();
    const nats = `--nats=${broker.servers}`;
    const server = `nats://${broker.servers}`;
    const guard = [nats, "--name=alpha", "--", "sh", "-c", "exit 3"];
    const exec = await runCli(["fleet", nats, "--exec=true"]);
    assertEquals([exec.code, exec.stderr], [
      ...[125, "heartbeat: cannot run --exec: it needs --allow-run\n"],
    ]);
    await forEachRow(
      [
        [guard, "publish heartbeats to", "--allow-net", 3, false],
        [["fleet", nats], "connect to", "--allow-net", 125, false],
        [
          ["fleet", nats, "--creds=/x"],
          "connect to",
          "--allow-read",
          125,
          true,
        ],
        [
          ["fleet", nats, "--tls-ca=/x"],
          "connect to",
          "--allow-read",
          125,
          true,
        ],
      ] as const,
      async ([args, what, flag, expected, allowNet]) => {
        const { code, stderr } = await runCli([...args], { allowNet });
        assertEquals(code, expected);
        assertEquals(
          stderr,
          `heartbeat: cannot ${what} ${server}: it needs ${flag}\n`,
        );
      },
    );
  },
);

testWithBroker(
  "heartbeat fleet runs the commands for all events before it ends",
  async () => {
    await using broker = await Broker.start();
    const connection = await broker.connect();
    const fleet = startCli([
      ...["fleet", `--nats=${broker.servers}`, "--json", "--timeout=1m"],
      ...["--exec", 'sleep 0.3; echo "ran for $HEARTBEAT_WORKER"'],
    ], { allowRun: true });
    await fleet.waitFor("stdout", "watching");
    const names = ["alpha", "beta", "gamma"];
    for (const worker of names) {
      const beat = { worker, seq: 1, time: 0 };
      connection.publish(`heartbeats.${worker}`, JSON.stringify(beat));
    }
    await fleet.waitFor("stdout", '"worker":"gamma"');
    fleet.kill("SIGTERM");
    const { code, stderr } = await fleet.ended;
    const expected = names.map((name) => `ran for ${name}\n`).join("");
    // a busy broker may make it blind for a moment: that is an event, too
    const ran = stderr.replaceAll("ran for \n", "");
    assertEquals([code, ran], [143, expected]);
    await connection.close();
  },
);
