// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { serializeError } from "../_error_transfer.ts";
import { ThreadHost, type ThreadHostOptions } from "../_thread_host.ts";
import type { HostMessage, StartMessage } from "../_thread_messages.ts";
import { countListeners, readAll } from "./_help.ts";

const START: StartMessage = {
  heartbeat: "start",
  input: 5,
  name: "alpha",
  interval: 100,
  lastDetail: undefined,
};

/** A thread that does nothing by itself. */
class FakeThread extends EventTarget {
  posted: HostMessage[] = [];
  terminations = 0;

  postMessage(message: HostMessage) {
    this.posted.push(message);
  }

  terminate() {
    this.terminations++;
  }

  get isTerminated() {
    return this.terminations > 0;
  }

  /** As if the thread had posted it. */
  emit(...messages: object[]) {
    for (const data of messages) {
      this.dispatchEvent(new MessageEvent("message", { data }));
    }
  }

  /** What was posted to it, by type. */
  get types() {
    return this.posted.map(({ heartbeat }) => heartbeat);
  }
}

function start(options: Partial<ThreadHostOptions> = {}) {
  const thread = new FakeThread();
  const { results, heartbeats, finished } = new ThreadHost<unknown>({
    createThread: () => thread as unknown as Worker,
    createStart: () => START,
    stopTimeout: 1_000,
    signal: undefined,
    ...options,
  }).start();
  let isFinished = false;
  finished.then(() => isFinished = true);
  const state = () => [
    thread.isTerminated,
    isFinished,
    seen.results.end,
    seen.heartbeats.end,
  ];
  const seen = { results: readAll(results), heartbeats: readAll(heartbeats) };
  return { thread, seen, state };
}

/** Until promises have settled that wait for nothing. */
async function settle() {
  for (let turn = 0; turn < 20; turn++) await undefined;
}

const READY = { heartbeat: "ready" };
const FINISHED = { heartbeat: "finished" };
const END = { heartbeat: "end" };
const BEAT = { worker: "alpha", seq: 1, time: 5 };
const RUNNING = [false, false, undefined, undefined];
const CLOSED = [true, true, "closed", "closed"];

Deno.test("ThreadHost keeps its messages until the thread listens", async () => {
  const { thread, state } = start();
  await settle();
  assertEquals(thread.posted, []);
  thread.emit(READY);
  assertEquals(thread.posted, [START, { heartbeat: "pull" }]);
  assertEquals(state(), RUNNING);
});

Deno.test("ThreadHost delivers results and heartbeats, and ends with the thread", async () => {
  const { thread, seen, state } = start();
  await settle();
  thread.emit(READY, { heartbeat: "beat", beat: BEAT });
  for (const value of [1, undefined, { n: 3 }]) {
    thread.emit({ heartbeat: "result", value });
    await settle();
  }
  assertEquals(seen.results.chunks, [1, undefined, { n: 3 }]);
  assertEquals(seen.heartbeats.chunks, [BEAT]);
  assertEquals(thread.types, ["start", "pull", "pull", "pull", "pull"]);
  thread.emit({ ...END, result: { value: "last" } });
  await settle();
  assertEquals(state(), [false, false, "closed", "closed"]);
  assertEquals(seen.results.chunks.at(-1), "last");
  thread.emit(FINISHED);
  await settle();
  assertEquals(state(), CLOSED);
});

Deno.test("ThreadHost errors both streams with the error of the end, after its result", async () => {
  const { thread, seen } = start();
  await settle();
  const error = serializeError(new RangeError("bad"));
  thread.emit(READY, { ...END, result: { value: 1 }, error }, FINISHED);
  await settle();
  assertEquals(seen.results.chunks, [1]);
  assert(seen.results.end instanceof RangeError);
  assert(seen.results.end === seen.heartbeats.end);
});

Deno.test("ThreadHost terminates a thread that is stopped before it listens", async () => {
  const reason = new Error("enough");
  const ways: [(s: ReturnType<typeof start>) => unknown, unknown[]][] = [
    [({ seen }) => seen.results.cancel(reason), CLOSED],
    [({ seen }) => seen.heartbeats.cancel(reason), [
      ...[true, true, reason, "closed"],
    ]],
  ];
  for (const [stop, expected] of ways) {
    const started = start();
    await settle();
    await stop(started);
    await settle();
    assertEquals(started.state(), expected);
    assertEquals(started.thread.posted, []);
    started.thread.emit(READY, { heartbeat: "result", value: 1 });
    assertEquals(started.thread.posted, []);
  }
});

