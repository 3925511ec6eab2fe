// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type FleetEvent, FleetMonitor } from "../fleet.ts";
import type { Heartbeat } from "../worker.ts";
import {
  advance,
  createSource,
  mulberry32,
  replaceGlobal,
  skewClock,
} from "./_help.ts";

const HOUR = 3_600_000;

function beatOf(worker: string, seq: number, detail?: unknown): Heartbeat {
  return { worker, seq, time: 0, ...(detail !== undefined && { detail }) };
}

/** Reads the events all the time. */
function observe(fleet: FleetMonitor) {
  const seen: {
    events: FleetEvent[];
    said: string[];
    error?: unknown;
    closed?: boolean;
  } = { events: [], said: [] };
  (async () => {
    try {
      for await (const event of fleet.readable) {
        seen.events.push(event);
        seen.said.push(`${event.worker} ${event.type}`);
      }
      seen.closed = true;
    } catch (error) {
      seen.error = error;
    }
  })();
  return seen;
}

/** Lets streams do what they do without timers. */
async function settle(turns = 20) {
  for (let i = 0; i < turns; i++) await undefined;
}

/** Reads what waits; one more read is left waiting. */
async function drain(reader: ReadableStreamDefaultReader<FleetEvent>) {
  const events: FleetEvent[] = [];
  for (;;) {
    let came = false;
    const read = reader.read().then(({ value }) => {
      if (value) events.push(value);
      came = true;
    });
    await settle();
    if (!came) return { events: [...events], read };
  }
}

function count(events: readonly FleetEvent[]) {
  const counts: Record<string, number> = {};
  for (const { type } of events) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

function stateOf(fleet: FleetMonitor) {
  return [...fleet].map(({ worker, state }) => `${worker} ${state}`);
}

for (const start of [0, 1_700_000_000_000]) {
  Deno.test(`FleetMonitor reports up, down, recovered and forgotten with their data when the epoch is ${start}`, async () => {
    using time = new FakeTime(start);
    const fleet = new FleetMonitor({ timeout: 1000, resolution: 30 });
    const seen = observe(fleet);
    const writer = fleet.writable.getWriter();
    writer.write(beatOf("a", 7, { step: 1 }));
    await advance(time, 500);
    writer.write([beatOf("a", 8, { step: 2 })]);
    await advance(time, 1000, 10);
    assertEquals(seen.said, ["a up"]);
    await advance(time, 30, 10);
    assertEquals(seen.said, ["a up", "a down"]);
    await advance(time, 470, 10);
    writer.write(beatOf("a", 12, { step: 6 }));
    await advance(time, 100, 10);
    assert(fleet.remove("a"));
    await advance(time, 100, 10);
    const at = seen.events[1]!.time;
    assert(at >= start + 1500 && at <= start + 1530, `${at - start}`);
    assertEquals(seen.events, [
      { type: "up", worker: "a", time: start, seq: 7, detail: { step: 1 } },
      {
        ...{ type: "down", worker: "a", time: at },
        ...{ lastSeen: start + 500, seq: 8, detail: { step: 2 } },
        ...{ reason: "silent" } as const,
      },
      {
        ...{ type: "recovered", worker: "a", time: start + 2000 },
        ...{ outage: 1500, missed: 3, seq: 12, detail: { step: 6 } },
      },
      { type: "forgotten", worker: "a", time: start + 2100 },
    ]);
    assertEquals(JSON.parse(JSON.stringify(seen.events)), seen.events);
    assertEquals(time.next(), false);
  });
}

Deno.test("FleetMonitor reports nothing that a heartbeat did not contain", async () => {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({ timeout: 100 });
  const seen = observe(fleet);
  fleet.beat("a");
  await advance(time, 200, 10);
  fleet.beat("a");
  fleet.remove("a");
  await advance(time, 10, 10);
  assertEquals(seen.events.map((event) => Object.keys(event).sort()), [
    ["time", "type", "worker"],
    ["lastSeen", "reason", "time", "type", "worker"],
    ["outage", "time", "type", "worker"],
    ["time", "type", "worker"],
  ]);
});

for (
  const [last, next, missed] of [
    [1, 2, 0],
    [1, 9, 7],
    [9, 1, undefined],
    [9, 9, undefined],
    [undefined, 4, undefined],
    [4, undefined, undefined],
  ]
) {
  Deno.test(`FleetMonitor says ${missed} missed when ${next} follows ${last}`, async () => {
    using time = new FakeTime();
    const fleet = new FleetMonitor({ timeout: 100 });
    const seen = observe(fleet);
    fleet.beat("a", last);
    await advance(time, 200, 10);
    fleet.beat("a", next);
    await advance(time, 1);
    const event = seen.events[2] as FleetEvent & { type: "recovered" };
    assertEquals(event.type, "recovered");
    assertEquals(event.missed, missed);
    assertEquals("missed" in event, missed !== undefined);
    fleet.remove("a");
  });
}

Deno.test("FleetMonitor forgets the seq and the detail of the heartbeat before when one has none", async () => {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({ timeout: 100 });
  fleet.beat("other", 1);
  fleet.beat("a", 3, "step 1");
  assertEquals([...fleet], [
    { worker: "other", state: "up", lastSeen: 0, seq: 1 },
    { worker: "a", state: "up", lastSeen: 0, seq: 3, detail: "step 1" },
  ]);
  fleet.beat("a");
  assertEquals([...fleet][1], { worker: "a", state: "up", lastSeen: 0 });
  await fleet.readable.cancel();
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor gives lastSeen of single heartbeats to the tick, of chunks exactly", async () => {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({ timeout: 1000, resolution: 300 });
  const writer = fleet.writable.getWriter();
  fleet.expect(["keeps the clock"]);
  await advance(time, 190, 10);
  fleet.beat("a");
  assertEquals([...fleet][1]!.lastSeen, 100);
  await writer.write(beatOf("b", 1));
  assertEquals([...fleet][2]!.lastSeen, 190);
  await writer.close();
});

Deno.test("FleetMonitor reports that an expected worker is down, and up at its first heartbeat", async () => {
  using time = new FakeTime(0);
  const fleet = new FleetMonitor({ timeout: 1000, resolution: 30 });
  const seen = observe(fleet);
  fleet.expect(new Set(["a", "b"]));
  assertEquals(stateOf(fleet), ["a expected", "b expected"]);
  await advance(time, 500);
  fleet.beat("b", 1);
  // workers that are known are left as they are
  fleet.expect(["a", "b"]);
  await advance(time, 530, 10);
  assertEquals(stateOf(fleet), ["a down", "b up"]);
  assertEquals(seen.said, ["b up", "a down"]);
  assertEquals(Object.keys(seen.events[1]!), [
    ...["type", "worker", "time", "reason"],
  ]);
  fleet.expect(["a"]);
  assertEquals(stateOf(fleet)[0], "a down");
  fleet.beat("a", 5);
  await advance(time, 1);
  assertEquals(seen.events[2], {
    ...{ type: "up", worker: "a", time: 1030, seq: 5 },
  });
  await fleet.writable.abort();
});

Deno.test("FleetMonitor.remove reports only workers that the reader knows, and returns whether one was watched", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const reader = fleet.readable.getReader();
  fleet.beat("known");
  assertEquals((await reader.read()).value!.type, "up");
  fleet.beat("unknown");
  fleet.expect(["expected"]);
  assertEquals(fleet.size, 3);
  for (const name of ["known", "unknown", "expected"]) {
    assertEquals([fleet.remove(name), fleet.remove(name)], [true, false]);
  }
  assertEquals([fleet.size, [...fleet], time.next()], [0, [], false]);
  fleet.beat("known", 2);
  const { events } = await drain(reader);
  assertEquals(events.map(({ type, worker }) => `${worker} ${type}`), [
    "known forgotten",
    "known up",
  ]);
  await reader.cancel();
});

