// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { HeartbeatMonitorOptions } from "../_monitor_options.ts";
import { WatchedResults } from "../_watched_results.ts";
import type { Heartbeat } from "../_worker_types.ts";
import { advance, createSource, readAll } from "./_help.ts";

const BEAT: Heartbeat = { worker: "w", seq: 1, time: 0 };

/** A pair of streams under watch, and what came of it. */
function createWatch(
  options: Partial<HeartbeatMonitorOptions<Heartbeat>> = {},
) {
  const results = createSource<number>();
  const heartbeats = createSource<Heartbeat>();
  const { readable } = new WatchedResults({
    results: results.stream,
    heartbeats: heartbeats.stream,
  }, { timeout: 1000, ...options });
  return { results, heartbeats, seen: readAll(readable) };
}

Deno.test("WatchedResults errors when only the results do, and cancels the heartbeats", async () => {
  using time = new FakeTime();
  const { results, heartbeats, seen } = createWatch();
  await advance(time, 100);
  const reason = new Error("lost");
  results.controller.error(reason);
  await advance(time, 1);
  assertStrictEquals(seen.end, reason);
  const { name, message } = heartbeats.cancelled as DOMException;
  assertEquals([name, message], ["AbortError", "The watch has ended"]);
  assertEquals(time.next(), false);
});

Deno.test("WatchedResults has no timer once the heartbeats have closed, and passes the results on", async () => {
  using time = new FakeTime();
  const { results, heartbeats, seen } = createWatch();
  heartbeats.controller.close();
  await advance(time, 1);
  assertEquals(time.next(), false);
  results.controller.enqueue(1);
  await advance(time, 5000);
  results.controller.enqueue(2);
  results.controller.close();
  await advance(time, 1);
  assertEquals([seen.chunks, seen.end, time.next()], [
    ...[[1, 2], "closed", false],
  ]);
});

Deno.test("WatchedResults asks nobody about a heartbeat that arrives in the turn in which it ends", async () => {
  using time = new FakeTime();
  const asked: Heartbeat[] = [];
  const isHeartbeat = (beat: Heartbeat) => asked.push(beat) > 0;
  const { results, heartbeats, seen } = createWatch({ isHeartbeat });
  await advance(time, 1);
  results.controller.close();
  heartbeats.controller.enqueue(BEAT);
  await advance(time, 1);
  assertEquals([seen.end, asked], ["closed", []]);
});
