// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Imported first by the tests and the instrumented modules of a sandbox. While
 * coverage is measured, it records which test executes which mutant, in this
 * isolate or in a thread that the test started; afterwards it leaves out the
 * tests that are not wanted.
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

/** Reports each mutant at its first execution in each test. */
function recordHits(folder: string) {
  const current = `${folder}/current`;
  const seen = new Set<string>();
  let test = "";
  const record = (id: string) => {
    if (isThread) test = Deno.readTextFileSync(current);
    Deno.writeTextFileSync(
      `${folder}/hits`,
      `${JSON.stringify([test, id])}\n`,
      { append: true },
    );
  };
  namespace.mutantCoverage = {
    perTest: {},
    static: new Proxy({}, {
      get: () => 0,
      set(_, id: string) {
        const key = `${id} ${test}`;
        if (seen.has(key)) return true;
        seen.add(key);
        record(id);
        return true;
      },
    }),
  };
  return (name: string) => {
    test = name;
    Deno.writeTextFileSync(current, name);
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

function measure(folder: string) {
  const setTest = recordHits(folder);
  if (isThread) return;
  setTest("");
  wrapTests((options) => ({
    ...options,
    async fn(context) {
      setTest(options.name!);
      const start = performance.now();
      await options.fn!(context);
      const took = performance.now() - start;
      setTest("");
      Deno.writeTextFileSync(
        `${folder}/tests`,
        `${JSON.stringify([options.name, took])}\n`,
        { append: true },
      );
    },
  }));
}

if (folder !== undefined) measure(folder);
else if (plan !== undefined && !isThread) {
  const wanted = new Set<string>(JSON.parse(Deno.readTextFileSync(plan)));
  wrapTests((options) => wanted.has(options.name!) ? options : undefined);
}