Deno.test("FleetMonitor forgets workers that were down for forgetAfter, in the order in which they went down", async () => {
  using time = new FakeTime(0);
  const options = { timeout: 300, resolution: 30, forgetAfter: 1000 };
  const fleet = new FleetMonitor(options);
  const seen = observe(fleet);
  fleet.beat("a");
  fleet.beat("b");
  fleet.beat("c");
  await advance(time, 400, 10);
  fleet.beat("a");
  await advance(time, 400, 10);
  fleet.beat("c");
  assertEquals(stateOf(fleet), ["a down", "b down", "c up"]);
  const alive = setInterval(() => fleet.beat("c"), 100);
  await advance(time, 1500, 10);
  clearInterval(alive);
  assertEquals(stateOf(fleet), ["c up"]);
  assertEquals(seen.said.slice(3), [
    ...["a down", "b down", "c down", "a recovered", "a down"],
    ...["c recovered", "b forgotten", "a forgotten"],
  ]);
  const at = (said: string) => seen.events[seen.said.lastIndexOf(said)]!.time;
  for (const name of ["a", "b"]) {
    const after = at(`${name} forgotten`) - at(`${name} down`);
    assert(after >= 1000 && after <= 1030, `${name} after ${after}`);
  }
  await advance(time, 3000);
  assertEquals([fleet.size, time.next()], [0, false]);
});

Deno.test("FleetMonitor.handle stays valid when its worker leaves and another takes its place", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const alpha = fleet.handle("alpha");
  assertEquals([alpha.worker, fleet.size], ["alpha", 0]);
  alpha.beat(1);
  fleet.beat("last", 1);
  for (let i = 2; i < 300; i++) {
    // whoever comes next gets what alpha had
    fleet.remove("alpha");
    fleet.beat(`other-${i}`, -1, "mine");
    alpha.beat(i, `alpha ${i}`);
    fleet.handle("alpha").beat(i + 0.5);
    alpha.beat(i + 1);
    const all = new Map(Array.from(fleet, (one) => [one.worker, one]));
    assertEquals(all.get("alpha")!.seq, i + 1);
    assertEquals(all.get("alpha")!.detail, undefined);
    assertEquals(all.get(`other-${i}`)!.seq, -1);
    assertEquals(all.get(`other-${i}`)!.detail, "mine");
    assertEquals(all.size, i + 1);
  }
  await fleet.writable.abort();
  alpha.beat(1000);
  assertEquals(time.next(), false);
  assert([...fleet].every(({ seq }) => seq !== 1000));
});

Deno.test("FleetMonitor has one timer for the whole fleet, and none when nobody is waited for", async () => {
  using time = new FakeTime();
  let set = 0;
  let live = 0;
  using _set = replaceGlobal(
    "setTimeout",
    (fake) =>
      ((run: () => void, ms: number) => {
        set++;
        live++;
        return fake(() => {
          live--;
          run();
        }, ms);
      }) as typeof setTimeout,
  );
  const fleet = new FleetMonitor({ timeout: 900, resolution: 90 });
  assertEquals(set, 0);
  for (let i = 0; i < 10_000; i++) fleet.beat(`w${i}`, 1);
  assertEquals([set, live], [1, 1]);
  for (let i = 0; i < 20; i++) {
    await advance(time, 30, 10);
    assertEquals(live, 1);
    for (let i = 0; i < 10_000; i += 2) fleet.beat(`w${i}`, 2);
    assertEquals(live, 1);
  }
  assertEquals(set, 21);
  await advance(time, 1100, 10);
  assertEquals([...fleet].filter(({ state }) => state === "down").length, 1e4);
  assertEquals(time.next(), false);
  fleet.beat("w5");
  assert(time.next());
  fleet.remove("w5");
  assertEquals(time.next(), false);
  fleet.expect(["x"]);
  assert(time.next());
  fleet.remove("x");
  assertEquals(time.next(), false);
  fleet.expect([]);
  assertEquals(time.next(), false);
});

