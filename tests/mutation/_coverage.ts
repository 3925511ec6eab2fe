// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the report is the product

import { runTests, type Sandbox } from "./_sandbox.ts";

const TIMEOUT_MS = 600_000;

/** A test, and what it executes. */
export interface Test {
  file: string;
  name: string;
  /** In milliseconds. */
  took: number;
  mutants: Set<string>;
}

export interface Coverage {
  tests: Test[];
  /** Mutants that are executed when their module is loaded: every test may see them. */
  atLoad: Set<string>;
}

async function* readLines(path: string) {
  const text = await Deno.readTextFile(path).catch(() => "");
  for (const line of text.split("\n")) if (line) yield JSON.parse(line);
}

/** Makes a test file of the sandbox import the probe before anything else. */
async function addProbe({ folder }: Sandbox, file: string) {
  const up = file.split("/").slice(1).map(() => "..").join("/");
  const text = await Deno.readTextFile(folder + file);
  await Deno.writeTextFile(
    folder + file,
    `import "./${up}/tests/mutation/_probe.ts";\n${text}`,
  );
}

async function measureFile(sandbox: Sandbox, file: string, all: Coverage) {
  await addProbe(sandbox, file);
  const out = await Deno.makeTempDir({ dir: sandbox.folder });
  const env = { MUTATION_COVERAGE: out };
  const result = await runTests(sandbox, [file], env, TIMEOUT_MS);
  if (!result?.success) {
    throw new Error(`${file} fails without a mutant:\n${result?.text}`);
  }
  const tests = new Map<string, Test>();
  for await (const [name, took] of readLines(`${out}/tests`)) {
    tests.set(name, { file, name, took, mutants: new Set() });
  }
  for await (const [name, id] of readLines(`${out}/hits`)) {
    (tests.get(name)?.mutants ?? all.atLoad).add(id);
  }
  all.tests.push(...tests.values());
}

/** Runs each test file once, and records which test executes which mutant. */
export async function measureCoverage(sandbox: Sandbox, files: string[]) {
  const all: Coverage = { tests: [], atLoad: new Set() };
  for (const file of files) {
    const start = performance.now();
    await measureFile(sandbox, file, all);
    const seconds = (performance.now() - start) / 1000;
    console.error(`  coverage of ${file}: ${seconds.toFixed(1)} s`);
  }
  return all;
}
