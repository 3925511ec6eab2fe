// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { type StreamName, StreamPair } from "../_stream_pair.ts";

const FAILURE = new Error("lost");
const REASON = new Error("that is enough");

function createPair(highWaterMark?: number) {
  const calls: (StreamName | "pull")[] = [];
  let reason: unknown;
  const pair = new StreamPair<number>({
    onPull: () => void calls.push("pull"),
    onCancel(given, stream) {
      calls.push(stream);
      reason = given;
    },
  }, highWaterMark);
  const results = pair.streams.results.getReader();
  const heartbeats = pair.streams.heartbeats.getReader();
  return { pair, calls, results, heartbeats, getReason: () => reason };
}

function createHeartbeat(seq: number) {
  return { worker: "alpha", seq, time: 0 };
}

Deno.test("StreamPair passes results and the latest heartbeat, then closes both", async () => {
  const { pair, calls, results, heartbeats } = createPair();
  const read = results.read();
  await undefined; // the stream starts, and pulls
  pair.enqueue(1);
  assertEquals(await read, { done: false, value: 1 });
  pair.beat(createHeartbeat(1));
  pair.beat(createHeartbeat(2));
  assertEquals(pair.isOpen, true);
  pair.close();
  assertEquals(pair.isOpen, false);
  assertEquals((await heartbeats.read()).value?.seq, 2);
  assertEquals((await heartbeats.read()).done, true);
  assertEquals((await results.read()).done, true);
  assertEquals(calls, ["pull"]);
});

Deno.test("StreamPair ignores everything after the end", async () => {
  for (const end of ["close", "error"] as const) {
    const { pair, results, heartbeats } = createPair();
    pair[end](FAILURE);
    pair.enqueue(1);
    pair.beat(createHeartbeat(1));
    pair.close();
    pair.error(REASON);
    if (end === "close") {
      assertEquals((await results.read()).done, true);
      assertEquals((await heartbeats.read()).done, true);
    } else {
      assertStrictEquals(await assertRejects(() => results.read()), FAILURE);
      assertStrictEquals(await assertRejects(() => heartbeats.read()), FAILURE);
    }
  }
});

Deno.test("StreamPair errors the results only after a result that waits", async () => {
  const { pair, calls, results, heartbeats } = createPair(1);
  await undefined; // the stream starts, and pulls
  pair.enqueue(1);
  pair.error(FAILURE);
  assertStrictEquals(await assertRejects(() => heartbeats.read()), FAILURE);
  pair.enqueue(2);
  assertEquals(await results.read(), { done: false, value: 1 });
  assertStrictEquals(await assertRejects(() => results.read()), FAILURE);
  assertEquals(calls, ["pull"]);
});

Deno.test("StreamPair closes the heartbeats when the results are cancelled", async () => {
  const { pair, calls, results, heartbeats, getReason } = createPair();
  pair.beat(createHeartbeat(1));
  await results.cancel(REASON);
  assertEquals(calls, ["results"]);
  assertStrictEquals(getReason(), REASON);
  assertEquals((await heartbeats.read()).value?.seq, 1);
  assertEquals((await heartbeats.read()).done, true);
});

Deno.test("StreamPair errors the results at once when the heartbeats are cancelled", async () => {
  const { pair, calls, results, heartbeats, getReason } = createPair(1);
  await undefined;
  pair.enqueue(1);
  await heartbeats.cancel(REASON);
  assertEquals(calls, ["pull", "heartbeats"]);
  assertStrictEquals(getReason(), REASON);
  assertStrictEquals(await assertRejects(() => results.read()), REASON);
});

Deno.test("StreamPair makes an AbortError for a cancel without a reason", async () => {
  const { results, heartbeats, getReason } = createPair();
  await heartbeats.cancel();
  const error = await assertRejects(() => results.read(), DOMException);
  assertEquals(error.name, "AbortError");
  assertStrictEquals(getReason(), error);
});

Deno.test("StreamPair reports one cancel only, and none after a failure", async () => {
  const { pair, calls, results, heartbeats } = createPair(1);
  await undefined;
  pair.enqueue(1);
  pair.error(FAILURE);
  await results.cancel(REASON);
  await heartbeats.cancel(REASON).catch(() => {});
  const { calls: both, ...other } = createPair();
  await other.heartbeats.cancel(REASON);
  await other.results.cancel(REASON).catch(() => {});
  assertEquals([calls, both], [["pull"], ["heartbeats"]]);
});

Deno.test("StreamPair resolves finished on demand, whatever its streams do", async () => {
  const { pair } = createPair();
  let isFinished = false;
  pair.streams.finished.then(() => isFinished = true);
  pair.close();
  await undefined;
  assertEquals(isFinished, false);
  pair.finish();
  await undefined;
  assertEquals(isFinished, true);
});

Deno.test("StreamPair delivers what waits after close(), although the heartbeats are cancelled then", async () => {
  const { pair, calls, results, heartbeats } = createPair(1);
  pair.enqueue(1);
  pair.beat(createHeartbeat(1));
  pair.close();
  pair.error(FAILURE);
  await heartbeats.cancel(REASON);
  assertEquals((await results.read()).value, 1);
  assertEquals((await results.read()).done, true);
  assertEquals(calls, []);
});

Deno.test("StreamPair asks for one result at a time, however many reads wait", async () => {
  const { pair, calls, results } = createPair();
  const reads = [results.read(), results.read()];
  await undefined;
  assertEquals(calls, ["pull"]);
  pair.enqueue(1);
  await reads[0];
  assertEquals(calls, ["pull", "pull"]);
  pair.enqueue(2);
  assertEquals((await Promise.all(reads)).map(({ value }) => value), [1, 2]);
  assertEquals(calls, ["pull", "pull"]);
});