/** Records the delays of all timers. */
function recordDelays() {
  const seen = new Set<number>();
  const replaced = replaceGlobal(
    "setTimeout",
    (fake) =>
      ((run: () => void, ms: number) => {
        seen.add(ms);
        return fake(run, ms);
      }) as typeof setTimeout,
  );
  return Object.assign(replaced, { seen });
}

for (
  const [timeout, resolution, workers] of [
    [10, 3, 300],
    [100, 3, 300],
    [100, undefined, 300],
    [1000, 37, 300],
    [1000, undefined, 300],
    [1000, 5000, 300],
    [60_000, 100, 30],
    [HOUR, undefined, 300],
    [2 ** 33, 2 ** 28, 300],
    [2 ** 33, 2 ** 34, 300],
  ] as const
) {
  Deno.test(`FleetMonitor finds each silence from ${timeout} ms to ${resolution} ms later`, () => {
    using time = new FakeTime(0);
    using delays = recordDelays();
    const late = resolution ?? Math.min(timeout / 10, 10_000);
    const random = mulberry32(timeout);
    const fleet = new FleetMonitor({
      timeout,
      ...(resolution && { resolution }),
    });
    const beats = Array.from({ length: workers }, () => {
      return Math.floor(2 * timeout * random());
    }).sort((a, b) => a - b);
    const silent = new Map<string, number>();
    const grain = Math.max(Math.floor(late / 3), 1);
    const lags: number[] = [];
    /** Each verdict is seen at the tick that made it, or not long after. */
    const look = (from: number) => {
      for (const { worker, state } of fleet) {
        const since = silent.get(worker)!;
        if (state === "down") {
          // when it is down is only known to lie in between
          assert(time.now - since >= timeout, `${time.now - since}`);
          lags.push(from - since - timeout);
          assert(from - since < timeout + late, `${from - since}`);
          fleet.remove(worker);
        } else assert(time.now - since < timeout + late, `late ${since}`);
      }
    };
    let at = 0;
    let n = 0;
    while (fleet.size > 0 || n < workers) {
      const next = Math.min(at + grain, beats[n] ?? Infinity);
      time.tick(next - at);
      const from = at;
      at = next;
      look(from);
      while (beats[n]! <= at) {
        fleet.beat(`w${n}`);
        silent.set(`w${n++}`, at);
      }
    }
    assertEquals(lags.length, workers);
    assert(Math.max(...delays.seen) <= 2 ** 31 - 1);
    assert(Math.min(...delays.seen) >= 1);
    assertEquals(time.next(), false);
  });
}

for (
  const [timeout, resolution, late] of [[1000, 300, 10], [100, 9, 2], [
    30,
    3,
    2,
  ]]
) {
  Deno.test(`FleetMonitor finds a silence of ${timeout} ms in time when every tick is ${late} ms late`, () => {
    using time = new FakeTime(0);
    using clock = skewClock(time);
    const period = resolution! / 3;
    for (let phase = 1; phase <= period + late!; phase++) {
      const fleet = new FleetMonitor({
        timeout: timeout!,
        resolution: resolution!,
      });
      fleet.expect(["keeps the clock"]);
      /** One tick and what is before it, in the time of the wall. */
      const turn = (look: (now: number) => void) => {
        for (let ms = 0; ms < period + late!; ms++) {
          // late: the time of the timers stands still
          if (ms < period - 1 || ms === period + late! - 1) time.tick(1);
          else clock.ahead++;
          look(Date.now());
        }
      };
      const start = Date.now();
      let since = Infinity;
      let found = 0;
      for (let i = 0; i < 2 * timeout! / period && found === 0; i++) {
        turn((now) => {
          if (now === start + phase) {
            fleet.beat("a");
            since = now;
          }
          const state = [...fleet][1]?.state;
          if (state === "down") found ||= now - since;
        });
      }
      assert(found >= timeout!, `${phase}: ${found}`);
      assert(found <= timeout! + resolution! + 2 * late!, `${phase}: ${found}`);
      fleet.writable.abort();
      time.tick(period);
    }
  });
}

Deno.test("FleetMonitor declares nobody down when the timeout is infinite, and holds no timer", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: Infinity });
  const seen = observe(fleet);
  const handle = fleet.handle("a");
  handle.beat();
  fleet.expect(["b"]);
  for (let i = 0; i < 100; i++) await time.tickAsync(HOUR);
  assertEquals(time.next(), false);
  assertEquals(seen.said, ["a up"]);
  handle.beat();
  assertEquals([...fleet][0]!.lastSeen, time.now);
  await time.tickAsync(HOUR);
  fleet.beat("a");
  assertEquals([...fleet][0]!.lastSeen, time.now);
  await fleet.writable.close();
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor takes a seq that is no number for none", async () => {
  const fleet = new FleetMonitor({ timeout: HOUR });
  const reader = fleet.readable.getReader();
  const writer = fleet.writable.getWriter();
  for (const [i, seq] of [null, "7", {}, undefined].entries()) {
    await writer.write({ worker: `w${i}`, seq, time: 0 } as never);
    const { value } = await reader.read();
    assertEquals("seq" in value!, false);
    assertEquals("seq" in [...fleet][i]!, false);
  }
  await writer.close();
});

