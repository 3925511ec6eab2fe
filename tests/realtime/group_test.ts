// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { Kvm } from "npm:@nats-io/kv@3.4.0";
import { SharedFleet, WatchGroup } from "../../group.ts";
import { subscribeHeartbeats } from "../../nats.ts";
import { natsStore } from "../../store.ts";
import { NPM_FLAGS, waitUntil } from "../_help.ts";
import { Broker, startJetStream, testWithBroker as test } from "../_nats.ts";

const LEASE = 2000;
const TIMEOUT = 2000;
/** So many that each member has some, whatever its id. */
const PARTITIONS = 32;
const ALL = Array.from({ length: PARTITIONS }, (_, partition) => partition);

/** A broker with a bucket for the leases. */
async function startBroker() {
  const setup = await startJetStream();
  await new Kvm(setup.connection).create("group", { ttl: LEASE, history: 1 });
  return setup;
}

/** A member in this process, with a connection of its own. */
async function join(broker: Broker) {
  const connection = await broker.connect();
  const errors: unknown[] = [];
  const group = new WatchGroup(await new Kvm(connection).open("group"), {
    ...{ lease: LEASE, partitions: PARTITIONS },
    onError: (error) => errors.push(error),
  });
  return {
    group,
    errors,
    connection,
    async [Symbol.asyncDispose]() {
      await group.leave();
      await connection.close();
    },
  };
}

/** A member in a process of its own. */
function startMember(servers: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-check", ...NPM_FLAGS],
      new URL("./_group_member.ts", import.meta.url).pathname,
      ...[servers, "group", `${LEASE}`],
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const samples: { time: number; held: number[] }[] = [];
  const reading = (async () => {
    let rest = "";
    for await (
      const text of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      samples.push(...lines.map((line) => JSON.parse(line)));
    }
  })();
  return {
    samples,
    kill: (signal: Deno.Signal) => child.kill(signal),
    get held() {
      return samples.at(-1)?.held ?? [];
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.all([child.status, reading]);
    },
  };
}

const sorted = (partitions: number[]) => partitions.sort((a, b) => a - b);

test("a group divides its partitions over a real bucket, and takes over from a member that dies", async () => {
  await using setup = await startBroker();
  await using first = await join(setup.broker);
  await using second = await join(setup.broker);
  await using third = await join(setup.broker);
  const groups = [first, second, third].map(({ group }) => group);
  const heldBy = (groups: WatchGroup[]) =>
    sorted(groups.flatMap(({ held }) => held));
  await waitUntil(() =>
    heldBy(groups).length === PARTITIONS &&
    groups.every(({ held }) => held.length > 0)
  );
  assertEquals(heldBy(groups), ALL);
  // it dies: neither it nor its leases say so
  await third.connection.close();
  await waitUntil(() => heldBy(groups.slice(0, 2)).length === PARTITIONS);
  assertEquals(heldBy(groups.slice(0, 2)), ALL);
  assertEquals(groups[2]!.held, []);
  assertEquals([...first.errors, ...second.errors], []);
});

test("a group loses nothing when the broker is away for less than a lease", async () => {
  await using setup = await startBroker();
  await using first = await join(setup.broker);
  await waitUntil(() => first.group.held.length === PARTITIONS);
  await setup.broker.stop();
  await setup.broker.start();
  await waitUntil(() => first.group.held.length === PARTITIONS);
  assertEquals(first.group.held, ALL);
});

test("a member of a group that was stopped holds nothing when it goes on", async () => {
  await using setup = await startBroker();
  await using member = startMember(setup.broker.servers);
  await waitUntil(() => member.held.length === PARTITIONS);
  member.kill("SIGSTOP");
  const stopped = Date.now();
  await using other = await join(setup.broker);
  await waitUntil(() => other.group.held.length === PARTITIONS);
  assert(Date.now() - stopped >= LEASE / 2);
  const before = member.samples.length;
  member.kill("SIGCONT");
  await waitUntil(() => member.samples.length > before + 2);
  // its first samples were printed before it could ask the bucket
  const after = member.samples.filter(({ time }) => time > stopped + 200);
  assert(after.length > 0);
  assertEquals(after[0]!.held, []);
  // then it takes its share
  await waitUntil(() => member.held.length > 0 && other.group.held.length > 0);
  await waitUntil(() =>
    member.held.length + other.group.held.length === PARTITIONS
  );
});

