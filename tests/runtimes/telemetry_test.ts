// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import { namesOf, startReceiver } from "../_otlp.ts";
import { NPM_FLAGS } from "../_help.ts";
import { find, RUNTIMES } from "./run.ts";

const ROOT = new URL("../../", import.meta.url);

async function execute(command: string, args: string[]) {
  const { success, stderr } = await new Deno.Command(command, {
    args,
    cwd: ROOT,
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

const wanted = RUNTIMES.findLast((each) => each.split("@")[0] === "node");
const node = await find(wanted ?? "node");

Deno.test({
  name: "instrument works on Node.js with its SDK, by the global providers",
  ignore: node === undefined,
  async fn() {
    await using receiver = startReceiver();
    const folder = await Deno.makeTempDir({ prefix: "heartbeat" });
    await Deno.writeTextFile(`${folder}/package.json`, '{"type":"module"}');
    const file = "tests/runtimes/telemetry.ts";
    await execute(Deno.execPath(), [
      ...["bundle", ...NPM_FLAGS, "--quiet", `--outdir=${folder}`, file],
    ]);
    await execute(node!, [`${folder}/telemetry.js`, receiver.url]);
    await Deno.remove(folder, { recursive: true });

    const { pointsOf, spans } = receiver;
    assertEquals(pointsOf("heartbeat.stalls"), [[
      "heartbeat.limit=silence",
      1,
    ]]);
    assertEquals(pointsOf("heartbeat.restarts"), [[
      "heartbeat.cause=stall",
      1,
    ]]);
    assertEquals(pointsOf("heartbeat.workers").sort(), [
      ["heartbeat.state=down", 0],
      ["heartbeat.state=up", 1],
    ]);
    const counts = [
      "heartbeat.silence",
      "gen_ai.client.operation.time_to_first_chunk",
      "gen_ai.client.operation.time_per_output_chunk",
    ].map((name) => pointsOf(name).map(([, count]) => count));
    assertEquals(counts, [[1], [1], [2]]);
    assertEquals(
      spans.map(({ name, status }) => [name, status?.code ?? 0]),
      [["heartbeat.attempt", 2], ["heartbeat.attempt", 0]],
    );
    assertMatch(
      namesOf(spans[0]!.events?.[0]?.attributes),
      /^exception.message=No heartbeat from 'worker' .*exception.type=HeartbeatTimeoutError/,
    );
  },
});
