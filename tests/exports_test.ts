// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import npm from "../import_map.npm.json" with { type: "json" };
import * as core from "../mod.ts";

const root = new URL("../", import.meta.url);

/** The text of every TypeScript file, by its path from the root. */
async function readSources(folder = "") {
  const files: Record<string, string> = {};
  for await (const entry of Deno.readDir(new URL(`./${folder}`, root))) {
    const path = folder + entry.name;
    if (
      entry.isDirectory && !/^(\.|node_modules$|coverage$)/.test(entry.name)
    ) {
      Object.assign(files, await readSources(`${path}/`));
    } else if (entry.isFile && path.endsWith(".ts")) {
      files[path] = await Deno.readTextFile(new URL(path, root));
    }
  }
  return files;
}

const sources = await readSources();
const modules = Object.fromEntries(
  Object.entries(sources).filter(([path]) => !path.includes("/")),
);

const npmDependencies = Object.fromEntries(
  Object.entries(config.imports).filter(([, target]) =>
    target.startsWith("npm:")
  ),
);

Deno.test("deno.json exports every module that is not private, and nothing else", () => {
  const expected: Record<string, string> = {};
  for (const file of Object.keys(modules)) {
    if (file.startsWith("_")) continue;
    const key = file.replace(/\.ts$/, "").replaceAll("_", "-");
    expected[key === "mod" ? "." : `./${key}`] = `./${file}`;
  }
  assertEquals(config.exports, expected as typeof config.exports);
});

Deno.test("mod.ts exports the core", () => {
  assertEquals(Object.keys(core).sort(), [
    "HeartbeatMonitor",
    "HeartbeatTimeoutError",
    "RestartLimitError",
    "startWorker",
    "supervise",
    "watch",
  ]);
});

Deno.test("import_map.npm.json maps every name that is imported, and no other", () => {
  const names = new Set<string>();
  for (const text of Object.values(sources)) {
    // others are in examples of docs only
    const imported = /\bfrom "(@(?:heartbeat|std)\/[^"]+)"/g;
    for (const [, name] of text.matchAll(imported)) names.add(name!);
  }
  for (const name of Object.keys(npmDependencies)) names.add(name);
  assertEquals(Object.keys(npm.imports).sort(), [...names].sort());
});

Deno.test("import_map.npm.json takes the same version of every npm package as deno.json, an exact one", () => {
  for (const [name, target] of Object.entries(npmDependencies)) {
    assertMatch(target, /@\d+\.\d+\.\d+$/);
    assertEquals(npm.imports[name as keyof typeof npm.imports], target);
  }
});

Deno.test("modules that say so are browser compatible: they touch no Deno, and the smoke suite runs them", async () => {
  const portable = Object.entries(modules)
    .filter(([, text]) =>
      text.includes("// This module is browser compatible.")
    );
  const shown = await Deno.readTextFile(
    new URL("tests/runtimes/behaviour.ts", root),
  );
  for (const [file, text] of portable) {
    const entry = modules["mod.ts"]!.includes(`"./${file}"`) ? "mod.ts" : file;
    assert(
      file.startsWith("_") || shown.includes(`"../../${entry}"`),
      `${file} is not run by the smoke suite`,
    );
    const code = text.replaceAll(/^\s*(\/?\*|\/\/).*$/gm, "");
    assertEquals(/\bDeno\./.exec(code)?.index, undefined, file);
    for (const [, imported] of text.matchAll(/from "\.\/([^"]+)"/g)) {
      assert(
        portable.some(([name]) => name === imported),
        `${file} imports ${imported}, which is not`,
      );
    }
  }
});

Deno.test("every TypeScript file begins with the licence line", () => {
  const licence = "// Copyright 2026 the heartbeat authors. MIT license.\n";
  for (const [path, text] of Object.entries(sources)) {
    assert(text.startsWith(licence), path);
  }
});

Deno.test("modules document themselves", () => {
  for (const [file, text] of Object.entries(modules)) {
    if (!file.startsWith("_")) assert(text.includes(" * @module"), file);
  }
});

Deno.test("every function and every class that is exported has an example that runs", () => {
  for (const [file, text] of Object.entries(modules)) {
    if (file.startsWith("_")) continue;
    const exported =
      /(\/\*\*(?:(?!\*\/)[^])*\*\/)?\nexport (?:function|class) (\w+)/g;
    for (const [, doc = "", name] of text.matchAll(exported)) {
      assert(/@example [^]*?```ts\n/.test(doc), `${file}: ${name}`);
    }
  }
});
