// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { cut, fit, measure } from "../_terminal_text.ts";

Deno.test("cut() shortens text to so many cells, and says so", () => {
  const rows = [
    ["alpha", 5, "alpha"],
    ["alpha", 4, "alp…"],
    ["alpha", 1, "…"],
    ["alpha", 0, ""],
    ["alpha", Infinity, "alpha"],
    ["", 0, ""],
    // two cells each
    ["世界平和", 8, "世界平和"],
    ["世界平和", 7, "世界平…"],
    ["世界平和", 6, "世界…"],
    // no cell of their own: they stay with their letter
    ["e\u0301e\u0301e\u0301", 2, "e\u0301…"],
    ["🫀🫀", 3, "🫀…"],
  ] as const;
  for (const [text, width, expected] of rows) {
    assertEquals(cut(text, width), expected, `${text} in ${width}`);
  }
});

Deno.test("fit() gives exactly so many cells", () => {
  const rows = [
    ["alpha", 7, "alpha  "],
    ["alpha", 3, "al…"],
    ["世界", 5, "世界 "],
    // half of a letter has no cell
    ["世界平和", 6, "世界… "],
    ["", 2, "  "],
    ["alpha", 0, ""],
  ] as const;
  for (const [text, width, expected] of rows) {
    assertEquals(fit(text, width), expected, `${text} in ${width}`);
    assertEquals(measure([fit(text, width)]), width);
  }
});

Deno.test("measure() finds the widest text", () => {
  assertEquals(measure([]), 0);
  assertEquals(measure(["ab", "世界", "c"]), 4);
});