Deno.test("ThreadHost gives the work stopTimeout to end, from the first stop", async () => {
  using time = new FakeTime();
  const aborter = new AbortController();
  const { thread, seen, state } = start({ signal: aborter.signal });
  thread.emit(READY);
  await time.tickAsync(0);
  aborter.abort(new RangeError("stop"));
  await time.tickAsync(600);
  seen.heartbeats.cancel(new Error("stall"));
  await time.tickAsync(399);
  const stops = thread.posted.filter(({ heartbeat }) => heartbeat === "stop");
  assertEquals(stops, [
    {
      heartbeat: "stop",
      by: "signal",
      reason: serializeError(aborter.signal.reason),
    },
    {
      heartbeat: "stop",
      by: "heartbeats",
      reason: serializeError(seen.results.end),
    },
  ]);
  assertEquals(thread.isTerminated, false);
  await time.tickAsync(1);
  assertEquals(state().slice(0, 2), [true, true]);
  assertEquals((seen.results.end as Error).message, "stall");
});

Deno.test("ThreadHost waits for any stopTimeout, and for ever if it is infinite", async () => {
  const month = 31 * 86_400_000;
  for (const stopTimeout of [month, Infinity]) {
    using time = new FakeTime();
    const aborter = new AbortController();
    const { thread, state } = start({ signal: aborter.signal, stopTimeout });
    thread.emit(READY);
    await time.tickAsync(0);
    aborter.abort();
    await time.tickAsync(month - 1);
    assertEquals(state(), RUNNING);
    await time.tickAsync(1);
    assertEquals(state(), stopTimeout === month ? CLOSED : RUNNING);
    thread.emit(END, FINISHED);
    await time.tickAsync(0);
    assertEquals(state(), CLOSED);
  }
});

Deno.test("ThreadHost terminates a thread that has ended its streams and goes on", async () => {
  using time = new FakeTime();
  const { thread, state } = start();
  thread.emit(READY, END);
  await time.tickAsync(999);
  assertEquals(state(), [false, false, "closed", "closed"]);
  await time.tickAsync(1);
  assertEquals(state(), CLOSED);
});

Deno.test("ThreadHost leaves no listener on the signal and no timer, whatever ends it", async () => {
  const ends: ((thread: FakeThread, cancel: () => unknown) => unknown)[] = [
    (thread) => thread.emit(READY, END, FINISHED),
    (thread) => thread.emit(READY, READY),
    (thread) => thread.dispatchEvent(new ErrorEvent("error")),
    (thread) => thread.dispatchEvent(new MessageEvent("messageerror")),
    (_, cancel) => cancel(),
    (thread, cancel) => (thread.emit(READY), cancel(), thread.emit(FINISHED)),
  ];
  for (const end of ends) {
    using time = new FakeTime();
    const { signal, listeners } = countListeners();
    const { thread, seen } = start({ signal });
    await time.tickAsync(0);
    assertEquals(listeners.size, 1);
    end(thread, () => seen.results.cancel(new Error("enough")));
    await time.tickAsync(0);
    assertEquals([thread.isTerminated, listeners.size], [true, 0]);
    assertEquals(time.next(), false);
  }
});

Deno.test("ThreadHost starts no thread after an abort, or with what cannot be cloned", async () => {
  const createThread = (): Worker => {
    throw new Error("a thread was started");
  };
  const signal = AbortSignal.abort();
  const { state } = start({ createThread, signal });
  await settle();
  assertEquals(state(), [false, true, "closed", "closed"]);
  assertThrows(
    () =>
      start({
        createThread,
        createStart() {
          throw new TypeError("cannot be cloned");
        },
      }),
    TypeError,
    "cannot be cloned",
  );
});

