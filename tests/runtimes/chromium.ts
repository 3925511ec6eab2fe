// Copyright 2026 the heartbeat authors. MIT license.

// Runs behaviour.js of a folder in headless Chromium, and ends with its outcome.
// deno-lint-ignore-file no-console

import { chromium } from "npm:playwright-core@1.65.1";
import { CHROMIUM_ARGS } from "./run.ts";

const [folder = ".", executablePath = "chromium"] = Deno.args;

const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen() {} },
  async (request) => {
    const headers = {
      "content-type": "text/html",
      // both for a SharedArrayBuffer
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    };
    const { pathname } = new URL(request.url);
    if (pathname === "/") return new Response("<!doctype html>", { headers });
    if (pathname === "/empty") return new Response(null, { status: 204 });
    if (!/^\/\w+\.js$/.test(pathname)) {
      return new Response(null, { status: 404 });
    }
    try {
      headers["content-type"] = "text/javascript";
      return new Response(await Deno.readFile(folder + pathname), { headers });
    } catch {
      return new Response(null, { status: 404 });
    }
  },
);
const browser = await chromium.launch({
  executablePath,
  args: CHROMIUM_ARGS,
});
let failed = true;
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.log(message.text()));
  page.on("pageerror", (error) => console.log(`uncaught ${error}`));
  await page.goto(`http://127.0.0.1:${server.addr.port}/`);
  failed = await page.evaluate(async () => {
    const behaviour = "/behaviour.js";
    await import(behaviour);
    return (globalThis as unknown as { outcome: { failed: number } }).outcome
      .failed > 0;
  });
} finally {
  await browser.close();
  await server.shutdown();
}
Deno.exit(failed ? 1 : 0);
