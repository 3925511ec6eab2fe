// Copyright 2026 the heartbeat authors. MIT license.

// `heartbeat fleet --group`: watchers in processes of their own, over a real broker.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { Kvm } from "npm:@nats-io/kv@3.4.0";
import type { NatsConnection } from "npm:@nats-io/transport-node@3.4.0";
import {
  type CliOptions,
  parseLines,
  runCli,
  runSideBySide,
  startCli,
} from "../_cli_process.ts";
import { waitUntil } from "../_help.ts";
import {
  Broker,
  startCluster,
  startJetStream,
  testWithBroker as test,
} from "../_nats.ts";

const LEASE = 3_000;
const TIMEOUT = 1_500;

/** How much later (ms) than it promises a loaded machine may be. */
const MARGIN = 5_000;

/** A broker with JetStream, and a bucket of short leases for the group `ops`. */
async function startBroker() {
  const setup = await startJetStream();
  await new Kvm(setup.connection).create("ops-leases", { ttl: LEASE });
  return setup;
}

/** Workers that beat every 200 ms, until each is stopped. */
function startWorkers(connection: NatsConnection, names: string[]) {
  const timers = new Map(names.map((worker) => {
    let seq = 0;
    const beat = () =>
      connection.publish(
        `heartbeats.${worker}`,
        JSON.stringify({ worker, seq: ++seq, time: Date.now() }),
      );
    return [worker, setInterval(beat, 200)];
  }));
  return {
    stop: (name: string) => clearInterval(timers.get(name)),
    [Symbol.dispose]: () => timers.forEach((timer) => clearInterval(timer)),
  };
}

interface Event {
  type: string;
  time: number;
  worker?: string;
  id?: string;
  held?: number;
}

/** A watcher of the group, and its events. */
function startWatcher(
  { servers }: { servers: string },
  options?: CliOptions,
  more: string[] = [],
) {
  const args = ["--group=ops", `--timeout=${TIMEOUT}ms`, "--json", ...more];
  const cli = startCli(["fleet", `--nats=${servers}`, ...args], options);
  const events = (): Event[] => {
    const text = cli.text("stdout");
    const complete = text.slice(0, text.lastIndexOf("\n") + 1);
    return complete === "" ? [] : parseLines(complete);
  };
  return {
    cli,
    events,
    held: () => events().findLast(({ type }) => type === "share")?.held ?? 0,
    async [Symbol.asyncDispose]() {
      cli.kill("SIGKILL");
      await cli.ended;
    },
  };
}

/** The events of workers, of all watchers, as `type worker`. */
const listEvents = (watchers: { events(): Event[] }[]) =>
  watchers.flatMap((watcher) => watcher.events())
    .filter(({ worker }) => worker !== undefined);

const NAMES = Array.from({ length: 20 }, (_, i) => `w-${i}`);
const describe = ({ type, worker }: Event) => `${type} ${worker}`;

/** Workers of both watchers, with so many that neither has none of them. */
const DYING = NAMES.slice(0, 8);

/** One of two watchers is killed, and workers of both at the same moment. */
async function killWatcher() {
  await using setup = await startBroker();
  await using first = startWatcher(setup.broker);
  await using second = startWatcher(setup.broker);
  const both = [first, second];
  const shares = () => both.map((watcher) => watcher.held());
  await waitUntil(() =>
    shares().every((held) => held > 0) && shares()[0]! + shares()[1]! === 64
  );
  // now: what happens while a partition changes hands may be reported by both, with one id
  using workers = startWorkers(setup.connection, NAMES);
  const isUp = (worker: string) => `up ${worker}`;
  await waitUntil(() => listEvents(both).length >= NAMES.length, "all are up");
  assertEquals(listEvents(both).map(describe).sort(), NAMES.map(isUp).sort());
  // until the memory knows that these were reported
  await delay(TIMEOUT);
  first.cli.kill("SIGKILL");
  for (const name of DYING) workers.stop(name);
  const killedAt = Date.now();
  const downs = () =>
    listEvents(both).filter(({ type }) => type === "down").map(describe);
  await waitUntil(() => second.held() === 64, "the other one takes over");
  await waitUntil(() => downs().length >= DYING.length, "they are down");
  const last = listEvents([second]).at(-1)!.time - killedAt;
  assert(last < LEASE + LEASE / 4 + TIMEOUT + MARGIN, `${last} ms`);
  await delay(2 * TIMEOUT);
  assertEquals(downs().sort(), DYING.map((worker) => `down ${worker}`));
  // nobody was reported twice
  const ids = listEvents(both).map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
}

/** A watcher that is alone ends, two workers die, and it starts again. */
async function restartWatcher() {
  await using setup = await startBroker();
  using workers = startWorkers(setup.connection, NAMES);
  const before = startWatcher(setup.broker);
  await waitUntil(() => listEvents([before]).length === NAMES.length, "all up");
  before.cli.kill("SIGTERM");
  const { code, stderr } = await before.cli.ended;
  assertEquals([code, stderr], [143, ""]);
  workers.stop("w-3");
  workers.stop("w-7");
  const startedAt = Date.now();
  await using after = startWatcher(setup.broker);
  // what was not acknowledged is reported once more, with the same id
  const ids = new Set(listEvents([before]).map(({ id }) => id));
  const events = () =>
    listEvents([after]).filter(({ id }) => !ids.has(id)).map(describe).sort();
  await waitUntil(() => events().length >= 2, "both are down");
  // its leases were given back
  const share = after.events().find(({ type }) => type === "share")!;
  assert(share.time - startedAt < LEASE + MARGIN);
  await delay(2 * TIMEOUT);
  assertEquals(events(), ["down w-3", "down w-7"]);
}