Deno.test("FleetMonitor ticks once a millisecond at most", () => {
  for (const resolution of [0.01, 1, 2.9]) {
    using time = new FakeTime();
    const fleet = new FleetMonitor({ timeout: 5, resolution });
    fleet.beat("a");
    const { now } = time;
    assert(time.next());
    assertEquals(time.now - now, 1);
    time.tick(8);
    assertEquals(stateOf(fleet), ["a down"]);
    assertEquals(time.next(), false);
  }
});

for (const jump of [300, 2000, HOUR]) {
  Deno.test(`FleetMonitor raises no alarm when the wall clock jumps by ${jump} ms or it was away, and finds the silent after it`, async () => {
    using time = new FakeTime();
    using clock = skewClock(time);
    const fleet = new FleetMonitor({ timeout: 1000, resolution: 60 });
    const seen = observe(fleet);
    fleet.beat("waits unread");
    fleet.beat("silent");
    await advance(time, 970, 10);
    clock.ahead = jump;
    // the tick that finds it
    await advance(time, 20, 20);
    await advance(time, 970, 10);
    assertEquals(count(seen.events), { up: 2 });
    fleet.beat("waits unread");
    await advance(time, 90, 10);
    assertEquals(seen.said.slice(2), ["silent down"]);
    await advance(time, 970, 10);
    assertEquals(seen.said.length, 4);
    assertEquals(time.next(), false);
  });
}

Deno.test("FleetMonitor brings no verdict early when the wall clock takes small steps", async () => {
  using time = new FakeTime();
  using clock = skewClock(time);
  const fleet = new FleetMonitor({ timeout: 1000, resolution: 300 });
  const seen = observe(fleet);
  fleet.expect(["keeps the clock"]);
  await advance(time, 90, 10);
  fleet.beat("a");
  for (let i = 0; i < 9; i++) {
    clock.ahead += 45;
    await advance(time, 100, 10);
  }
  await advance(time, 90, 10);
  assertEquals(stateOf(fleet).at(-1), "a up");
  await advance(time, 310, 10);
  assertEquals(seen.said.at(-1), "a down");
});

for (const jump of [-300, -2000, -HOUR]) {
  Deno.test(`FleetMonitor finds the silent in time when the wall clock is set back by ${-jump} ms`, async () => {
    using time = new FakeTime(2 * HOUR);
    using clock = skewClock(time);
    const fleet = new FleetMonitor({ timeout: 1000, resolution: 60 });
    const seen = observe(fleet);
    fleet.beat("a");
    await advance(time, 970, 10);
    clock.ahead = jump;
    await advance(time, 29, 10);
    assertEquals(seen.said, ["a up"]);
    await advance(time, 61, 10);
    assertEquals(seen.said, ["a up", "a down"]);
    assertEquals(time.next(), false);
  });
}

/** One turn of a loop that is blocked for `lag` ms, after which a tick of the fleet is late. */
async function blockedTurn(
  time: FakeTime,
  clock: { ahead: number },
  lag: number,
  period: number,
) {
  await settle();
  clock.ahead += lag - period;
  await advance(time, period, period);
}

for (
  const [timeout, lag, most] of [
    ...[[300, 20, 1.5], [300, 50, 1.5], [300, 100, 1.5], [300, 300, 3]],
    ...[[300, 3000, 3], [3000, 100, 1.5], [3000, 500, 1.5], [3000, 1000, 1.5]],
  ] as const
) {
  Deno.test(`FleetMonitor with a timeout of ${timeout} ms finds the silent, and nobody else, when each turn of the loop takes ${lag} ms`, async () => {
    for (const how of ["beat", "chunk"]) {
      using time = new FakeTime();
      using clock = skewClock(time);
      const fleet = new FleetMonitor({ timeout });
      const seen = observe(fleet);
      const writer = fleet.writable.getWriter();
      const beat = (name: string) =>
        how === "beat" ? fleet.beat(name) : writer.write(beatOf(name, 1));
      const turn = () => blockedTurn(time, clock, lag, timeout / 30);
      const warmUp = Math.ceil(3 * timeout / lag) + 3;
      for (let i = 0; i < warmUp; i++) {
        beat("alive");
        beat("silent");
        await turn();
      }
      const start = Date.now() - lag;
      while (seen.said.length === 2 && Date.now() - start < 50 * timeout) {
        beat("alive");
        await turn();
      }
      const silence = Date.now() - start;
      assertEquals(seen.said, ["alive up", "silent up", "silent down"]);
      const limit = most * timeout + 2 * lag + timeout / 10;
      assert(silence >= timeout, `${how}: ${silence}`);
      assert(silence <= limit, `${how}: ${silence} of ${limit}`);
      await writer.close();
    }
  });
}

for (const block of [60, 120, 375]) {
  Deno.test(`FleetMonitor finds a silence of 3 s in time although the loop was blocked for ${block} ms once`, async () => {
    for (const at of [100, 1_500, 2_900, 3_000]) {
      using time = new FakeTime();
      using clock = skewClock(time);
      const fleet = new FleetMonitor({ timeout: 3_000 });
      const seen = observe(fleet);
      fleet.beat("a");
      const start = Date.now();
      await advance(time, at, 100);
      await blockedTurn(time, clock, 100 + block, 100);
      while (seen.said.length < 2 && Date.now() - start < 20_000) {
        await advance(time, 10, 10);
      }
      const silence = Date.now() - start;
      assert(silence >= 3_000, `${at}: ${silence}`);
      assert(silence <= 3_300 + block, `${at}: ${silence}`);
      await fleet.writable.close();
    }
  });
}

