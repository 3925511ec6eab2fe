// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { checkProperty } from "./_check_property.ts";
import { checkSchedule } from "./_fleet_checker.ts";
import { SCHEDULE } from "./_fleet_schedule.ts";

const RUNS = 1_500;

Deno.test("FleetMonitor keeps its promises in random schedules", async () => {
  const kinds = new Map<string, number>();
  const property = fc.asyncProperty(SCHEDULE, async (schedule) => {
    for (const kind of await checkSchedule(schedule)) {
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
  });
  await checkProperty(property, RUNS);
  if ([...kinds.values()].reduce((sum, count) => sum + count, 0) < 100) return;
  assertEquals([...kinds.keys()].sort(), [
    ...["down", "forgotten", "left", "recovered", "refused", "up"],
  ]);
});
