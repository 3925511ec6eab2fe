// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the table is the product

/**
 * The cost of heartbeats over NATS, with a real `nats-server` on loopback: the
 * bytes on the wire, and the CPU of the broker and of a watcher, compared with a
 * subscriber that only counts. From that it estimates what 10 million workers
 * need. All workers are known when it measures, so it is the cost of heartbeats and
 * not of `up` events; they beat in the same order each time, and in any order.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import {
  connect,
  type NatsConnection,
} from "npm:@nats-io/transport-node@3.4.0";
import { FleetMonitor } from "../fleet.ts";
import { publishHeartbeats, subscribeHeartbeats, watchFleet } from "../nats.ts";
import { NPM_FLAGS } from "../tests/_help.ts";
import { judge, median, type Outcome, type Row } from "./_measure.ts";

const WORKERS = 100_000;
/** How many heartbeats each worker sends in a round. */
const BEATS = 5;
const ROUNDS = 3;
const FLEET = 10_000_000;
/** What a watcher may cost, as a multiple of a subscriber that only counts. */
const TARGET = 1.5;
/** The headers of a segment in Ethernet, IPv4 and TCP with timestamps, and its most bytes of data. */
const [HEADERS, SEGMENT] = [66, 1_448] as const;
const ORDERS = ["in the same order", "in any order"] as const;
/** The planned load of a core. */
const LOAD = 0.5;

function shuffle<T>(list: T[]) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}