Deno.test("FleetMonitor finds an expected worker that never beats in time in a loop that is late from the start", async () => {
  const [timeout, lag] = [300, 3000];
  using time = new FakeTime();
  using clock = skewClock(time);
  const fleet = new FleetMonitor({ timeout });
  const seen = observe(fleet);
  const start = Date.now();
  fleet.expect(["a", "b"]);
  while (seen.said.length < 2 && Date.now() - start < 50 * timeout) {
    await blockedTurn(time, clock, lag, timeout / 30);
  }
  const silence = Date.now() - start;
  assert(silence <= 3 * timeout + 2 * lag + timeout / 10, `${silence}`);
  await fleet.writable.close();
});

Deno.test("FleetMonitor gives the whole timeout after an absence although the loop was always late before", async () => {
  using time = new FakeTime();
  using clock = skewClock(time);
  const fleet = new FleetMonitor({ timeout: 300 });
  const seen = observe(fleet);
  for (let i = 0; i < 20; i++) {
    fleet.beat("a");
    await blockedTurn(time, clock, 100, 10);
  }
  await blockedTurn(time, clock, 10_000, 10);
  await advance(time, 300, 10);
  assertEquals(seen.said, ["a up"]);
  await advance(time, 30, 10);
  assertEquals(seen.said, ["a up", "a down"]);
  await fleet.writable.close();
});

Deno.test("FleetMonitor.pause lets nobody be down until resume, which gives the whole timeout", async () => {
  using time = new FakeTime();
  for (const phase of [0, 50, 99]) {
    const fleet = new FleetMonitor({ timeout: 1000, resolution: 300 });
    const seen = observe(fleet);
    fleet.beat("a");
    fleet.beat("b");
    await advance(time, 900);
    fleet.pause();
    await advance(time, 10_000 + phase, 500);
    fleet.beat("c");
    await settle();
    assertEquals(seen.said, ["a up", "b up", "c up"]);
    fleet.resume();
    await advance(time, 999, 9);
    assertEquals(seen.said.length, 3);
    fleet.beat("a");
    await advance(time, 301, 7);
    assertEquals(seen.said.slice(3), ["b down", "c down"]);
    await fleet.writable.abort();
  }
});

/** Workers that beat once, and are removed. */
async function comeAndGo(
  fleet: FleetMonitor,
  writer: WritableStreamDefaultWriter<Heartbeat>,
  round: number,
) {
  for (let i = 0; i < 300; i++) {
    await writer.write(beatOf(`come and gone ${round} ${i}`, 1));
    fleet.remove(`come and gone ${round} ${i}`);
  }
}

Deno.test("FleetMonitor takes every heartbeat at once, and holds one event a worker, when nobody reads", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const writer = fleet.writable.getWriter();
  const reader = fleet.readable.getReader();
  const names = Array.from({ length: 10_000 }, (_, i) => `w${i}`);
  const all = (seq: number) => names.map((name) => beatOf(name, seq));
  for (let round = 1; round <= 5; round++) {
    // without any read
    await writer.ready;
    await writer.write(all(round));
    await advance(time, 1200, 100);
    await comeAndGo(fleet, writer, round);
  }
  const first = await drain(reader);
  assertEquals(count(first.events), { down: 10_000 });
  assert(
    first.events.every((event) => event.type === "down" && event.seq === 5),
  );
  // a reader who knows that all are down does not hear of a short return
  await writer.write([...all(6), beatOf("extra", 1)]);
  await first.read;
  await advance(time, 1200, 100);
  const second = await drain(reader);
  assertEquals(second.events.map(({ type, worker }) => `${worker} ${type}`), [
    // a read had waited for it
    "w0 down",
    "extra down",
  ]);
  // and once more of a return that lasts
  await writer.write(all(9));
  await second.read;
  const third = await drain(reader);
  assertEquals(count(third.events), { recovered: 9_999 });
  for (const event of third.events) {
    assert(event.type === "recovered" && event.missed === 2);
  }
  for (let round = 0; round < 20; round++) {
    for (const name of names) {
      fleet.remove(name);
      fleet.beat(name, round);
    }
  }
  await third.read;
  const fourth = await drain(reader);
  const kinds = count(fourth.events);
  assert(kinds.forgotten! >= 9_999 && kinds.forgotten! <= 10_000);
  assert(kinds.up! >= 9_999 && kinds.up! <= 10_000);
  assertEquals(Object.keys(kinds).length, 2);
  await reader.cancel();
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor needs no more memory when names come and go for ever and nobody reads", async () => {
  setFlagsFromString("--expose-gc");
  const gc: () => void = runInNewContext("gc");
  const fleet = new FleetMonitor({ timeout: HOUR });
  const reader = fleet.readable.getReader();
  fleet.beat("first");
  fleet.beat("second");
  await reader.read();
  const churn = () => {
    for (let i = 0; i < 200_000; i++) {
      fleet.beat(`name-${i}`, i, i);
      fleet.remove(`name-${i}`);
    }
    gc();
    gc();
    return Deno.memoryUsage().heapUsed;
  };
  const before = churn();
  const grown = churn() - before;
  assert(grown < 2e6, `${grown} bytes more`);
  await reader.cancel();
});

