// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
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

function createNames(count: number) {
  return Array.from({ length: count }, (_, i) => `worker-${i}`);
}

/** Evaluates an expression in the page. */
function evaluate<T>(page: Page, expression: string): Promise<T> {
  return page.evaluate<T>(expression);
}

/** The element that has the focus, and whether that can be seen. */
function getFocus(page: Page): Promise<string> {
  return evaluate(
    page,
    `document.activeElement.id + " " +
      getComputedStyle(document.activeElement).outlineStyle`,
  );
}

/** The roles and names of the accessibility tree, without what is ignored. */
async function readTree(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  return nodes.filter(({ ignored }) => !ignored)
    .map(({ role, name }) => `${role?.value} ${name?.value ?? ""}`.trim());
}

/** Counts the changes of what a screen reader reads out by itself. */
function countAnnouncements(page: Page, ms: number): Promise<number> {
  return evaluate(
    page,
    `new Promise((resolve) => {
      let count = 0;
      const observer = new MutationObserver((changes) => count += changes.length);
      const options = { childList: true, characterData: true, subtree: true };
      for (const each of document.querySelectorAll(
        "[role=status], [role=alert], [role=log]:not([aria-live=off]), [aria-live=polite]"
      )) observer.observe(each, options);
      setTimeout(() => resolve(count), ${ms});
    })`,
  );
}

Deno.test(
  "the live page is a table for a screen reader, which reads out stalls but no beats",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const opened = await openFleet(["alpha", "beta", "gamma"], browser);
      const { page, silenced } = opened;
      for (const width of [1280, 375]) {
        await page.setViewportSize({ width, height: 700 });
        await waitUntil(async () => (await readRows(page)).length === 3);
        const tree = await readTree(page);
        for (
          const node of [
            ...[
              "table Workers",
              "rowheader alpha",
              "rowheader beta",
              "cell up",
            ],
            ...["columnheader Worker", "columnheader State", "heading Events"],
            ...["searchbox Search for a worker", "button Dark or light"],
            ...["status", "log Events"],
          ]
        ) {
          assert(
            tree.includes(node),
            `${width}: ${node} in ${tree.join("\n")}`,
          );
        }
        assertEquals(tree.filter((node) => /canvas|image/i.test(node)), []);
        assertEquals(
          await evaluate(
            page,
            `[document.documentElement.scrollWidth, $("rows").scrollWidth - $("rows").clientWidth]`,
          ),
          [width, 0],
        );
      }
      assertEquals(await countAnnouncements(page, 2_000), 0);
      silenced.add("gamma");
      const announcer = page.locator("[aria-live=polite]");
      await waitUntil(async () =>
        await announcer.innerText() === "Down: gamma"
      );
      silenced.clear();
      await waitUntil(async () =>
        await announcer.innerText() === "Nobody is down any more"
      );
      await opened.stop();
    }),
);

Deno.test(
  "the live page of many workers is used by the keyboard alone",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const opened = await openFleet(createNames(100), browser);
      const { page, silenced, errors } = opened;
      const shows = (text: string) =>
        waitUntil(async () =>
          (await page.locator("#cell").innerText()).startsWith(text)
        );
      await page.getByRole("application").waitFor();
      for (const id of ["search", "theme", "grid", "log"]) {
        await page.keyboard.press("Tab");
        assertEquals(await getFocus(page), `${id} solid`);
      }
      await page.keyboard.press("Shift+Tab");
      await shows("worker-0: up");
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      await shows("worker-2: up");
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowUp");
      await shows("worker-2: up");
      assertEquals(await countAnnouncements(page, 1_000), 0);
      // the choice follows its worker, although another one is first now
      silenced.add("worker-50");
      await waitUntil(async () =>
        /^worker-50 down/.test((await readRows(page))[0] ?? "")
      );
      await shows("worker-2: up");
      await page.keyboard.press("End");
      await shows("worker-99: up");
      await page.keyboard.press("Home");
      await shows("worker-50: down");

      await page.keyboard.press("/");
      await page.keyboard.type("worker-9");
      await waitUntil(async () => (await readRows(page)).length === 11);
      assertMatch((await readRows(page))[0]!, /^worker-9 up/);
      await page.keyboard.type("x");
      await page.getByText("No worker matches the search.").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("application").waitFor();
      assertEquals(await getFocus(page), "search solid");
      assertEquals(errors, []);
      await opened.stop();
    }),
);

Deno.test(
  "the live page turns rows into cells at the 61st worker, and back",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const names = createNames(60);
      const opened = await openFleet(names, browser);
      const { page, fleet, errors } = opened;
      const canvases = page.locator("#workers canvas");
      await waitUntil(async () => await canvases.count() === 60);
      // 60 traces take longer than a frame: those that can be seen are drawn
      await waitUntil(async () => await measureTrace(page, 0) > 10);
      assertEquals(await measureTrace(page, 59), 0);
      await canvases.last().scrollIntoViewIfNeeded();
      await waitUntil(async () => await measureTrace(page, 59) > 10);
      names.push("worker-60");
      const tree = page.getByRole("application");
      await tree.waitFor();
      assertEquals(await canvases.count(), 0);
      assertEquals(
        (await readRows(page)).filter((row) => / up /.test(row)).length,
        61,
      );
      names.pop();
      fleet.remove("worker-60");
      await waitUntil(async () => await canvases.count() === 60);
      assertEquals(await tree.count(), 0);
      assertEquals(errors, []);
      await opened.stop();
    }),
);

Deno.test(
  "the live page is dark or light as one likes, and moves little if one likes that",
  BROWSER_TEST,
  () =>
    withBrowser(async (browser) => {
      const served = serveFleet(["alpha"]);
      const { page, errors } = await openPage(browser, served.url, {
        colorScheme: "dark",
        reducedMotion: "reduce",
      });
      await page.getByText("alpha").first().waitFor();
      const isDark = () =>
        evaluate<boolean>(
          page,
          `Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)) < 128`,
        );
      assertEquals(await isDark(), true);
      await page.getByRole("button").click();
      assertEquals(await isDark(), false);
      await page.getByRole("button").click();
      assertEquals(await isDark(), true);
      const draws = await evaluate<number>(
        page,
        `new Promise((resolve) => {
          let count = 0;
          const draw = drawTrace;
          globalThis.drawTrace = (...args) => draw(...args, count++);
          setTimeout(() => resolve(count), 2_500);
        })`,
      );
      assert(draws >= 1 && draws <= 3, `${draws} in 2.5 s`);
      assertEquals(errors, []);
      await served.stop();
    }),
);
