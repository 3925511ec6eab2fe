// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
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
