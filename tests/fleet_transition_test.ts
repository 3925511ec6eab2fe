// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { toKnown, toTransition } from "../_fleet_transition.ts";
import type { WorkerEvent } from "../fleet.ts";

const worker = "alpha";
const UP: WorkerEvent = { type: "up", worker, time: 1000, seq: 1, detail: "a" };
const DOWN: WorkerEvent = {
  ...{ type: "down", worker, time: 2000 },
  ...{ lastSeen: 1500, seq: 5, detail: "b" },
  reason: "silent",
};
const RECOVERED: WorkerEvent = {
  ...{ type: "recovered", worker, time: 3000 },
  ...{ outage: 1500, missed: 2, seq: 8, detail: "c" },
};
const LEFT: WorkerEvent = { type: "left", worker, time: 3500, seq: 9 };
const FORGOTTEN: WorkerEvent = { type: "forgotten", worker, time: 4000 };

/** The type of what each event becomes for a reader who knows the last one. */
function typesAfter(last: WorkerEvent | undefined) {
  const known = last && toKnown(last);
  return [UP, RECOVERED, DOWN, LEFT, FORGOTTEN]
    .map((event) => toTransition(known, event)?.type);
}

Deno.test("toTransition leaves only what is news", () => {
  const gone = ["up", "up", "down", "left", undefined];
  assertEquals(typesAfter(undefined), gone);
  assertEquals(typesAfter(FORGOTTEN), gone);
  assertEquals(typesAfter(LEFT), ["up", "up", "down", undefined, undefined]);
  const up = [undefined, undefined, "down", "left", "forgotten"];
  assertEquals(typesAfter(UP), up);
  assertEquals(typesAfter(RECOVERED), up);
  assertEquals(
    typesAfter(DOWN),
    ["recovered", "recovered", undefined, "left", "forgotten"],
  );
});

Deno.test("toTransition counts the outage from when the worker was last heard", () => {
  const up: WorkerEvent = {
    type: "up",
    worker,
    time: 5000,
    seq: 9,
    detail: "d",
  };
  assertEquals(toTransition(toKnown(DOWN), up), {
    ...{ type: "recovered", worker, time: 5000 },
    ...{ outage: 3500, missed: 3, seq: 9, detail: "d" },
  });
  // it never showed up, and has no numbers
  const absent: WorkerEvent = {
    ...{ type: "down", worker, time: 2000 },
    reason: "silent",
  };
  const bare: WorkerEvent = { type: "up", worker, time: 5000 };
  assertEquals(toTransition(toKnown(absent), bare), {
    ...{ type: "recovered", worker, time: 5000, outage: 3000 },
  });
  // the worker counts from the start again, by a clock that was set back
  const restarted: WorkerEvent = { type: "up", worker, time: 1000, seq: 1 };
  assertEquals(toTransition(toKnown(DOWN), restarted), {
    ...{ type: "recovered", worker, time: 1000, outage: 0, seq: 1 },
  });
});

Deno.test("toTransition leaves the outage out for readers who never heard of the worker", () => {
  assertEquals(toTransition(undefined, RECOVERED), {
    ...{ type: "up", worker, time: 3000, seq: 8, detail: "c" },
  });
  assertEquals(toTransition(undefined, DOWN), DOWN);
});
