// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Imported first by the tests and the instrumented modules of a sandbox. While
 * coverage is measured, it records which test executes which mutant, in this
 * isolate or in a thread or a process that the test started; afterwards it leaves
 * out the tests that are not wanted.
 *
 * @module
 */

type Options = Partial<Deno.TestDefinition>;
type TestFunction = Deno.TestDefinition["fn"];

function readEnv(name: string) {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined; // a child process without the permission
  }
}

/** Where the coverage of a test file is written to. */
const folder = readEnv("MUTATION_COVERAGE");
/** A file with the names of the tests that are wanted. */
const plan = readEnv("MUTATION_TESTS");
const isThread = "DedicatedWorkerGlobalScope" in globalThis &&
  globalThis instanceof
    (globalThis as unknown as Record<string, new () => object>)
      .DedicatedWorkerGlobalScope!;

/** Stryker's switches read the number of the active mutant from here. */
const namespace: Record<string, unknown> = {
  activeMutant: readEnv("__STRYKER_ACTIVE_MUTANT__") ?? "none",
};
Object.assign(globalThis, { __stryker__: namespace });

function append(path: string, rows: unknown[]) {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  Deno.writeTextFileSync(path, text, { append: true });
}

/** In a thread or a process of a test: reports each mutant at its first execution in each test. */
function recordInPart(folder: string) {
  const seen = new Set<string>();
  namespace.mutantCoverage = {
    perTest: {},
    static: new Proxy({}, {
      get: () => 0,
      set(_, id: string) {
        if (seen.has(id)) return true;
        seen.add(id);
        const test = Deno.readTextFileSync(`${folder}/current`);
        append(`${folder}/hits`, [[test, id]]);
        return true;
      },
    }),
  };
}

/** Lets Stryker's switches count by test; what they counted is reported at the end of each. */
function recordHere(folder: string) {
  const coverage: Record<"static" | "perTest", Record<string, object>> = {
    static: {},
    perTest: {},
  };
  namespace.mutantCoverage = coverage;
  return (name: string) => {
    const test = (namespace.currentTestId ?? "") as string;
    const atLoad = Object.keys(coverage.static).map((id) => ["", id]);
    const inTest = Object.keys(coverage.perTest[test] ?? {});
    append(`${folder}/hits`, [...atLoad, ...inTest.map((id) => [test, id])]);
    coverage.static = {};
    coverage.perTest = {};
    namespace.currentTestId = name || undefined;
    Deno.writeTextFileSync(`${folder}/current`, name);
  };
}

function normalize(args: unknown[]): Options {
  const options: Options = {};
  for (const arg of args) {
    if (typeof arg === "string") options.name = arg;
    else if (typeof arg === "function") options.fn ??= arg as TestFunction;
    else Object.assign(options, arg);
  }
  options.name ??= options.fn!.name;
  return options;
}

/** Replaces `Deno.test()`. */
function wrapTests(wrap: (options: Options) => Options | undefined) {
  const original = Deno.test;
  Object.defineProperty(Deno, "test", {
    configurable: true,
    value: new Proxy(original, {
      apply(target, self, args) {
        const options = wrap(normalize(args));
        if (options) Reflect.apply(target, self, [options]);
      },
    }),
  });
}

/** Whether a test runs: then what is loaded belongs to it. */
function isInTest(folder: string) {
  try {
    return Deno.readTextFileSync(`${folder}/current`) !== "";
  } catch {
    return false; // the test file is being loaded
  }
}

function measure(folder: string) {
  if (isThread || isInTest(folder)) return recordInPart(folder);
  const setTest = recordHere(folder);
  setTest("");
  wrapTests((options) => ({
    ...options,
    async fn(context) {
      setTest(options.name!);
      const start = performance.now();
      await options.fn!(context);
      const took = performance.now() - start;
      setTest("");
      append(`${folder}/tests`, [[options.name, took]]);
    },
  }));
}

if (folder !== undefined) measure(folder);
else if (plan !== undefined && !isThread) {
  const wanted = new Set<string>(JSON.parse(Deno.readTextFileSync(plan)));
  wrapTests((options) => wanted.has(options.name!) ? options : undefined);
}
