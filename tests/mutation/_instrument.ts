// Copyright 2026 the heartbeat authors. MIT license.

import { createInstrumenter } from "npm:@stryker-mutator/instrumenter@10.1.1";
import type { Sandbox } from "./_sandbox.ts";

interface Position {
  line: number;
  column: number;
}

/** One change to the source. */
export interface Mutant {
  id: string;
  file: string;
  mutator: string;
  /** Counted from 1. */
  line: number;
  column: number;
  /** The first line of what is changed, without the indentation. */
  source: string;
  original: string;
  replacement: string;
}

const log = () => {};
const logger = {
  ...{ trace: log, debug: log, info: log, warn: log, error: log, fatal: log },
  ...{ isTraceEnabled: () => false, isDebugEnabled: () => false },
  ...{ isInfoEnabled: () => false, isWarnEnabled: () => false },
  ...{ isErrorEnabled: () => false, isFatalEnabled: () => false },
};

/** Just enough of Stryker's dependency injection to make an instrumenter. */
function makeInstrumenter() {
  // deno-lint-ignore no-explicit-any
  const values: Record<string, any> = { logger };
  const injector = {
    provideValue(key: string, value: unknown) {
      values[key] = value;
      return injector;
    },
    // deno-lint-ignore no-explicit-any
    injectClass(Class: any) {
      return new Class(...Class.inject.map((key: string) => values[key]));
    },
  };
  // deno-lint-ignore no-explicit-any
  return createInstrumenter(injector as any);
}

function offsetOf(lines: string[], { line, column }: Position) {
  return lines.slice(0, line).reduce((sum, each) => sum + each.length + 1, 0) +
    column;
}

/** Puts all mutants of these files into the sandbox, each behind a switch. */
export async function instrument({ folder }: Sandbox, files: string[]) {
  const inputs = await Promise.all(files.map(async (file) => ({
    name: folder + file,
    mutate: true,
    content: await Deno.readTextFile(folder + file),
  })));
  const result = await makeInstrumenter().instrument(inputs, {
    ignorers: [],
    excludedMutations: [],
    plugins: null,
  });
  for (const { name, content } of result.files) {
    const probe = `import ${JSON.stringify("./tests/mutation/_probe.ts")};\n`;
    await Deno.writeTextFile(name, probe + content);
  }
  return result.mutants.map((mutant): Mutant => {
    const { content } = inputs.find(({ name }) => name === mutant.fileName)!;
    const { start, end } = mutant.location;
    const lines = content.split("\n");
    return {
      id: mutant.id,
      file: mutant.fileName.slice(folder.length),
      mutator: mutant.mutatorName,
      line: start.line + 1,
      column: start.column + 1,
      source: lines[start.line]!.trim(),
      original: content.slice(offsetOf(lines, start), offsetOf(lines, end)),
      replacement: mutant.replacement,
    };
  });
}
