// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import {
  MAX_KEPT_PAYLOAD,
  measureHead,
  PayloadSlab,
} from "../_payload_slab.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const BEAT = '{"worker":"build-1","seq":12,"time":1700000000000}';
const HEAD = '{"worker":"build-1","seq":'.length;

for (
  const [what, text, head] of [
    ["a heartbeat", BEAT, HEAD],
    ["one with a detail", BEAT.replace("}", ',"detail":{"step":3}}'), HEAD],
    ["a name that is not ASCII", BEAT.replace("build-1", "ö"), HEAD - 5],
    ["an empty name", BEAT.replace("build-1", ""), HEAD - 7],
    ["a goodbye", BEAT.replace("}", ',"ended":"done"}'), 0],
    ["a restart", BEAT.replace("}", ',"restarting":{"attempt":2}}'), 0],
    ["another order", '{"seq":1,"worker":"a","time":2}', 0],
    ["white space", BEAT.replace(",", ", "), 0],
    ["a seq that may become unsafe", BEAT.replace("12", "1".repeat(16)), 0],
    [
      "a time that may become infinite",
      BEAT.replace("1700000000000", "1e10"),
      0,
    ],
    [
      "a time with many digits",
      BEAT.replace("1700000000000", "1".repeat(16)),
      0,
    ],
    ["a negative seq", BEAT.replace("12", "-1"), 0],
    ["a name that comes twice", BEAT.replace("}", ',"worker":"build-1"}'), 0],
    ["an escape", BEAT.replace("}", ',"w\\u006frker":"build-1"}'), 0],
    ["no JSON", "12", 0],
    ["nothing", "", 0],
  ] as const
) {
  Deno.test(`measureHead is ${head} for ${what}`, () => {
    assertEquals(measureHead(encoder.encode(text)), head);
  });
}

/** A slab that keeps a payload, and what it has after another one. */
function update(before: string, after: string) {
  const slab = new PayloadSlab();
  const payload = encoder.encode(before);
  slab.reserve(3);
  slab.set(3, payload, measureHead(payload));
  const isTaken = slab.update(3, encoder.encode(after));
  return { isTaken, kept: decoder.decode(slab.get(3)) };
}

for (
  const [what, after, isTaken] of [
    ["the same", BEAT, true],
    ["other digits", BEAT.replace("12", "98").replace("17", "19"), true],
    ["a digit of a number", BEAT.replace("12", "13"), true],
    ["a leading zero", BEAT.replace("12", "02"), false],
    ["a zero that does not lead", BEAT.replace("12", "10"), true],
    ["another name", BEAT.replace("build-1", "build-2"), false],
    ["another length", BEAT.replace("12", "112"), false],
    ["a letter for a digit", BEAT.replace("12", "1e"), false],
    ["a digit for a letter", BEAT.replace("time", "tim3"), false],
    ["what is next to the digits, below", BEAT.replace("12", "1/"), false],
    ["what is next to the digits, above", BEAT.replace("12", "1:"), false],
    ["no end", BEAT.replace("}", "]"), false],
  ] as const
) {
  Deno.test(`PayloadSlab.update ${isTaken ? "takes" : "refuses"} ${what}`, () => {
    const kept = isTaken ? after : BEAT;
    assertEquals(update(BEAT, after), { isTaken, kept });
  });
}

Deno.test("PayloadSlab keeps any number of payloads apart, up to the longest", () => {
  const slab = new PayloadSlab();
  const textOf = (i: number) => `${i}`.padEnd(i % (MAX_KEPT_PAYLOAD + 1), "x");
  const all = [500, 0, 109, 108, 1, 219, 64, 63];
  slab.reserve(63);
  for (const i of all) {
    slab.reserve(i);
    slab.set(i, encoder.encode(textOf(i)), 7);
    slab.setNext(i, 501 - i);
    slab.setPlace(i, { row: 2 ** 22 - i, id: 2 ** 40 + i, watch: i % 256 });
  }
  for (const i of all) {
    assertEquals(decoder.decode(slab.get(i)), textOf(i));
    assertEquals(slab.nextOf(i), 501 - i);
    assertEquals(slab.rowOf(i), 2 ** 22 - i);
    assertEquals([slab.idOf(i), slab.watchOf(i)], [2 ** 40 + i, i % 256]);
  }
  assertEquals(textOf(109).length, MAX_KEPT_PAYLOAD);
  slab.clear();
  assertEquals(slab.get(1).length, 0);
});
