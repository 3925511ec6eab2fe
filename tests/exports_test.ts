// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import npm from "../import_map.npm.json" with { type: "json" };
import * as core from "../mod.ts";
import { deriveImportMap } from "./_npm.ts";

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
/** Where npm packages are named, besides the sources. */
const packages = JSON.stringify([config.imports, npm.imports]);

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
    "HeartbeatGaps",
    "HeartbeatMonitor",
    "HeartbeatTimeoutError",
    "RestartLimitError",
    "Watchdog",
    "startWorker",
    "supervise",
    "watch",
    "withHeartbeat",
  ]);
});

Deno.test("import_map.npm.json follows deno.json: run `deno task npm:install`", () => {
  assertEquals(npm, deriveImportMap() as typeof npm);
});

Deno.test("import_map.npm.json maps every name of @std that is imported, and no other", () => {
  const names = new Set<string>();
  for (const text of Object.values(sources)) {
    // others are in examples of docs only
    for (const [, name] of text.matchAll(/\bfrom "(@std\/[^"]+)"/g)) {
      names.add(name!);
    }
  }
  const mapped = Object.keys(npm.imports).filter((name) =>
    name.startsWith("@std/")
  );
  assertEquals(mapped.sort(), [...names].sort());
});

Deno.test("every npm package has an exact version, the same one everywhere", () => {
  const versions = new Map<string, string>();
  for (const [path, text] of Object.entries({ ...sources, config: packages })) {
    const specifiers = /(?:from |import\(|:)"npm:(@?[^@"]+)@?([^"/]*)/g;
    for (const [, name, version] of text.matchAll(specifiers)) {
      assertMatch(version!, /^\d+\.\d+\.\d+$/, `${path}: ${name}`);
      assertEquals(versions.get(name!) ?? version, version, `${path}: ${name}`);
      versions.set(name!, version!);
    }
  }
});

Deno.test("deno.lock pins the npm packages by their hashes, and names no registry", async () => {
  const text = await Deno.readTextFile(new URL("deno.lock", root));
  const lock: { npm: Record<string, { integrity?: string }> } = JSON.parse(
    text,
  );
  for (const [name, { integrity }] of Object.entries(lock.npm)) {
    assertMatch(integrity ?? "", /^sha512-/, name);
  }
  assertEquals(text.match(/https?:|registry/g), null);
});

Deno.test("CI takes one exact version of Deno", async () => {
  const named: string[] = [];
  for (
    const path of [
      ".ci/run",
      ".github/action.sh",
      ".github/workflows/ci.yml",
      ".github/workflows/publish.yml",
    ]
  ) {
    const text = await Deno.readTextFile(new URL(path, root));
    const versions = text.matchAll(
      /\bdeno@([\d.]+)(?=\s|$)|deno-version: v(\S+)/gm,
    );
    for (const [, npm, action] of versions) named.push((npm ?? action)!);
  }
  assertEquals([...new Set(named)], ["2.9.6"]);
  assertEquals(named.length, 6);
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
    const all = [...text.matchAll(exported)];
    for (const [i, [, doc = "", name]] of all.entries()) {
      // what comes last of an overloaded function is no part of its docs
      const isOverloaded = all.findIndex((other) => other[2] === name) < i;
      if (isOverloaded && all[i + 1]?.[2] !== name) continue;
      assert(/@example [^]*?```ts\n/.test(doc), `${file}: ${name}`);
    }
  }
});
