// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Takes the pictures of the live page for the documentation, with one worker
 * that is silent. It needs Chromium.
 *
 * @module
 */

import { chromium } from "npm:playwright-core@1.65.1";
import { FleetMonitor } from "../../fleet.ts";
import { createHealthHandler, type HealthEvent } from "../../health.ts";
import { find } from "../../tests/runtimes/run.ts";

const TIMEOUT = 3_000;
const STEPS = ["read orders", "check stock", "write invoice"];

/** Runs a fleet and its page, and takes a picture for each width. */
async function take(
  count: number,
  height: number,
  executablePath: string,
  blind?: HealthEvent,
) {
  const names = Array.from(
    { length: count },
    (_, index) => `worker-${index + 1}`,
  );
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  let seq = 0;
  function beat() {
    seq++;
    for (const [index, name] of names.entries()) {
      const isSilent = index === 2 && seq > 20;
      // once a second, but not all at the same moment
      const isDue = (seq + 3 * index) % 10 === 0;
      if (isDue && !isSilent) fleet.beat(name, seq, STEPS[index % 3]);
    }
  }
  const timer = setInterval(beat, 100);
  const events = blind && new ReadableStream<HealthEvent>({
    start: (controller) =>
      void setTimeout(() => controller.enqueue(blind), 6_000),
  });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    createHealthHandler(fleet, { events }),
  );
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  for (const width of [1_280, 375]) {
    const page = await browser.newPage({
      viewport: { width, height: width === 375 ? 620 : height },
    });
    await page.goto(`http://127.0.0.1:${server.addr.port}/`);
    await page.waitForTimeout(8_000);
    const name = blind ? `${count}_blind` : count;
    const path = new URL(`live_${name}_${width}.png`, import.meta.url);
    await page.screenshot({ path: path.pathname });
    await page.close();
  }
  await browser.close();
  clearInterval(timer);
  for (const { worker } of fleet) fleet.remove(worker);
  await fleet.writable.close();
  await server.shutdown();
}

const executablePath = await find("chromium");
if (!executablePath) throw new Error("There is no Chromium");
await take(5, 500, executablePath);
await take(50, 500, executablePath);
await take(10_000, 660, executablePath);
await take(5, 500, executablePath, { type: "blind", reason: "connection" });
