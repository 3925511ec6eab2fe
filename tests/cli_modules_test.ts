// Copyright 2026 the heartbeat authors. MIT license.

// What the command line loads: V8's own list, which its coverage writes.

import { assert, assertEquals } from "@std/assert";
import { DEMO, forEachRow } from "./_cli_process.ts";
import { NPM_FLAGS } from "./_help.ts";

const root = new URL("../", import.meta.url);

/** The modules that a run has loaded. */
async function listModules(args: string[]): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "--no-prompt", "--allow-run"],
      ...["--allow-net=127.0.0.1", `--coverage=${folder}`, ...NPM_FLAGS],
      ...["main.ts", ...args],
    ],
    cwd: root,
    stdin: "null",
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  const modules: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const text = await Deno.readTextFile(`${folder}/${name}`);
    modules.push(JSON.parse(text).url);
  }
  await Deno.remove(folder, { recursive: true });
  return modules.sort();
}

const own = (name: string) => new URL(name, root).href;

/** What is only for a network, or for a health server. */
const OPTIONAL = /\/(_?nats|_?group|_?store|_?health|_?fleet)\w*\.ts$/;

Deno.test("the command line loads nothing of NATS unless it is used", async () => {
  await forEachRow([
    ["--help"],
    ["--version"],
    ["--", "true"],
    ["-"],
    ["--runtime=200ms", ...DEMO],
  ], async (args) => {
    const modules = await listModules(args);
    assert(modules.includes(own("main.ts")), `${modules}`);
    const optional = modules.filter((url) =>
      OPTIONAL.test(url) || url.includes("@nats-io")
    );
    assertEquals(optional, [], args.join(" "));
  });
  // the list would show it; the command lasts until the client has been loaded
  const modules = await listModules([
    ...["--nats=127.0.0.1:1", "--name=a", "--", "sleep", "3"],
  ]);
  assert(modules.includes(own("_nats_publisher.ts")), `${modules}`);
  assert(modules.some((url) => url.includes("@nats-io")), `${modules}`);
});
