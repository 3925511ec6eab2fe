// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { type FleetEvent, FleetMonitor } from "../fleet.ts";
import {
  createHealthHandler,
  type HealthEvent,
  type HealthOptions,
} from "../health.ts";
import { persistFleet } from "../store.ts";
import { advance } from "./_help.ts";
import { MemoryStore } from "./_memory_store.ts";

const HOST = "http://localhost";

/** A fleet of two, of which `beta` falls silent, and a handler for it. */
function createSilentFleet(options: HealthOptions = {}) {
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const handler = createHealthHandler(fleet, options);
  return {
    fleet,
    handler,
    async ask(path: string, init?: RequestInit) {
      const response = await handler(new Request(`${HOST}${path}`, init));
      return { response, text: `${response.status} ${await response.text()}` };
    },
    /** Lets `beta` be silent for some seconds. */
    async fallSilent(time: FakeTime) {
      fleet.beat("alpha", 1);
      fleet.beat("beta", 1, { step: "load" });
      for (let i = 2; i < 7; i++) {
        await advance(time, 1_000, 100);
        fleet.beat("alpha", i);
      }
    },
    end() {
      fleet.remove("alpha");
      fleet.remove("beta");
      return fleet.readable.locked ? undefined : fleet.readable.cancel();
    },
  };
}

Deno.test("createHealthHandler fails /livez while an essential worker is down", async () => {
  using time = new FakeTime();
  const { ask, fallSilent, fleet, end } = createSilentFleet();
  assertEquals((await ask("/livez")).text, "200 ok\n");
  await fallSilent(time);
  const { text } = await ask("/livez");
  assertEquals(
    text,
    '503 [+]alpha ok\n[-]beta down for 5.0 s; last at {"step":"load"}\nlivez check failed\n',
  );
  fleet.beat("beta", 2);
  assertEquals((await ask("/livez")).text, "200 ok\n");
  assertEquals(
    (await ask("/livez?verbose")).text,
    "200 [+]alpha ok\n[+]beta ok\nlivez check passed\n",
  );
  await end();
});

Deno.test("createHealthHandler is ready once all expected workers are up", async () => {
  using time = new FakeTime();
  const { ask, fleet, end } = createSilentFleet();
  fleet.expect(["alpha", "beta"]);
  fleet.beat("alpha");
  assertEquals(
    (await ask("/readyz")).text,
    "503 [+]alpha ok\n[-]beta not seen yet\nreadyz check failed\n",
  );
  assertEquals((await ask("/livez")).text, "200 ok\n");
  await advance(time, 4_000, 100);
  assertMatch((await ask("/readyz")).text, /\[-\]beta down and never seen\n/);
  fleet.beat("alpha");
  fleet.beat("beta");
  assertEquals((await ask("/readyz")).text, "200 ok\n");
  await end();
});

Deno.test("createHealthHandler counts a worker that has left as planned for no outage", async () => {
  using time = new FakeTime();
  const { ask, fleet, handler, end } = createSilentFleet({
    workerLabels: true,
  });
  fleet.beat("alpha", 1);
  const response = await handler(new Request(`${HOST}/beats`));
  const frames = readEvents(response, 2);
  const writer = fleet.writable.getWriter();
  writer.write([
    { worker: "alpha", seq: 2, time: 0, ended: "done" },
    { worker: "beta", seq: 1, time: 0, ended: "failed" },
    { worker: "gamma", seq: 1, time: 0 },
  ]);
  await advance(time, 10, 10);
  assertEquals(
    (await ask("/livez")).text,
    "503 [+]alpha left\n[-]beta down for 0.0 s\n[+]gamma ok\nlivez check failed\n",
  );
  fleet.remove("beta");
  for (const path of ["livez", "readyz"]) {
    assertEquals((await ask(`/${path}`)).text, "200 ok\n");
  }
  const scraped = ask("/metrics");
  await advance(time, 1_000, 10);
  const { text } = await scraped;
  for (
    const line of [
      'heartbeat_workers{state="left"} 1',
      'heartbeat_workers{state="down"} 0',
      'heartbeat_stalls_total{seen_by="fleet"} 0',
      "heartbeat_failures_total 1",
      'heartbeat_worker_up{worker="gamma"} 1',
    ]
  ) assert(text.includes(`\n${line}\n`), `${line} is not in ${text}`);
  assert(!text.includes("alpha"), text);
  const [, frame] = (await frames).map(({ data }) => data);
  const states = frame.workers.map(([name, state]: string[]) => [name, state]);
  // the living come first
  assertEquals(states, [["gamma", "up"], ["alpha", "left"]]);
  writer.releaseLock();
  await end();
});

