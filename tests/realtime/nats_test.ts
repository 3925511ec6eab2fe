// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { FleetMonitor } from "../../fleet.ts";
import {
  type NatsConnection,
  publishHeartbeats,
  subscribeHeartbeats,
} from "../../nats.ts";
import type { Heartbeat } from "../../worker.ts";
import { waitUntil } from "../_help.ts";
import {
  Broker,
  LONG,
  startExample,
  startWatcher,
  testWithBroker as test,
} from "../_nats.ts";

const WORKERS = 1_000;
/** How many heartbeats there are; `BEATS=1000000` is the long form. */
const BEATS = Number(Deno.env.get("BEATS") ?? 250_000);
/** How many workers each of three processes has. */
const EACH = 250;

/** Subscribes, and lists the workers of each kind of event. */
function watchAll(connection: NatsConnection) {
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const events: Record<string, string[]> = { up: [], down: [], recovered: [] };
  const seen = { events, malformed: [] as unknown[], lastSeq: 0 };
  const beats = subscribeHeartbeats(connection, "heartbeats.>", {
    onMalformed: (message) => void seen.malformed.push(message),
  });
  const counted = beats.pipeThrough(
    new TransformStream<Heartbeat[], Heartbeat[]>({
      transform(batch, controller) {
        for (const { seq } of batch) seen.lastSeq = Math.max(seen.lastSeq, seq);
        controller.enqueue(batch);
      },
    }),
  );
  const listening = counted.pipeThrough(fleet).pipeTo(
    new WritableStream({
      write: ({ type, worker }) => void events[type]!.push(worker!),
    }),
  );
  return { seen, listening };
}

test(`${BEATS} heartbeats over NATS cost no verdict: who is silent is found, and nobody else`, async () => {
  await using broker = await Broker.start();
  const [near, far] = [await broker.connect(), await broker.connect()];
  const { seen, listening } = watchAll(far);
  const { events, malformed } = seen;
  await far.flush();
  const names = Array.from({ length: WORKERS }, (_, i) => `w-${i}`);
  const writers = names.map((name) =>
    publishHeartbeats(near, `heartbeats.${name}`).getWriter()
  );
  let published = 0;
  const publish = (count: number, seq: number) => {
    published += count;
    for (const [i, writer] of writers.slice(0, count).entries()) {
      writer.write({ worker: names[i]!, seq, time: Date.now() });
    }
    // not faster than one of each at once, so that nobody's buffer overflows
    return near.flush();
  };
  const rounds = BEATS / WORKERS;
  // the last ten fall silent half-way
  const silent = names.slice(-10);
  const started = performance.now();
  for (let seq = 1; seq <= rounds; seq++) {
    await publish(seq * 2 > rounds ? WORKERS - 10 : WORKERS, seq);
  }
  assertEquals(published, BEATS - 10 * rounds / 2);
  // the others go on until the verdict
  let seq = rounds;
  while (events.down!.length < 10 && performance.now() - started < LONG) {
    await publish(WORKERS - 10, ++seq);
    await delay(200);
  }
  assertEquals(events.up!.sort(), names.toSorted());
  assertEquals(events.down!.sort(), silent.toSorted());
  assertEquals(events.recovered, []);
  assertEquals(malformed, []);
  // the verdict may come before the last ones
  await waitUntil(() => seen.lastSeq >= rounds, "the last heartbeats arrive");
  await Promise.all([near.close(), far.close()]);
  await listening;
});

type Watcher = Awaited<ReturnType<typeof startWatcher>>;

function waitForCount(watcher: Watcher, type: string, count: number) {
  return waitUntil(
    () => watcher.reported(type).length >= count,
    `${count} are ${type}`,
  );
}

/** A watcher that was stopped has no evidence against the silent. */
async function stopForAWhile(watcher: Watcher) {
  watcher.kill("SIGSTOP");
  await delay(4_000);
  watcher.kill("SIGCONT");
  await delay(3_300);
}

/** Nor has one whose broker was away. */
async function restartBroker(broker: Broker, watcher: Watcher) {
  await broker.stop();
  await watcher.waitForSight("blind");
  await delay(3_300);
  await broker.start();
  await watcher.waitForSight("sees");
  await delay(3_300);
}

test("a watcher of three processes reports the workers of the one that is killed, and only them", async () => {
  await using broker = await Broker.start();
  await using watcher = await startWatcher(broker.servers, ["--timeout", "2s"]);
  const options = { server: broker.servers, count: EACH, interval: "500ms" };
  const args = Object.entries(options)
    .flatMap(([name, value]) => [`--${name}`, String(value)]);
  const start = (name: string) =>
    startExample("worker", [...args, "--name", name]);
  await using _alpha = start("alpha");
  await using beta = start("beta");
  await using gamma = start("gamma");
  await waitForCount(watcher, "up", 3 * EACH);
  assertEquals(watcher.reported("up").length, 3 * EACH);
  assertEquals(watcher.reported("down"), []);
  const names = Array.from({ length: EACH }, (_, i) => `beta-${i}`).sort();
  beta.kill("SIGKILL");
  await waitForCount(watcher, "down", EACH);
  // what is not to come would come now
  await delay(2_700);
  assertEquals(watcher.reported("down"), names);
  await stopForAWhile(watcher);
  assertEquals(watcher.reported("down"), names);
  await restartBroker(broker, watcher);
  assertEquals(watcher.reported("down"), names);

  // and after all that it is still awake
  await using _again = start("beta");
  await waitForCount(watcher, "recovered", EACH);
  assertEquals(watcher.reported("recovered"), names);
  gamma.kill("SIGKILL");
  await waitForCount(watcher, "down", 2 * EACH);
  const down = watcher.reported("down");
  assertEquals(down.length, 2 * EACH);
  assertEquals(down.filter((name) => name.startsWith("gamma")).length, EACH);
});

test("two watchers divide a fleet by the partitions of the broker", async () => {
  await using broker = await Broker.start(`
    mappings = {
      "heartbeats.*": "partition.{{partition(2,1)}}.{{wildcard(1)}}"
    }`);
  await using first = await startWatcher(broker.servers, [
    ...["--subject", "partition.0.*"],
  ]);
  await using second = await startWatcher(broker.servers, [
    ...["--subject", "partition.1.*"],
  ]);
  const args = ["--server", broker.servers, "--count", "100"];
  await using alpha = startExample("worker", args);
  const reported = (
    type: string,
  ) => [...first.reported(type), ...second.reported(type)];
  const names = Array.from({ length: 100 }, (_, i) => `alpha-${i}`).sort();
  await waitUntil(() => reported("up").length >= 100, "100 are up");
  await delay(2_000);
  assertEquals(reported("up").sort(), names);
  for (const watcher of [first, second]) {
    assert(watcher.reported("up").length > 20, "a fair share");
    assertEquals(watcher.reported("down"), []);
  }
  const shares = [first, second].map((watcher) => watcher.reported("up"));
  alpha.kill("SIGKILL");
  await waitUntil(() => reported("down").length === 100, "100 are down");
  assertEquals([first.reported("down"), second.reported("down")], shares);
});
