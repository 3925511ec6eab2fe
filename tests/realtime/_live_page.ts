// Copyright 2026 the heartbeat authors. MIT license.

import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "npm:playwright-core@1.65.1";
import { FleetMonitor } from "../../fleet.ts";
import { createHealthHandler, type HealthOptions } from "../../health.ts";
import { CHROMIUM_ARGS, find } from "../runtimes/run.ts";

const executablePath = await find("chromium");
const TIMEOUT = 2_000;

/** How a test of the page is run: the browser's processes outlive it by some turns. */
export const BROWSER_TEST = {
  ignore: executablePath === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
};

/** Runs a test with a browser of its own. */
export async function withBrowser(run: (browser: Browser) => Promise<void>) {
  const browser = await chromium.launch({
    executablePath: executablePath!,
    args: CHROMIUM_ARGS,
  });
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

/** A fleet whose workers beat until they are silenced, and a server of its health. */
export function serveFleet(
  names: string[],
  options: HealthOptions & { port?: number; detail?: unknown } = {},
) {
  const fleet = new FleetMonitor({ timeout: TIMEOUT });
  const { port = 0, detail = { step: "<b>load</b>" }, ...health } = options;
  const silenced = new Set<string>();
  let seq = 0;
  const beat = setInterval(() => {
    seq++;
    for (const name of names) {
      if (!silenced.has(name)) fleet.beat(name, seq, detail);
    }
  }, 200);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port, onListen() {} },
    createHealthHandler(fleet, health),
  );
  return {
    names,
    fleet,
    silenced,
    port: server.addr.port,
    url: `http://127.0.0.1:${server.addr.port}${health.basePath ?? "/"}`,
    async stop() {
      clearInterval(beat);
      for (const { worker } of fleet) fleet.remove(worker);
      await fleet.writable.close();
      await server.shutdown();
    },
  };
}

/** A page, and what it complains of or asks others for. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
) {
  const page = await browser.newPage({
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => errors.push(message.text()));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) {
      errors.push(`asked ${request.url()}`);
    }
  });
  await page.goto(url);
  return { page, errors };
}

/** A fleet, its page, and what the page complains of. */
export async function openFleet(
  names: string[],
  browser: Browser,
  options: Parameters<typeof serveFleet>[1] = {},
) {
  const served = serveFleet(names, options);
  return { ...served, ...await openPage(browser, served.url) };
}

/** The rows of the table, as a screen reader gets them. */
export async function readRows(page: Page): Promise<string[]> {
  const rows = await page.getByRole("row").allInnerTexts();
  return rows.slice(1).map((row) => row.replaceAll(/\s+/g, " ").trim());
}

/** What the tests use of a canvas. */
interface Canvas {
  width: number;
  height: number;
  getContext(kind: "2d", options: { willReadFrequently: boolean }): {
    drawImage(image: Canvas, x: number, y: number): void;
    getImageData(...box: number[]): { data: Uint8ClampedArray };
  };
}

/** How far the trace of a row goes up and down, in pixels. */
export function measureTrace(page: Page, row: number): Promise<number> {
  return page.evaluate((row) => {
    const { document, OffscreenCanvas } = globalThis as unknown as {
      document: { querySelectorAll(selector: string): Canvas[] };
      OffscreenCanvas: new (width: number, height: number) => Canvas;
    };
    const canvas = document.querySelectorAll("#workers canvas")[row];
    if (canvas === undefined) return 0;
    const { width, height } = canvas;
    // a copy: the browser complains about a canvas that is read often
    const copy = new OffscreenCanvas(width, height)
      .getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    const lines = new Set<number>();
    for (let at = 3; at < data.length; at += 4) {
      if (data[at]! > 0) lines.add(Math.floor(at / 4 / width));
    }
    return lines.size;
  }, row);
}