Deno.test("ThreadHost makes the error again that ended a thread", async () => {
  const own = new RangeError("its own");
  const rows: [ErrorEventInit, string, string][] = [
    [{ error: own, message: "Uncaught Error: no" }, "RangeError", "its own"],
    [
      { message: "Uncaught TypeError: bad\nand so on" },
      "TypeError",
      "bad\nand so on",
    ],
    [{ message: "Uncaught (in promise) URIError: x" }, "URIError", "x"],
    [{ message: "(in promise) SyntaxError: y" }, "SyntaxError", "y"],
    [{ message: "OwnError: z" }, "OwnError", "z"],
    [{ message: "Module not found: a" }, "Error", "Module not found: a"],
    [{ message: "x Error: y" }, "Error", "x Error: y"],
    [{ message: "" }, "Error", ""],
  ];
  for (const [init, name, message] of rows) {
    const { thread, seen, state } = start();
    const event = new ErrorEvent("error", { ...init, cancelable: true });
    thread.dispatchEvent(event);
    await settle();
    assertEquals([event.defaultPrevented, ...state().slice(0, 2)], [
      ...[true, true, true],
    ]);
    const error = seen.results.end as Error;
    assert(error === seen.heartbeats.end);
    assertEquals([error.name, error.message], [name, message]);
    assertEquals(error === own, init.error !== undefined);
    assertEquals(error instanceof DOMException, false);
  }
});

Deno.test("ThreadHost drops a result that was on its way when the streams ended", async () => {
  const { thread, seen, state } = start();
  thread.emit(READY);
  await settle();
  const reason = new Error("stall");
  await seen.heartbeats.cancel(reason);
  const result = { heartbeat: "result", value: 1 };
  thread.emit(result, result, { heartbeat: "beat", beat: BEAT });
  await settle();
  assertEquals([state(), seen.results.chunks], [
    [false, false, reason, "closed"],
    [],
  ]);
  thread.emit(END, FINISHED);
  await settle();
  assertEquals(state(), [true, true, reason, "closed"]);
});

Deno.test("ThreadHost errors both streams when the thread breaks the protocol", async () => {
  const result = { heartbeat: "result", value: 1 };
  const rows: [object[], string][] = [
    [[READY, READY], "a second 'ready': the thread serves work twice"],
    [[READY, END, READY], "a second 'ready': the thread serves work twice"],
    [[READY, result, result], "a result that was not asked for"],
    [[READY, FINISHED], "'finished' before the end of the streams"],
    [[FINISHED], "'finished' before the end of the streams"],
  ];
  for (const [messages, expected] of rows) {
    const { thread, seen } = start();
    await settle();
    thread.emit(...messages);
    await settle();
    assertEquals(thread.terminations, 1);
    const hasEnded = messages.includes(END);
    for (const { end } of [seen.results, seen.heartbeats]) {
      const text = hasEnded ? end : (end as Error).message;
      const message =
        `Cannot read the message of a thread as it is ${expected}`;
      assertEquals(text, hasEnded ? "closed" : message);
    }
  }
});

Deno.test("ThreadHost does nothing after the end of its thread", async () => {
  using time = new FakeTime();
  const aborter = new AbortController();
  const { thread, state } = start({ signal: aborter.signal });
  thread.emit(READY);
  await time.tickAsync(0);
  thread.emit(END, FINISHED);
  await time.tickAsync(0);
  const { length } = thread.posted;
  thread.emit(READY, END, FINISHED, { heartbeat: "beat" });
  thread.dispatchEvent(new ErrorEvent("error", { message: "late" }));
  aborter.abort();
  await time.tickAsync(5_000);
  assertEquals(state(), CLOSED);
  assertEquals([thread.terminations, thread.posted.length], [1, length]);
});

Deno.test("ThreadHost ignores foreign messages, and errors with one that cannot be read", async () => {
  const { thread, seen, state } = start();
  thread.emit({}, READY, [], { heartbeat: "none" });
  await settle();
  assertEquals(state(), RUNNING);
  thread.dispatchEvent(new MessageEvent("messageerror"));
  await settle();
  const { name, message } = seen.results.end as DOMException;
  assertEquals([name, message], [
    ...["DataCloneError", "A message of the thread cannot be read"],
  ]);
  assert(seen.results.end === seen.heartbeats.end);
});
