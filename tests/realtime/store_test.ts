// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { Kvm } from "npm:@nats-io/kv@3.4.0";
import { FleetMonitor } from "../../fleet.ts";
import { natsStore, persistFleet } from "../../store.ts";
import { readAll, waitUntil } from "../_help.ts";
import { LONG, startJetStream, testWithBroker as test } from "../_nats.ts";

const TIMEOUT = 1000;

/** A bucket of a real broker. */
async function openBucket() {
  const setup = await startJetStream();
  const bucket = await new Kvm(setup.connection).create("fleet");
  return { ...setup, bucket };
}

test("a watcher that starts again over NATS knows who was there, among 1,000", async () => {
  await using setup = await openBucket();
  const names = Array.from({ length: 1000 }, (_, i) => `build.w-${i}`);
  // nobody is silent meanwhile, however long it takes to store them
  const first = new FleetMonitor({ timeout: LONG });
  const before = readAll(persistFleet(first, natsStore(setup.bucket)));
  for (const name of names) first.beat(name, 1);
  await waitUntil(() => before.chunks.length === names.length);
  const store = natsStore(setup.bucket);
  await waitUntil(async () => (await store.load()).acknowledged > 0);
  await before.cancel("the watcher ends");

  const errors: unknown[] = [];
  const second = new FleetMonitor({ timeout: TIMEOUT });
  const after = readAll(persistFleet(second, store, {
    onError: (error) => errors.push(error),
  }));
  // all but ten are there
  const beating = setInterval(() => {
    for (const name of names.slice(10)) second.beat(name, 2);
  }, TIMEOUT / 5);
  const down = () => after.chunks.filter(({ type }) => type === "down");
  await waitUntil(() => down().length === 10);
  clearInterval(beating);
  assertEquals(
    down().map(({ id }) => id).sort(),
    names.slice(0, 10)
      .map((name) => `${name}#2`).sort(),
  );
  await after.cancel("it ends");
  assertEquals(errors, []);
});
