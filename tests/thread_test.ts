// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { HeartbeatTimeoutError, watch } from "../monitor.ts";
import { supervise } from "../supervisor.ts";
import {
  startThread,
  type StartThreadOptions,
  type ThreadContext,
} from "../thread.ts";
import type { Heartbeat, WorkerStreams } from "../worker.ts";
import { countListeners, NPM_FLAGS, waitUntil } from "./_help.ts";

/** What nothing here takes, on any machine. */
const LONG = 60_000;
/** More silence than a busy machine makes. */
const TIMEOUT = 2_000;
const INTERVAL = 20;
/** Within this, what is not to happen would have happened. */
const SHORT = 300;
const THREAD = new URL("../thread.ts", import.meta.url).href;

// deno-lint-ignore no-explicit-any
type Input = { log: SharedArrayBuffer } & Record<string, any>;
type ThreadWork = (
  context: ThreadContext<Input>,
) => AsyncIterable<unknown> | Iterable<unknown>;

/** Notes a line in memory that this thread sees too, even if the other one hangs. */
function note(log: SharedArrayBuffer, what: unknown) {
  const [length, letters] = [new Int32Array(log, 0, 1), new Uint16Array(log)];
  const { name, message } = Object(what);
  const line = `${message === undefined ? what : `${name}: ${message}`}\n`;
  const end = Atomics.load(length, 0);
  for (let i = 0; i < line.length; i++) {
    letters[4 + end + i] = line.charCodeAt(i);
  }
  Atomics.store(length, 0, end + line.length);
}

/** Burns the CPU until it is let go: Deno 2.9 itself does not stop the loop of a terminated thread. */
function spin(log: SharedArrayBuffer) {
  const [state, end] = [new Int32Array(log, 4, 1), Date.now() + 60_000];
  while (Atomics.load(state, 0) === 0 && Date.now() < end);
}

/** Is as deaf as `spin()`, and leaves the CPU to the other tests. */
function block(log: SharedArrayBuffer) {
  const [state, end] = [new Int32Array(log, 4, 1), Date.now() + 60_000];
  while (Atomics.wait(state, 0, 0, 10) === "timed-out" && Date.now() < end);
}

/** Lets the next heartbeat of a thread out: the timer of the interval is due before. */
function rest(ms = 200) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The memory that `note()` writes, and that `spin()` and `block()` watch. */
class Log {
  readonly memory = new SharedArrayBuffer(1 << 16);
  readonly #head = new Int32Array(this.memory, 0, 2);

