// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { escapeText } from "../../_escape_text.ts";
import type { HealthEvent } from "../../health.ts";
import { waitUntil } from "../_help.ts";
import {
  BROWSER_TEST,
  measureTrace,
  openFleet,
  openPage,
  readRows,
  serveFleet,
  withBrowser,
} from "./_live_page.ts";

Deno.test(
  "the live page draws a pulse for each beat, and a flat line in silence",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const names = ["alpha", "beta", "gamma"];
      const opened = await openFleet(names, browser);
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
      // of three beats between two frames, only the last one has a time
      // by turns from two servers, behind one address
      assertEquals(
        await page.evaluate(
          `["x-1", "y-1", "x-1", "y-2", "x-2"].map((id) => isNews(id))`,
        ),
        [true, true, false, true, true],
      );
      assertEquals(
        await page.evaluate(`(() => {
          const worker = { seq: 3, beats: [700] };
          [frameAt, frameTime] = [1_000, 9_000];
          addBeats(worker, { seq: 6, lastSeen: 8_970, passed: 250 });
          return worker.beats.map(Math.round);
        })()`),
        [700, 803, 887, 970],
      );
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
      await opened.stop();
      await waitUntil(async () =>
        /^the fleet has ended/.test(await page.getByRole("status").innerText())
      );
    }),
);

Deno.test(
  "the live page draws no beat in a silence, although some were lost",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const { page, fleet, silenced, stop } = await openFleet(
        ["alpha"],
        browser,
      );
      const readBeats = () =>
        page.evaluate(`workers.get("alpha")?.beats ?? []`) as Promise<number[]>;
      await waitUntil(async () => (await readBeats()).length > 3);
      silenced.add("alpha");
      await page.waitForTimeout(1_500);
      const { length } = await readBeats();
      fleet.beat("alpha", 1_000);
      await waitUntil(async () => (await readBeats()).length > length);
      const beats = await readBeats();
      assert(beats[length]! - beats[length - 1]! > 900, beats.join());
      await stop();
    }),
);

Deno.test(
  "the live page shows many workers as cells, the silent ones first",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const names = Array.from({ length: 10_000 }, (_, i) => `worker-${i}`);
      const opened = await openFleet(names, browser);
      const { page, silenced, errors } = opened;
      const grid = page.getByRole("application");
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
      await opened.stop();
    }),
);

Deno.test(
  "the live page says why nobody can be reported",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const { readable, writable } = new TransformStream<
        HealthEvent,
        HealthEvent
      >();
      const events = writable.getWriter();
      // it is read at once, so the page is blind from the beginning
      const written = events.write({ type: "blind", reason: "connection" });
      const opened = await openFleet(["alpha"], browser, { events: readable });
      await written;
      const shows = (text: string) =>
        waitUntil(async () =>
          await opened.page.getByRole("status").innerText() === text
        );
      await shows("connection lost: no heartbeat can be heard");
      // a flat line would be silence, but nobody listens
      await opened.page.waitForTimeout(500);
      assertEquals(await measureTrace(opened.page, 0), 0);
      await events.write({ type: "blind", reason: "share" });
      await shows("too many are silent at once: nobody is reported");
      // those that beat are heard
      await waitUntil(async () => await measureTrace(opened.page, 0) > 10);
      await events.write({ type: "sees" });
      await shows("live");
      assertEquals(opened.errors, []);
      await events.close();
      await opened.stop();
    }),
);

Deno.test(
  "the live page shows what is invisible or turns the text around as an escape",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      // some browsers show the second one as the first one
      const names = [
        "beta-1",
        "\u202e1-ateb",
        "a\0\x1b\n\u200b\u{e0041}\ud83d",
      ];
      const detail = "\u2067\ufeff</td>";
      const { page, errors, stop } = await openFleet(names, browser, {
        detail,
      });
      const texts = names.map(escapeText);
      await waitUntil(async () => (await readRows(page)).length === 3);
      for (const text of texts) {
        const row = page.getByRole("row").filter({ hasText: text });
        assertEquals(await row.getByRole("rowheader").innerText(), text);
        assertEquals(
          await row.getByRole("rowheader").getAttribute("title"),
          text,
        );
        assertEquals(
          await row.getByRole("cell").last().innerText(),
          '"\\u2067\\ufeff</td>"',
        );
        await page.getByRole("log").getByText(text).waitFor();
      }
      await page.getByRole("searchbox").fill("\\U202E");
      await waitUntil(async () => (await readRows(page)).length === 1);
      const html = await page.locator("main").innerHTML();
      assertEquals(
        escapeText(html.replaceAll("\n", "")),
        html.replaceAll("\n", ""),
      );
      assertEquals(errors, []);
      await stop();
    }),
);

Deno.test(
  "the live page sorts the rows, whatever the moments of its frames are",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const served = serveFleet(["alpha", "beta", "gamma"]);
      const { page } = await openPage(browser, "about:blank");
      // texts change every 250 ms, and a frame comes at exactly that moment
      await page.addInitScript(`
        let now = Math.round(performance.now());
        globalThis.requestAnimationFrame = (callback) =>
          setTimeout(() => callback(now += 50), 50);
      `);
      await page.goto(served.url);
      await page.getByRole("row").getByText("gamma").waitFor();
      served.silenced.add("gamma");
      await waitUntil(async () =>
        /^gamma down/.test((await readRows(page))[0] ?? "")
      );
      await served.stop();
    }),
);
