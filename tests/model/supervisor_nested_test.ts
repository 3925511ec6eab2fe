// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type AttemptContext, supervise } from "../../supervisor.ts";
import { startWorker, type WorkerStreams } from "../../worker.ts";
import { readAll } from "../_help.ts";
import { checkProperty } from "./_check_property.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** What goes wrong in an attempt of the innermost supervisor. */
interface Fault {
  /** After how many units of the attempt. */
  after: number;
  how: "throw" | "hang" | "do not start";
}

/** A trial of supervisors that supervise supervisors, around one work. */
interface Trial {
  /** `maxRestarts` of each supervisor, the innermost first. */
  limits: number[];
  /** How many results the work has. */
  total: number;
  /** How long (ms) a unit takes. */
  unit: number;
  /** One for each attempt of the innermost supervisor; those after them succeed. */
  faults: Fault[];
}

const TRIAL: fc.Arbitrary<Trial> = fc.record({
  limits: fc.array(fc.nat(2), { minLength: 2, maxLength: 3 }),
  total: fc.nat(5),
  unit: fc.constantFrom(0, 10, 100),
  faults: fc.array(
    fc.record({
      after: fc.nat(2),
      how: fc.constantFrom("throw", "hang", "do not start"),
    }),
    { maxLength: 12 },
  ) as fc.Arbitrary<Fault[]>,
});

const HOUR = 3_600_000;
const LOST = new Error("lost");
const INTERVAL = 50;
/** Of the innermost supervisor; each one around it is twice as patient. */
const TIMEOUT = 400;

/** What must come of a trial. */
function predict({ limits, total, faults }: Trial) {
  const restarts = limits.map(() => 0);
  /** Where each attempt of the innermost supervisor resumes. */
  const checkpoints = [0];
  for (const { after, how } of faults) {
    const next = checkpoints.at(-1)! + (how === "do not start" ? 0 : after);
    if (next >= total && how !== "do not start") break;
    // the innermost supervisor that may restart does
    const layer = restarts.findIndex((count, i) => count < limits[i]!);
    if (layer < 0) return { checkpoints, delivered: next, end: "failed" };
    restarts.fill(0, 0, layer);
    restarts[layer]!++;
    checkpoints.push(next);
  }
  return { checkpoints, delivered: total, end: "closed" };
}

/** Runs a trial, and says what came of it, in the terms of `predict()`. */
async function run({ limits, total, unit, faults }: Trial) {
  using time = new VirtualTime();
  const details: unknown[] = [];
  const work = ({ signal, lastDetail }: AttemptContext) => {
    const fault = faults[details.length];
    details.push(lastDetail);
    if (fault?.how === "do not start") throw LOST;
    return startWorker(async function* ({ beat, signal }) {
      const from = lastDetail as number ?? 0;
      for (let n = from; n < total; n++) {
        if (n - from === fault?.after) await fail(fault, signal);
        if (unit > 0) {
          await new Promise<void>((resolve) => setTimeout(resolve, unit));
        }
        yield n;
        beat(n + 1);
      }
    }, { signal, interval: INTERVAL });
  };
  const { results, heartbeats, finished } = limits.reduce(
    (start, maxRestarts, i) => ({ signal, lastDetail }: AttemptContext) =>
      supervise(start, {
        timeout: TIMEOUT * 2 ** i,
        interval: INTERVAL,
        maxRestarts,
        within: Infinity,
        backoff: { min: 100, factor: 1 },
        signal,
        lastDetail,
      }),
    work as (context: AttemptContext) => WorkerStreams<number>,
  )({ attempt: 1, delivered: 0, signal: new AbortController().signal });
  const seen = { results: readAll(results), heartbeats: readAll(heartbeats) };
  let isFinished = false;
  finished.then(() => isFinished = true);
  await time.runUntil(HOUR);
  assertEquals([time.timers, isFinished], [0, true], "something is left");
  return { details, ...seen };
}

function fail({ how }: Fault, signal: AbortSignal) {
  if (how === "throw") throw LOST;
  return new Promise<void>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason))
  );
}

Deno.test("supervise resumes from its checkpoint in random trials two and three deep", () =>
  checkProperty(
    fc.asyncProperty(TRIAL, async (trial) => {
      const expected = predict(trial);
      const { details, results, heartbeats } = await run(trial);
      assertEquals(
        details,
        expected.checkpoints.map((next) => next === 0 ? undefined : next),
        "the attempts resume elsewhere",
      );
      assertEquals(
        results.chunks,
        Array.from({ length: expected.delivered }, (_, n) => n),
        "the results differ",
      );
      const end = results.end === "closed" ? "closed" : "failed";
      assertEquals(end, expected.end);
      assertEquals(heartbeats.end, results.end);
      for (const { detail } of heartbeats.chunks) {
        assertEquals(typeof (detail ?? 0), "number", "no checkpoint");
      }
    }),
    2000,
  ));
