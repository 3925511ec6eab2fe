// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the table is the product

/**
 * Observes what this library and its peers do about a stream that goes silent,
 * with a small scenario for each row, in real time. Prints a Markdown table, and
 * exits with 1 if this library does not do what it claims. `--write` puts the table into
 * `docs/comparison.md`, `--check` compares it with the table there, apart from
 * the figures.
 *
 * @module
 */

import { format, readBlock, writeBlock } from "../_doc_blocks.ts";
import { heartbeat } from "./heartbeat.ts";
import { peers } from "./peers.ts";
import type { Rows } from "./_observe.ts";
import { scenarios } from "./scenarios.ts";

/** The page under `docs/` with the table. */
const PAGE = "comparison.md";

/** What this library does not claim to do; it claims all else. */
const NOT_CLAIMED = [
  "Can continue with another source after a stall",
];

/** The table, with its footnotes below. */
function render(rows: Rows) {
  const notes: string[] = [];
  const lines = Object.entries(rows).map(([title, observed]) => {
    const cells = observed.map(({ cell, note }, index) => {
      const { yes, no } = peers[index]!.notes?.[title] ?? {};
      const text = (cell === "no" ? no : yes) ?? note;
      if (!text) return cell;
      if (!notes.includes(text)) notes.push(text);
      const number = String(notes.indexOf(text) + 1)
        .replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]!);
      return `${cell} ${number}`;
    });
    return `| ${[title, ...cells].join(" | ")} |`;
  });
  const versions = peers.flatMap(({ version }) => version ?? []);
  return `
| | ${peers.map(({ name }) => name).join(" | ")} |
| --- | ${peers.map(() => "---").join(" | ")} |
${lines.join("\n")}

${notes.map((note, index) => `${index + 1}. ${note}`).join("\n")}

Seen on Deno ${Deno.version.deno}, of ${versions.join(", ")}.

`;
}

/** The text without figures that differ from run to run and without padding. */
function essence(markdown: string) {
  return markdown
    .replace(/[\s-]+/g, " ")
    .replace(/[\d to]+(?= of \d+ false)|[\d.]+(?= KB)|(?<=Deno )[\d.]+\d/g, "")
    .trim();
}

/** Ends a run that hangs. */
const overdue = setTimeout(() => {
  console.error("The scenarios did not end in time");
  Deno.exit(1);
}, 120_000);

const rows: Rows = {};
for (const scenario of scenarios) Object.assign(rows, await scenario(peers));
clearTimeout(overdue);
for (const title of peers.flatMap(({ notes = {} }) => Object.keys(notes))) {
  if (!rows[title]) throw new Error(`There is a note, but no row: ${title}`);
}

const block = await format(render(rows));
console.log(block.trim());

let failed = false;
const ours = peers.indexOf(heartbeat);
for (const [title, observed] of Object.entries(rows)) {
  const { cell, note } = observed[ours]!;
  const claim = NOT_CLAIMED.includes(title) ? "no" : "yes";
  if (cell === claim || cell.endsWith("KB")) continue;
  console.error(`NOT as claimed: ${title}: ${cell} ${note ?? ""}`);
  failed = true;
}

if (Deno.args.includes("--write")) {
  await writeBlock(PAGE, "peers", block);
} else if (Deno.args.includes("--check")) {
  if (essence(await readBlock(PAGE, "peers")) !== essence(block)) {
    console.error(`docs/${PAGE} differs: run with --write`);
    failed = true;
  }
}
// a guard that detects no silence may wait for ever
Deno.exit(failed ? 1 : 0);
