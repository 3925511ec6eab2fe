// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { FleetWatch } from "../_fleet_watch.ts";
import { LazyBeats } from "../_lazy_beats.ts";
import {
  type FleetEvent,
  FleetMonitor,
  type FleetMonitorOptions,
} from "../fleet.ts";
import {
  type MalformedMessage,
  subscribeHeartbeats,
  type SubscribeHeartbeatsOptions,
  watchFleet,
} from "../nats.ts";
import { advance, readAll } from "./_help.ts";
import { checkProperty } from "./model/_check_property.ts";
import { createConnection } from "./_nats.ts";

type Options = FleetMonitorOptions & SubscribeHeartbeatsOptions;
const LIMITS: Options = { timeout: 1_000, resolution: 30 };

/** A watcher that parses what it must, or one that parses all. */
function startWatcher(isLazy: boolean, options: Options = LIMITS) {
  const fake = createConnection();
  const odd: string[] = [];
  const given = {
    ...options,
    onMalformed: ({ count, subject, problem }: MalformedMessage) =>
      void odd.push(`${count} ${subject} ${problem}`),
    onDropped: (
      { count, worker, seq }: { count: number; worker: string; seq: number },
    ) => void odd.push(`${count} ${worker} ${seq}`),
  };
  const fleet = new FleetMonitor(options);
  const events: ReadableStream<FleetEvent> = isLazy
    ? watchFleet(fake.connection, "heartbeats.>", {
      ...{ ...given, fleet, blindAfter: 250 },
    }).events
    : subscribeHeartbeats(fake.connection, "heartbeats.>", given)
      .pipeThrough(fleet);
  return { fake, fleet, odd, events: readAll(events) };
}

/** What a worker sends. */
const message = fc.record({
  worker: fc.constantFrom("a", "b", "w1", "w2", "build.w1", "wörker"),
  seq: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant(10 ** 15)),
  time: fc.constantFrom(5, 6, 1_700_000_000_000, 1_700_000_000_009),
  detail: fc.constantFrom(
    ...[undefined, undefined, 7, 8, "step 1", "step 2", { step: 10 }],
    ...["x".repeat(60), "x".repeat(200), { worker: "w1" }, "a\\b"],
  ),
  ended: fc.constantFrom(undefined, undefined, undefined, "done", "failed"),
  /** Changes the text, or nothing. */
  change: fc.constantFrom(
    ...[["", ""], ["", ""], ["", ""], ["}", ""], ['"seq":', '"seq":0']],
    ...[["w1", "w2"], ["1", "2"], ['"time":', '"time": '], ["5", "x"]],
    ...[["time", "tim3"], ["}", ',"worker":"w2"}'], ["}", ',"seq":3}']],
  ),
});

/** A step of a schedule. */
type Step =
  | {
    do: "send";
    message: Record<string, unknown> & { worker: string; change: string[] };
  }
  | { do: "wait"; ms: number }
  | { do: "remove" | "beat" };

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("send"), message }) },
  fc.record({ do: fc.constant("wait"), ms: fc.integer({ min: 1, max: 700 }) }),
  fc.record({ do: fc.constant("remove") }),
  fc.record({ do: fc.constant("beat") }),
) as fc.Arbitrary<Step>;

Deno.test("watchFleet, which parses only what it must, finds what one finds that parses all", async () => {
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 60, size: "max" }),
    fc.constantFrom(4_096, 70),
    async (steps, maxDetailSize) => {
      using time = new FakeTime(0);
      const both = [true, false].map((isLazy) =>
        startWatcher(isLazy, { ...LIMITS, maxDetailSize })
      );
      for (const step of steps) {
        for (const { fake, fleet } of both) {
          if (step.do === "remove") fleet.remove("w1");
          if (step.do === "beat") fleet.beat("w1", 5, "local");
          if (step.do !== "send") continue;
          const { worker, change: [from, to], ...rest } = step.message;
          const text = JSON.stringify({
            ...{ worker: worker.split(".").at(-1), ...rest },
          }).replace(from!, to!);
          fake.receive(text, `heartbeats.${worker}`);
        }
        await advance(time, step.do === "wait" ? step.ms : 1, 10);
        const [lazy, eager] = both as [typeof both[0], typeof both[0]];
        assertEquals([...lazy.fleet], [...eager.fleet]);
        assertEquals(lazy.events.chunks, eager.events.chunks);
        assertEquals(lazy.odd, eager.odd);
      }
      for (const { events } of both) await events.cancel("the end");
      assertEquals(time.next(), false);
    },
  );
  await checkProperty(property, 250);
});

Deno.test("watchFleet does not parse a heartbeat that differs in digits only, until somebody asks", () => {
  using _time = new FakeTime(0);
  const { fake, fleet } = startWatcher(true);
  const { parse } = JSON;
  let parsed = 0;
  JSON.parse = (text: string) => (parsed++, parse(text));
  try {
    for (let seq = 100; seq < 200; seq++) {
      fake.receive(
        `{"worker":"a","seq":${seq},"time":5,"detail":${seq}}`,
        "heartbeats.a",
      );
    }
    assertEquals(parsed, 1);
    assertEquals([...fleet], [
      { worker: "a", state: "up", lastSeen: 0, seq: 199, detail: 199 },
    ]);
    assertEquals(parsed, 2);
  } finally {
    JSON.parse = parse;
  }
  fleet.remove("a");
});

