// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { escapeText } from "../_escape_text.ts";

/** Whole code points, so that no range of surrogates hides in a class. */
const SAFE = /^[^\p{C}\p{Zl}\p{Zp}\p{DI}]*$/u;

const units = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff })
    .map((unit) => String.fromCharCode(unit)),
});
const unsafe = fc.string({
  unit: fc.constantFrom(
    ..."\0\x07\b\t\n\r\x1b\x7f\x85\x9b\xad\u034f\u061c\u115f\u180e\u200b\u200d",
    ..."\u200e\u2028\u2029\u202e\u2066\u2069\u3164\ufe0f\ufeff\ud83d\udc4d",
    ...["\u{e0001}", "\u{e0041}", "\u{1d173}", "a", "ü", "\\", '"'],
  ),
});
const text = fc.oneof(units, unsafe, fc.string({ unit: "binary" }));

Deno.test("escapeText gives one line without control characters, of any text", () => {
  fc.assert(
    fc.property(text, (text) => {
      // private use and unassigned code points are left: they only look odd
      const shown = escapeText(text).replace(/[\p{Co}\p{Cn}]/gu, "");
      assertMatch(shown, SAFE);
      assertEquals(escapeText(escapeText(text)), escapeText(text));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("escapeText leaves JSON what it was", () => {
  fc.assert(fc.property(fc.jsonValue(), text, (value, key) => {
    const json = JSON.stringify({ [key]: [value, key] });
    assertEquals(JSON.parse(escapeText(json)), JSON.parse(json));
    assertMatch(escapeText(json).replace(/[\p{Co}\p{Cn}]/gu, ""), SAFE);
  }));
});

Deno.test("escapeText escapes what is unsafe, and nothing else", () => {
  const rows = {
    "": "",
    "build-1, ünïcödé 日本 \u00a0 👍 \\n":
      "build-1, ünïcödé 日本 \u00a0 👍 \\n",
    "a\nb\r\tc": "a\\nb\\r\\tc",
    "\x1b[2J\x1b]0;title\x07": "\\u001b[2J\\u001b]0;title\\u0007",
    "\x7f\x85\x9b31m": "\\u007f\\u0085\\u009b31m",
    "\u2028\u2029": "\\u2028\\u2029",
    "\u200b\u200d\ufeff\xad": "\\u200b\\u200d\\ufeff\\u00ad",
    "\u202etxt.exe\u2066": "\\u202etxt.exe\\u2066",
    "\ud83d": "\\ud83d",
    "\u{e0041}": "\\udb40\\udc41",
  };
  for (const [text, escaped] of Object.entries(rows)) {
    assertEquals(escapeText(text), escaped);
  }
});
