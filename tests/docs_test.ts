// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { NPM_FLAGS } from "./_help.ts";

const root = new URL("../", import.meta.url);

/** The text of each page, by its path. */
async function readPages() {
  const paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", root))) {
    if (name.endsWith(".md")) paths.push(`docs/${name}`);
  }
  const texts = await Promise.all(
    paths.map((path) => Deno.readTextFile(new URL(path, root))),
  );
  return new Map(paths.map((path, index) => [path, texts[index]!]));
}

const pages = await readPages();

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(text: string) {
  const prose = text.replaceAll(/^```[^]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(/[^\w\s-]/g, "").replaceAll(" ", "-")
  );
}

Deno.test("README.md is one screen that sells and one that starts, in under 9,000 bytes", () => {
  const text = pages.get("README.md")!;
  assert(new TextEncoder().encode(text).length < 9_000);
  // the commands that need only Node.js are within the first two screens
  const lines = text.split("\n");
  assert(lines.findIndex((line) => line.includes("npm:test")) < 90);
});

Deno.test("README.md links every page of docs/", () => {
  for (const path of pages.keys()) {
    if (!path.startsWith("docs/")) continue;
    assert(pages.get("README.md")!.includes(`](${path})`), path);
  }
});

Deno.test("relative links of the documentation lead to a file and a heading", async () => {
  for (const [path, text] of pages) {
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue;
      const url = new URL(link!, new URL(path, root));
      const anchor = url.hash.slice(1);
      url.hash = "";
      const target = await Deno.readTextFile(url);
      if (anchor) assert(anchors(target).includes(anchor), `${path}: ${link}`);
    }
  }
});

Deno.test("snippets use nothing that Node.js 20 does not have", () => {
  for (const [path, text] of pages) {
    assert(!text.includes("Array.fromAsync"), path);
  }
});

Deno.test("the examples of a thread are the program that the tests run", async () => {
  const page = pages.get("docs/threads_and_commands.md")!;
  const code = await Deno.readTextFile(new URL("docs/primes.ts", root));
  const [, shown] = /\/\/ primes\.ts\n([^]*?)```/.exec(page)!;
  assert(code.endsWith(shown!));
  const [, short] = /```ts ignore\n([^]*?)```/.exec(pages.get("README.md")!)!;
  for (const line of short!.split("\n")) {
    if (!line.startsWith("//")) assert(`${code}${page}`.includes(line), line);
  }
});

/** Runs a snippet as a program; resolves to what it prints. */
async function run(snippet: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...NPM_FLAGS, "-"],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const input = new Blob([snippet]).stream().pipeTo(child.stdin);
  const [{ stdout }] = await Promise.all([child.output(), input]);
  return new TextDecoder().decode(stdout);
}

Deno.test("outputs in the documentation are what the snippets print", async () => {
  let count = 0;
  for (const [path, text] of pages) {
    const shown = text.matchAll(/^```ts\n([^`]*)^```\n\n```\n([^`]*)^```$/gm);
    for (const [, snippet, output] of shown) {
      count++;
      // the verdict may come some milliseconds late
      const actual = (await run(snippet!))
        .replace(/for \d+ ms after/, "for 302 ms after");
      assertEquals(actual, output, path);
    }
  }
  assert(count >= 4);
});