Deno.test("FleetMonitor reports what is still true to a reader who is late", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const reader = fleet.readable.getReader();
  const next = async () => {
    const { value } = await reader.read();
    return `${value!.worker} ${value!.type}`;
  };
  fleet.beat("a");
  fleet.beat("b");
  fleet.expect(["c"]);
  await advance(time, 1200);
  fleet.beat("b");
  fleet.beat("c");
  assertEquals([await next(), await next(), await next()], [
    ...["a down", "b up", "c up"],
  ]);
  // an outage that is over
  await advance(time, 1200);
  fleet.beat("b");
  fleet.beat("a");
  fleet.beat("d");
  assertEquals([await next(), await next(), await next()], [
    ...["c down", "a recovered", "d up"],
  ]);
  fleet.remove("a");
  fleet.beat("a");
  fleet.remove("a");
  fleet.beat("c");
  fleet.remove("c");
  assertEquals([await next(), await next()], ["a forgotten", "c forgotten"]);
  await reader.cancel();
});

Deno.test("FleetMonitor remembers what was read of each worker when the fleet grows", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const reader = fleet.readable.getReader();
  for (let i = 0; i < 1000; i++) {
    fleet.beat(`w${i}`);
    assertEquals((await reader.read()).value!.worker, `w${i}`);
  }
  for (let i = 0; i < 1000; i++) fleet.remove(`w${i}`);
  const { events } = await drain(reader);
  assertEquals(count(events), { forgotten: 1000 });
  await reader.cancel();
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor finds the silent of a fleet that grows and shrinks", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const alive = new Set<string>();
  const random = mulberry32(5);
  for (let i = 0; i < 3000; i++) {
    const name = `w${Math.floor(800 * random())}`;
    if (random() < 0.4) assertEquals(fleet.remove(name), alive.delete(name));
    else {
      alive.add(name);
      fleet.beat(name, i);
    }
    assertEquals(fleet.size, alive.size);
  }
  assertEquals(new Set(Array.from(fleet, ({ worker }) => worker)), alive);
  await advance(time, 900);
  const beating = [...alive].filter((_, i) => i % 3 === 0);
  for (const name of beating) fleet.beat(name);
  await advance(time, 200);
  assertEquals(
    Array.from(fleet).filter(({ state }) => state === "up").map((one) =>
      one.worker
    ).sort(),
    beating.sort(),
  );
  for (const name of alive) fleet.remove(name);
  assertEquals([fleet.size, time.next()], [0, false]);
});

Deno.test("FleetMonitor closes when writable does, after the events that wait", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const writer = fleet.writable.getWriter();
  await writer.write([beatOf("a", 1), beatOf("b", 1)]);
  await writer.close();
  assertEquals(time.next(), false);
  fleet.beat("c");
  fleet.handle("a").beat(2);
  fleet.expect(["d"]);
  assertEquals([fleet.size, time.next()], [2, false]);
  assertEquals([...fleet].map(({ seq }) => seq), [1, 1]);
  const events = await Array.fromAsync(fleet.readable);
  assertEquals(count(events), { up: 2 });
});

Deno.test("FleetMonitor closes for a reader that waits", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const seen = observe(fleet);
  fleet.beat("a");
  await fleet.writable.close();
  await advance(time, 1);
  assertEquals([seen.closed, seen.said, time.next()], [true, ["a up"], false]);
});

Deno.test("FleetMonitor errors readable when writable is aborted or its source fails", async () => {
  using time = new FakeTime();
  const reason = new Error("lost");
  for (const how of ["abort", "error"]) {
    const fleet = new FleetMonitor({ timeout: 1000 });
    const seen = observe(fleet);
    fleet.beat("a");
    if (how === "abort") await fleet.writable.abort(reason);
    else {
      const source = createSource<Heartbeat>();
      const piped = assertRejects(() => source.stream.pipeTo(fleet.writable));
      source.controller.error(reason);
      assertStrictEquals(await piped, reason);
    }
    await advance(time, 1);
    assertStrictEquals(seen.error, reason);
    fleet.beat("b");
    assertEquals([fleet.size, time.next()], [1, false]);
  }
});

Deno.test("FleetMonitor ends what is piped into it when the events are cancelled", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const source = createSource<Heartbeat>();
  const reason = new Error("enough");
  const piped = assertRejects(() => source.stream.pipeTo(fleet.writable));
  source.controller.enqueue(beatOf("a", 1));
  await settle();
  assert(time.next());
  await fleet.readable.cancel(reason);
  assertStrictEquals(await piped, reason);
  assertStrictEquals(source.cancelled, reason);
  assertEquals(time.next(), false);
});

Deno.test("FleetMonitor ignores a heartbeat in the very turn in which a waiting reader cancels", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const reader = fleet.readable.getReader();
  fleet.beat("a");
  await reader.read();
  const read = reader.read();
  const cancelled = reader.cancel();
  fleet.beat("b");
  assertEquals([fleet.size, time.next()], [1, false]);
  assertEquals((await read).done, true);
  await cancelled;
});

Deno.test("FleetMonitor watches several streams, one after the other and beside each other, with preventClose", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 1000 });
  const seen = observe(fleet);
  for (const name of ["a", "b"]) {
    await ReadableStream.from([beatOf(name, 1)])
      .pipeTo(fleet.writable, { preventClose: true });
  }
  fleet.beat("c");
  await advance(time, 1);
  assertEquals(seen.said, ["a up", "b up", "c up"]);
  await advance(time, 1200);
  assertEquals(seen.said.slice(3), ["a down", "b down", "c down"]);
  assertEquals(seen.closed, undefined);
});

