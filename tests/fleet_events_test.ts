// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  FleetEvents,
  FleetEventStream,
  type StateEvent,
} from "../_fleet_events.ts";

type Kind = StateEvent["type"] | "forgotten";

function eventOf(type: StateEvent["type"], worker: string): StateEvent {
  const base = { worker, time: 5 };
  switch (type) {
    case "recovered":
      return { ...base, type, outage: 3, missed: 1, seq: 9 };
    case "down":
      return { ...base, type, reason: "silent" };
    default:
      return { ...base, type };
  }
}

/** Reports events of one worker, which has the row 0. */
function report(events: FleetEvents, ...kinds: Kind[]) {
  for (const kind of kinds) {
    if (kind === "forgotten") events.reportForgotten(0, "a", 5);
    else events.report(0, eventOf(kind, "a"));
  }
}

/** Lets a stream pull. */
async function settle() {
  for (let i = 0; i < 8; i++) await undefined;
}

function readAll(events: FleetEvents) {
  const types: string[] = [];
  for (let event; (event = events.next());) types.push(event.type);
  return types;
}

for (
  const [known, kind, unread] of [
    ["nothing", "up", ["up"]],
    ["nothing", "down", ["down"]],
    ["nothing", "recovered", ["up"]],
    ["nothing", "left", ["left"]],
    ["nothing", "forgotten", []],
    ["up", "up", []],
    ["up", "down", ["down"]],
    ["up", "recovered", []],
    ["up", "left", ["left"]],
    ["up", "forgotten", ["forgotten"]],
    ["recovered", "down", ["down"]],
    ["recovered", "recovered", []],
    ["down", "up", ["up"]],
    ["down", "down", []],
    ["down", "recovered", ["recovered"]],
    ["down", "left", ["left"]],
    ["down", "forgotten", ["forgotten"]],
    ["left", "up", ["up"]],
    ["left", "down", ["down"]],
    ["left", "recovered", ["up"]],
    ["left", "left", []],
    ["left", "forgotten", ["forgotten"]],
  ] as [StateEvent["type"] | "nothing", Kind, string[]][]
) {
  Deno.test(`FleetEvents: ${kind} gives ${unread.join() || "no event"} when the reader knows ${known}`, () => {
    const events = new FleetEvents();
    if (known === "recovered") report(events, "down");
    readAll(events);
    if (known !== "nothing") report(events, known);
    readAll(events);
    // whatever else was unread, the last event counts
    report(events, "down", "up", kind);
    assertEquals(readAll(events), unread);
    assertEquals(events.next(), undefined);
  });
}

Deno.test("FleetEvents takes outage and missed from a recovery that is the first event", () => {
  const events = new FleetEvents();
  report(events, "recovered");
  assertEquals(events.next(), { type: "up", worker: "a", time: 5, seq: 9 });
  report(events, "down");
  events.next();
  report(events, "recovered");
  assertEquals(events.next(), eventOf("recovered", "a"));
});

Deno.test("FleetEvents gives the events of several workers in the order of the last change", () => {
  const events = new FleetEvents();
  for (const row of [0, 1, 2]) events.report(row, eventOf("up", `w${row}`));
  events.report(0, eventOf("down", "w0"));
  assertEquals(
    [events.next(), events.next(), events.next()].map((event) =>
      `${event!.worker} ${event!.type}`
    ),
    ["w1 up", "w2 up", "w0 down"],
  );
});

Deno.test("FleetEvents keeps forgotten apart from who has the row next", () => {
  const events = new FleetEvents();
  report(events, "up");
  readAll(events);
  report(events, "forgotten");
  events.report(0, eventOf("up", "b"));
  assertEquals(events.next(), { type: "forgotten", worker: "a", time: 5 });
  assertEquals(events.next(), eventOf("up", "b"));
  // a new member that the reader has not heard of
  events.report(0, eventOf("down", "b"));
  events.reportForgotten(0, "b", 6);
  assertEquals(events.next(), { type: "forgotten", worker: "b", time: 6 });
  events.report(0, eventOf("up", "c"));
  events.reportForgotten(0, "c", 7);
  assertEquals(events.next(), undefined);
});

Deno.test("FleetEvents knows what was read of any number of rows", () => {
  const events = new FleetEvents();
  for (const row of [0, 63, 64, 1000]) {
    events.report(row, eventOf("up", `w${row}`));
    assertEquals(events.next()!.type, "up");
  }
  for (const row of [0, 63, 64, 1000, 5000]) {
    events.reportForgotten(row, `w${row}`, 5);
  }
  assertEquals(readAll(events), Array(4).fill("forgotten"));
});

Deno.test("FleetEvents takes the name of a forgotten worker for no row", () => {
  const events = new FleetEvents();
  events.report(0, eventOf("up", "1"));
  assertEquals(events.next()!.type, "up");
  events.reportForgotten(0, "1", 5);
  assertEquals(events.next()!.type, "forgotten");
  events.report(1, eventOf("recovered", "b"));
  assertEquals(events.next()!.type, "up");
});

