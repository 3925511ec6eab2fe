// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Random schedules against the contracts of `supervise()`. The parts:
 *
 * - `_supervisor_schedule.ts`: the generator; a schedule is plain data.
 * - `_supervisor_trial.ts`: runs a schedule and writes down what happens.
 * - `_supervisor_spec.ts`: says what must hold of that.
 *
 * `SCHEDULES=100000` is the long form. A failure prints how to replay it.
 *
 * @module
 */

import { assert } from "@std/assert";
import fc from "fast-check";
import { checkProperty } from "./_check_property.ts";
import { SCHEDULE } from "./_supervisor_schedule.ts";
import { Specification } from "./_supervisor_spec.ts";
import { type Entry, Trial } from "./_supervisor_trial.ts";

function format({ at, type, ...data }: Entry) {
  const shown = JSON.stringify(
    data,
    (key, value) => key === "time" || key === "signal" ? undefined : value,
  );
  return `${at} ${type} ${shown}`;
}

Deno.test("supervise keeps its contracts in random schedules", () =>
  checkProperty(
    fc.asyncProperty(SCHEDULE, async (schedule) => {
      const trial = new Trial(schedule);
      const timers = await trial.run();
      const specification = new Specification(schedule);
      for (const entry of trial.entries) specification.check(entry);
      specification.checkEnd(trial.endless, timers);
      const { problems } = specification;
      if (problems.length === 0) return;
      throw new Error(
        [...problems, "", ...trial.entries.map(format)].join("\n"),
      );
    }),
    10_000,
  ));

Deno.test("the random schedules reach every event and every end", async () => {
  const reached = new Set<string>();
  for (const schedule of fc.sample(SCHEDULE, { numRuns: 300, seed: 1 })) {
    const trial = new Trial(schedule);
    await trial.run();
    for (const entry of trial.entries) {
      reached.add(entry.type === "event" ? entry.event.type : entry.type);
      if (entry.type === "end") {
        reached.add(`end: ${entry.how}`.split(" ", 2).join(" "));
      }
    }
  }
  for (
    const expected of [
      ...["started", "stalled", "failed", "restarting", "unstopped"],
      ...["gave-up", "ended", "abort", "cancel", "returned", "threw"],
      ...["end: closed", "end: Error:", "end: RestartLimitError:"],
      "end: HeartbeatTimeoutError:",
    ]
  ) {
    assert(reached.has(expected), `no schedule reaches ${expected}`);
  }
});
