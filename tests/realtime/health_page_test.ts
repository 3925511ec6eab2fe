// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { type Browser, chromium, type Page } from "npm:playwright-core@1.65.1";
import { FleetMonitor } from "../../fleet.ts";
import {
  createHealthHandler,
  type HealthEvent,
  type HealthOptions,
} from "../../health.ts";
import { waitUntil } from "../_help.ts";
import { find } from "../runtimes/run.ts";

const executablePath = await find("chromium");
const TIMEOUT = 2_000;
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A fleet whose workers beat until they are silenced, its page, and what the page complains of. */
async function openPage(
  names: string[],
  browser: Browser,
  options: HealthOptions = {},
) {
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const silenced = new Set<string>();
  let seq = 0;
  const beat = setInterval(() => {
    seq++;
    for (const name of names) {
      if (!silenced.has(name)) fleet.beat(name, seq, { step: "<b>load</b>" });
    }
  }, 200);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    createHealthHandler(fleet, options),
  );
  const page = await browser.newPage({
    viewport: { width: 1280, height: 800 },
  });
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await page.goto(`http://127.0.0.1:${server.addr.port}/`);
  return {
    page,
    errors,
    silenced,
    async stopServer() {
      clearInterval(beat);
      for (const { worker } of fleet) fleet.remove(worker);
      await fleet.writable.close();
      await server.shutdown();
    },
  };
}

/** How far the trace of a row goes up and down, in pixels. */
function measureTrace(page: Page, row: number): Promise<number> {
  return page.evaluate((row) => {
    const { document } = globalThis as unknown as {
      document: { querySelectorAll(selector: string): HTMLCanvasElementLike[] };
    };
    interface HTMLCanvasElementLike {
      width: number;
      height: number;
      getContext(kind: "2d"): {
        getImageData(...box: number[]): { data: Uint8ClampedArray };
      };
    }
    const canvas = document.querySelectorAll("#workers canvas")[row];
    if (canvas === undefined) return 0;
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const lines = new Set<number>();
    for (let at = 3; at < data.length; at += 4) {
      if (data[at]! > 0) lines.add(Math.floor(at / 4 / width));
    }
    return lines.size;
  }, row);
}

/** The rows of the table, as a screen reader gets them. */
async function readRows(page: Page): Promise<string[]> {
  const rows = await page.getByRole("row").allInnerTexts();
  return rows.slice(1).map((row) => row.replaceAll(/\s+/g, " ").trim());
}

async function withBrowser(run: (browser: Browser) => Promise<void>) {
  const browser = await chromium.launch({
    executablePath: executablePath!,
    args: ARGS,
  });
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

// the browser's processes outlive a test by some turns
const options = {
  ignore: executablePath === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
};

Deno.test(
  "the live page draws a pulse for each beat, and a flat line in silence",
  options,
  () =>
    withBrowser(async (browser) => {
      const names = ["alpha", "beta", "gamma"];
      const opened = await openPage(names, browser);
      const { page, silenced, errors } = opened;
      await waitUntil(async () => await measureTrace(page, 0) > 10);
      assertEquals(await page.getByRole("status").innerText(), "live");
      silenced.add("gamma");
      // the worst first
      await waitUntil(async () =>
        /^gamma down \d/.test((await readRows(page))[0] ?? "")
      );
      await waitUntil(async () => await measureTrace(page, 0) <= 4);
      assert(await measureTrace(page, 1) > 10);
      const [, alpha] = await readRows(page);
      assert(
        /^alpha up [\d.]+ s ago \{"step":"<b>load<\/b>"\}$/.test(alpha!),
        alpha,
      );
      await waitUntil(async () =>
        /gamma/.test(await page.getByRole("log").innerText())
      );
      silenced.delete("gamma");
      await waitUntil(async () =>
        /^gamma up/.test((await readRows(page))[2] ?? "")
      );
      await page.getByRole("searchbox").fill("bet");
      await waitUntil(async () => (await readRows(page)).length === 1);
      assertEquals(errors, []);
      await opened.stopServer();
      await waitUntil(async () =>
        await page.getByRole("status").innerText() === "connection lost"
      );
    }),
);

Deno.test(
  "the live page shows many workers as cells, the silent ones first",
  options,
  () =>
    withBrowser(async (browser) => {
      const names = Array.from({ length: 10_000 }, (_, i) => `worker-${i}`);
      const opened = await openPage(names, browser);
      const { page, silenced, errors } = opened;
      const grid = page.getByRole("img");
      await grid.waitFor();
      silenced.add("worker-777");
      await grid.focus();
      await waitUntil(async () =>
        (await page.locator("#cell").innerText()).startsWith("worker-777: down")
      );
      await page.keyboard.press("ArrowRight");
      await waitUntil(async () =>
        (await page.locator("#cell").innerText()).startsWith("worker-0: up")
      );
      // drawing leaves most of a frame to others
      const cost = await page.evaluate(() => {
        const { drawGrid } = globalThis as unknown as {
          drawGrid(now: number): void;
        };
        const costs = Array.from({ length: 60 }, () => {
          const start = performance.now();
          drawGrid(start);
          return performance.now() - start;
        });
        // the median: a busy machine interrupts some of them
        return costs.sort((a, b) => a - b)[30]!;
      });
      assert(cost < 1_000 / 60, `${cost} ms a frame`);
      assertEquals(errors, []);
      await opened.stopServer();
    }),
);

Deno.test(
  "the live page says why nobody can be reported",
  options,
  () =>
    withBrowser(async (browser) => {
      const { readable, writable } = new TransformStream<
        HealthEvent,
        HealthEvent
      >();
      const events = writable.getWriter();
      // it is read at once, so the page is blind from the beginning
      const written = events.write({ type: "blind", reason: "connection" });
      const opened = await openPage(["alpha"], browser, { events: readable });
      await written;
      const shows = (text: string) =>
        waitUntil(async () =>
          await opened.page.getByRole("status").innerText() === text
        );
      await shows("connection lost: no heartbeat can be heard");
      await waitUntil(async () => await measureTrace(opened.page, 0) > 0);
      await events.write({ type: "blind", reason: "share" });
      await shows("too many are silent at once: nobody is reported");
      // those that beat are heard
      await waitUntil(async () => await measureTrace(opened.page, 0) > 10);
      await events.write({ type: "sees" });
      await shows("live");
      assertEquals(opened.errors, []);
      await events.close();
      await opened.stopServer();
    }),
);
