// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { FleetMonitor } from "../fleet.ts";
import { createHealthHandler } from "../health.ts";
import { advance } from "./_help.ts";

const HOST = "http://localhost";

for (const path of ["/events", "/beats"]) {
  Deno.test(`createHealthHandler holds nothing after HEAD ${path}`, async () => {
    using time = new FakeTime();
    const handler = createHealthHandler(new FleetMonitor({ timeout: 3_000 }));
    const response = await handler(
      new Request(HOST + path, { method: "HEAD" }),
    );
    assertEquals(response.status, 200);
    assertEquals(
      response.headers.get("content-type"),
      "text/event-stream; charset=utf-8",
    );
    // nginx keeps events otherwise: the page says that the connection is lost
    assertEquals(response.headers.get("x-accel-buffering"), "no");
    assertEquals(await response.text(), "");
    await advance(time, 1, 1);
    assertEquals(time.next(), false);
  });

  Deno.test(`createHealthHandler has no timer once the last client of ${path} has left`, async () => {
    using time = new FakeTime();
    const handler = createHealthHandler(new FleetMonitor({ timeout: 3_000 }));
    const open = () => handler(new Request(HOST + path));
    const clients = [await open(), await open()];
    for (const { body } of clients) await body!.cancel();
    await advance(time, 1, 1);
    assertEquals(time.next(), false);
    // and one for the next client
    const again = await open();
    assertEquals(time.next(), true);
    await again.body!.cancel();
    await advance(time, 1, 1);
  });
}

Deno.test("createHealthHandler looks at a fleet for the page in a tenth of the time at most", async () => {
  using time = new FakeTime();
  let looks = 0;
  const handler = createHealthHandler({
    readable: new ReadableStream(),
    // as a million workers
    *[Symbol.iterator]() {
      looks++;
      const start = performance.now();
      while (performance.now() - start < 80);
      yield { worker: "alpha", state: "up" };
    },
  });
  const { body } = await handler(new Request(`${HOST}/beats`));
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  looks = 0;
  let fresh = 0;
  for (let frame = 0; frame < 9; frame++) {
    // one comes all the same: the page would take the connection for lost
    const { value } = await reader.read();
    assertMatch(value!, /^event: frame\n/);
    if (value!.includes('"fresh":true')) fresh++;
    await advance(time, 250, 250);
  }
  assert(looks >= 1 && looks <= 3, `${looks}`);
  // the first frame is that of the connection, the last one was not read
  assert(fresh === looks || fresh === looks + 1, `${fresh} of ${looks}`);
  await reader.cancel();
});

Deno.test("createHealthHandler is not silent on /events for as long as a server allows", async () => {
  using time = new FakeTime();
  const handler = createHealthHandler(new FleetMonitor({ timeout: 3_000 }));
  const { body } = await handler(new Request(`${HOST}/events`));
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  // `Bun.serve()` ends an answer after 10 s of silence
  await advance(time, 6_000, 1_000);
  const { value } = await reader.read();
  assertEquals(value, ": keep-alive\n\n");
  await reader.cancel();
});

Deno.test("createHealthHandler sends the page what has happened until the end of the fleet", async () => {
  using time = new FakeTime();
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const handler = createHealthHandler(fleet);
  fleet.beat("alpha", 1);
  const { body } = await handler(new Request(`${HOST}/beats`));
  const text = new Response(body).text();
  const writer = fleet.writable.getWriter();
  await writer.write({ worker: "alpha", seq: 2, time: 0, ended: "failed" });
  await writer.close();
  await advance(time, 10, 10);
  const frames = (await text).split("\n\n").slice(0, -1)
    .map((frame) => JSON.parse(frame.split("data: ")[1]!));
  const { blind, workers, events } = frames.at(-1);
  assertEquals([frames.length, blind], [2, "ended"]);
  assertEquals(workers[0].slice(0, 2), ["alpha", "down"]);
  assertEquals(events.at(-1).type, "down");
});
