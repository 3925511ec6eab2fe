// Copyright 2026 the heartbeat authors. MIT license.

/** A module, the private parts it stands on, and the tests of both. */
export interface Group {
  name: string;
  files: string[];
  tests: string[];
}

const ROOT = new URL("../../", import.meta.url);

/** A private part that several modules stand on belongs to the first of these, then of all others. */
const ORDER = [
  "worker",
  "monitor",
  "supervisor",
  "fleet",
  "command",
  "thread",
  "nats",
];

/** Tests that bear another name than what they test. */
const EXTRA: Record<string, RegExp> = {
  monitor: /\/(conformance\/|leak_test)|^tests\/watch_test/,
  worker: /\bleak/,
  fetch: /\bleak/,
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

/** The module that each private part belongs to. */
async function findHomes() {
  const modules: string[] = [];
  for await (const { name } of Deno.readDir(ROOT)) {
    if (/^[a-z]\w*\.ts$/.test(name)) modules.push(name.slice(0, -3));
  }
  const homes = new Map<string, string>();
  for (const name of new Set([...ORDER, ...modules.sort()])) {
    for (const part of await partsOf(`${name}.ts`)) {
      if (!homes.has(part)) homes.set(part, name);
    }
  }
  return homes;
}

/** `monitor` or `_timers`: what is to be mutated, and by which tests it is judged. */
export async function groupOf(name: string): Promise<Group> {
  const homes = await findHomes();
  const parts = [...await partsOf(`${name}.ts`)]
    .filter((part) => homes.get(part) === name);
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