for (
  const [chunk, shown] of [
    [undefined, "undefined"],
    [null, "undefined"],
    [7, "undefined"],
    [{}, "undefined"],
    [{ worker: 7 }, "7"],
    [{ worker: null }, "null"],
    [[beatOf("ok", 1), { seq: 1 }], "undefined"],
    [[undefined], "undefined"],
  ] as const
) {
  Deno.test(`FleetMonitor errors both sides when a chunk is ${JSON.stringify(chunk)}`, async () => {
    using time = new FakeTime();
    const fleet = new FleetMonitor({ timeout: 1000 });
    const seen = observe(fleet);
    fleet.beat("before");
    const writer = fleet.writable.getWriter();
    const error = await assertRejects(
      // deno-lint-ignore no-explicit-any
      () => writer.write(chunk as any),
      TypeError,
      `'worker' must be a string: current value is ${shown}`,
    );
    await assertRejects(() => writer.closed, TypeError);
    await advance(time, 1);
    assertStrictEquals(seen.error, error);
    assertEquals(time.next(), false);
  });
}

/** Collects garbage, so that what is held can be measured. */
function collectGarbage() {
  setFlagsFromString("--expose-gc");
  const gc: () => void = runInNewContext("gc");
  gc();
  gc();
}

/** Bytes of the heap that are in use. */
function heapUsed() {
  collectGarbage();
  return Deno.memoryUsage().heapUsed;
}

Deno.test("FleetMonitor refuses new names beyond maxWorkers, counts them and reports it once", async () => {
  using time = new FakeTime(5_000);
  const fleet = new FleetMonitor({ timeout: 1000, maxWorkers: 2 });
  const seen = observe(fleet);
  fleet.beat("a", 1);
  fleet.expect(["b", "x"]);
  await advance(time, 1);
  const writer = fleet.writable.getWriter();
  await writer.write([beatOf("b", 1), beatOf("y", 1), beatOf("a", 2)]);
  fleet.beat("z");
  fleet.beat("b", 2);
  await advance(time, 1);
  assertEquals(stateOf(fleet), ["a up", "b up"]);
  assertEquals([...fleet].map(({ seq }) => seq), [2, 2]);
  assertEquals([fleet.size, fleet.refused], [2, 3]);
  assertEquals(seen.said, ["a up", "x refused", "b up"]);
  assertEquals(seen.events[1], {
    ...{ type: "refused", worker: "x", time: 5_000 },
    ...{ reason: "full", count: 1 },
  });
  assertEquals(JSON.parse(JSON.stringify(seen.events)), seen.events);
  await writer.close();
});

Deno.test("FleetMonitor has 1,000,000 workers at most unless it is given another limit", () => {
  const fleet = new FleetMonitor({ timeout: Infinity });
  for (let i = 0; i < 1_000_000; i++) fleet.beat(`w${i}`);
  assertEquals([fleet.size, fleet.refused], [1_000_000, 0]);
  fleet.beat("one more");
  assertEquals([fleet.size, fleet.refused], [1_000_000, 1]);
});

Deno.test({
  name: "FleetMonitor refuses names that no Map could hold",
  // 17 million names take half a minute and 1.4 GB
  ignore: !Deno.env.has("SOAK_SECONDS"),
  fn() {
    const fleet = new FleetMonitor({ timeout: Infinity, maxWorkers: Infinity });
    const names = 2 ** 24 + 10;
    for (let i = 0; i < names; i++) fleet.beat(`w${i}`);
    assertEquals(fleet.size, 2 ** 22);
    assertEquals(fleet.refused, names - fleet.size);
  },
});

Deno.test("FleetMonitor reports refusals again when they are ten times as many", async () => {
  const fleet = new FleetMonitor({ timeout: Infinity, maxWorkers: 1 });
  const seen = observe(fleet);
  fleet.beat("a");
  for (let i = 0; i < 1_234; i++) {
    fleet.beat(`x${i}`);
    await settle(4);
  }
  const refused = seen.events.filter(({ type }) => type === "refused");
  assertEquals(
    refused.map((event) => event.type === "refused" && event.count),
    [1, 10, 100, 1_000],
  );
  assertEquals(fleet.refused, 1_234);
});

Deno.test("FleetMonitor reports that it is full again after a worker left", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({
    ...{ timeout: 100, forgetAfter: 100, maxWorkers: 1 },
  });
  const seen = observe(fleet);
  fleet.beat("a");
  fleet.beat("x");
  fleet.beat("x");
  await advance(time, 1);
  fleet.remove("a");
  fleet.beat("b");
  fleet.beat("x");
  fleet.beat("x");
  await advance(time, 300, 10);
  assertEquals(fleet.size, 0);
  fleet.beat("x");
  fleet.beat("y");
  await advance(time, 1);
  assertEquals(seen.said, [
    ...["a up", "x refused", "a forgotten", "b up", "x refused"],
    ...["b down", "b forgotten", "x up", "y refused"],
  ]);
  assertEquals(
    seen.events.flatMap((event) => event.type === "refused" ? event.count : []),
    [2, 4, 5],
  );
  await fleet.writable.close();
});

Deno.test("FleetMonitor refuses an empty name, which nobody could see", async () => {
  const fleet = new FleetMonitor({ timeout: Infinity });
  const seen = observe(fleet);
  fleet.beat("");
  fleet.expect(["", "a"]);
  fleet.handle("").beat(1);
  await settle();
  assertEquals(stateOf(fleet), ["a expected"]);
  assertEquals(fleet.refused, 3);
  assertEquals(seen.events.map(({ type, worker }) => [type, worker]), [
    ["refused", ""],
  ]);
});