Deno.test("createHealthHandler checks the essential workers only", async () => {
  for (const essential of [["alpha"], (name: string) => name === "alpha"]) {
    using time = new FakeTime();
    const { ask, fallSilent, end } = createSilentFleet({ essential });
    await fallSilent(time);
    assertEquals(
      (await ask("/livez?verbose")).text,
      "200 [+]alpha ok\nlivez check passed\n",
    );
    await end();
  }
});

Deno.test("createHealthHandler is not ready without an essential worker that was never seen, whoever asked before", async () => {
  for (const isAskedBefore of [true, false]) {
    for (const isForgotten of [true, false]) {
      using time = new FakeTime();
      const fleet = new FleetMonitor({ timeout: 3_000, forgetAfter: 3_000 });
      const handler = createHealthHandler(fleet, { essential: ["alpha"] });
      const ask = async () => {
        const response = await handler(new Request(`${HOST}/readyz`));
        return `${response.status} ${await response.text()}`;
      };
      fleet.expect(["alpha"]);
      if (isAskedBefore) await ask();
      if (isForgotten) await advance(time, 7_000, 100);
      else fleet.remove("alpha");
      assertEquals([...fleet], []);
      assertEquals(
        await ask(),
        "503 [-]alpha not seen yet\nreadyz check failed\n",
      );
      fleet.beat("alpha");
      assertEquals(await ask(), "200 ok\n");
      await advance(time, 7_000, 100);
      assertEquals([...fleet], []);
      assertEquals(await ask(), "200 ok\n");
    }
  }
});

Deno.test("createHealthHandler knows who was seen before it was made, and who said at once that it failed", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 3_000 });
  fleet.expect(["beta"]);
  fleet.beat("alpha");
  const reader = fleet.readable.getReader();
  assertEquals((await reader.read()).value?.type, "up");
  reader.releaseLock();
  const handler = createHealthHandler(fleet, { essential: ["alpha", "beta"] });
  const ask = async () => {
    await advance(time, 10, 10);
    for (const name of ["alpha", "beta"]) fleet.remove(name);
    const response = await handler(new Request(`${HOST}/readyz`));
    return await response.text();
  };
  assertEquals(await ask(), "[-]beta not seen yet\nreadyz check failed\n");
  const writer = fleet.writable.getWriter();
  writer.write({ worker: "beta", seq: 1, time: 0, ended: "failed" });
  assertEquals(await ask(), "ok\n");
});

Deno.test("createHealthHandler knows that a worker was seen of which a store knew already that it is up", async () => {
  using time = new FakeTime();
  const store = new MemoryStore();
  const start = () => {
    const fleet = new FleetMonitor({ timeout: 3_000 });
    return { fleet, events: persistFleet(fleet, store) };
  };
  const first = start();
  first.fleet.beat("alpha");
  const reading = Array.fromAsync(first.events);
  await advance(time, 10, 10);
  await first.fleet.writable.close();
  assertEquals((await reading).map(({ type }) => type), ["up"]);
  const { fleet, events } = start();
  const handler = createHealthHandler(fleet, { essential: ["alpha"], events });
  const ask = async () => {
    await advance(time, 10, 10);
    return (await handler(new Request(`${HOST}/readyz`))).text();
  };
  assertEquals(await ask(), "[-]alpha not seen yet\nreadyz check failed\n");
  fleet.beat("alpha");
  assertEquals(await ask(), "ok\n");
  fleet.remove("alpha");
  assertEquals(await ask(), "ok\n");
});

