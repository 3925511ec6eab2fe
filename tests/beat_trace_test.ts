// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { BeatTrace } from "../_beat_trace.ts";

Deno.test("BeatTrace draws a bar for each cell with beats, and moves to the left", () => {
  const trace = new BeatTrace({ length: 6, cellMs: 100 });
  assertEquals(trace.draw(1_000), "▁▁▁▁▁▁");
  trace.beat(1_050);
  assertEquals(trace.draw(1_099), "▁▁▁▁▁█");
  trace.beat(1_200);
  assertEquals(trace.draw(1_200), "▁▁▁█▁█");
  assertEquals(trace.draw(1_450), "▁█▁█▁▁");
  assertEquals(trace.draw(1_650), "▁█▁▁▁▁");
  assertEquals(trace.draw(1_800), "▁▁▁▁▁▁");
  assertEquals(trace.draw(9_000), "▁▁▁▁▁▁");
});

Deno.test("BeatTrace scales its bars by the most beats of a cell", () => {
  const trace = new BeatTrace({ length: 4, cellMs: 100 });
  trace.beat(1_000, 14);
  trace.beat(1_100, 7);
  trace.beat(1_200);
  assertEquals(trace.draw(1_300), "█▅▂▁");
});

Deno.test("BeatTrace draws its newest cells only if there is no more room", () => {
  const trace = new BeatTrace({ length: 4, cellMs: 100 });
  trace.beat(1_000);
  trace.beat(1_200);
  const rows = [[0, ""], [1, "▁"], [2, "█▁"], [9, "█▁█▁"]] as const;
  for (const [width, expected] of rows) {
    assertEquals(trace.draw(1_300, width), expected);
  }
});

Deno.test("BeatTrace keeps its beats when the clock is set back", () => {
  const trace = new BeatTrace({ length: 4, cellMs: 100 });
  trace.beat(1_000);
  trace.beat(300);
  assertEquals(trace.draw(200), "▁▁▁█");
  assertEquals(trace.draw(1_100), "▁▁█▁");
});
