// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { EventPositions } from "../_event_positions.ts";

Deno.test("EventPositions has no position that a waiting event has not passed", () => {
  const positions = new EventPositions(3, 7);
  const [first, second, third, last] = [{}, {}, {}, {}];
  assertEquals(positions.allTaken, 3);
  for (const event of [first, second, third]) positions.begin(event);
  // the first one had to be written again
  positions.place(second, 8);
  positions.place(first, 9);
  positions.take(first, 9);
  assertEquals(positions.allTaken, 7);
  positions.take(second, 8);
  // the position of the third is not known yet
  assertEquals(positions.allTaken, 7);
  positions.begin(last);
  positions.place(third, 10);
  assertEquals(positions.allTaken, 9);
  positions.drop(last);
  positions.take(third, 10);
  assertEquals(positions.allTaken, 10);
});

Deno.test("EventPositions takes an event that was not written, and one that was known", () => {
  const positions = new EventPositions(0, 5);
  const event = {};
  positions.begin(event);
  positions.take(event, undefined);
  assertEquals(positions.allTaken, 0);
  positions.take({}, 5);
  assertEquals(positions.allTaken, 5);
  positions.begin(event);
  assertEquals(positions.allTaken, 5);
});

Deno.test("EventPositions takes an event again that was written after it was taken", () => {
  const positions = new EventPositions(0, 5);
  const [late, waiting] = [{}, {}];
  positions.begin(late);
  positions.take(late, undefined);
  positions.begin(waiting);
  positions.place(late, 7);
  assertEquals(positions.allTaken, 5);
  positions.drop(waiting);
  assertEquals(positions.allTaken, 7);
});
