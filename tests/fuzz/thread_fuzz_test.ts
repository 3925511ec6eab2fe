// Copyright 2026 the heartbeat authors. MIT license.

// Whatever a thread posts, its host goes on: 100,000 messages, right ones, broken
// ones and foreign ones, to the host's side of `startThread()`.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { startThread } from "../../thread.ts";

const MESSAGES = 100_000;
const STEPS = 30;

/** How many messages were posted. */
let messages = 0;

/** The host's side of a thread that does nothing by itself. */
class FakeThread extends EventTarget {
  static current: FakeThread;
  pulls = 0;
  isTerminated = false;

  constructor() {
    super();
    FakeThread.current = this;
  }

  postMessage(message: { heartbeat: string }) {
    if (message.heartbeat === "pull") this.pulls++;
  }

  terminate() {
    this.isTerminated = true;
  }

  /** Posts to the host, as a thread does. */
  emit(data: unknown) {
    this.dispatchEvent(
      new MessageEvent("message", { data: structuredClone(data) }),
    );
  }
}

/** What `startThread()` must make of a step. */
type Step =
  | { type: "read" }
  | { type: "ready" | "result" | "beat" | "close" | "error" | "finished" }
    & { message: Message }
  | { type: "broken" | "foreign"; message: unknown };

type Message = { heartbeat: string; [key: string]: unknown };

const anything = fc.anything({
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  maxDepth: 2,
});
const side = fc.constantFrom("results", "heartbeats");

const { serialized } = fc.letrec<{ serialized: unknown; object: unknown }>(
  (tie) => ({
    serialized: fc.oneof(
      { maxDepth: 3 },
      fc.record({ value: anything }),
      tie("object"),
    ),
    object: fc.record({
      error: fc.record({
        name: fc.constantFrom(
          ...["Error", "RangeError", "AggregateError", "toString", "__proto__"],
          ...["constructor", "hasOwnProperty", "", "\ud800"],
        ),
        message: fc.string(),
        stack: fc.option(fc.string(), { nil: undefined }),
      }),
      isDOMException: fc.boolean(),
      data: fc.dictionary(
        fc.constantFrom("__proto__", "message", "cause", "toString", "a"),
        anything,
      ),
      cause: fc.option(tie("serialized"), { nil: undefined }),
      errors: fc.option(fc.array(tie("serialized"), { maxLength: 2 }), {
        nil: undefined,
      }),
    }, { requiredKeys: ["error", "isDOMException", "data"] }),
  }),
);

const beat = fc.record({
  worker: fc.string(),
  seq: fc.maxSafeInteger(),
  time: fc.double({ noNaN: true, noDefaultInfinity: true }),
  detail: anything,
}, { requiredKeys: ["worker", "seq", "time"] });

const right = {
  ready: fc.constant({ heartbeat: "ready" }),
  result: fc.record({ heartbeat: fc.constant("result"), value: anything }),
  beat: fc.record({ heartbeat: fc.constant("beat"), beat }),
  close: fc.record({ heartbeat: fc.constant("end"), side }),
  error: fc.record({
    heartbeat: fc.constant("end"),
    side,
    error: serialized,
  }),
  finished: fc.constant({ heartbeat: "finished" }),
};

/** Where a message breaks, and with what: a value that no field accepts. */
const broken = fc.oneof(
  fc.tuple(right.beat, fc.constantFrom("worker", "seq", "time"), fc.anything())
    .filter(([, key, value]) =>
      key === "worker" ? typeof value !== "string" : typeof value !== "number"
    )
    .map(([message, key, value]) => ({
      ...message,
      beat: { ...message.beat, [key]: value },
    })),
  fc.record({
    heartbeat: fc.constant("beat"),
    beat: fc.constantFrom(null, undefined, 5, "text", [], {}, new Map()),
  }),
  fc.record({
    heartbeat: fc.constant("end"),
    side: fc.anything().filter((value) =>
      value !== "results" && value !== "heartbeats"
    ),
  }),
  fc.record({
    heartbeat: fc.constant("end"),
    side,
    error: fc.constantFrom<unknown>(
      ...[null, 5, "text", {}, [], { error: null }, cycle()],
      { error: {}, isDOMException: true, data: {} },
      { error: { name: 5, message: "" }, isDOMException: false, data: {} },
      { error: { name: "", message: "" }, isDOMException: 0, data: {} },
      { error: { name: "", message: "" }, isDOMException: false, data: null },
      {
        error: { name: "", message: "" },
        isDOMException: false,
        data: {},
        errors: new Array(2 ** 30),
      },
    ),
  }),
);