  get lines() {
    const letters = new Uint16Array(this.memory)
      .slice(4, 4 + Atomics.load(this.#head, 0));
    return String.fromCharCode(...letters).split("\n").slice(0, -1);
  }

  letGo() {
    Atomics.store(this.#head, 1, 1);
    Atomics.notify(this.#head, 1);
  }
}

/** A module that runs some code, with what is above. */
function moduleOf(code: string) {
  const imports = `import { serveThread } from ${JSON.stringify(THREAD)};`;
  const source = [imports, note, spin, block, rest, code].join("\n");
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** A module that serves work, which closes over nothing. */
function serving(work: ThreadWork) {
  return moduleOf(`serveThread(${work})`);
}

/** Starts a thread, from work or a module; `input` is its input besides the log. */
function start(
  work: ThreadWork | string,
  { input, ...options }: StartThreadOptions & { input?: object } = {},
) {
  const log = new Log();
  const module = typeof work === "string" ? work : serving(work);
  const worker: WorkerStreams<unknown> = startThread(module, {
    interval: INTERVAL,
    ...options,
    input: { log: log.memory, ...input },
  });
  return { ...worker, log };
}

/** Reads a stream to its end; returns what it errored with, if it did. */
async function drain<T>(stream: ReadableStream<T>, into: T[]) {
  try {
    for await (const chunk of stream) into.push(chunk);
  } catch (error) {
    return { error };
  }
}

/** Reads a worker until all of it has ended, and returns what came. */
async function observe(worker: WorkerStreams<unknown>) {
  const results: unknown[] = [];
  const beats: Heartbeat[] = [];
  const [failure, beatsFailure] = await deadline(
    Promise.all([
      drain(worker.results, results),
      drain(worker.heartbeats, beats),
      worker.finished,
    ]),
    LONG,
  );
  return { results, beats, failure, beatsFailure };
}

/** Knows every thread, and how many were terminated. */
function spyThreads() {
  const { Worker } = globalThis;
  const started: Worker[] = [];
  const ended = new Set<Worker>();
  globalThis.Worker = class extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      started.push(this);
    }
    override terminate() {
      super.terminate();
      ended.add(this);
    }
  };
  return {
    started,
    get running() {
      return started.length - ended.size;
    },
    [Symbol.dispose]: () => void (globalThis.Worker = Worker),
  };
}

/** Work that notes what stops it, and yields after that. */
async function* untilStopped({ signal, input }: ThreadContext<Input>) {
  try {
    yield "first";
    note(input.log, "in flight");
    await new Promise((resolve) => signal.onabort = resolve);
    note(input.log, signal.reason);
    yield "last";
    note(input.log, "one too many");
  } finally {
    note(input.log, "finally");
  }
}

/** Work that waits between two units when it is stopped. */
function* idle({ signal, input }: ThreadContext<Input>) {
  try {
    note(input.log, "made");
    yield "first";
    note(input.log, "one too many");
  } finally {
    note(input.log, signal.aborted ? signal.reason : "no abort");
  }
}

/** Work that burns the CPU, whatever it is asked. */
async function* hang({ input }: ThreadContext<Input>) {
  try {
    yield "first";
    await rest();
    note(input.log, "hangs");
    spin(input.log);
  } finally {
    note(input.log, "finally");
  }
}

Deno.test("startThread gives the results and heartbeats of work in a thread, which has a clone of the input", async () => {
  const items = new Map([["a", [2, 3]]]);
  const worker = start(
    async function* squares({ input, beat, lastDetail, signal }) {
      beat({ at: lastDetail });
      for (const n of input.items.get("a")) yield new Set([n * n]);
      note(input.log, signal.aborted);
      await rest();
      beat({ at: "end" });
      await rest();
    },
    { input: { items }, lastDetail: { step: 7 } },
  );
  items.get("a")!.push(4);
  const { results, beats, failure, beatsFailure } = await observe(worker);
  assertEquals(results, [new Set([4]), new Set([9])]);
  assertEquals([failure, beatsFailure], [undefined, undefined]);
  assertEquals(worker.log.lines, ["false"]);
  const { time, ...first } = beats[0]!;
  assertEquals(first, { worker: "squares", seq: 1, detail: { step: 7 } });
  assert(Math.abs(Date.now() - time) < LONG);
  assertEquals(beats[1]?.detail, { at: { step: 7 } });
  assertEquals(beats.at(-1)?.detail, { at: "end" });
  assert(beats.every(({ seq }, i) => i === 0 || seq > beats[i - 1]!.seq));
});

Deno.test("startThread waits for a module that awaits before it serves", async () => {
  const code = `await rest(300);
    serveThread(function* ({ input }) { yield input.n; });`;
  const worker = start(moduleOf(code), { input: { n: 1 } });
  const { results, failure } = await observe(worker);
  assertEquals([results, failure], [[1], undefined]);
});

Deno.test("startThread calls no work that was stopped while its module awaited", async () => {
  const code = `await rest(300);
    serveThread(({ input }) => { note(input.log, "called"); return []; });`;
  const reason = new Error("enough");
  const ways: Record<
    string,
    [
      (worker: WorkerStreams<unknown>, aborter: AbortController) => unknown,
      unknown,
    ]
  > = {
    abort: [(_, aborter) => aborter.abort(reason), undefined],
    heartbeats: [({ heartbeats }) => heartbeats.cancel(reason), {
      error: reason,
    }],
    results: [({ results }) => results.cancel(reason), undefined],
  };
  for (const [act, expected] of Object.values(ways)) {
    const aborter = new AbortController();
    const { signal } = aborter;
    const worker = start(moduleOf(code), { signal, stopTimeout: LONG });
    act(worker, aborter);
    const { results, beats, failure } = await observe(worker);
    assertEquals([results, beats, failure], [[], [], expected]);
    assertEquals(worker.log.lines, []);
  }
});

Deno.test("startThread names the heartbeats after the option, the work, or what they are", async () => {
  const named = async (code: string, name?: string) => {
    const { beats } = await observe(start(moduleOf(code), { name }));
    return beats[0]?.worker;
  };
  assertEquals(
    await Promise.all([
      named("serveThread(function* own() {})", "given"),
      named("serveThread(function* own() {})"),
      named("serveThread(() => [])"),
    ]),
    ["given", "own", "worker"],
  );
});

Deno.test("watch() finds a loop that burns the CPU in a thread, which is terminated while the process goes on", async () => {
  using threads = spyThreads();
  let turns = 0;
  const ticker = setInterval(() => turns++, INTERVAL);
  // without any progress, the first limit is the one that runs
  const works: [ThreadWork, unknown[], boolean, number][] = [
    [
      // deno-lint-ignore require-yield
      function* ({ input }) {
        note(input.log, "hangs");
        block(input.log);
      },
      [],
      false,
      2 * TIMEOUT,
    ],
    [hang, ["first"], true, LONG],
  ];
  await Promise.all(works.map(async ([work, expected, more, firstTimeout]) => {
    const worker = start(work, { stopTimeout: SHORT });
    const results: unknown[] = [];
    const guarded = watch(worker, { timeout: TIMEOUT, firstTimeout });
    const ended = drain(guarded, results);
    await waitUntil(() => worker.log.lines.includes("hangs"));
    const before = turns;
    const { error } = (await deadline(ended, LONG))!;
    await deadline(worker.finished, LONG);
    assert(error instanceof HeartbeatTimeoutError, `${error}`);
    const { timeout, count } = error as HeartbeatTimeoutError;
    assertEquals(timeout, more ? TIMEOUT : firstTimeout);
    assertEquals(count > 1, more);
    assertEquals(results, expected);
    assert(turns > before);
    assertEquals(worker.log.lines, ["hangs"]);
    worker.log.letGo();
  }));
  clearInterval(ticker);
  assertEquals([threads.started.length, threads.running], [2, 0]);
});

Deno.test("startThread delivers the result that waits before the next unit blocks the thread", async (t) => {
  const works: Record<string, ThreadWork> = {
    "of a generator": function* ({ input }) {
      yield "ready";
      block(input.log);
    },
    "of an async generator": async function* ({ input }) {
      yield "ready";
      block(input.log);
    },
    "of a generator of promises": function* ({ input }) {
      yield Promise.resolve("ready");
      block(input.log);
    },
  };
  await Promise.all(
    Object.entries(works).map(([label, work]) =>
      t.step({
        name: label,
        sanitizeOps: false,
        sanitizeResources: false,
        sanitizeExit: false,
        async fn() {
          const worker = start(work, { stopTimeout: SHORT });
          const reader = worker.results.getReader();
          // until the unit has settled, with nobody asking
          await worker.heartbeats.getReader().read();
          await delay(SHORT);
          try {
            const { value } = await deadline(reader.read(), LONG);
            assertEquals(value, "ready");
          } finally {
            worker.log.letGo();
            await reader.cancel();
          }
          await worker.finished;
        },
      })
    ),
  );
});

Deno.test("startThread runs work one unit ahead of its reader, and what is behind a yield when its result is asked for", async () => {
  const worker = start(function* ({ input }) {
    for (let n = 1; n <= 20; n++) {
      note(input.log, `made ${n}`);
      // a queue of them would be seen
      yield new Uint8Array(100_000).fill(n);
      note(input.log, `behind ${n}`);
    }
  });
  const reader = worker.results.getReader();
  const expected = ["made 1"];
  for (let n = 1; n <= 20; n++) {
    await waitUntil(() => worker.log.lines.length >= expected.length);
    await delay(2 * INTERVAL);
    assertEquals(worker.log.lines, expected);
    const { value } = await reader.read();
    assertEquals((value as Uint8Array)[9], n);
    expected.push(`behind ${n}`, ...n < 20 ? [`made ${n + 1}`] : []);
  }
  assertEquals((await reader.read()).done, true);
  assertEquals(worker.log.lines, expected);
  await drain(worker.heartbeats, []);
  await worker.finished;
});

const CRASHES: [string, string, string, RegExp, unknown[]?][] = [
  [
    "its module does not exist",
    new URL("./no_such_module.js", import.meta.url).href,
    "Error",
    // the latter where threads are type-checked
    /no_such_module\.js|Type checking failed/,
  ],
  [
    "its module throws",
    moduleOf(`throw new TypeError("bad module\\nand so on")`),
    "TypeError",
    /^bad module\nand so on$/,
  ],
  ["its module cannot be parsed", moduleOf("let let = 5;"), "SyntaxError", /./],
  [
    "its module imports what is not there",
    `data:text/javascript,import { nothing } from ${JSON.stringify(THREAD)};`,
    "SyntaxError",
    /nothing/,
  ],
  [
    "it serves no function",
    moduleOf("serveThread(5)"),
    "TypeError",
    /^Cannot serve thread as 'work' must be a function: current value is 5$/,
  ],
  [
    "a timer of it throws",
    serving(async function* () {
      yield "first";
      setTimeout(() => {
        throw new RangeError("in a timer");
      });
      await new Promise(() => {});
    }),
    "RangeError",
    /^in a timer$/,
    ["first"],
  ],
  [
    "it leaves a rejection unhandled",
    serving(async function* () {
      yield "first";
      Promise.reject(new URIError("unhandled"));
      await new Promise(() => {});
    }),
    "URIError",
    /^unhandled$/,
    ["first"],
  ],
];

Deno.test("startThread errors both streams and ends when a thread crashes", async (t) => {
  const seen = await Promise.all(
    CRASHES.map(([, module]) => observe(start(module))),
  );
  for (const [i, [label, , name, message, before = []]] of CRASHES.entries()) {
    await t.step(label, () => {
      const { results, failure, beatsFailure } = seen[i]!;
      const error = failure?.error as Error;
      assert(error instanceof Error);
      assertEquals(error.name, name);
      assertMatch(error.message, message);
      assertStrictEquals(beatsFailure?.error, error);
      assertEquals(results, before);
    });
  }
});

const THROWN: [string, string, (error: never) => void][] = [
  [
    "a TypeError with a cause and data",
    `Object.assign(
      new TypeError("bad", { cause: new RangeError("why", { cause: "root" }) }),
      { code: 7, when: new Map([[1, 2]]), none: () => {} },
    )`,
    (error: TypeError & { code: number; when: unknown }) => {
      assert(error instanceof TypeError);
      assertEquals([error.name, error.message], ["TypeError", "bad"]);
      assertMatch(error.stack!, /^TypeError: bad\n +at .*fails/);
      const cause = error.cause as Error;
      assert(cause instanceof RangeError);
      assertEquals([cause.message, cause.cause], ["why", "root"]);
      assertEquals({ ...error }, { code: 7, when: new Map([[1, 2]]) } as never);
    },
  ],
  [
    "an error of a class of its own",
    `new (class extends Error { name = "OrderError"; order = { id: 3 } })("lost")`,
    (error: Error & { order: unknown }) => {
      assert(error instanceof Error);
      assertEquals([error.name, error.message], ["OrderError", "lost"]);
      assertEquals(error.order, { id: 3 });
      assertEquals("cause" in error, false);
    },
  ],
  [
    "an error with the name of a method of all objects",
    `Object.assign(new Error("boom"), { name: "toString" })`,
    (error: Error) => {
      assertEquals(error.constructor, Error);
      assertEquals([error.name, error.message], ["toString", "boom"]);
    },
  ],
  [
    "an AggregateError",
    `new AggregateError([new RangeError("one"), "two"], "all", { cause: 5 })`,
    (error: AggregateError) => {
      assert(error instanceof AggregateError);
      const { message, errors: [one, ...others], cause } = error;
      assert(one instanceof RangeError);
      assertEquals([message, one.message, others, cause], [
        "all",
        "one",
        ["two"],
        5,
      ]);
    },
  ],
  [
    "a DOMException",
    `new DOMException("gone", "NotFoundError")`,
    (error: DOMException) => {
      assert(error instanceof DOMException);
      const { name, message, code } = error;
      assertEquals([name, message, code], ["NotFoundError", "gone", 8]);
    },
  ],
  [
    "an AbortError when nothing was aborted",
    `new DOMException("stop", "AbortError")`,
    (error: DOMException) => assertEquals(error.name, "AbortError"),
  ],
  ["an object", `{ a: [1] }`, (error) => assertEquals(error, { a: [1] })],
  ["a string", `"text"`, (error) => assertEquals(error, "text")],
  ["a symbol", `Symbol("s")`, (error) => assertEquals(error, "Symbol(s)")],
  [
    "an error that is its own cause",
    `(() => {
      const error = new Error("loop");
      return error.cause = error;
    })()`,
    ({ message, cause }: Error) =>
      assertEquals([message, cause], ["loop", "Error: loop"]),
  ],
  [
    "an error whose name is no string",
    `Object.assign(new Error("odd"), { name: Symbol("s") })`,
    ({ name, message }: Error) =>
      assertEquals([name, message], ["Symbol(s)", "odd"]),
  ],
  [
    "an error with a getter that throws",
    `Object.defineProperty(new Error("odd"), "name", { get() { throw 1; } })`,
    (error) => assertEquals(error, "what was thrown cannot be shown"),
  ],
  [
    "an object without a prototype that cannot be cloned",
    `Object.assign(Object.create(null), { none() {} })`,
    (error) => assertEquals(error, "what was thrown cannot be shown"),
  ],
  ["undefined", `undefined`, (error) => assertEquals(error, undefined)],
  ["null", `null`, (error) => assertEquals(error, null)],
];

Deno.test("startThread errors both streams with what the work throws", async (t) => {
  const seen = await Promise.all(
    THROWN.map(([, thrown]) =>
      observe(start(moduleOf(`serveThread(function* fails() {
        yield "first";
        throw ${thrown};
      })`)))
    ),
  );
  for (const [i, [label, , check]] of THROWN.entries()) {
    await t.step(label, () => {
      const { results, failure, beatsFailure } = seen[i]!;
      assertEquals(results, ["first"]);
      assert(failure && beatsFailure);
      check(failure.error as never);
      assertStrictEquals(beatsFailure.error, failure.error);
    });
  }
});

Deno.test("startThread delivers the last detail before the error of the work", async () => {
  const { beats, failure } = await observe(start(async function* ({ beat }) {
    beat("first");
    yield 1;
    beat("checkpoint");
    throw new Error("lost");
  }, { interval: LONG }));
  assert(failure);
  assertEquals(beats.at(-1)?.detail, "checkpoint");
});

Deno.test("startThread ends the work when it gives what cannot be cloned", async (t) => {
  const result = start(async function* ({ input }) {
    try {
      yield 1;
      yield () => {};
      await rest();
      yield 3;
    } finally {
      note(input.log, "finally");
    }
  });
  const detail = start(async function* ({ input, beat }) {
    try {
      yield 1;
      beat(() => {});
      await rest();
      yield 2;
    } finally {
      note(input.log, "finally");
    }
  });
  const [ofResult, ofDetail] = await Promise.all([
    observe(result),
    observe(detail),
  ]);
  function check(failure: { error: unknown } | undefined, { lines }: Log) {
    const error = failure?.error as DOMException;
    assert(error instanceof DOMException);
    assertEquals(error.name, "DataCloneError");
    assertEquals(lines, ["finally"]);
  }
  await t.step("a result", () => {
    check(ofResult.failure, result.log);
    assertEquals(ofResult.results, [1]);
  });
  await t.step("a detail", () => {
    check(ofDetail.failure, detail.log);
    check(ofDetail.beatsFailure, detail.log);
  });
});

const REASONS: [string, unknown, string][] = [
  [
    "an error",
    Object.assign(new RangeError("stop"), { data: () => {} }),
    "RangeError: stop",
  ],
  [
    "an own error",
    new HeartbeatTimeoutError({
      timeout: 1,
      elapsed: 2,
      count: 0,
    }),
    "HeartbeatTimeoutError: No heartbeat for 2 ms after 0 heartbeats: the timeout is 1 ms",
  ],
  ["a string", "enough", "enough"],
  [
    "an object that cannot be shown",
    Object.assign(Object.create(null), { none() {} }),
    "what was thrown cannot be shown",
  ],
  ["nothing", undefined, "AbortError: The signal has been aborted"],
];

Deno.test("startThread hands the reason of an abort on to the work, whose unit in flight may finish", async (t) => {
  for (const [label, reason, expected] of REASONS) {
    await t.step(label, async () => {
      const aborter = new AbortController();
      const worker = start(untilStopped, {
        signal: aborter.signal,
        stopTimeout: LONG,
      });
      const seen = observe(worker);
      await waitUntil(() => worker.log.lines.length > 0);
      aborter.abort(reason);
      const { results, failure, beatsFailure } = await seen;
      assertEquals(results, ["first", "last"]);
      assertEquals([failure, beatsFailure], [undefined, undefined]);
      assertEquals(worker.log.lines, ["in flight", expected, "finally"]);
    });
  }
});

Deno.test("startThread closes both streams when the signal aborts between two units", async () => {
  const aborter = new AbortController();
  const worker = start(idle, { signal: aborter.signal, stopTimeout: LONG });
  await waitUntil(() => worker.log.lines.length > 0);
  await delay(SHORT);
  aborter.abort(new Error("stop"));
  await deadline(worker.finished, LONG);
  const { results, failure, beatsFailure } = await observe(worker);
  assertEquals(results, ["first"]);
  assertEquals([failure, beatsFailure], [undefined, undefined]);
  assertEquals(worker.log.lines, ["made", "Error: stop"]);
});

Deno.test("startThread passes on what the work throws after an abort, unless it is the abort", async () => {
  const thrown = [
    ["signal.reason"],
    [`new DOMException("", "AbortError")`],
    [`new RangeError("own")`, "RangeError: own"],
  ] as const;
  await Promise.all(thrown.map(async ([what, expected]) => {
    const aborter = new AbortController();
    const worker = start(
      moduleOf(`serveThread(async function* ({ signal, input }) {
        note(input.log, "in flight");
        await new Promise((resolve) => signal.onabort = resolve);
        throw ${what};
      })`),
      { signal: aborter.signal, stopTimeout: LONG },
    );
    const seen = observe(worker);
    await waitUntil(() => worker.log.lines.length > 0);
    aborter.abort(new Error("stop"));
    const { failure, beatsFailure } = await seen;
    for (const end of [failure, beatsFailure]) {
      assertEquals(end && String(end.error), expected, what);
    }
  }));
});

Deno.test("startThread terminates work that ignores an abort after stopTimeout, and closes both streams", async () => {
  using threads = spyThreads();
  const aborter = new AbortController();
  const { signal } = aborter;
  const stuck = start(async function* ({ input }) {
    note(input.log, "hangs");
    yield await new Promise(() => {});
  }, { signal, stopTimeout: SHORT });
  const burning = start(hang, { signal, stopTimeout: SHORT });
  const late = start(async function* ({ input, signal }) {
    note(input.log, "hangs");
    await new Promise((resolve) => signal.onabort = resolve);
    await rest(1_000);
    yield "late";
  }, { signal, stopTimeout: Infinity });
  const seen = Promise.all([stuck, burning, late].map(observe));
  for (const { log } of [stuck, burning, late]) {
    await waitUntil(() => log.lines.length > 0);
  }
  aborter.abort();
  const ends = await seen;
  burning.log.letGo();
  assertEquals(ends.map(({ results }) => results), [[], ["first"], ["late"]]);
  for (const { failure, beatsFailure } of ends) {
    assertEquals([failure, beatsFailure], [undefined, undefined]);
  }
  assertEquals(threads.running, 0);
});

Deno.test("startThread starts no thread when the signal was aborted before", async () => {
  using threads = spyThreads();
  const worker = start(idle, { signal: AbortSignal.abort() });
  const { results, beats, failure, beatsFailure } = await observe(worker);
  assertEquals([results, beats], [[], []]);
  assertEquals([failure, beatsFailure], [undefined, undefined]);
  assertEquals(threads.started.length, 0);
});

Deno.test("startThread errors the results with the reason itself when heartbeats are cancelled, at once", async () => {
  using threads = spyThreads();
  const cases = [
    [untilStopped, new RangeError("stall"), "RangeError: stall"],
    [untilStopped, undefined, "AbortError: The signal has been aborted"],
    [hang, new Error("stall"), undefined],
  ] as const;
  await Promise.all(cases.map(async ([work, reason, expected]) => {
    const stopTimeout = expected ? LONG : SHORT;
    const worker = start(work, { stopTimeout });
    const results: unknown[] = [];
    const ended = drain(worker.results, results);
    await waitUntil(() => worker.log.lines.length > 0 && results.length > 0);
    await worker.heartbeats.cancel(reason);
    const { error } = (await deadline(ended, LONG))!;
    if (reason) assertStrictEquals(error, reason);
    else assertEquals((error as Error).name, "AbortError");
    assertEquals(results, ["first"]);
    await deadline(worker.finished, LONG);
    if (expected) {
      assertEquals(worker.log.lines, ["in flight", expected, "finally"]);
    } else assertEquals(worker.log.lines, ["hangs"]);
    worker.log.letGo();
  }));
  assertEquals(threads.running, 0);
});

Deno.test("startThread stops the work and closes the heartbeats when results are cancelled", async () => {
  using threads = spyThreads();
  const reason = new Error("enough");
  const inFlight = start(untilStopped, { stopTimeout: LONG });
  const between = start(idle, { stopTimeout: LONG });
  const burning = start(hang, { stopTimeout: SHORT });
  await Promise.all([inFlight, between, burning].map(async (worker) => {
    const reader = worker.results.getReader();
    if (worker !== between) await reader.read();
    await waitUntil(() => worker.log.lines.length > 0);
    await delay(SHORT);
    await reader.cancel(reason);
    const beats: Heartbeat[] = [];
    assertEquals(await drain(worker.heartbeats, beats), undefined);
    assertEquals((await reader.read()).done, true);
    await deadline(worker.finished, LONG);
  }));
  assertEquals(inFlight.log.lines, ["in flight", "Error: enough", "finally"]);
  assertEquals(between.log.lines, ["made", "Error: enough"]);
  assertEquals(burning.log.lines, ["hangs"]);
  burning.log.letGo();
  assertEquals(threads.running, 0);
});

Deno.test("startThread leaves no thread, listener or timer over 40 lives with one signal", async () => {
  using threads = spyThreads();
  const { signal, listeners } = countListeners();
  const run = (n: number) =>
    Promise.all(Array.from({ length: n }, async (_, i) => {
      const worker = start(i % 2 ? idle : untilStopped, { signal });
      const reader = worker.results.getReader();
      await reader.read();
      if (i % 4 === 1) assertEquals((await reader.read()).done, true);
      if (i % 4 > 1) await worker.heartbeats.cancel(new Error("stall"));
      await reader.cancel().catch(() => {});
      await deadline(worker.finished, LONG);
    }));
  for (let i = 0; i < 5; i++) await run(8);
  assertEquals([threads.started.length, threads.running], [40, 0]);
  assertEquals(listeners.size, 0);
});

Deno.test("startThread leaves no memory of 100 threads behind", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", ...NPM_FLAGS],
      ...[new URL("_thread_lives.ts", import.meta.url).href, "100"],
    ],
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(code, 0, decode(stderr));
  const growth = Number(decode(stdout));
  assert(growth < 200_000_000, `${growth} bytes more`);
});

Deno.test("supervise() heals a thread that hangs in a loop, and nothing is lost or repeated", async () => {
  using threads = spyThreads();
  const logs: Log[] = [];
  const hangAt = [3, 6];
  const resumed: unknown[] = [];
  const worker = supervise(({ attempt, signal, lastDetail }) => {
    resumed.push(lastDetail);
    const { log, ...streams } = start(
      async function* ({ input, beat, lastDetail }) {
        for (let n = lastDetail as number ?? 1; n <= 8; n++) {
          await rest(100);
          if (n === input.hangAt) block(input.log);
          yield n;
          beat(n + 1);
        }
      },
      {
        signal,
        lastDetail,
        stopTimeout: SHORT,
        input: { hangAt: hangAt[attempt - 1] },
      },
    );
    logs.push(log);
    return streams;
  }, { timeout: TIMEOUT, firstTimeout: LONG, backoff: { min: 1, max: 1 } });
  const { results, failure } = await observe(worker);
  for (const log of logs) log.letGo();
  assertEquals(failure, undefined);
  assertEquals(results, [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(resumed, [undefined, 3, 6]);
  assertEquals([threads.started.length, threads.running], [3, 0]);
});

Deno.test("a process exits by itself after the ends of its threads", async () => {
  const returns = serving(function* () {
    yield 1;
  });
  const stuck = serving(async function* () {
    yield 1;
    await new Promise(() => {});
  });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-config",
      `import { startThread } from ${JSON.stringify(THREAD)};
      const { signal } = new AbortController();
      await Array.fromAsync(startThread("${returns}", { signal }).results);
      const aborter = new AbortController();
      const stuck = startThread("${stuck}", { signal: aborter.signal, stopTimeout: 100 });
      for await (const _ of stuck.results) aborter.abort();
      const { results, heartbeats } = startThread("${stuck}", { stopTimeout: 100 });
      await results.getReader().read();
      await heartbeats.cancel();
      const crashed = startThread("data:text/javascript,throw 1");
      await crashed.finished;
      console.log("done");`,
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), LONG);
  const { code, stdout } = await child.output();
  clearTimeout(timer);
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "done\n"]);
});

