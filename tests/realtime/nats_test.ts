// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { FleetMonitor } from "../../fleet.ts";
import { publishHeartbeats, subscribeHeartbeats } from "../../nats.ts";
import type { Heartbeat } from "../../worker.ts";
import { waitUntil } from "../_help.ts";
import {
  Broker,
  LONG,
  startExample,
  startWatcher,
  testWithBroker as test,
} from "../_nats.ts";

test("a million heartbeats over NATS cost no verdict: who is silent is found, and nobody else", async () => {
  await using broker = await Broker.start();
  const [near, far] = [await broker.connect(), await broker.connect()];
  const WORKERS = 1_000;
  const BEATS = 1_000_000;
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const events: Record<string, string[]> = {
    up: [],
    down: [],
    recovered: [],
  };
  const malformed: unknown[] = [];
  let taken = 0;
  const listening = subscribeHeartbeats(far, "heartbeats.>", {
    onMalformed: (message) => void malformed.push(message),
  })
    .pipeThrough(
      new TransformStream<Heartbeat[], Heartbeat[]>({
        transform(batch, controller) {
          for (const { seq } of batch) taken = Math.max(taken, seq);
          controller.enqueue(batch);
        },
      }),
    )
    .pipeThrough(fleet)
    .pipeTo(
      new WritableStream({
        write: ({ type, worker }) => void events[type]!.push(worker),
      }),
    );
  await far.flush();
  const names = Array.from({ length: WORKERS }, (_, i) => `w-${i}`);
  const writers = names.map((name) =>
    publishHeartbeats(near, `heartbeats.${name}`).getWriter()
  );
  // the last ten fall silent half-way
  const silent = names.slice(-10);
  const started = performance.now();
  let spoke = 0;
  for (let seq = 1; seq <= BEATS / WORKERS; seq++) {
    for (const [i, writer] of writers.entries()) {
      const worker = names[i]!;
      if (seq * 2 > BEATS / WORKERS && i >= WORKERS - 10) continue;
      writer.write({ worker, seq, time: Date.now() });
      spoke++;
    }
    // not faster than a second of them at once, so that nobody's buffer overflows
    await near.flush();
  }
  // the others go on until the verdict
  const others = names.slice(0, -10);
  let seq = BEATS / WORKERS;
  while (events.down!.length < 10 && performance.now() - started < LONG) {
    seq++;
    for (const [i, worker] of others.entries()) {
      writers[i]!.write({ worker, seq, time: Date.now() });
    }
    await near.flush();
    await delay(200);
  }
  assertEquals(spoke, BEATS - 10 * BEATS / WORKERS / 2);
  assertEquals(events.up!.sort(), names.toSorted());
  assertEquals(events.down!.sort(), silent.toSorted());
  assertEquals(events.recovered, []);
  assertEquals(malformed, []);
  assert(taken >= BEATS / WORKERS);
  await Promise.all([near.close(), far.close()]);
  await listening;
});

test("a watcher of three processes reports the workers of the one that is killed, and only them", async () => {
  await using broker = await Broker.start();
  await using watcher = await startWatcher(broker.servers, ["--timeout", "2s"]);
  const args = [
    "--server",
    broker.servers,
    "--count",
    "1000",
    "--interval",
    "500ms",
  ];
  await using _alpha = startExample("worker", [...args, "--name", "alpha"]);
  await using beta = startExample("worker", [...args, "--name", "beta"]);
  await using _gamma = startExample("worker", [...args, "--name", "gamma"]);
  await waitUntil(
    () => watcher.reported("up").length === 3_000,
    "3,000 are up",
  );
  assertEquals(watcher.reported("down"), []);
  const names = Array.from({ length: 1_000 }, (_, i) => `beta-${i}`).sort();
  beta.kill("SIGKILL");
  await waitUntil(
    () => watcher.reported("down").length >= 1_000,
    "1,000 are down",
  );
  // what is not to come would come now
  await delay(2_700);
  assertEquals(watcher.reported("down"), names);

  // a watcher that was stopped meanwhile has no evidence
  watcher.kill("SIGSTOP");
  await delay(4_000);
  watcher.kill("SIGCONT");
  await delay(3_300);
  assertEquals(watcher.reported("down"), names);

  // nor has one whose broker was away
  await broker.stop();
  await waitUntil(
    () => watcher.reported("blind").length === 1,
    "it says it is blind",
  );
  await delay(3_300);
  await broker.start();
  await waitUntil(
    () => watcher.reported("sees").length === 1,
    "it says it sees",
  );
  await delay(3_300);
  assertEquals(watcher.reported("down"), names);

  // and after all that it is still awake
  await using _again = startExample("worker", [...args, "--name", "beta"]);
  await waitUntil(
    () => watcher.reported("recovered").length === 1_000,
    "recovered",
  );
  assertEquals(watcher.reported("recovered"), names);
  _gamma.kill("SIGKILL");
  await waitUntil(
    () => watcher.reported("down").length === 2_000,
    "gamma is down",
  );
  assertEquals(
    watcher.reported("down").filter((name) => name.startsWith("gamma"))
      .length,
    1_000,
  );
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
