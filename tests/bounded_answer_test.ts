// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { boundAnswer } from "../_bounded_answer.ts";
import { countListeners } from "./_help.ts";
import { VirtualTime } from "./model/_virtual_time.ts";

const FAILURE = new Error("no");
const never = new Promise<never>(() => {});

Deno.test("boundAnswer() settles as the answer does, and leaves nothing behind", async () => {
  using time = new VirtualTime();
  const { signal, listeners } = countListeners();
  const limits = { from: "store", timeout: 100, signal };
  assertEquals(await boundAnswer(Promise.resolve(5), limits), 5);
  const failed = boundAnswer(Promise.reject(FAILURE), limits);
  assertStrictEquals(await assertRejects(() => failed), FAILURE);
  assertEquals([time.timers, listeners.size], [0, 0]);
});

Deno.test("boundAnswer() rejects when no answer comes, or nobody waits for it", async () => {
  using time = new VirtualTime();
  const { aborter, signal, listeners } = countListeners();
  const limits = { from: "store", timeout: 100, signal };
  const late = boundAnswer(never, limits).catch((error) => error);
  await time.runUntil(99);
  assertEquals(await Promise.race([late, "waits"]), "waits");
  await time.runUntil(100);
  const { name, message } = await late;
  assertEquals(name, "TimeoutError");
  assertEquals(message, "The store did not answer within 100 ms");
  const ended = boundAnswer(never, limits).catch((error) => error);
  aborter.abort(FAILURE);
  assertStrictEquals(await ended, FAILURE);
  const refused = boundAnswer(never, limits).catch((error) => error);
  assertStrictEquals(await refused, FAILURE);
  assertEquals([time.timers, listeners.size], [0, 0]);
});
