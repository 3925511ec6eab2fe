// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertThrows } from "@std/assert";
import { parseHeartbeat } from "../_heartbeat_payload.ts";
import type { Heartbeat } from "../worker.ts";
import { BEAT } from "./_nats.ts";

const encode = (value: unknown) =>
  new TextEncoder().encode(JSON.stringify(value));

Deno.test("parseHeartbeat keeps the fields of a heartbeat, and no other", () => {
  const rows: Heartbeat[] = [
    BEAT,
    { ...BEAT, worker: " ", seq: -1, time: 0.5 },
    { ...BEAT, detail: null },
    { ...BEAT, detail: { deep: [1, "ü"] } },
    { ...BEAT, restarting: { attempt: 1 } },
    { ...BEAT, detail: 1, restarting: { attempt: 2 } },
    { ...BEAT, ended: "done" },
    { ...BEAT, ended: "failed" },
  ];
  for (const row of rows) {
    const more = { ...row, more: 1, __proto__: { more: 2 } };
    assertEquals(parseHeartbeat(encode(more)), row);
  }
  const nested = encode({ ...BEAT, restarting: { attempt: 2, more: 1 } });
  assertEquals(parseHeartbeat(nested).restarting, { attempt: 2 });
});

Deno.test("parseHeartbeat says what is wrong with anything else", () => {
  const rows: [value: unknown, problem: string][] = [
    [null, "'worker' is no string"],
    [[], "'worker' is no string"],
    [{ ...BEAT, worker: 5 }, "'worker' is no string"],
    [{ ...BEAT, worker: undefined }, "'worker' is no string"],
    [{ ...BEAT, worker: "" }, "'worker' is empty"],
    [{ ...BEAT, seq: "1" }, "'seq' is no integer"],
    [{ ...BEAT, seq: 2 ** 53 }, "'seq' is no integer"],
    [{ ...BEAT, time: undefined }, "'time' is no number"],
    [{ ...BEAT, time: "5" }, "'time' is no number"],
    [{ ...BEAT, ended: "left" }, "'ended' is neither 'done' nor 'failed'"],
    [{ ...BEAT, ended: null }, "'ended' is neither 'done' nor 'failed'"],
    [{ ...BEAT, restarting: null }, "'restarting' names no attempt"],
    [{ ...BEAT, restarting: {} }, "'restarting' names no attempt"],
    [{ ...BEAT, restarting: { attempt: 0 } }, "'restarting' names no attempt"],
    [
      { ...BEAT, restarting: { attempt: 1.5 } },
      "'restarting' names no attempt",
    ],
  ];
  for (const [value, problem] of rows) {
    assertThrows(() => parseHeartbeat(encode(value)), TypeError, problem);
  }
  const infinite = '{"worker":"alpha","seq":1,"time":1e999}';
  const bytes = new TextEncoder().encode(infinite);
  assertThrows(() => parseHeartbeat(bytes), TypeError, "'time' is no number");
});

Deno.test("parseHeartbeat refuses what is not UTF-8, wherever it is", () => {
  const bytes = encode({ ...BEAT, detail: "~" });
  bytes[bytes.indexOf("~".charCodeAt(0))] = 0xff;
  assertThrows(() => parseHeartbeat(bytes), TypeError);
});