Deno.test("createHealthHandler answers in JSON where that is accepted", async () => {
  using time = new FakeTime(0);
  const { ask, fallSilent, end } = createSilentFleet();
  await fallSilent(time);
  const headers = { accept: "application/json" };
  const { response, text } = await ask("/livez", { headers });
  assertEquals(response.headers.get("content-type"), "application/json");
  const { ok, check, blind, workers } = JSON.parse(text.slice(4));
  assertEquals({ ok, check, blind }, {
    ok: false,
    check: "livez",
    blind: false,
  });
  assertEquals(
    workers.map((
      each: Record<string, unknown>,
    ) => [each.worker, each.state, each.ok]),
    [["alpha", "up", true], ["beta", "down", false]],
  );
  await end();
});

Deno.test("createHealthHandler escapes what comes from the network", async () => {
  using _time = new FakeTime();
  const { ask, fleet, end } = createSilentFleet();
  const name = "evil\n[+]forged ok\x1b[31m\u202e";
  fleet.expect([name]);
  const { text } = await ask("/readyz");
  assertEquals(text.split("\n").length, 3);
  // deno-lint-ignore no-control-regex
  assert(!/[\x1b\u202e]/.test(text), text);
  fleet.remove(name);
  await end();
});

Deno.test("createHealthHandler stays alive while it is blind, and says so", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 3_000 });
  let controller!: ReadableStreamDefaultController<HealthEvent>;
  const events = new ReadableStream<HealthEvent>({
    start: (given) => void (controller = given),
  });
  const handler = createHealthHandler(fleet, { events });
  const ask = async () => {
    await advance(time, 1, 1);
    const response = await handler(new Request(`${HOST}/livez?verbose`));
    return `${response.status} ${await response.text()}`;
  };
  controller.enqueue({ type: "blind" });
  assertEquals(
    await ask(),
    "200 [~]blind: no heartbeat can be heard\nlivez check passed\n",
  );
  controller.enqueue({ type: "sees" });
  assertEquals(await ask(), "200 livez check passed\n");
  controller.close();
});

Deno.test("createHealthHandler counts for Prometheus, without the names of workers", async () => {
  for (const workerLabels of [false, true]) {
    using time = new FakeTime();
    const { fleet, handler, fallSilent, end } = createSilentFleet({
      workerLabels,
    });
    await fallSilent(time);
    fleet.beat("beta", 2);
    await advance(time, 10, 10);
    handler.onEvent({ type: "restarting" });
    handler.onEvent({ type: "started" });
    const scraped = handler(new Request(`${HOST}/metrics`));
    await advance(time, 10, 10);
    const response = await scraped;
    const text = await response.text();
    assertMatch(
      response.headers.get("content-type")!,
      /^text\/plain; version=/,
    );
    for (
      const line of [
        'heartbeat_workers{state="up"} 2',
        'heartbeat_workers{state="down"} 0',
        'heartbeat_stalls_total{seen_by="fleet"} 1',
        "heartbeat_restarts_total 1",
        "heartbeat_silence_seconds_sum 5",
        'heartbeat_silence_seconds_bucket{le="10"} 1',
      ]
    ) assert(text.includes(`\n${line}\n`), `${line} is not in ${text}`);
    assertEquals(
      text.includes('heartbeat_worker_up{worker="beta"} 1'),
      workerLabels,
    );
    assertEquals(text.includes("beta"), workerLabels);
    await end();
  }
});

