// Copyright 2026 the heartbeat authors. MIT license.

// `heartbeat fleet`, and what can happen to its broker and to the link between
// them: nobody alive is reported down, and it says what happens.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import type { NatsConnection } from "npm:@nats-io/transport-node@3.4.0";
import {
  type CliOptions,
  parseLines,
  runSideBySide,
  startCli,
} from "../_cli_process.ts";
import { waitUntil } from "../_help.ts";
import {
  Broker,
  freePort,
  Link,
  separateSight,
  startCluster,
  testWithBroker as test,
  users,
} from "../_nats.ts";
import { Talker } from "../_talker.ts";

const TIMEOUT = 2_000;

/** A worker that beats every 200 ms, until it is stopped. */
function startWorker(connection: NatsConnection, worker: string) {
  let seq = 0;
  const timer = setInterval(() => {
    const beat = { worker, seq: ++seq, time: Date.now() };
    connection.publish(`heartbeats.${worker}`, JSON.stringify(beat));
  }, 200);
  return { stop: () => clearInterval(timer) };
}

/** The watcher, and what it prints. */
async function startFleet(
  servers: string,
  options: CliOptions = {},
  timeout = TIMEOUT,
  more: string[] = [],
) {
  const limit = `--timeout=${timeout}ms`;
  const args = [`--nats=${servers}`, limit, "--json", ...more];
  const cli = startCli(["fleet", ...args], options);
  await cli.waitFor("stdout", "watching");
  const lines = () => {
    const text = cli.text("stdout");
    return parseLines(text.slice(0, text.lastIndexOf("\n")));
  };
  /** The events as `type` or `type worker`. */
  const seen = (): string[] =>
    lines().slice(1).map(({ type, worker }) =>
      worker === undefined ? type : `${type} ${worker}`
    );
  return {
    cli,
    lines,
    seen,
    waitFor: (type: string) => cli.waitFor("stdout", `{"type":"${type}"`),
    /** Waits until it is blind, or sees. */
    waitForSight: (sight: "blind" | "sees") =>
      waitUntil(() => separateSight(seen()).sight === sight, `it is ${sight}`),
    async [Symbol.asyncDispose]() {
      cli.kill("SIGKILL");
      await cli.ended;
    },
  };
}

type Fleet = Awaited<ReturnType<typeof startFleet>>;

/** The watcher has reported nobody since alpha was up, and is still awake. */
async function assertAwake(
  fleet: Fleet,
  alpha: { stop(): void },
  timeout = TIMEOUT,
) {
  // what is not to come would come now
  await delay(1.2 * timeout);
  assertEquals(separateSight(fleet.seen()).others, ["up alpha"]);
  alpha.stop();
  await fleet.waitFor("down");
  const { others } = separateSight(fleet.seen());
  assertEquals(others, ["up alpha", "down alpha"]);
}

/** A fault of the broker while alpha beats, from which the watcher recovers. */
async function seeFault(
  fault: (broker: Broker, fleet: Fleet) => Promise<void>,
) {
  await using broker = await Broker.start();
  const connection = await broker.connect();
  const alpha = startWorker(connection, "alpha");
  {
    await using fleet = await startFleet(broker.servers);
    await fleet.waitFor("up");
    await fault(broker, fleet);
    await fleet.waitForSight("sees");
    await assertAwake(fleet, alpha);
  }
  await connection.close();
}

async function killBroker(broker: Broker, fleet: Fleet) {
  await broker.stop();
  await fleet.waitForSight("blind");
  await delay(1.5 * TIMEOUT);
  await broker.start();
}

async function stopBroker(broker: Broker, fleet: Fleet) {
  broker.signal("SIGSTOP");
  await fleet.waitForSight("blind");
  await delay(10_000);
  broker.signal("SIGCONT");
}

/** The link loses all bytes and closes nothing: blind within one timeout. */
async function cutLink() {
  const timeout = 2 * TIMEOUT;
  await using broker = await Broker.start();
  using link = new Link(broker);
  const connection = await broker.connect();
  const alpha = startWorker(connection, "alpha");
  {
    await using fleet = await startFleet(link.servers, {}, timeout);
    await fleet.waitFor("up");
    link.cut();
    const cutAt = Date.now();
    await fleet.waitForSight("blind");
    const timeOf = (event: string) =>
      fleet.lines().findLast(({ type }) => type === event).time;
    assert(timeOf("blind") - cutAt < timeout, "it is blind too late");
    await delay(1.2 * timeout);
    link.mend();
    const mendedAt = Date.now();
    await fleet.waitForSight("sees");
    // an attempt to connect over the link that was cut takes 5 s
    assert(timeOf("sees") - mendedAt < 12_000, "it sees too late");
    await assertAwake(fleet, alpha, timeout);
  }
  await connection.close();
}

