// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the report is the product

/**
 * Mutation testing: `deno task mutate MODULE...` changes one thing at a time in
 * a module and in the private parts it stands on, runs the tests that execute
 * the changed code, and reports every change that no test noticed (a survivor).
 *
 * The mutants are Stryker's. Its own command runner is not used, since it knows
 * no coverage and would run every test of the module for every mutant: the
 * tests of `monitor.ts` take 11 s, and it has hundreds of mutants. Here one run
 * of each test file records which test executes which mutant, and a mutant then
 * costs the quickest of these tests that fails.
 *
 * `--again=REPORT` tries only the mutants that a former report (the output of this
 * command in a file) lists as alive, and takes the others for killed.
 *
 * `--sample=N` tries N of the mutants only, for a first look at a large module.
 *
 * Everything happens in a copy of the working tree in a temporary folder. The
 * source is instrumented once; an environment variable selects the mutant.
 *
 * @module
 */

import { type Group, groupOf } from "./_groups.ts";
import { instrument, type Mutant } from "./_instrument.ts";
import { readSurvivors, report, type Verdict } from "./_report.ts";
import { createSandbox, type Sandbox } from "./_sandbox.ts";
import { type Coverage, measureCoverage } from "./_coverage.ts";
import { type Outcome, tryMutant } from "./_try_mutant.ts";

/** A module with fewer killed mutants fails the command. */
const BAR = 0.9;

const PROGRESS_MS = 15_000;

/** The mutants to be tried; with `--again=REPORT`, those that were alive in that report. */
async function chooseMutants(mutants: Mutant[]) {
  const path = Deno.args.find((arg) => arg.startsWith("--again="))?.slice(8);
  if (path === undefined) return mutants;
  return mutants.filter(readSurvivors(await Deno.readTextFile(path)));
}

async function judgeAll(sandbox: Sandbox, all: Mutant[], cover: Coverage) {
  const mutants = await chooseMutants(all);
  const verdicts: Verdict[] = all.filter((mutant) => !mutants.includes(mutant))
    .map((mutant) => ({ mutant, outcome: "killed" }));
  const queue = mutants.values();
  const start = performance.now();
  const progress = setInterval(() => {
    const seconds = Math.round((performance.now() - start) / 1000);
    const killed = verdicts.filter(({ outcome }) => outcome !== "survived");
    console.error(
      `  ${seconds} s: ${verdicts.length} of ${all.length}, ` +
        `${killed.length} killed`,
    );
  }, PROGRESS_MS);
  const job = async () => {
    for (const mutant of queue) {
      const outcome: Outcome = await tryMutant(sandbox, mutant, cover);
      verdicts.push({ mutant, outcome });
    }
  };
  const jobs = Number(Deno.env.get("JOBS") ?? navigator.hardwareConcurrency);
  await Promise.all(Array.from({ length: jobs }, job));
  clearInterval(progress);
  return verdicts;
}

/** With `--sample=N`, N of the mutants, spread evenly over the files. */
function sample(mutants: Mutant[]) {
  const count = Number(
    Deno.args.find((arg) => arg.startsWith("--sample="))
      ?.slice(9) ?? Infinity,
  );
  const every = Math.max(mutants.length / count, 1);
  return mutants.filter((_, index) =>
    Math.floor(index / every) > Math.floor((index - 1) / every)
  );
}

async function mutate(group: Group) {
  console.error(
    `${group.name}: ${group.files.join(" ")}\n  tests: ${
      group.tests.join(" ")
    }`,
  );
  await using sandbox = await createSandbox();
  const all = await instrument(sandbox, group.files);
  const mutants = sample(all);
  const coverage = await measureCoverage(sandbox, group.tests);
  const verdicts = await judgeAll(sandbox, mutants, coverage);
  return report(group, verdicts, mutants.length < all.length);
}

if (import.meta.main) {
  const names = Deno.args.filter((arg) => !arg.startsWith("--"));
  if (names.length === 0) {
    console.error(
      "Usage: deno task mutate MODULE... [--again=REPORT] [--sample=N]",
    );
    Deno.exit(2);
  }
  for (const name of names) {
    if (await mutate(await groupOf(name)) < BAR) Deno.exitCode = 1;
  }
}
