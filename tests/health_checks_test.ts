// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { FleetMonitor } from "../fleet.ts";
import {
  createHealthHandler,
  type HealthOptions,
  type HealthSource,
} from "../health.ts";
import { advance } from "./_help.ts";

/** A fleet, and what its handler answers as text. */
function createProbes(options: HealthOptions = {}) {
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const handler = createHealthHandler(fleet, options);
  return {
    fleet,
    handler,
    async ask(path: string) {
      const response = await handler(new Request(`http://localhost${path}`));
      return `${response.status} ${await response.text()}`;
    },
  };
}

Deno.test("createHealthHandler is not ready until the essential workers that it was given have been seen", async () => {
  using time = new FakeTime();
  const { fleet, ask } = createProbes({ essential: ["db", "job"] });
  assertEquals(
    await ask("/readyz"),
    "503 [-]db not seen yet\n[-]job not seen yet\nreadyz check failed\n",
  );
  assertEquals(
    await ask("/livez?verbose"),
    "200 [+]db not seen yet\n[+]job not seen yet\nlivez check passed\n",
  );
  fleet.expect(["db"]);
  fleet.beat("job");
  await advance(time, 10, 10);
  // it has done its work before anybody asked
  fleet.remove("job");
  await advance(time, 10, 10);
  assertEquals(
    await ask("/readyz"),
    "503 [-]db not seen yet\nreadyz check failed\n",
  );
  fleet.beat("db");
  assertEquals(await ask("/readyz"), "200 ok\n");
  fleet.remove("db");
});

Deno.test("createHealthHandler has not seen a worker that was refused", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 3_000, maxWorkers: 1 });
  const handler = createHealthHandler(fleet, { essential: ["db"] });
  fleet.beat("other");
  fleet.beat("db");
  await advance(time, 10, 10);
  const response = await handler(new Request("http://localhost/readyz"));
  assertEquals(
    await response.text(),
    "[-]db not seen yet\nreadyz check failed\n",
  );
  fleet.remove("other");
});

Deno.test("createHealthHandler fails the probes once the fleet has closed, which nobody watches any more", async () => {
  using time = new FakeTime();
  const { fleet, handler, ask } = createProbes();
  fleet.beat("alpha");
  await advance(time, 10, 10);
  assertEquals(await ask("/livez"), "200 ok\n");
  await fleet.writable.close();
  await advance(time, 10, 10);
  for (const check of ["livez", "readyz"]) {
    assertEquals(
      await ask(`/${check}`),
      `503 [+]alpha ok\n[-]fleet ended: nobody is watched any more\n${check} check failed\n`,
    );
  }
  const headers = { accept: "application/json" };
  const request = new Request("http://localhost/livez", { headers });
  const { ok, blind, failure } = await (await handler(request)).json();
  assertEquals([ok, blind, failure], [
    false,
    true,
    "nobody is watched any more",
  ]);
  const beats = await ask("/beats");
  assert(beats.includes('"blind":"ended"'), beats);
  const scraped = ask("/metrics");
  await advance(time, 10, 10);
  const metrics = await scraped;
  for (
    const line of [
      'heartbeat_workers{state="up"} 0',
      'heartbeat_blind{reason="ended"} 1',
      'heartbeat_blind{reason="connection"} 0',
    ]
  ) assert(metrics.includes(`\n${line}\n`), `${line} is not in ${metrics}`);
});

Deno.test("createHealthHandler counts the heartbeats that a full fleet refuses, of whom nobody else would hear", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 3_000, maxWorkers: 1 });
  const scrape = async (source: HealthSource) => {
    const handler = createHealthHandler(source);
    const scraped = handler(new Request("http://localhost/metrics"));
    await advance(time, 10, 10);
    const text = await (await scraped).text();
    return /^heartbeat_refused_total .*$/m.exec(text)?.[0];
  };
  for (const name of ["alpha", "beta", "gamma", "beta"]) fleet.beat(name);
  assertEquals(await scrape(fleet), "heartbeat_refused_total 3");
  fleet.remove("alpha");
  // a source that does not say
  const other = Object.assign([], { readable: new ReadableStream() });
  assertEquals(await scrape(other), undefined);
});