/** All workers are silent at once: a switch is lost, not all of them. */
async function silenceAll() {
  await using broker = await Broker.start();
  const connection = await broker.connect();
  const names = Array.from({ length: 12 }, (_, i) => `w-${i}`);
  const startAll = () => names.map((name) => startWorker(connection, name));
  let workers = startAll();
  {
    const never = ["--blind-above=none"];
    await using doubtful = await startFleet(broker.servers);
    await using sure = await startFleet(broker.servers, {}, TIMEOUT, never);
    const count = (fleet: Fleet, type: string) =>
      fleet.seen().filter((event) => event.startsWith(type)).length;
    const isAll = (type: string) => count(sure, type) === names.length;
    // a broker that answers late makes them blind, too, but not by the share
    const findDoubt = (fleet: Fleet) =>
      fleet.lines().find(({ reason }) => reason === "share");
    await waitUntil(() => isAll("up") && count(doubtful, "up") === 12);
    for (const worker of workers) worker.stop();
    await waitUntil(() => isAll("down"), "all are down");
    await waitUntil(() => findDoubt(doubtful), "too many are silent");
    workers = startAll();
    const lastSight = () => doubtful.seen().findLast((it) => !/ /.test(it));
    await waitUntil(() => lastSight() === "sees", "it sees again");
    await delay(1.2 * TIMEOUT);
    const events = doubtful.seen().filter((it) => / /.test(it)).sort();
    assertEquals(events, names.map((name) => `up ${name}`).sort());
    assertEquals(findDoubt(doubtful).watched, 12);
    assertEquals(findDoubt(sure), undefined);
  }
  for (const worker of workers) worker.stop();
  await connection.close();
}

/** The configuration of a broker whose user may or may not use `heartbeats.*`. */
function permit(operation: string, isAllowed: boolean) {
  const rule = isAllowed ? `">"` : `{ deny: "heartbeats.>" }`;
  return `authorization { users = [
    { user: "alpha", password: "a", permissions: { ${operation}: ${rule} } }
  ] }`;
}

const LOGIN = { env: { NATS_USER: "alpha", NATS_PASSWORD: "a" } };

/** Nothing can be heard any more, so the watcher ends. */
async function forbidWatcher() {
  await using broker = await Broker.start(permit("subscribe", true));
  await using fleet = await startFleet(broker.servers, LOGIN);
  broker.reload(permit("subscribe", false));
  const { code, stderr } = await fleet.cli.ended;
  assertEquals([code, separateSight(fleet.seen()).others], [125, []]);
  const [{ message }] = parseLines(stderr);
  assertMatch(message, /^lost nats:\/\/\S+ for good: .*permission/i);
}

/** Nothing can be published any more, and the command ends as ever. */
async function forbidWorker() {
  await using broker = await Broker.start(permit("publish", true));
  await using talker = new Talker();
  const cli = startCli([
    ...[`--nats=${broker.servers}`, "--name=beta", "--timeout=2s"],
    ...talker.command(),
  ], LOGIN);
  const watcher = await broker.connect({ user: "alpha", pass: "a" });
  let count = 0;
  watcher.subscribe("heartbeats.beta", { callback: () => void count++ });
  await waitUntil(() => count > 2, "it publishes");
  broker.reload(permit("publish", false));
  await cli.waitFor("stderr", "cannot publish heartbeats");
  const lines = cli.text("stdout").length;
  await waitUntil(() => cli.text("stdout").length > lines, "it goes on");
  talker.end();
  const { code, stderr } = await cli.ended;
  assertEquals(code, 0);
  assertMatch(stderr, /^heartbeat: cannot publish .*permission.*\n$/i);
  await watcher.close();
}

/** Waits until each broker of a cluster is known to the clients of this one. */
async function waitForCluster(connection: NatsConnection) {
  const count = () => connection.info?.connect_urls?.length ?? 0;
  await waitUntil(() => count() === 3, "the cluster is complete");
}

