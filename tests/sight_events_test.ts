// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { SightEvents } from "../_sight_events.ts";
import type { FleetEvent, SightEvent } from "../fleet.ts";
import { createSource } from "./_help.ts";

const BLIND: SightEvent = { type: "blind", time: 1, reason: "connection" };
const SEES: SightEvent = { type: "sees", time: 2 };
const UP: FleetEvent = { type: "up", worker: "alpha", time: 3 };
const DOWN: FleetEvent = {
  ...{ type: "down", worker: "alpha" } as const,
  ...{ time: 4, reason: "silent" } as const,
};

function create() {
  const source = createSource<FleetEvent>();
  const test = { source, ended: 0 };
  const events = new SightEvents(source.stream, () => void test.ended++);
  return Object.assign(test, { events, reader: events.readable.getReader() });
}

Deno.test("SightEvents delivers both kinds in the order in which they came", async () => {
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

Deno.test("SightEvents drops blind and sees if nobody read the first", async () => {
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

Deno.test("SightEvents answers reads that wait, each with one event", async () => {
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

Deno.test("SightEvents says that it sees once, when it is over for the fleet and for who feeds it", async () => {
  const share: SightEvent = {
    ...{ type: "blind", time: 5, reason: "share" } as const,
    ...{ silent: 6, watched: 10 },
  };
  const over: SightEvent = { type: "sees", time: 6 };
  for (
    const [name, steps, expected] of [
      ["the fleet alone", [share, over], [share, over]],
      ["a fleet that was not blind", [over, UP], [UP]],
      ["both, resumed", [share, [BLIND], [SEES], over, UP], [
        ...[share, BLIND, SEES, UP],
      ]],
      ["both, the fleet first", [share, [BLIND], over, UP, [SEES]], [
        ...[share, BLIND, UP, SEES],
      ]],
    ] as [string, (FleetEvent | [SightEvent])[], FleetEvent[]][]
  ) {
    const { source, events, reader } = create();
    const seen: FleetEvent[] = [];
    const reading = (async () => {
      for (let read; !(read = await reader.read()).done;) seen.push(read.value);
    })();
    for (const step of steps) {
      await delay(0);
      if (Array.isArray(step)) events.add(step[0]);
      else source.controller.enqueue(step);
    }
    await delay(0);
    source.controller.close();
    await reading;
    assertEquals(seen, expected, name);
  }
});

Deno.test("SightEvents ends as the fleet's events do, and calls back once", async () => {
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

Deno.test("SightEvents cancels the fleet's events with the same reason", async () => {
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