/** A watcher is killed that has run its command for the first of several deaths. */
async function killCommands() {
  await using setup = await startBroker();
  using workers = startWorkers(setup.connection, NAMES);
  const folder = await Deno.makeTempDir();
  const file = `${folder}/deaths`;
  const command = `[ $HEARTBEAT_TYPE = down ] || exit 0
    echo "$HEARTBEAT_WORKER" >> ${file}; sleep 1`;
  const start = () =>
    startWatcher(setup.broker, { allowRun: true }, ["--exec", command]);
  const readDeaths = () =>
    Deno.readTextFile(file).then((text) => text.trim().split("\n"), () => []);
  {
    await using first = start();
    await waitUntil(() => listEvents([first]).length === NAMES.length);
    await delay(TIMEOUT);
    for (const name of DYING) workers.stop(name);
    await waitUntil(async () => (await readDeaths()).length > 0);
    await delay(700);
    first.cli.kill("SIGKILL");
    await first.cli.ended;
  }
  await using _second = start();
  await waitUntil(async () =>
    new Set(await readDeaths()).size === DYING.length
  );
  await Deno.remove(folder, { recursive: true });
}

/** Somebody deletes the bucket of the memory. */
async function loseMemory() {
  await using setup = await startBroker();
  using workers = startWorkers(setup.connection, ["w-0"]);
  await using watcher = startWatcher(setup.broker);
  const list = () => listEvents([watcher]).map(describe);
  await waitUntil(() => list().length === 1);
  // until the memory knows that this was reported
  await delay(TIMEOUT);
  const bucket = await new Kvm(setup.connection).open("ops-fleet");
  await bucket.destroy();
  workers.stop("w-0");
  await watcher.cli.waitFor("stderr", "cannot reach the group's memory: ");
  await delay(TIMEOUT);
  // it says so once
  const errors = parseLines(watcher.cli.text("stderr"));
  assertEquals(errors.map(({ message }) => message), [
    "cannot reach the group's memory: no server has ops-leases or ops-fleet: " +
    "if a bucket is gone, start one watcher again, which makes it",
  ]);
  assertEquals(list(), ["up w-0"]);
  // what has waited is reported, once there is a bucket again
  await new Kvm(setup.connection).create("ops-fleet");
  await waitUntil(() => list().includes("down w-0"));
}

/** A group in a cluster, of which any node is lost. */
async function loseNode() {
  const folder = await Deno.makeTempDir();
  const start = (index: number) =>
    `jetstream { store_dir: "${folder}/${index}" }`;
  {
    await using cluster = await startCluster(start);
    const [first, second, third] = cluster.brokers;
    const connection = await first!.connect({ servers: second!.servers });
    // after the workers, which publish until they are disposed
    await using _ = { [Symbol.asyncDispose]: () => connection.close() };
    // they elect a leader first
    await waitUntil(async () => {
      const kvm = new Kvm(connection);
      const options = { ttl: LEASE, replicas: 3 };
      return await kvm.create("ops-leases", options).then(
        () => true,
        () => false,
      );
    }, "the cluster has JetStream");
    using workers = startWorkers(connection, NAMES);
    const list = cluster.brokers.map(({ servers }) => servers).join(",");
    await using watcher = startWatcher({ servers: list });
    // what could not be acknowledged is reported once more, with the same id
    const seen = () => {
      const events = listEvents([watcher]).map((e) => [e.id, e] as const);
      return [...new Map(events).values()].map(describe);
    };
    await waitUntil(() => seen().length === NAMES.length, "all are up");
    const bucket = await new Kvm(connection).open("ops-fleet");
    assertEquals((await bucket.status()).replicas, 3);
    await third!.stop();
    workers.stop("w-0");
    await waitUntil(() => seen().length > NAMES.length, "w-0 is down");
    await delay(2 * TIMEOUT);
    assertEquals(seen().slice(NAMES.length), ["down w-0"]);
  }
  await Deno.remove(folder, { recursive: true });
}

test("heartbeat fleet --group shares a fleet, takes over, and remembers", (t) =>
  runSideBySide(t, {
    "a watcher is killed": killWatcher,
    "the only watcher starts again": restartWatcher,
    "a watcher is killed that has commands to run": killCommands,
    "the memory is lost": loseMemory,
    "a node of the cluster is lost": loseNode,
  }));

test("heartbeat fleet --group says that the server has no JetStream, and that a lease never ends", async () => {
  await using broker = await Broker.start();
  const { code, stdout, stderr } = await runCli(
    ["fleet", `--nats=${broker.servers}`, "--group=ops"],
  );
  assertEquals([code, stdout], [125, ""]);
  assertEquals(
    stderr,
    "heartbeat: cannot join the group 'ops': the server has no JetStream: " +
      "start it as nats-server -js -sd DIRECTORY\n",
  );

  await using setup = await startBroker();
  await new Kvm(setup.connection).create("dev-leases");
  const endless = await runCli(
    ["fleet", `--nats=${setup.broker.servers}`, "--group=dev"],
  );
  assertEquals(endless.code, 125);
  assertMatch(
    endless.stderr,
    /^heartbeat: cannot join the group 'dev': the bucket dev-leases has no TTL/,
  );
});