Deno.test("createHealthHandler counts every stall that the fleet or a supervisor sees", async () => {
  using time = new FakeTime();
  const { fleet, handler, ask, end } = createSilentFleet();
  const countStalls = async () => {
    const asked = ask("/metrics");
    await advance(time, 10, 10);
    const counts = (await asked).text.matchAll(
      /^heartbeat_stalls_total\{seen_by="(.*)"\} (.*)$/gm,
    );
    return Object.fromEntries([...counts].map(([, by, count]) => [by, count]));
  };
  assertEquals(await countStalls(), { fleet: "0", supervisor: "0" });
  for (let i = 0; i < 3; i++) {
    fleet.beat("beta"); // no supervisor runs it
    await advance(time, 4_000, 100);
  }
  assertEquals(await countStalls(), { fleet: "3", supervisor: "0" });
  for (let i = 0; i < 3; i++) {
    handler.onEvent({ type: "stalled" }); // alpha, back before the fleet missed it
    fleet.beat("alpha");
    await advance(time, 1_000, 100);
  }
  assertEquals(await countStalls(), { fleet: "3", supervisor: "3" });
  await end();
});

Deno.test("createHealthHandler refuses other methods, paths and callers", async () => {
  const { ask, end } = createSilentFleet({
    basePath: "/health",
    authorize: ({ headers }) => headers.get("authorization") === "Bearer x",
  });
  const headers = { authorization: "Bearer x" };
  assertEquals((await ask("/health/livez", { headers })).text, "200 ok\n");
  assertEquals((await ask("/health/livez")).text, "403 forbidden\n");
  const outside = ["/livez", "/healthy", "/health/no", "/health/__proto__"];
  for (const path of outside) {
    assertEquals((await ask(path, { headers })).text, "404 not found\n", path);
  }
  const posted = await ask("/health/livez", { headers, method: "POST" });
  assertEquals(posted.text, "405 use GET\n");
  assertEquals(posted.response.headers.get("allow"), "GET, HEAD");
  await end();
});

Deno.test("createHealthHandler lets no other site read or embed an answer", async () => {
  const { ask, end } = createSilentFleet();
  for (const path of ["/livez", "/metrics", "/", "/no"]) {
    const { headers } = (await ask(path)).response;
    assertEquals(headers.get("access-control-allow-origin"), null);
    assertEquals(headers.get("cross-origin-resource-policy"), "same-origin");
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertEquals(headers.get("cache-control"), "no-store");
    const policy = headers.get("content-security-policy")!;
    assert(policy.startsWith("default-src 'none'"), policy);
    assert(policy.includes("frame-ancestors 'none'"), policy);
    assert(!policy.includes("unsafe"), policy);
  }
  await end();
});

/** Reads server-sent events; each is its id, type and data. */
async function readEvents(response: Response, count: number) {
  const reader = response.body!.pipeThrough(new TextDecoderStream())
    .getReader();
  let text = "";
  const events = () => text.split("\n\n").slice(0, -1);
  while (events().length < count) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return events().map((event) => ({
    id: /^id: (.*)$/m.exec(event)?.[1],
    type: /^event: (.*)$/m.exec(event)?.[1],
    data: JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "null"),
  }));
}

