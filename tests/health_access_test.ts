// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import { FleetMonitor } from "../fleet.ts";
import { createHealthHandler, type HealthOptions } from "../health.ts";

const HOST = "http://localhost";

function createHandler(authorize: unknown) {
  return createHealthHandler(
    new FleetMonitor({ timeout: 3_000 }),
    { authorize } as HealthOptions,
  );
}

Deno.test("createHealthHandler answers with the Response of authorize()", async () => {
  const headers = { "www-authenticate": "Basic" };
  for (
    const refusal of [
      new Response("who are you?", { status: 401, headers }),
      // its headers are immutable
      Response.redirect(`${HOST}/login`),
    ]
  ) {
    const handler = createHandler(() => Promise.resolve(refusal));
    assertEquals(await handler(new Request(HOST)), refusal);
  }
});

Deno.test("createHealthHandler refuses whoever authorize() does not say true of", async () => {
  for (const verdict of [false, undefined, null, "yes", 1, {}]) {
    const handler = createHandler(() => verdict);
    const response = await handler(new Request(`${HOST}/livez`));
    assertEquals(response.status, 403, String(verdict));
    assertEquals(await response.text(), "forbidden\n");
  }
});

Deno.test("createHealthHandler rejects with what authorize() throws, for the server to answer", async () => {
  for (
    const authorize of [
      () => {
        throw new Error("no database");
      },
      () => Promise.reject(new Error("no database")),
    ]
  ) {
    const handler = createHandler(authorize);
    await assertRejects(
      () => handler(new Request(HOST)),
      Error,
      "no database",
    );
  }
});

Deno.test("createHealthHandler answers 400 if the Host header makes no URL", async () => {
  const handler = createHandler(() => true);
  // as of Deno.serve(), for `Host: a b`
  const request = { url: "http://a b/livez", method: "GET" } as Request;
  const response = await handler(request);
  assertEquals(
    `${response.status} ${await response.text()}`,
    "400 bad request\n",
  );
});
