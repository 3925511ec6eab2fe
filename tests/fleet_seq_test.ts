// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { contentsOf, fromPayload, toPayload, toSeq } from "../_fleet_seq.ts";

Deno.test("toSeq takes each safe integer, and what is no number of a heartbeat for none", () => {
  const { MIN_SAFE_INTEGER, MAX_SAFE_INTEGER } = Number;
  for (const seq of [0, 7, 0.5, Infinity, MIN_SAFE_INTEGER, MAX_SAFE_INTEGER]) {
    assertEquals(toSeq(seq), seq);
    assertEquals(toPayload(toSeq(seq)), undefined);
  }
  for (const seq of [undefined, null, "1", NaN, -Infinity, -(2 ** 53)]) {
    assertEquals(toSeq(seq), NaN);
  }
  assertEquals(toPayload(NaN), undefined);
});

Deno.test("toPayload has the number of each payload, of which there are less than 2^26", () => {
  for (const payload of [0, 1, 2, 999, 2 ** 22 + 1, 2 ** 26]) {
    assertEquals(toPayload(fromPayload(payload)), payload);
  }
});

Deno.test("contentsOf names only what a heartbeat has", () => {
  assertEquals(contentsOf(7, "step"), { seq: 7, detail: "step" });
  assertEquals(contentsOf(NaN, undefined), {});
  assertEquals(contentsOf(0, null), { seq: 0, detail: null });
});
