// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { ConnectionEvents } from "../_connection_events.ts";
import type { FleetEvent } from "../fleet.ts";
import type { ConnectionEvent } from "../nats.ts";
import { createSource } from "./_help.ts";

const BLIND: ConnectionEvent = { type: "blind", time: 1, reason: "connection" };
const SEES: ConnectionEvent = { type: "sees", time: 2 };
const UP: FleetEvent = { type: "up", worker: "alpha", time: 3 };
const DOWN: FleetEvent = {
  ...{ type: "down", worker: "alpha", time: 4, reason: "silent" },
};

function create() {
  const source = createSource<FleetEvent>();
  const test = { source, ended: 0 };
  const events = new ConnectionEvents(source.stream, () => void test.ended++);
  return Object.assign(test, { events, reader: events.readable.getReader() });
}

Deno.test("ConnectionEvents delivers both kinds in the order in which they came", async () => {
  const { source, events, reader } = create();
  const next = async () => (await reader.read()).value;
  const first = next();
  await delay(0);
  events.add(BLIND);
  assertEquals(await first, BLIND);
  source.controller.enqueue(UP);
  assertEquals(await next(), UP);
  events.add(SEES);
  source.controller.enqueue(DOWN);
  assertEquals([await next(), await next()], [SEES, DOWN]);
});

Deno.test("ConnectionEvents drops blind and sees if nobody read the first", async () => {
  const { source, events, reader } = create();
  events.add(BLIND);
  events.add(SEES);
  source.controller.enqueue(UP);
  assertEquals((await reader.read()).value, UP);
  events.add(BLIND);
  events.add(SEES);
  events.add(BLIND);
  assertEquals((await reader.read()).value, BLIND);
});

Deno.test("ConnectionEvents answers reads that wait, each with one event", async () => {
  const { source, events, reader } = create();
  const reads = [reader.read(), reader.read(), reader.read()];
  await delay(0);
  events.add(BLIND);
  source.controller.enqueue(UP);
  events.add(SEES);
  const values = (await Promise.all(reads)).map(({ value }) => value);
  assertEquals(values.map((event) => event!.type).sort(), [
    ...["blind", "sees", "up"],
  ]);
});

Deno.test("ConnectionEvents ends as the fleet's events do, and calls back once", async () => {
  const closed = create();
  closed.source.controller.close();
  assertEquals((await closed.reader.read()).done, true);
  assertEquals(closed.ended, 1);
  closed.events.add(BLIND);

  const failed = create();
  const error = new Error("lost");
  const read = failed.reader.read();
  failed.source.controller.error(error);
  assertStrictEquals(await assertRejects(() => read), error);
  assertEquals(failed.ended, 1);
  failed.events.add(BLIND);
});

Deno.test("ConnectionEvents cancels the fleet's events with the same reason", async () => {
  for (const isReading of [true, false]) {
    const test = create();
    const read = isReading ? test.reader.read() : undefined;
    await delay(0);
    const reason = new Error("enough");
    await test.reader.cancel(reason);
    assertStrictEquals(test.source.cancelled, reason);
    assertEquals((await read)?.done ?? true, true);
    assertEquals(test.ended, 1);
    test.events.add(BLIND);
  }
});
