// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the table is the product

/**
 * Runs the benches, all or those that are named (`monitor`, `worker`, `fetch`, `fleet`,
 * `nats`, `startup`, `cli`), and prints one table: each cost as a ratio to a baseline of the same
 * run. A number in the arguments sets the number of units; `--write` puts the
 * table into `docs/performance.md`.
 *
 * @module
 */

import type { Outcome } from "./_measure.ts";
import { format, writeBlock } from "./_doc_blocks.ts";

const BENCHES = [
  "monitor",
  "worker",
  "fetch",
  "fleet",
  "nats",
  "startup",
  "cli",
];

const named = BENCHES.filter((name) => Deno.args.includes(name));
const outcomes: Outcome[] = [];
for (const name of named.length > 0 ? named : BENCHES) {
  console.log(`\n${name} …`);
  const { run } = await import(`./${name}_bench.ts`);
  try {
    outcomes.push(await run());
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(`left out: ${error.message}`);
  }
}

const table = await format(`
| per | | ratio | to |
| --- | --- | ---: | --- |
${
  outcomes.flatMap(({ rows }) => rows)
    .map(({ per, name, ratio, baseline }) =>
      `| ${per} | ${name} | ${ratio.toFixed(2)} | ${baseline} |`
    ).join("\n")
}

Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} CPUs.
`);
console.log(`\n${table}`);
for (const target of outcomes.flatMap(({ targets }) => targets)) {
  console.log(target);
}
if (Deno.args.includes("--write")) {
  await writeBlock("performance.md", "bench", table);
}