Deno.test("createHealthHandler streams events, and resumes them by Last-Event-ID", async () => {
  using time = new FakeTime();
  const { fleet, handler, fallSilent, end } = createSilentFleet();
  const open = (path: string, lastId?: string) =>
    handler(
      new Request(`${HOST}${path}`, {
        headers: lastId === undefined ? {} : { "last-event-id": lastId },
      }),
    );
  await fallSilent(time);
  const [snapshot] = await readEvents(await open("/events"), 1);
  assertEquals(snapshot!.type, "snapshot");
  assertEquals(
    snapshot!.data.workers.map((each: FleetEvent) => each.worker),
    ["alpha", "beta"],
  );
  const recent = await readEvents(await open("/events?recent"), 3);
  assertEquals(
    recent.map(({ type, data }) => `${data.worker} ${type}`),
    ["alpha up", "beta up", "beta down"],
  );
  fleet.beat("beta", 2);
  await advance(time, 10, 10);
  const resumed = await readEvents(await open("/events", recent[1]!.id), 2);
  assertEquals(resumed.map(({ type }) => type), ["down", "recovered"]);
  const foreign = await readEvents(await open("/events", "other-1"), 1);
  assertEquals(foreign[0]!.type, "snapshot");
  // of another process, such as the one before a restart
  const all = await readEvents(await open("/events?recent", "other-1"), 4);
  assertEquals(all.map(({ type }) => type), ["up", "up", "down", "recovered"]);
  await advance(time, 40_000, 1_000);
  await end();
});

Deno.test("createHealthHandler sends heartbeats to the page, and has no timer without one", async () => {
  using time = new FakeTime();
  const { fleet, handler, end } = createSilentFleet();
  fleet.beat("alpha", 1, "x".repeat(300));
  const response = await handler(new Request(`${HOST}/beats`));
  const frames = readEvents(response, 4);
  await advance(time, 200, 50);
  fleet.beat("alpha", 2, "<b>step</b>");
  await advance(time, 250, 50);
  fleet.remove("alpha");
  for (let i = 0; i < 6; i++) await advance(time, 250, 50);
  const sent = (await frames).map(({ data }) => data);
  const [full, changed, gone] = sent;
  // each event once, with its frame
  const events = sent.flatMap((frame) => frame.events);
  assertEquals(events.map(({ type }) => type), ["up", "forgotten"]);
  assertEquals([full.full, full.workers.length, full.total], [true, 1, 1]);
  assertEquals(full.workers[0][4], `"${"x".repeat(199)}…`);
  assertEquals(changed.full, false);
  assertEquals(changed.workers[0].slice(0, 2), ["alpha", "up"]);
  assertEquals(changed.workers[0].slice(3), [2, '"<b>step</b>"']);
  assertEquals([gone.gone, gone.total], [["alpha"], 0]);
  await advance(time, 1, 1);
  assertEquals(time.next(), false);
  await end();
});

Deno.test("createHealthHandler closes the streams of its clients when the fleet ends", async () => {
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const handler = createHealthHandler(fleet);
  const texts = ["/events", "/beats"].map(async (path) =>
    (await handler(new Request(`${HOST}${path}`))).text()
  );
  await Promise.resolve();
  await fleet.writable.close();
  const [events, beats] = await Promise.all(texts);
  assertMatch(events!, /^id: /);
  assertMatch(beats!, /^event: frame\n/);
});

Deno.test("createHealthHandler keeps no client and no timer that comes after the end of the fleet", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const handler = createHealthHandler(fleet);
  await fleet.writable.close();
  await advance(time, 10, 10);
  for (const path of ["/events", "/beats"]) {
    const response = await handler(new Request(`${HOST}${path}`));
    assertMatch(await response.text(), /^(id|event): /);
  }
  await advance(time, 15_000, 1_000);
  assertEquals(time.next(), false);
});

Deno.test("createHealthHandler fails the probes once the fleet has errored, which nobody watches any more", async () => {
  using time = new FakeTime();
  const { fleet, ask } = createSilentFleet();
  fleet.beat("alpha");
  assertEquals((await ask("/readyz")).text, "200 ok\n");
  await fleet.writable.abort(new Error("lost\nfor good"));
  await advance(time, 50);
  for (const check of ["livez", "readyz"]) {
    assertEquals(
      (await ask(`/${check}`)).text,
      `503 [+]alpha ok\n[-]fleet ended: lost\\nfor good\n${check} check failed\n`,
    );
    const { response } = await ask(`/${check}`, {
      headers: { accept: "application/json" },
    });
    assertEquals(response.status, 503);
  }
});
