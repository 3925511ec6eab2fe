// Copyright 2026 the heartbeat authors. MIT license.

import { assert } from "@std/assert";
import { bundle, find, run, RUNTIMES, WANTED } from "./run.ts";

const folder = await bundle();
globalThis.addEventListener("unload", () => {
  Deno.removeSync(folder, { recursive: true });
});

for (const runtime of RUNTIMES) {
  const executable = await find(runtime);
  Deno.test({
    name: `the portable core behaves on ${runtime}`,
    ignore: executable === undefined && WANTED === undefined,
    async fn() {
      if (executable === undefined) throw new Error("It is not installed");
      const { ok, out, rest } = await run(runtime, executable, folder);
      assert(ok, `\n${out}${rest}`);
    },
  });
}
