import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import npm from "../import_map.npm.json" with { type: "json" };
import * as core from "../mod.ts";

const root = new URL("../", import.meta.url);

async function read(folder: string) {
  const files: Record<string, string> = {};
  for await (const { name, isFile } of Deno.readDir(new URL(folder, root))) {
    if (!isFile || !name.endsWith(".ts")) continue;
    files[name] = await Deno.readTextFile(new URL(folder + name, root));
  }
  return files;
}

const modules = await read("./");

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

Deno.test("import_map.npm.json maps every name that is imported, and no other", async () => {
  const names = new Set<string>();
  const folders = [
    "tests",
    "bench",
    "bench/peers",
    "examples/nats",
    "examples/sse",
  ];
  const others = await Promise.all(folders.map((folder) => read(`${folder}/`)));
  for (const files of [modules, ...others]) {
    for (const text of Object.values(files)) {
      // others are in examples of docs only
      for (
        const [, name] of text.matchAll(/\bfrom "(@(?:heartbeat|std)\/[^"]+)"/g)
      ) {
        names.add(name!);
      }
    }
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