/** An error that is its own cause: no thread of the library posts one. */
function cycle() {
  const error = { name: "Error", message: "" };
  const object = { error, isDOMException: false, data: {}, cause: {} };
  return object.cause = object;
}

const foreign = fc.anything().filter((value) =>
  !Object.hasOwn(right, String(Object(value).heartbeat)) &&
  Object(value).heartbeat !== "end"
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ type: "read" }) },
  ...Object.entries(right).map(([type, arbitrary]) => ({
    weight: /result|beat/.test(type) ? 4 : 1,
    arbitrary: arbitrary.map((message) => ({ type, message }) as Step),
  })),
  {
    weight: 1,
    arbitrary: broken.map((message): Step => ({ type: "broken", message })),
  },
  {
    weight: 2,
    arbitrary: foreign.map((message): Step => ({ type: "foreign", message })),
  },
);

/** How a stream ended: `end` is `"closed"` or its error. */
function observe<T>(reader: ReadableStreamDefaultReader<T>) {
  const seen: { end?: unknown } = {};
  reader.closed.then(() => seen.end = "closed", (error) => seen.end = error);
  return seen;
}

/** Microtasks enough for a stream to ask for more. */
async function settle() {
  for (let turn = 0; turn < 10; turn++) await undefined;
}

/** Plays one thread's life against what `startThread()` promises. */
async function play(steps: Step[]) {
  const worker = startThread<unknown>("data:,", { stopTimeout: Infinity });
  const thread = FakeThread.current;
  const results = worker.results.getReader();
  const heartbeats = worker.heartbeats.getReader();
  const seen = { results: observe(results), heartbeats: observe(heartbeats) };
  (async () => {
    while (!(await heartbeats.read()).done);
  })().catch(() => {});
  const delivered: unknown[] = [];
  const expected: unknown[] = [];
  const open = new Set(["results", "heartbeats"]);
  let [isReady, isFinished, isBroken, reads] = [false, false, false, 0];

  for (const step of steps) {
    if (step.type === "read") {
      if (open.has("results")) reads++;
      results.read().then(
        ({ done, value }) => done || delivered.push(value),
        () => {},
      );
      await settle();
      continue;
    }
    const { type, message } = step;
    thread.emit(message);
    await settle();
    messages++;
    // what comes after the end changes nothing
    if (isBroken || (thread.isTerminated && open.size === 0)) continue;
    isBroken = type === "broken" || type === "ready" && isReady ||
      type === "result" && open.has("results") && reads === 0;
    if (isBroken) continue;
    if (type === "ready") isReady = true;
    if (type === "finished") isFinished = true;
    if (type === "result" && open.has("results")) {
      reads--;
      expected.push(structuredClone(message.value));
    }
    if (type === "close" || type === "error") open.delete(String(message.side));
    const isOver = isFinished || type === "ready";
    if (isOver && !open.has("results")) open.clear();
    if (open.size === 0 && isOver) assert(thread.isTerminated);
  }
  assertEquals(delivered, expected);
  for (const [side, { end }] of Object.entries(seen)) {
    if (!open.has(side)) assert("end" in seen[side as "results"], side);
    else if (!isBroken) assert(!("end" in seen[side as "results"]), side);
    else assert(end instanceof TypeError && /thread/.test(end.message));
  }
  await heartbeats.cancel().catch(() => {});
  await results.cancel().catch(() => {});
  if (isBroken) assert(thread.isTerminated);
  if (thread.isTerminated) await worker.finished;
}

Deno.test("startThread goes on, or errors its streams at worst, whatever 100,000 messages of a thread say", async () => {
  const { Worker } = globalThis;
  const uncaught: unknown[] = [];
  function onError(event: ErrorEvent) {
    event.preventDefault();
    uncaught.push(event.error);
  }
  globalThis.Worker = FakeThread as unknown as typeof Worker;
  globalThis.addEventListener("error", onError);
  try {
    const lives = fc.array(step, { maxLength: STEPS, size: "max" });
    const property = fc.asyncProperty(lives, async (steps) => {
      await play(steps);
      assertEquals(uncaught, []);
    });
    while (messages < MESSAGES) await fc.assert(property, { numRuns: 1_000 });
  } finally {
    globalThis.removeEventListener("error", onError);
    globalThis.Worker = Worker;
  }
});
