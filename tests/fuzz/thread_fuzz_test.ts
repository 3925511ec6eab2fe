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

/** What happens to `startThread()`. */
type Step =
  | { type: "read" }
  | { type: keyof typeof right; message: Message }
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
  close: fc.record({
    heartbeat: fc.constant("end"),
    result: fc.record({ value: anything }),
  }, { requiredKeys: ["heartbeat"] }),
  error: fc.record({
    heartbeat: fc.constant("end"),
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
    result: fc.constantFrom<unknown>(null, 5, "text", true),
  }),
  fc.record({
    heartbeat: fc.constant("end"),
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

/** One thread's life, and what `startThread()` must make of it. */
class Life {
  #worker = startThread<unknown>("data:,", { stopTimeout: Infinity });
  #thread = FakeThread.current;
  #results = this.#worker.results.getReader();
  #delivered: unknown[] = [];
  #expected: unknown[] = [];
  /** How each stream ended: `"closed"`, or its error. */
  #ends: unknown[] = [];
  #expectedEnd: "none" | "closed" | "error" | "broken" = "none";
  #isReady = false;
  /** Reads that wait for a result. */
  #reads = 0;

  constructor() {
    const heartbeats = this.#worker.heartbeats.getReader();
    (async () => {
      while (!(await heartbeats.read()).done);
    })().catch(() => {});
    for (const { closed } of [this.#results, heartbeats]) {
      closed.then(() => this.#ends.push("closed"), (e) => this.#ends.push(e));
    }
  }

  async play(step: Step) {
    if (step.type === "read") {
      this.#read();
    } else {
      messages++;
      this.#thread.emit(step.message);
    }
    // until the stream has asked for more
    for (let turn = 0; turn < 10; turn++) await undefined;
    if (!this.#thread.isTerminated || this.#expectedEnd === "none") {
      this.#expect(step);
    }
  }

  #read() {
    if (this.#expectedEnd === "none") this.#reads++;
    this.#results.read().then(
      ({ done, value }) => done || this.#delivered.push(value),
      () => {},
    );
  }

  /** Works out what a step must do to a thread that is not terminated. */
  #expect(step: Step) {
    const isOpen = this.#expectedEnd === "none";
    switch (step.type) {
      case "ready":
        if (this.#isReady) this.#expectEnd("broken");
        this.#isReady = true;
        break;
      case "result":
        if (isOpen && this.#reads-- === 0) this.#expectEnd("broken");
        else if (isOpen) this.#expectResult(step.message.value);
        break;
      case "close":
      case "error": {
        const { result } = step.message as { result?: { value: unknown } };
        if (isOpen && result) this.#expectResult(result.value);
        this.#expectEnd(step.type === "close" ? "closed" : "error");
        break;
      }
      case "finished":
      case "broken":
        if (step.type === "broken" || isOpen) this.#expectEnd("broken");
        assert(this.#thread.isTerminated, step.type);
    }
  }

  #expectResult(value: unknown) {
    this.#expected.push(structuredClone(value));
  }

  #expectEnd(end: "closed" | "error" | "broken") {
    if (this.#expectedEnd === "none") this.#expectedEnd = end;
  }

  /** Compares how it ended with what was expected. */
  async check() {
    if (this.#expectedEnd === "none") {
      assertEquals(this.#ends, []);
      await this.#results.cancel();
    } else {
      // what waits in the stream
      this.#read();
      await this.#results.closed.catch(() => {});
      await undefined;
      const [end, other, ...more] = this.#ends;
      assert(Object.is(end, other) && more.length === 0);
      if (this.#expectedEnd === "closed") assertEquals(end, "closed");
      if (this.#expectedEnd === "broken") assert(end instanceof TypeError);
    }
    assertEquals(this.#delivered, this.#expected);
    if (this.#thread.isTerminated) await this.#worker.finished;
  }
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
      const life = new Life();
      for (const step of steps) await life.play(step);
      await life.check();
      assertEquals(uncaught, []);
    });
    while (messages < MESSAGES) await fc.assert(property, { numRuns: 1_000 });
  } finally {
    globalThis.removeEventListener("error", onError);
    globalThis.Worker = Worker;
  }
});
