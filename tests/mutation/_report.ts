// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the report is the product

import equivalents from "./equivalent.json" with { type: "json" };
import type { Group } from "./_groups.ts";
import type { Mutant } from "./_instrument.ts";
import type { Outcome } from "./_try_mutant.ts";

export interface Verdict {
  mutant: Mutant;
  outcome: Outcome;
}

/** A mutant that behaves as the original does, so that no test can fail. */
interface Equivalent {
  file: string;
  /** The first line of what is changed, without the indentation. */
  source: string;
  original: string;
  replacement: string;
  reason: string;
}

function flatten(code: string) {
  const flat = code.replaceAll(/\s+/g, " ").trim();
  return flat.length > 70 ? `${flat.slice(0, 69)}…` : flat;
}

function isSame(mutant: Mutant, other: Equivalent) {
  return mutant.file === other.file && mutant.source === other.source &&
    flatten(mutant.original) === other.original &&
    flatten(mutant.replacement) === other.replacement;
}

/** Names a mutant wherever its line has moved to. */
function keyOf({ file, mutator, original, replacement }: Mutant) {
  return [file, mutator, flatten(original), flatten(replacement)].join("\n");
}

/** Which mutants a former report lists as alive, or does not know. */
export function readSurvivors(report: string) {
  const files = new Set(
    [...report.matchAll(/^(\S+\.ts): \d+ of \d+ killed$/gm)]
      .map(([, file]) => file),
  );
  const keys = new Set<string>();
  const entry =
    /^(?:survived|not covered): (\S+):\d+:\d+ (\w+)\n {2}(.*)\n {2}→ (.*)$/gm;
  for (const [, ...parts] of report.matchAll(entry)) keys.add(parts.join("\n"));
  return (mutant: Mutant) => !files.has(mutant.file) || keys.has(keyOf(mutant));
}

function print({ mutant, outcome }: Verdict) {
  const { file, line, column, mutator, original, replacement } = mutant;
  console.log(
    `${outcome}: ${file}:${line}:${column} ${mutator}\n` +
      `  ${flatten(original)}\n  → ${flatten(replacement)}`,
  );
}

/** Prints the survivors and the score of all mutants, or of a sample; returns the score. */
export function report(
  { name, files }: Group,
  verdicts: Verdict[],
  isSample: boolean,
) {
  const known = (equivalents as Equivalent[])
    .filter(({ file }) => files.includes(file));
  const isKnown = ({ mutant }: Verdict) =>
    known.some((each) => isSame(mutant, each));
  const alive = verdicts
    .filter(({ outcome }) => /survived|not covered/.test(outcome))
    .sort((a, b) => Number(a.mutant.id) - Number(b.mutant.id));
  const missed = alive.filter((verdict) => !isKnown(verdict));
  missed.forEach(print);
  for (const each of isSample ? [] : known) {
    if (!alive.some(({ mutant }) => isSame(mutant, each))) {
      console.log(`equivalent.json: no such survivor: ${JSON.stringify(each)}`);
    }
  }
  for (const file of files) {
    const total = verdicts.filter(({ mutant }) => mutant.file === file).length;
    const left = alive.filter(({ mutant }) => mutant.file === file).length;
    console.log(`${file}: ${total - left} of ${total} killed`);
  }
  const killed = verdicts.length - alive.length;
  const late = verdicts.filter(({ outcome }) => outcome === "timed out");
  const score = killed / verdicts.length;
  console.log(
    `${name}: ${killed} of ${verdicts.length} mutants killed, ` +
      `${(score * 100).toFixed(1)} % (${late.length} of them by a timeout); ` +
      `${alive.length - missed.length} of the ` +
      `survivors are listed as equivalent`,
  );
  return score;
}
