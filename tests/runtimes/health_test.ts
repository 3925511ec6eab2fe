// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import { NPM_FLAGS } from "../_help.ts";
import { find, RUNTIMES } from "./run.ts";

const ROOT = new URL("../../", import.meta.url);

/** Which server answers, on which runtime. */
const SERVERS = { "node": "node", "hono": "node", "bun": "bun" } as const;

/** Makes a folder with the server in JavaScript. */
async function bundle(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "heartbeat" });
  await Deno.writeTextFile(`${folder}/package.json`, '{"type":"module"}');
  const file = "tests/runtimes/health.ts";
  const args = ["bundle", ...NPM_FLAGS, "--quiet", `--outdir=${folder}`, file];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return folder;
}

async function readLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream.values({ preventCancel: true })) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("\n")) break;
  }
  return text.trim();
}

for (const [kind, runtime] of Object.entries(SERVERS)) {
  const wanted = RUNTIMES.findLast((each) => each.split("@")[0] === runtime);
  const executable = await find(wanted ?? runtime);
  Deno.test({
    name: `createHealthHandler answers on the server of ${kind}`,
    ignore: executable === undefined,
    async fn() {
      const folder = await bundle();
      const child = new Deno.Command(executable!, {
        args: [`${folder}/health.js`, kind],
        stdout: "piped",
      }).spawn();
      try {
        const url = await readLine(child.stdout);
        const live = await fetch(`${url}/livez?verbose`);
        assertEquals(await live.text(), "[+]alpha ok\nlivez check passed\n");
        const metrics = await (await fetch(`${url}/metrics`)).text();
        assertMatch(metrics, /^heartbeat_workers{state="up"} 1$/m);
        const beats = await fetch(`${url}/beats`);
        assertMatch(await readLine(beats.body!), /^event: frame\ndata: {/);
        await beats.body!.cancel();
      } finally {
        child.kill();
        await child.stdout.cancel();
        await child.status;
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