Deno.test("startThread leaves messages alone that are none of its own", async () => {
  using threads = spyThreads();
  const foreign = [null, 5, "text", {}, [], { heartbeat: "none" }];
  const worker = start(
    moduleOf(`
      const foreign = ${JSON.stringify(foreign)};
      const heard = [];
      let all;
      const complete = new Promise((resolve) => all = resolve);
      addEventListener("message", ({ data }) => {
        if (foreign.some((one) => JSON.stringify(one) === JSON.stringify(data))) {
          heard.push(data);
        }
        if (heard.length === foreign.length) all();
      });
      serveThread(async function* () {
        for (const message of foreign) postMessage(message);
        await complete;
        yield heard;
      });`),
  );
  const posted: unknown[] = [];
  const [thread] = threads.started as [Worker];
  thread.addEventListener("message", ({ data }) => posted.push(data));
  const seen = observe(worker);
  for (const message of foreign) thread.postMessage(message);
  const { results, failure, beatsFailure } = await seen;
  assertEquals(results, [foreign]);
  assertEquals([failure, beatsFailure], [undefined, undefined]);
  assertEquals(
    posted.filter((one) => foreign.some((f) => `${f}` === `${one}`)).length >=
      foreign.length,
    true,
  );
});

const BROKEN: [string, string, string][] = [
  [
    "a heartbeat of no kind",
    `{ heartbeat: "beat" }`,
    "'beat' must be an object: current value is undefined",
  ],
  [
    "a heartbeat without a name",
    `{ heartbeat: "beat", beat: { seq: 2, time: 0 } }`,
    "'beat.worker' must be a string: current value is undefined",
  ],
  [
    "a heartbeat with half a number",
    `{ heartbeat: "beat", beat: { worker: "", seq: 1.5, time: 0 } }`,
    "'beat.seq' must be an integer: current value is 1.5",
  ],
  [
    "a heartbeat at no time",
    `{ heartbeat: "beat", beat: { worker: "", seq: 2, time: NaN } }`,
    "'beat.time' must be a finite number: current value is NaN",
  ],
  [
    "an end with a number for a result",
    `{ heartbeat: "end", result: 5 }`,
    "'result' must be an object: current value is 5",
  ],
  [
    "a 'finished' before the end",
    `{ heartbeat: "finished" }`,
    "it is 'finished' before the end of the streams",
  ],
  [
    "an end with a number for an error",
    `{ heartbeat: "end", error: 5 }`,
    "'error' must be a serialized error: current value is 5",
  ],
  [
    "an end with an error of no shape",
    `{ heartbeat: "end", error: { error: {} } }`,
    "'error' must be a serialized error: current value is object",
  ],
  [
    "a second 'ready'",
    `{ heartbeat: "ready" }`,
    "it is a second 'ready': the thread serves work twice",
  ],
  [
    "results that nobody asked for",
    `{ heartbeat: "result", value: "forged" }`,
    "it is a result that was not asked for",
  ],
];