/** A watcher that shares the fleet: its events, by their ids. */
async function startShare(broker: Broker, events: Map<string, string>) {
  const member = await join(broker);
  const { connection, group } = member;
  const bucket = await new Kvm(connection).open("fleet");
  const fleet = new SharedFleet(group, {
    timeout: TIMEOUT,
    store: (partition) => natsStore(bucket, `${partition}.`),
  });
  const reading = (async () => {
    try {
      const beats = subscribeHeartbeats(connection, "heartbeats.*");
      for await (const { id, type } of beats.pipeThrough(fleet)) {
        events.set(id!, type);
      }
    } catch {
      // its connection was closed
    }
  })();
  return {
    group,
    async [Symbol.asyncDispose]() {
      await member[Symbol.asyncDispose]();
      await reading;
    },
    die: () => connection.close(),
  };
}

test("watchers that share a fleet miss nobody who died, and report nobody who lives", async () => {
  await using setup = await startBroker();
  await new Kvm(setup.connection).create("fleet");
  const events = new Map<string, string>();
  const names = Array.from({ length: 20 }, (_, i) => `w-${i}`);
  let living = names;
  let seq = 0;
  const beating = setInterval(() => {
    seq++;
    for (const worker of living) {
      const beat = { worker, seq, time: Date.now() };
      setup.connection.publish(`heartbeats.${worker}`, JSON.stringify(beat));
    }
  }, 100);
  try {
    await using first = await startShare(setup.broker, events);
    await using second = await startShare(setup.broker, events);
    await using third = await startShare(setup.broker, events);
    const groups = [first, second, third].map(({ group }) => group);
    const heldBy = (groups: WatchGroup[]) =>
      groups.flatMap(({ held }) => held).length;
    await waitUntil(() => groups.every(({ held }) => held.length > 0));
    await waitUntil(() => events.size === names.length);
    // a watcher dies, and some of the workers of each with it
    third.die();
    living = names.slice(5);
    await waitUntil(() => heldBy(groups.slice(0, 2)) === PARTITIONS);
    const down = () => [...events].filter(([_, type]) => type === "down");
    await waitUntil(() => down().length >= 5);
    await delay(1.5 * TIMEOUT);
    assertEquals(
      down().map(([id]) => id).sort(),
      names.slice(0, 5).map((name) => `${name}#2`).sort(),
    );
  } finally {
    clearInterval(beating);
  }
});

test("watchers that share a fleet leave no consumer on the server", async () => {
  await using setup = await startBroker();
  await new Kvm(setup.connection).create("fleet");
  const countConsumers = async (bucket: string): Promise<number> => {
    const subject = `$JS.API.STREAM.INFO.KV_${bucket}`;
    const { data } = await setup.connection.request(subject);
    return JSON.parse(new TextDecoder().decode(data)).state.consumer_count;
  };
  await using first = await startShare(setup.broker, new Map());
  await using second = await startShare(setup.broker, new Map());
  const groups = [first.group, second.group];
  await waitUntil(() => groups.every(({ held }) => held.length > 0));
  await delay(LEASE);
  await waitUntil(async () => await countConsumers("group") === 0);
  await waitUntil(async () => await countConsumers("fleet") === 0);
});

test("a server maps names to the same partitions", async () => {
  await using broker = await Broker.start(
    `mappings { "beats.*": "mapped.{{partition(64,1)}}.{{wildcard(1)}}"\n` +
      `"deep.*.*": "mapped.{{partition(64,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}" }`,
  );
  const connection = await broker.connect();
  const group = WatchGroup.prototype;
  const subjects: string[] = [];
  connection.subscribe("mapped.>", {
    callback: (_, { subject }) => void subjects.push(subject),
  });
  await connection.flush();
  const names = ["alpha", "beta", "w-17", "wörker", "build.alpha", "a.b"];
  for (const name of names) {
    const prefix = name.includes(".") ? "deep" : "beats";
    connection.publish(`${prefix}.${name}`, "");
  }
  await waitUntil(() => subjects.length === names.length);
  assertEquals(
    subjects,
    names.map((name) =>
      `mapped.${
        group.getPartition.call({ partitions: 64 } as WatchGroup, name)
      }.${name}`
    ),
  );
  await connection.close();
});
