// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { FleetMonitor } from "../fleet.ts";
import { createHealthHandler } from "../health.ts";
import { advance } from "./_help.ts";

const HOST = "http://localhost";
const SHOWN = "[not JSON]";

function createCycle() {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  return cycle;
}

const DETAILS = {
  "a bigint": 10n,
  "a bigint inside": { n: 10n },
  "a cycle": createCycle(),
  "a function": () => {},
  "a symbol": Symbol("step"),
  "a toJSON() that throws": {
    toJSON() {
      throw new Error("no");
    },
  },
  "a toJSON() that returns nothing": { toJSON() {} },
  "a getter that throws": {
    get step() {
      throw new Error("no");
    },
  },
};

/** Reads what a stream sends at once. */
async function readFirst(response: Response): Promise<string> {
  const reader = response.body!.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}

for (const [what, detail] of Object.entries(DETAILS)) {
  Deno.test(`createHealthHandler answers in words if a detail is ${what}`, async () => {
    using time = new FakeTime();
    const fleet = new FleetMonitor({ timeout: 3_000 });
    const handler = createHealthHandler(fleet);
    const ask = (path: string, headers = {}) =>
      handler(new Request(`${HOST}${path}`, { headers }));
    fleet.beat("alpha", 1, detail);
    const beats = (await ask("/beats")).body!
      .pipeThrough(new TextDecoderStream()).getReader();
    const { value: first } = await beats.read();
    assert(first!.includes(`"alpha","up",${Date.now()},1,"${SHOWN}"`), first);
    fleet.beat("alpha", 2, detail);
    let later = "";
    while (!later.includes(`2,"${SHOWN}"`)) {
      await advance(time, 300, 50);
      later = (await beats.read()).value!;
    }
    await beats.cancel();
    const snapshot = await readFirst(await ask("/events"));
    assert(snapshot.includes(`"detail":"${SHOWN}"`), snapshot);
    const accept = "application/json";
    const { workers } = await (await ask("/livez", { accept })).json();
    assertEquals(workers[0].detail, SHOWN);
    await advance(time, 4_000, 100);
    assertMatch(
      await (await ask("/livez")).text(),
      /^\[-\]alpha down for 4\.\d s.*\nlivez check failed\n$/,
    );
    const recent = await readFirst(await ask("/events?recent"));
    assert(recent.includes(`"detail":"${SHOWN}"`), recent);
    fleet.remove("alpha");
    await advance(time, 15_000, 1_000);
  });
}

Deno.test("createHealthHandler answers in words if a worker of another source has a detail without JSON", async () => {
  const worker = { worker: "alpha", state: "down", detail: 10n } as const;
  const source = Object.assign([worker], { readable: new ReadableStream() });
  const handler = createHealthHandler(source);
  const response = await handler(new Request(`${HOST}/livez`));
  assertEquals(
    await response.text(),
    `[-]alpha down and never seen; last at ${SHOWN}\nlivez check failed\n`,
  );
});