Deno.test("FleetEvents reports refusals at first, and again when they are ten times as many", () => {
  const events = new FleetEvents();
  const counts: number[] = [];
  let described = 0;
  for (let i = 0; i < 1200; i++) {
    events.reportRefused("full", i, () => `x${++described}`);
    const event = events.next();
    if (event?.type === "refused") counts.push(event.count);
  }
  assertEquals([counts, described], [[1, 10, 100, 1000], 4]);
  assertEquals(events.refused, 1200);
});

Deno.test("FleetEvents keeps one unread refusal for each reason, and brings its count up to date", () => {
  const events = new FleetEvents();
  for (const name of ["x", "y", "z"]) {
    events.reportRefused("full", 7, () => name);
  }
  events.reportRefused("name", 8, () => "long");
  const base = { type: "refused" as const };
  assertEquals(events.next(), {
    ...{ ...base, worker: "x", time: 7, reason: "full", count: 3 },
  });
  assertEquals(events.next(), {
    ...{ ...base, worker: "long", time: 8, reason: "name", count: 1 },
  });
  assertEquals([events.next(), events.refused], [undefined, 4]);
});

Deno.test("FleetEvents reports the next refusal of a full fleet after a worker left", () => {
  const events = new FleetEvents();
  const refuse = (reason: "full" | "name") => {
    events.reportRefused(reason, 0, () => "x");
    return events.next()?.type;
  };
  assertEquals([refuse("full"), refuse("full")], ["refused", undefined]);
  assertEquals([refuse("name"), refuse("name")], ["refused", undefined]);
  events.reportForgotten(0, "a", 5);
  assertEquals([refuse("full"), refuse("full")], ["refused", undefined]);
  assertEquals(refuse("name"), undefined);
});

Deno.test("FleetEvents keeps the first unread refusal although a worker left", () => {
  const events = new FleetEvents();
  events.reportRefused("full", 1, () => "x");
  events.reportForgotten(0, "a", 2);
  events.reportRefused("full", 3, () => "y");
  assertEquals(events.next(), {
    ...{ type: "refused", worker: "x", time: 1, reason: "full", count: 2 },
  });
  events.reportRefused("full", 4, () => "z");
  assertEquals(events.next(), undefined);
});

Deno.test("FleetEventStream gives one event for each read, and closes after the unread ones", async () => {
  const events = new FleetEvents();
  const stream = new FleetEventStream(events, () => {});
  const reader = stream.readable.getReader();
  const first = reader.read();
  report(events, "up");
  stream.deliver();
  assertEquals((await first).value!.type, "up");
  report(events, "down");
  // nobody asked for it: it can still collapse
  stream.deliver();
  report(events, "recovered");
  events.report(1, eventOf("up", "b"));
  stream.close();
  assertEquals((await reader.read()).value!.worker, "b");
  assertEquals((await reader.read()).done, true);
});

Deno.test("FleetEventStream takes no event before it is asked for one, and stays open without one", async () => {
  const events = new FleetEvents();
  const stream = new FleetEventStream(events, () => {});
  await settle();
  report(events, "up");
  stream.deliver();
  report(events, "down");
  const reader = stream.readable.getReader();
  assertEquals((await reader.read()).value!.type, "down");
  const read = reader.read();
  await settle();
  // nothing has happened
  stream.deliver();
  report(events, "recovered");
  stream.deliver();
  assertEquals((await read).value!.type, "recovered");
});

Deno.test("FleetEventStream errors at once, whatever waits, and only if it has not ended", async () => {
  const reason = new Error("lost");
  for (const closing of [false, true]) {
    const events = new FleetEvents();
    const stream = new FleetEventStream(events, () => {});
    report(events, "up");
    if (closing) stream.close();
    stream.error(reason);
    stream.error(new Error("again"));
    stream.deliver();
    stream.close();
    const read = () => stream.readable.getReader().read();
    assertStrictEquals(await assertRejects(read), reason);
  }
  const closed = new FleetEventStream(new FleetEvents(), () => {});
  const read = closed.readable.getReader().read();
  await settle();
  closed.close();
  closed.error(reason);
  assertEquals((await read).done, true);
});

Deno.test("FleetEventStream passes on why it is cancelled, waits for that, and takes nothing more", async () => {
  const events = new FleetEvents();
  const reasons: unknown[] = [];
  const stream = new FleetEventStream(events, async (reason) => {
    await undefined;
    reasons.push(reason);
  });
  const reader = stream.readable.getReader();
  const read = reader.read();
  await settle();
  const cancelled = reader.cancel("enough");
  report(events, "up");
  stream.deliver();
  stream.close();
  stream.error(new Error("late"));
  await cancelled;
  assertEquals([reasons, (await read).done], [["enough"], true]);
  assertEquals(readAll(events), ["up"]);
});