Deno.test("watchFleet keeps few subjects of workers that are gone", async () => {
  using time = new FakeTime(0);
  const { fake, fleet, events } = startWatcher(true);
  const send = (worker: string, seq: number) =>
    fake.receive(
      JSON.stringify({ worker, seq, time: 5 }),
      `heartbeats.${worker}`,
    );
  send("stays", 1);
  send("stays", 7);
  for (let i = 0; i < 3_000; i++) {
    send(`job-${i}`, 1);
    send(`job-${i}`, 2);
    fleet.remove(`job-${i}`);
  }
  // its payload was decoded before it was dropped
  assertEquals([...fleet].map(({ worker, seq }) => [worker, seq]), [[
    "stays",
    7,
  ]]);
  send("stays", 8);
  send("stays", 9);
  assertEquals([...fleet].map(({ seq }) => seq), [9]);
  await events.cancel("enough");
  assertEquals(time.next(), false);
});

Deno.test("watchFleet takes names from payloads where all messages have one subject", async () => {
  using time = new FakeTime(0);
  const fake = createConnection();
  const { events, fleet } = watchFleet(fake.connection, "heartbeats", LIMITS);
  for (const worker of ["w1", "w2", "w1", "w3"]) {
    fake.receive(JSON.stringify({ worker, seq: 1, time: 5 }), "heartbeats");
  }
  await advance(time, 10);
  assertEquals(Array.from(fleet, ({ worker }) => worker), ["w1", "w2", "w3"]);
  await events.cancel();
});

Deno.test("LazyBeats hands heartbeats to whoever watches the worker now, and drops those of others", async () => {
  using _time = new FakeTime(0);
  const limits = { resolution: 30, forgetAfter: Infinity };
  const watches = [0, 1].map(() =>
    new FleetWatch({
      ...{ timeout: 1_000, ...limits, maxWorkers: 9, maxNameLength: 9 },
    })
  );
  let held: FleetWatch | undefined = watches[0];
  const lazy = new LazyBeats((worker) => worker === "a" ? held : undefined, 99);
  const send = (worker: string, seq: number) => {
    const beat = { worker, seq, time: 5 };
    const data = new TextEncoder().encode(JSON.stringify(beat));
    const message = { subject: `heartbeats.${worker}`, data };
    const isUnparsed = lazy.takesUnparsed(message);
    if (!isUnparsed) lazy.take(beat, message);
    return isUnparsed;
  };
  const seqs = () =>
    watches.map(({ table }) => Array.from(table, ({ seq }) => seq));
  assertEquals([send("a", 11), send("b", 11)], [false, false]);
  assertEquals([send("a", 12), send("b", 12)], [true, true]);
  assertEquals(seqs(), [[12], []]);
  await undefined;
  // the partition goes to somebody else
  held = undefined;
  watches[0]!.end();
  assertEquals([send("a", 13), send("a", 14)], [false, true]);
  // and comes back, with a new fleet
  held = watches[1];
  assertEquals([send("a", 15), send("a", 16)], [false, true]);
  assertEquals(seqs()[1], [16]);
  await undefined;
  watches[1]!.end();
});

Deno.test("watchFleet takes no goodbye for that of the last heartbeat, which came on another subject", async () => {
  using time = new FakeTime(0);
  const fake = createConnection();
  const { events, fleet } = watchFleet(fake.connection, "heartbeats.*.*", {
    ...LIMITS,
    workerOf: (subject) => subject.split(".")[1]!,
  });
  const says = readAll(events);
  const send = (subject: string, seq: number, ended?: string) =>
    fake.receive(
      JSON.stringify({ worker: "a", seq, time: 5, ended }),
      `heartbeats.a.${subject}`,
    );
  // two processes of one name, each with a subject of its own
  send("new", 11);
  send("old", 100);
  send("new", 12);
  await advance(time, 10);
  assertEquals([...fleet].map(({ seq }) => seq), [12]);
  send("old", 101, "done");
  await advance(time, 10);
  assertEquals(says.chunks.map(({ type }) => type), ["up"]);
  await says.cancel("enough");
});

/** How many hostile names come; the long form is a million. */
const NAMES = Number(Deno.env.get("HOSTILE_NAMES") ?? 20_000);

Deno.test(`watchFleet stays bounded when ${NAMES} hostile names come`, async () => {
  using time = new FakeTime(0);
  const { fake, fleet, events } = startWatcher(true, {
    ...{ ...LIMITS, maxWorkers: 500, maxNameLength: 40, forgetAfter: 100 },
  });
  const reader = { down: 0, most: 0 };
  for (let i = 0; i < NAMES; i++) {
    const worker = `${i}\u202e\x1b[31m${"é".repeat(i % 50)}`;
    fake.receive(
      JSON.stringify({ worker, seq: 1, time: 5, detail: "y".repeat(i % 200) }),
      `heartbeats.${worker}`,
    );
    reader.most = Math.max(reader.most, fleet.size);
    if (i % 2_000 === 0) await advance(time, 1_500, 100);
  }
  assertEquals(reader.most, 500);
  const long = events.chunks.filter(({ worker = "" }) => worker.length > 40);
  assertEquals(long, []);
  // the refusals are reported at powers of ten, or when it is full again
  const refusals = events.chunks.filter(({ type }) => type === "refused");
  assertEquals(
    refusals.length < 20 + NAMES / 1_000,
    true,
    `${refusals.length}`,
  );
  await advance(time, 3_000, 100);
  assertEquals([fleet.size, fleet.refused > NAMES / 2], [0, true]);
  await events.cancel("enough");
  assertEquals(time.next(), false);
});