/** The broker of the watcher and of alpha ends for good. */
async function killClusterNode() {
  await using cluster = await startCluster();
  const [first, second] = cluster.brokers;
  const near = await first!.connect();
  const far = await second!.connect();
  await waitForCluster(near);
  const alpha = startWorker(near, "alpha");
  const beta = startWorker(far, "beta");
  {
    // the first one of the list is not there
    const servers = `127.0.0.1:${freePort()},${first!.servers}`;
    await using fleet = await startFleet(servers);
    const others = () => separateSight(fleet.seen()).others.sort();
    await waitUntil(() => others().length === 2, "both are up");
    await first!.stop();
    await delay(2 * TIMEOUT);
    // it is perhaps so fast that it was never blind
    const isBlind = () => separateSight(fleet.seen()).sight === "blind";
    await waitUntil(() => !isBlind(), "it sees by another broker");
    assertEquals(others(), ["up alpha", "up beta"]);
    alpha.stop();
    await fleet.waitFor("down");
    assertEquals(others(), ["down alpha", "up alpha", "up beta"]);
  }
  beta.stop();
  await Promise.all([near.close(), far.close()]);
}

test("heartbeat fleet reports no living worker, whatever happens to the broker", (t) =>
  runSideBySide(t, {
    "it is killed, and starts again": () => seeFault(killBroker),
    "it is stopped without a word": () => seeFault(stopBroker),
    "the link to it loses all bytes": cutLink,
    "one of a cluster is killed": killClusterNode,
    "all workers are silent at once": silenceAll,
    "it no longer permits to subscribe": forbidWatcher,
    "it no longer permits to publish": forbidWorker,
  }));

test("a guarded command publishes over a broker with a small max_payload, without its details", async () => {
  // enough for a heartbeat, and for a line that is empty
  await using broker = await Broker.start("max_payload: 72");
  const connection = await broker.connect();
  const published: { ended?: string; detail?: { line: string } }[] = [];
  connection.subscribe("heartbeats.alpha", {
    callback: (_, message) => void published.push(message.json()),
  });
  await connection.flush();
  await using talker = new Talker();
  const cli = startCli([
    ...[`--nats=${broker.servers}`, "--name=alpha", "--timeout=2s"],
    ...talker.command(),
  ]);
  await waitUntil(() => published.length > 5, "it beats");
  talker.end();
  const { code, stderr } = await cli.ended;
  assertEquals([code, stderr], [0, ""]);
  await waitUntil(() => published.at(-1)!.ended === "done", "it says goodbye");
  assert(published.every(({ detail }) => !detail?.line));
  await connection.close();
});

/** Texts that a terminal must not get as they are, without white space. */
const HOSTILE = [
  "\x1b[2J\x1b]0;title\x07",
  "\x7f\x85\x9b31m",
  "\u202ealpha\u2066",
  "al\u200bpha\ufeff\xad",
];

test("heartbeat fleet prints hostile names, subjects and details as safe lines", async () => {
  await using broker = await Broker.start(users("any", "w"));
  const env = { NATS_USER: "any", NATS_PASSWORD: "w" };
  const connection = await broker.connect({ user: "any", pass: "w" });
  for (const json of [true, false]) {
    const cli = startCli([
      ...["fleet", `--nats=${broker.servers}`, "--timeout=500ms"],
      ...json ? ["--json"] : [],
    ], { env });
    await cli.waitFor("stdout", "watching");
    for (const text of HOSTILE) {
      const beat = { worker: text, seq: 1, time: 0, detail: { [text]: text } };
      connection.publish(`heartbeats.${text}`, JSON.stringify(beat));
      // no heartbeat, under a hostile subject
      connection.publish(`heartbeats.${text}.odd`, text);
    }
    const downs = () => cli.text("stdout").match(/\bdown\b/g)?.length;
    await waitUntil(() => downs() === HOSTILE.length, "all are down");
    cli.kill("SIGINT");
    const { stdout } = await cli.ended;
    const lines = stdout.trimEnd().split("\n");
    for (const line of lines) {
      assertMatch(line, /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);
      if (!json) assertMatch(line, /^\d\d:\d\d:\d\d {2}[a-z]+ /);
    }
    const types = lines.map((line) =>
      json ? JSON.parse(line).type : line.split(/ +/)[1]
    );
    assertEquals(
      // the broker may answer late when the machine is busy
      types.filter((type) => !["blind", "sees"].includes(type)).sort(),
      // malformed messages are reported at powers of ten
      [
        ...HOSTILE.map(() => "down"),
        "malformed",
        ...HOSTILE.map(() => "up"),
        "watching",
      ],
    );
    if (json) {
      const down = parseLines(stdout).filter(({ type }) => type === "down");
      assertEquals(
        down.map(({ worker, detail }) => detail[worker]).sort(),
        [...HOSTILE].sort(),
      );
    }
  }
  await connection.close();
});