Deno.test("FleetMonitor refuses a name that is too long, and keeps its first characters only", async () => {
  const fleet = new FleetMonitor({ timeout: Infinity, maxNameLength: 5 });
  const seen = observe(fleet);
  fleet.beat("abcde");
  fleet.beat("abcdef");
  fleet.expect(["123456", "12345"]);
  fleet.handle("ABCDEFGHI").beat(1);
  await settle();
  assertEquals(stateOf(fleet), ["abcde up", "12345 expected"]);
  assertEquals(fleet.refused, 3);
  assertEquals(seen.events.slice(1), [{
    ...{ type: "refused", worker: "abcde", time: seen.events[1]!.time },
    ...{ reason: "name", count: 3 } as const,
  }]);
  const usual = new FleetMonitor({ timeout: Infinity });
  usual.beat("n".repeat(256));
  usual.beat("n".repeat(257));
  assertEquals([usual.size, usual.refused], [1, 1]);
  const unlimited = new FleetMonitor({
    ...{ timeout: Infinity, maxNameLength: Infinity, maxWorkers: Infinity },
  });
  unlimited.beat("n".repeat(100_000));
  assertEquals([unlimited.size, unlimited.refused], [1, 0]);
});

Deno.test("FleetMonitor holds one refused event a reason, with the last count, when nobody reads", async () => {
  const fleet = new FleetMonitor({
    ...{ timeout: Infinity, maxWorkers: 1, maxNameLength: 100 },
  });
  const reader = fleet.readable.getReader();
  fleet.beat("a");
  for (let i = 0; i < 500; i++) fleet.beat(`x${i}`);
  for (let i = 0; i < 70; i++) fleet.beat("n".repeat(101 + i));
  const { events } = await drain(reader);
  assertEquals(
    events.slice(1).map((event) =>
      event.type === "refused" && [event.worker, event.reason, event.count]
    ),
    [["x0", "full", 500], ["n".repeat(100), "name", 70]],
  );
  await reader.cancel();
});

Deno.test("FleetMonitor.handle of a refused name beats for nobody else, and joins when there is room", () => {
  const fleet = new FleetMonitor({ timeout: Infinity, maxWorkers: 1 });
  const refused = fleet.handle("refused");
  fleet.beat("a", 1);
  refused.beat(7);
  refused.beat(8);
  assertEquals([...fleet].map(({ worker, seq }) => [worker, seq]), [["a", 1]]);
  assertEquals(fleet.refused, 2);
  fleet.remove("a");
  refused.beat(9);
  assertEquals([...fleet].map(({ worker, seq }) => [worker, seq]), [
    ["refused", 9],
  ]);
});

Deno.test("FleetMonitor ignores names that would be refused once it has ended", async () => {
  const fleet = new FleetMonitor({ timeout: Infinity, maxWorkers: 1 });
  fleet.beat("a");
  await fleet.writable.close();
  fleet.beat("b");
  fleet.expect(["c"]);
  assertEquals(fleet.refused, 0);
  assertEquals((await Array.fromAsync(fleet.readable)).length, 1);
});

Deno.test("FleetMonitor keeps neither name nor detail of a worker that was removed or forgotten", async () => {
  using time = new FakeTime();
  for (const how of ["remove", "forget"]) {
    const before = heapUsed();
    const fleet = new FleetMonitor({
      ...{ timeout: 1000, forgetAfter: 1000, maxNameLength: Infinity },
    });
    const long = (i: number, length: number) =>
      JSON.parse(`"${i} ${"x".repeat(length)}"`); // flat, not held by another
    for (let i = 0; i < 1_000; i++) {
      fleet.beat(long(i, 20_000), i, long(i, 4_000));
    }
    if (how === "remove") {
      for (const { worker } of [...fleet]) fleet.remove(worker);
    }
    if (how === "forget") await advance(time, 3000, 100);
    assertEquals(fleet.size, 0);
    const grown = heapUsed() - before;
    assert(grown < 2e6, `${how}: ${grown} bytes more`);
    // the fleet is still there
    fleet.beat("later");
    await fleet.writable.close();
  }
});

for (
  const [what, make, kept] of [
    ["a short string", () => ({ text: "d".repeat(4_000) }), true],
    ["a long string", () => ({ text: "d".repeat(4_100) }), false],
    ["a string in a list", () => [[["d".repeat(5_000)]]], false],
    ["a long key", () => ({ ["k".repeat(5_000)]: 1 }), false],
    ["many numbers", () => Array.from({ length: 600 }, () => 1), false],
    ["some numbers", () => Array.from({ length: 200 }, () => 1), true],
    ["bytes", () => new Uint8Array(1), false],
    ["a Map", () => ({ map: new Map() }), false],
    ["a bigint", () => ({ big: 10n }), false],
    ["a function", () => ({ call: () => {} }), false],
    ["null", () => ({ nothing: null, nor: undefined }), true],
    ["without a prototype", () => Object.create(null), true],
    ["a circle", () => {
      const circle: Record<string, unknown> = {};
      circle.self = circle;
      return circle;
    }, false],
    ["a getter that throws", () => ({
      get trap() {
        throw new Error("trap");
      },
    }), false],
  ] as [string, () => object, boolean][]
) {
  Deno.test(`FleetMonitor ${kept ? "keeps" : "drops"} the detail of a worker that is down when it is ${what}`, async () => {
    using time = new FakeTime();
    const fleet = new FleetMonitor({ timeout: 100 });
    const seen = observe(fleet);
    const detail = make();
    fleet.beat("a", 1, detail);
    assertStrictEquals([...fleet][0]!.detail, detail);
    await advance(time, 200, 10);
    const down = seen.events[1] as FleetEvent & { type: "down" };
    assertEquals(down.type, "down");
    assertStrictEquals(down.detail, detail);
    const [worker] = fleet;
    assertEquals([worker!.state, worker!.seq], ["down", 1]);
    assertStrictEquals(worker!.detail, kept ? detail : undefined);
    assertEquals("detail" in worker!, kept);
  });
}
