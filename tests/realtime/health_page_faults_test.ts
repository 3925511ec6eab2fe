// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
import { waitUntil } from "../_help.ts";
import {
  BROWSER_TEST,
  measureTrace,
  openPage,
  readRows,
  serveFleet,
  withBrowser,
} from "./_live_page.ts";

/** What the page says once nobody is watched any more. */
const ENDED = "the fleet has ended: nobody is watched any more";

/** A proxy that answers 502 while its server is away, or after `refuse()`. */
function serveProxy(port: number) {
  let cut: AbortController | undefined = new AbortController();
  const proxy = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async ({ url, headers }) => {
      try {
        const { pathname, search } = new URL(url);
        const target = `http://127.0.0.1:${port}${pathname}${search}`;
        if (!cut) throw new Error("refused");
        const answer = await fetch(target, { headers });
        const { signal } = cut;
        const body = answer.body!.pipeThrough(
          new TransformStream({
            start: (controller) =>
              signal.addEventListener("abort", () => controller.terminate()),
          }),
        );
        return new Response(body, answer);
      } catch {
        return new Response("bad gateway", { status: 502 });
      }
    },
  );
  return {
    url: `http://127.0.0.1:${proxy.addr.port}/`,
    /** Ends every stream, and refuses new ones. */
    refuse() {
      cut?.abort();
      cut = undefined;
    },
    accept: () => void (cut = new AbortController()),
    shutdown: () => proxy.shutdown(),
  };
}

/** The colour of a trace. */
function readColour(page: Page): Promise<string> {
  return page.evaluate(`(() => {
    const canvas = document.querySelector("#workers canvas");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const opaque = data.findIndex((value, i) => i % 4 === 3 && value === 255);
    return data.slice(opaque - 3, opaque).join();
  })()`);
}

function waitForStatus(page: Page, text: string) {
  return waitUntil(async () =>
    await page.getByRole("status").innerText() === text
  );
}

Deno.test(
  "the live page comes back after errors of a proxy, to other workers",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const first = serveFleet(["alpha", "beta"]);
      const proxy = serveProxy(first.port);
      const { page } = await openPage(browser, proxy.url);
      const alpha = page.getByRole("log").locator(".up").getByText("alpha");
      await waitForStatus(page, "live");
      await alpha.waitFor();

      const refused = page.waitForResponse((answer) => answer.status() === 502);
      proxy.refuse();
      await waitForStatus(page, "connection lost");
      await refused;
      proxy.accept();
      await waitForStatus(page, "live");

      await first.stop();
      await waitForStatus(page, ENDED);
      const second = serveFleet(["gamma"], { port: first.port });
      await waitForStatus(page, "live");
      await waitUntil(async () => {
        const rows = await readRows(page);
        return rows.length === 1 && rows[0]!.startsWith("gamma up");
      });
      // the log goes on, and repeats nothing
      await page.getByRole("log").getByText("gamma").waitFor();
      assertEquals(await alpha.count(), 1);
      await page.close();
      await second.stop();
      await proxy.shutdown();
    }),
);

Deno.test(
  "the live page has no connection while nobody looks at it",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const served = serveFleet(["alpha"]);
      const { page, errors } = await openPage(browser, served.url);
      const setHidden = (hidden: boolean) =>
        page.evaluate((hidden) => {
          const { document } = globalThis as unknown as {
            document: EventTarget;
          };
          Object.defineProperty(document, "hidden", {
            value: hidden,
            configurable: true,
          });
          document.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
      await waitForStatus(page, "live");
      await page.getByRole("log").getByText("alpha").waitFor();

      const closed: string[] = [];
      page.on("requestfailed", (request) => closed.push(request.url()));
      await setHidden(true);
      await waitUntil(() => closed.length === 1);
      assertEquals(await page.title(), "heartbeat (paused)");
      served.silenced.add("alpha");
      served.names.push("beta");
      await waitUntil(() =>
        [...served.fleet].some(({ state }) => state === "down")
      );

      await setHidden(false);
      await waitForStatus(page, "live");
      await waitUntil(async () => (await readRows(page)).length === 2);
      assertMatch((await readRows(page))[0]!, /^alpha down/);
      await page.getByRole("log").locator(".down").getByText("alpha").waitFor();
      assertEquals(await page.getByRole("listitem").count(), 3);
      assertEquals(await page.title(), "1 down · heartbeat");
      assertEquals(errors, []);
      await served.stop();
    }),
);

Deno.test(
  "the live page draws no line for the time in which its server was blocked",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const served = serveFleet(["alpha"]);
      const { page } = await openPage(browser, served.url);
      await waitForStatus(page, "live");
      const readSince = async () => Number(await page.evaluate("heardSince"));
      const before = await readSince();
      // as a request that takes long to answer
      const end = performance.now() + 4_000;
      while (performance.now() < end);
      await waitUntil(async () => await readSince() > before + 3_000);
      await waitForStatus(page, "live");
      await served.stop();
    }),
);

Deno.test(
  "the live page counts the seconds since a beat by one clock, that of the server",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const served = serveFleet(["alpha"]);
      const context = await browser.newContext();
      // a clock that is an hour ahead, and is set again and again
      await context.addInitScript(() => {
        const { now } = Date;
        Date.now = () => now() + 3_600_000 * (0.5 + Math.random());
      });
      const page = await context.newPage();
      await page.goto(served.url);
      await waitForStatus(page, "live");
      await waitUntil(async () => (await readRows(page)).length === 1);
      for (let i = 0; i < 20; i++) {
        assertMatch((await readRows(page))[0]!, /^alpha up \d\.\d s ago/);
        await page.waitForTimeout(50);
      }
      await served.stop();
    }),
);

Deno.test(
  "the live page needs one of the six connections that a browser has",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const served = serveFleet(["alpha"]);
      // the tabs of one browser, which share its connections
      const context = await browser.newContext();
      for (let i = 0; i < 5; i++) {
        const page = await context.newPage();
        await page.goto(served.url);
        await waitForStatus(page, "live");
        await page.getByRole("log").getByText("alpha").waitFor();
      }
      await context.close();
      await served.stop();
    }),
);

Deno.test(
  "the live page says that the fleet has ended, and keeps what was heard",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      let end!: () => void;
      const events = new ReadableStream({
        start: (controller) => void (end = () => controller.close()),
      });
      const served = serveFleet(["alpha"], { events });
      const { page, errors } = await openPage(browser, served.url);
      await waitForStatus(page, "live");
      await waitUntil(async () =>
        await page.evaluate(`workers.get("alpha")?.beats.length > 9`) === true
      );
      end();
      await waitForStatus(page, ENDED);
      const look = async () => [
        await page.getByRole("status").innerText(),
        await page.locator("#summary").innerText(),
        await measureTrace(page, 0),
      ];
      const [, summary, height] = await look();
      assertEquals(summary, "last known: 1 up, 0 down, 0 expected");
      assert(Number(height) > 10);
      // the browser asks again and again
      for (let again = 0; again < 2; again++) {
        await page.waitForResponse((answer) => answer.url().endsWith("/beats"));
        await page.waitForTimeout(500);
        assertEquals(await look(), [ENDED, summary, height]);
      }
      assertEquals(errors, []);
      // what stands still is drawn again, too
      const colour = await readColour(page);
      await page.getByRole("button").click();
      await waitUntil(async () => await readColour(page) !== colour);
      await served.stop();
    }),
);
