// Copyright 2026 the heartbeat authors. MIT license.

// Serves the health of a fleet with the server of the runtime, and prints its URL.
// deno-lint-ignore-file no-console

import { type HttpBindings, serve } from "@hono/node-server";
import { Hono } from "hono";
import { FleetMonitor } from "../../fleet.ts";
import { createHealthHandler } from "../../health.ts";

declare const Bun: {
  serve(options: object): { port: number };
} | undefined;

const fleet = new FleetMonitor({ timeout: 60_000 });
fleet.beat("alpha", 1);
const hostname = "127.0.0.1";
const kind = process.argv[2];
// Hono takes its own path off
const basePath = kind === "hono" ? "" : "/health";
const handler = createHealthHandler(fleet, { basePath });

function print(port: number) {
  console.log(`http://${hostname}:${port}/health`);
}

switch (kind) {
  case "bun":
    print(Bun!.serve({ hostname, port: 0, fetch: handler }).port);
    break;
  case "node":
    serve({ fetch: handler, hostname, port: 0 }, ({ port }) => print(port));
    break;
  case "hono": {
    const app = new Hono<{ Bindings: HttpBindings }>();
    app.mount("/health", handler);
    serve({ fetch: app.fetch, hostname, port: 0 }, ({ port }) => print(port));
  }
}
