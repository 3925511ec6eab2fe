// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the table is the product

/**
 * The cost of heartbeats over NATS, with a real `nats-server` on loopback: the
 * bytes on the wire, and the CPU of the broker and of a watcher, compared with a
 * subscriber that only counts. From that it estimates what 10 million workers
 * need.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import {
  connect,
  type NatsConnection,
} from "npm:@nats-io/transport-node@3.4.0";
import { FleetMonitor } from "../fleet.ts";
import { publishHeartbeats, subscribeHeartbeats } from "../nats.ts";
import { NPM_FLAGS } from "../tests/_help.ts";
import { median, type Outcome } from "./_measure.ts";

const WORKERS = 100_000;
/** How many heartbeats each worker sends in a round. */
const BEATS = 5;
const ROUNDS = 3;
const FLEET = 10_000_000;
/** The planned load of a core. */
const LOAD = 0.5;

async function publish(connection: NatsConnection) {
  const writers = Array.from({ length: WORKERS }, (_, i) => {
    const worker = `build-${i}`;
    return { worker, subject: `heartbeats.${worker}` };
  }).map(({ worker, subject }) => ({
    worker,
    writer: publishHeartbeats(connection, subject).getWriter(),
  }));
  for await (const message of connection.subscribe("go")) {
    for (let seq = 1; seq <= BEATS; seq++) {
      for (const [i, { worker, writer }] of writers.entries()) {
        writer.write({ worker, seq, time: Date.now() });
        if (i % 1_000 === 0) await connection.flush();
      }
    }
    await connection.flush();
    message.respond();
  }
}

/** The ms of CPU that a process has used. */
async function cpuOf(pid: number) {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // in ticks of 10 ms
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** Makes all workers beat; resolves to the CPU per message in µs. */
async function measure(connection: NatsConnection, broker: number) {
  const { inMsgs, inBytes } = connection.stats();
  const before = { own: cpuUsage(), broker: await cpuOf(broker) };
  await connection.request("go", "", { timeout: 120_000 });
  await connection.flush();
  const { user, system } = cpuUsage(before.own);
  const now = connection.stats();
  const count = now.inMsgs - inMsgs;
  if (count < WORKERS * BEATS) throw new Error(`${count} came`);
  return {
    own: (user + system) / count,
    broker: (await cpuOf(broker) - before.broker) * 1_000 / count,
    bytes: (now.inBytes - inBytes) / count,
  };
}

/** Starts a broker, a connection to it, and a process that publishes. */
async function startAll() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const broker = new Deno.Command("nats-server", {
    args: ["-a", "127.0.0.1", "-p", `${port}`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const address = `127.0.0.1:${port}`;
  const connection = await connect({
    servers: address,
    waitOnFirstConnect: true,
    reconnectTimeWait: 50,
  });
  const publisher = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      ...NPM_FLAGS,
      import.meta.url,
      address,
    ],
  }).spawn();
  return { broker, connection, publisher };
}

async function waitForPublisher(connection: NatsConnection) {
  for (;;) {
    try {
      await connection.request("go", "", { timeout: 120_000 });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Measures a subscriber that only counts, then a watcher. */
async function measureRound(connection: NatsConnection, broker: number) {
  const counter = connection.subscribe("heartbeats.>", { callback() {} });
  await connection.flush();
  const bare = await measure(connection, broker);
  counter.unsubscribe();
  const fleet = new FleetMonitor({ timeout: 3_600_000 });
  const events = subscribeHeartbeats(connection, "heartbeats.>")
    .pipeThrough(fleet).getReader();
  const reading = (async () => {
    while (!(await events.read()).done);
  })();
  await connection.flush();
  const watcher = await measure(connection, broker);
  if (fleet.size !== WORKERS) throw new Error(`${fleet.size} workers`);
  await events.cancel();
  await reading;
  return { bare, watcher };
}

type Round = Awaited<ReturnType<typeof measureRound>>;

/** Prints what a fleet of millions would take. */
function printCosts(rounds: Round[]) {
  const own = median(rounds.map(({ watcher }) => watcher.own));
  const bare = median(rounds.map(({ bare }) => bare.own));
  const brokers = median(rounds.map(({ watcher }) => watcher.broker));
  const bytes = median(rounds.map(({ watcher }) => watcher.bytes));
  console.log(
    `Per heartbeat, ${WORKERS} workers, on loopback: ${
      bytes.toFixed(0)
    } bytes; CPU of the broker ${brokers.toFixed(1)} µs, of a watcher ${
      own.toFixed(1)
    } µs, of a subscriber that only counts ${bare.toFixed(1)} µs.
${FLEET / 1e6} million workers, every core loaded to ${LOAD * 100} %:

| interval | messages a second | MB of payload a second | cores of watchers | cores of brokers |
| ---: | ---: | ---: | ---: | ---: |`,
  );
  for (const interval of [1, 5, 10, 30]) {
    const rate = FLEET / interval;
    console.log(
      `| ${interval} s | ${Math.round(rate).toLocaleString("en")} | ${
        (rate * bytes / 1e6).toFixed(0)
      } | ${Math.ceil(rate * own / 1e6 / LOAD)} | ${
        Math.ceil(rate * brokers / 1e6 / LOAD)
      } |`,
    );
  }
}

/** Runs the bench; needs a `nats-server`. */
export async function run(): Promise<Outcome> {
  const { broker, connection, publisher } = await startAll();
  await waitForPublisher(connection);
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push(await measureRound(connection, broker.pid));
  }
  publisher.kill();
  await connection.close();
  broker.kill();
  await Promise.all([publisher.status, broker.status]);
  printCosts(rounds);
  return {
    rows: [{
      per: "heartbeat over NATS",
      name: "**`subscribeHeartbeats()` and `FleetMonitor`**",
      ratio: median(rounds.map(({ watcher, bare }) => watcher.own / bare.own)),
      baseline: "a subscriber that only counts",
    }],
    targets: [],
  };
}

if (import.meta.main) await publish(await connect({ servers: Deno.args[0]! }));
