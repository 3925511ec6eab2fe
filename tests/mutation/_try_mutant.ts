// Copyright 2026 the heartbeat authors. MIT license.

import type { Coverage, Test } from "./_coverage.ts";
import type { Mutant } from "./_instrument.ts";
import { runTests, type Sandbox } from "./_sandbox.ts";

/** Quick tests first: most mutants need no other. Upper limits, in milliseconds. */
const ROUNDS_MS = [100, 1000, Infinity];

/** A longer test runs only for mutants that no shorter one executes. */
const LONG_MS = 5000;

/** What a run may take beyond four times what its tests took. */
const EXTRA_MS = 5000;

/** What became of a mutant. `timed out` counts as killed, as in Stryker. */
export type Outcome = "killed" | "timed out" | "survived" | "not covered";

async function run(sandbox: Sandbox, { id }: Mutant, tests: Test[]) {
  const plan = await Deno.makeTempFile({ dir: sandbox.folder });
  await Deno.writeTextFile(plan, JSON.stringify(tests.map(({ name }) => name)));
  const took = tests.reduce((sum, test) => sum + test.took, 0);
  const result = await runTests(
    sandbox,
    [...new Set(tests.map(({ file }) => file))],
    { __STRYKER_ACTIVE_MUTANT__: id, MUTATION_TESTS: plan },
    4 * took + EXTRA_MS,
  );
  await Deno.remove(plan);
  if (!result) return "timed out";
  return result.success ? "survived" : "killed";
}

/** Runs the tests that execute a mutant until one of them fails. */
export async function tryMutant(
  sandbox: Sandbox,
  mutant: Mutant,
  { tests, atLoad }: Coverage,
): Promise<Outcome> {
  const all = atLoad.has(mutant.id)
    ? tests
    : tests.filter(({ mutants }) => mutants.has(mutant.id));
  const short = all.filter(({ took }) => took < LONG_MS);
  const covering = short.length > 0 ? short : all;
  if (covering.length === 0) return "not covered";
  let least = 0;
  for (const limit of ROUNDS_MS) {
    const round = covering.filter(({ took }) => took >= least && took < limit);
    least = limit;
    if (round.length === 0) continue;
    const outcome = await run(sandbox, mutant, round);
    if (outcome !== "survived") return outcome;
  }
  return "survived";
}
