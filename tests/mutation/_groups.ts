// Copyright 2026 the heartbeat authors. MIT license.

/** A module, the private parts it stands on, and the tests of both. */
export interface Group {
  name: string;
  files: string[];
  tests: string[];
}

const ROOT = new URL("../../", import.meta.url);

/** A private part with more users than this is mutated by its own name only. */
const MOST_USERS = 3;

/** Tests that bear another name than what they test. */
const EXTRA: Record<string, RegExp> = {
  monitor: /\/(conformance\/|leak_test)/,
  worker: /\bleak/,
};

/** Tests of these take too long, or test something else than the code. */
const LEFT_OUT = /\/(soak|runtimes|mutation)\b|\/(exports|house)_test/;

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
    const path = folder + entry.name;
    if (entry.isDirectory) yield* walk(`${path}/`);
    else if (path.endsWith(".ts")) yield path;
  }
}

/** The private parts that a file imports at run time, directly or not. */
async function partsOf(file: string, found = new Set<string>()) {
  const text = await Deno.readTextFile(new URL(file, ROOT));
  const imports = /^(?:import|export) (?!type\b)[^;]*?from "\.\/(_\w+\.ts)";/gm;
  for (const [, part] of text.matchAll(imports)) {
    if (found.has(part!)) continue;
    found.add(part!);
    await partsOf(part!, found);
  }
  return found;
}

/** How many public modules stand on each private part. */
async function countUsers() {
  const users = new Map<string, number>();
  for await (const { name } of Deno.readDir(ROOT)) {
    if (!/^[a-z]\w*\.ts$/.test(name) || name === "mod.ts") continue;
    for (const part of await partsOf(name)) {
      users.set(part, (users.get(part) ?? 0) + 1);
    }
  }
  return users;
}

/** `monitor` or `_timers`: what is to be mutated, and by which tests it is judged. */
export async function groupOf(name: string): Promise<Group> {
  const users = await countUsers();
  const parts = [...await partsOf(`${name}.ts`)]
    .filter((part) => users.get(part)! <= MOST_USERS);
  const files = [`${name}.ts`, ...parts];
  const stems = files.map((file) => file.replace(/^_|\.ts$/g, ""));
  const tests: string[] = [];
  for await (const path of walk("tests/")) {
    if (!path.endsWith("_test.ts") || LEFT_OUT.test(path)) continue;
    const stem = path.replace(/^.*\//, "").replace(/_test\.ts$/, "");
    const isOurs = stems.some((each) => `${stem}_`.startsWith(`${each}_`));
    if (isOurs || stem === "arguments" || EXTRA[name]?.test(path)) {
      tests.push(path);
    }
  }
  return { name, files, tests: tests.sort() };
}
