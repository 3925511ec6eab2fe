// Copyright 2026 the heartbeat authors. MIT license.

import fc from "fast-check";

/**
 * Checks a property in random runs: `SCHEDULES` of them where it is set. A
 * failure is shrunk to the smallest counterexample, and the message says which
 * `SEED` and `SEED_PATH` replay it.
 *
 * @param property What must hold of every value.
 * @param runs How many values are tried.
 */
export async function checkProperty<T>(
  property: fc.IAsyncProperty<T>,
  runs: number,
) {
  const [schedules, seed, path] = ["SCHEDULES", "SEED", "SEED_PATH"].map(
    (name) => Deno.env.get(name),
  );
  const details = await fc.check(property, {
    numRuns: Number(schedules ?? runs),
    ...(seed && { seed: Number(seed) }),
    ...(path && { path, endOnFailure: true }),
  }) as fc.RunDetails<T>;
  if (!details.failed) return;
  throw new Error(
    `${fc.defaultReportMessage(details)}\n\nReplay with: SEED=${details.seed} ${
      details.counterexamplePath === null
        ? ""
        : `SEED_PATH=${details.counterexamplePath} `
    }deno test -A ${Deno.mainModule.replace(/^.*\/(?=tests\/)/, "")}`,
    { cause: details.errorInstance },
  );
}