async function publish(connection: NatsConnection) {
  const writers = Array.from({ length: WORKERS }, (_, i) => {
    const worker = `build-${i}`;
    return { worker, subject: `heartbeats.${worker}` };
  }).map(({ worker, subject }) => ({
    worker,
    writer: publishHeartbeats(connection, subject).getWriter(),
  }));
  const inAnyOrder = [...writers];
  for await (const message of connection.subscribe("go")) {
    const isShuffled = message.string() === ORDERS[1];
    for (let seq = 1; seq <= BEATS; seq++) {
      if (isShuffled) shuffle(inAnyOrder);
      const order = isShuffled ? inAnyOrder : writers;
      for (const [i, { worker, writer }] of order.entries()) {
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

type Order = typeof ORDERS[number];

/** Makes all workers beat; resolves to the CPU per message in µs. */
async function measure(
  connection: NatsConnection,
  broker: number,
  order: Order,
) {
  const { inMsgs, inBytes } = connection.stats();
  const before = { own: cpuUsage(), broker: await cpuOf(broker) };
  await connection.request("go", order, { timeout: 120_000 });
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
      await connection.request("go", ORDERS[0], { timeout: 120_000 });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Something that takes the heartbeats, until it is called. */
type Taker = (connection: NatsConnection) => () => Promise<void>;

/** Reads all events, and ends with them. */
function drain(events: ReadableStream<unknown>, fleet: FleetMonitor) {
  const reader = events.getReader();
  const reading = (async () => {
    while (!(await reader.read()).done);
  })();
  return async () => {
    if (fleet.size !== WORKERS) throw new Error(`${fleet.size} workers`);
    await reader.cancel();
    await reading;
  };
}

const [COUNTER, WATCHER, PARSER] = [
  "a subscriber that only counts",
  "**`watchFleet()`**",
  "`subscribeHeartbeats()` and `FleetMonitor`, which parse all",
] as const;
const LIMITS = { timeout: 3_600_000 };

const TAKERS: Record<string, Taker> = {
  [COUNTER]: (connection) => {
    let count = 0;
    const counter = connection.subscribe("heartbeats.>", {
      callback: () => void count++,
    });
    return () => Promise.resolve(counter.unsubscribe());
  },
  [WATCHER]: (connection) => {
    const { events, fleet } = watchFleet(connection, "heartbeats.>", LIMITS);
    return drain(events, fleet);
  },
  [PARSER]: (connection) => {
    const fleet = new FleetMonitor(LIMITS);
    const beats = subscribeHeartbeats(connection, "heartbeats.>");
    return drain(beats.pipeThrough(fleet), fleet);
  },
};

type Cost = Awaited<ReturnType<typeof measure>>;
type Round = Record<string, Record<Order, Cost>>;

/** Measures all takers, each after all workers are known to it. */
async function measureRound(connection: NatsConnection, broker: number) {
  const round: Round = {};
  for (const [name, start] of Object.entries(TAKERS)) {
    const end = start(connection);
    await connection.flush();
    await measure(connection, broker, ORDERS[0]);
    round[name] = {} as Record<Order, Cost>;
    for (const order of ORDERS) {
      round[name][order] = await measure(connection, broker, order);
    }
    await end();
  }
  const line = ORDERS.flatMap((order) =>
    Object.entries(round).map(([, costs]) => costs[order].own.toFixed(2))
  );
  console.log(`µs a heartbeat, ${ORDERS.join(", ")}: ${line.join(" ")}`);
  return round;
}

/** The bytes that a heartbeat takes on the way to the broker, and from there to a watcher. */
function countWireBytes(payload: number) {
  const subject = `heartbeats.build-${WORKERS - 1}`;
  const size = Math.round(payload);
  const to = `PUB ${subject} ${size}\r\n\r\n`.length + size + HEADERS;
  const from = `MSG ${subject} 1 ${size}\r\n\r\n`.length + size;
  return { to, from: from * (1 + HEADERS / SEGMENT) };
}

/** Prints what a fleet of millions would take. */
function printCosts(rounds: Round[]) {
  const costs = (name: string, what: keyof Cost) =>
    median(rounds.map((round) => round[name]![ORDERS[1]][what]));
  const own = costs(WATCHER, "own");
  const brokers = costs(WATCHER, "broker");
  const bytes = costs(WATCHER, "bytes");
  const wire = countWireBytes(bytes);
  console.log(
    `Per heartbeat, ${WORKERS} workers ${ORDERS[1]}, on loopback: ${
      bytes.toFixed(0)
    } bytes of payload, ${wire.to} on the wire to the broker, ${
      wire.from.toFixed(0)
    } from there; CPU of the broker ${brokers.toFixed(1)} µs, of a watcher ${
      own.toFixed(2)
    } µs, of a subscriber that only counts ${
      costs(COUNTER, "own").toFixed(2)
    } µs.
${FLEET / 1e6} million workers, every core loaded to ${LOAD * 100} %:

| interval | messages a second | MB/s to the brokers | MB/s to the watchers | cores of watchers | cores of brokers |
| ---: | ---: | ---: | ---: | ---: | ---: |`,
  );
  for (const interval of [1, 5, 10, 30]) {
    const rate = FLEET / interval;
    const megabytes = (bytes: number) => (rate * bytes / 1e6).toFixed(0);
    const cores = (cost: number) => Math.ceil(rate * cost / 1e6 / LOAD);
    console.log(
      `| ${interval} s | ${Math.round(rate).toLocaleString("en")} | ${
        megabytes(wire.to)
      } | ${megabytes(wire.from)} | ${cores(own)} | ${cores(brokers)} |`,
    );
  }
}

function ratioOf(rounds: Round[], name: string, order: Order) {
  return median(
    rounds.map((round) => round[name]![order].own / round[COUNTER]![order].own),
  );
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
  const rows: Row[] = [WATCHER, PARSER].flatMap((name) =>
    ORDERS.map((order) => ({
      per: `heartbeat over NATS, ${order}`,
      name,
      ratio: ratioOf(rounds, name, order),
      baseline: COUNTER,
    }))
  );
  const targets = ORDERS.map((order) => {
    const ratio = ratioOf(rounds, WATCHER, order);
    return judge(
      `a watcher costs ${
        ratio.toFixed(2)
      } × ${COUNTER}, ${order}; at most ${TARGET}`,
      ratio <= TARGET,
    );
  });
  return { rows, targets };
}

if (import.meta.main) await publish(await connect({ servers: Deno.args[0]! }));
