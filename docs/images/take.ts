// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Takes the pictures of the live page: for 5, 50 and 10,000 workers, of which all
 * are healthy, one is stalled, or nobody can be heard; at two widths. It needs
 * Chromium.
 *
 * @module
 */

import { type Browser, chromium } from "npm:playwright-core@1.65.1";
import { FleetMonitor } from "../../fleet.ts";
import { createHealthHandler, type HealthEvent } from "../../health.ts";
import { CHROMIUM_ARGS, find } from "../../tests/runtimes/run.ts";

const TIMEOUT = 3_000;
const COUNTS = [5, 50, 10_000];
const STATES = ["healthy", "stalled", "blind"] as const;
const WIDTHS = [1_280, 375];
const STEPS = ["read orders", "check stock", "write invoice"];
/** When the workers have beaten long enough to fill a trace, one falls silent, or all do. */
const CHANGE_AFTER = 8_000;
/** How long after that the picture is taken: the trace shows both. */
const TAKE_AFTER = 4_500;

type State = typeof STATES[number];

/** Workers that beat once a second each, but not all at the same moment. */
function startFleet(count: number) {
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const silent = new Set<number>();
  let tick = 0;
  const timer = setInterval(() => {
    tick++;
    for (let index = 0; index < count; index++) {
      const seq = (tick + 3 * index) / 10;
      if (!Number.isInteger(seq) || silent.has(index)) continue;
      fleet.beat(`worker-${index + 1}`, seq, STEPS[index % 3]);
    }
  }, 100);
  return {
    fleet,
    silence: (index: number) => silent.add(index),
    loseConnection() {
      clearInterval(timer);
      fleet.pause();
    },
    async stop() {
      clearInterval(timer);
      for (const { worker } of fleet) fleet.remove(worker);
      await fleet.writable.close();
    },
  };
}

function delay(ms: number) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Runs a fleet and its page, and takes a picture for each width. */
async function take(browser: Browser, count: number, state: State) {
  const { fleet, silence, loseConnection, stop } = startFleet(count);
  let controller!: TransformStreamDefaultController<HealthEvent>;
  const events = fleet.readable.pipeThrough(
    new TransformStream<HealthEvent, HealthEvent>({
      start: (each) => void (controller = each),
    }),
  );
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    createHealthHandler(fleet, { events }),
  );
  const pages = await Promise.all(WIDTHS.map(async (width) => {
    const height = width === 375 ? 667 : count > 60 ? 600 : 440;
    const page = await browser.newPage({ viewport: { width, height } });
    await page.goto(`http://127.0.0.1:${server.addr.port}/`);
    return page;
  }));
  await delay(CHANGE_AFTER);
  if (state === "stalled") silence(2);
  if (state === "blind") {
    loseConnection();
    controller.enqueue({ type: "blind", reason: "connection" });
  }
  await delay(TAKE_AFTER);
  for (const page of pages) {
    const { width } = page.viewportSize()!;
    const name = `live_${count}_${state}_${width}.png`;
    await page.screenshot({ path: new URL(name, import.meta.url).pathname });
    await page.close();
  }
  await stop();
  await server.shutdown();
}

const executablePath = await find("chromium");
if (!executablePath) throw new Error("There is no Chromium");
const browser = await chromium.launch({
  executablePath,
  args: CHROMIUM_ARGS,
});
for (const count of COUNTS) {
  for (const state of STATES) await take(browser, count, state);
}
await browser.close();