Deno.test("startThread ends a thread that breaks the protocol, with an error that says how", async (t) => {
  using threads = spyThreads();
  const seen = await Promise.all(
    BROKEN.map(async ([, message]) => {
      const worker = start(moduleOf(`serveThread(async function* () {
        yield "first";
        for (let i = 0; i < 1_000; i++) postMessage(${message});
        await new Promise(() => {});
      })`));
      const reader = worker.results.getReader();
      const { value } = await deadline(reader.read(), LONG);
      // nobody asks for more, so a result can only queue
      await deadline(worker.finished, LONG);
      reader.releaseLock();
      return { value, ...await observe(worker) };
    }),
  );
  for (const [i, [label, , message]] of BROKEN.entries()) {
    await t.step(label, () => {
      const { value, results, failure, beatsFailure } = seen[i]!;
      assertEquals([value, results], ["first", []]);
      const error = failure?.error as Error;
      assert(error instanceof TypeError);
      assertEquals(
        error.message,
        `Cannot read the message of a thread as ${message}`,
      );
      assertStrictEquals(beatsFailure?.error, error);
    });
  }
  assertEquals(threads.running, 0);
});

Deno.test("startThread errors both streams when a message of its thread cannot be deserialized", async () => {
  using threads = spyThreads();
  const worker = start(idle);
  threads.started[0]!.dispatchEvent(new MessageEvent("messageerror"));
  const { failure, beatsFailure } = await observe(worker);
  assertEquals((failure?.error as Error).name, "DataCloneError");
  assertStrictEquals(beatsFailure?.error, failure?.error);
  assertEquals(threads.running, 0);
});

Deno.test("startThread refuses what cannot be cloned, and starts no thread", () => {
  using threads = spyThreads();
  const { signal, listeners } = countListeners();
  for (const option of ["input", "lastDetail"]) {
    const options = { [option]: () => {}, signal };
    const error = assertThrows(() => startThread("data:,", options));
    assertEquals((error as Error).name, "DataCloneError");
  }
  assertEquals(threads.started.length, 0);
  assertEquals([threads.running, listeners.size], [0, 0]);
});

Deno.test("startThread says what is missing where there are no Web Workers", () => {
  const { Worker } = globalThis;
  Object.assign(globalThis, { Worker: undefined });
  try {
    assertThrows(
      () => startThread("data:,"),
      TypeError,
      "Cannot start thread as 'globalThis.Worker' must be the Web Worker of Deno, Bun or a browser: current value is undefined",
    );
  } finally {
    globalThis.Worker = Worker;
  }
});
