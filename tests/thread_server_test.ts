// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { deserializeError, serializeError } from "../_error_transfer.ts";
import type {
  HostMessage,
  StartMessage,
  StopMessage,
  ThreadMessage,
} from "../_thread_messages.ts";
import { ThreadServer, type ThreadWork } from "../_thread_server.ts";
import { waitUntil } from "./_help.ts";

type Listener = (event: MessageEvent<HostMessage | undefined>) => void;

/** The scope of a thread, without a thread. */
class FakeScope {
  readonly posted: ThreadMessage[] = [];
  #listener!: Listener;

  addEventListener(type: "message", listener: Listener) {
    assertEquals(type, "message");
    this.#listener = listener;
  }

  postMessage(message: ThreadMessage) {
    this.posted.push(structuredClone(message));
  }

  /** As if the host had posted it. */
  send(data: unknown) {
    this.#listener({ data } as MessageEvent<HostMessage>);
  }

  pull() {
    this.send({ heartbeat: "pull" });
  }

  stop(by: StopMessage["by"], reason: unknown) {
    this.send({ heartbeat: "stop", by, reason: serializeError(reason) });
  }

  /** What was posted, by type. */
  get types() {
    return this.posted.map(({ heartbeat }) => heartbeat);
  }

  /** The results that were posted. */
  get results() {
    return this.posted.flatMap((message) =>
      message.heartbeat === "result" ? [message.value] : []
    );
  }

  /** The end, when it was posted, and `finished` after it. */
  async end() {
    await waitUntil(() => this.types.at(-1) === "finished");
    const ends = this.posted.filter(({ heartbeat }) => heartbeat === "end");
    assertEquals([ends.length, this.types.at(-2)], [1, "end"]);
    const end = ends[0] as ThreadMessage & { heartbeat: "end" };
    const error = end.error && deserializeError(end.error);
    return { result: end.result, error: error as Error | undefined };
  }
}

function serve<R>(work: ThreadWork<R>, start: Partial<StartMessage> = {}) {
  const scope = new FakeScope();
  new ThreadServer(work, scope).listen();
  assertEquals(scope.posted, [{ heartbeat: "ready" }]);
  scope.send({
    heartbeat: "start",
    input: undefined,
    name: undefined,
    interval: Infinity,
    lastDetail: undefined,
    ...start,
  });
  return scope;
}

/** Until promises have settled that wait for nothing. */
async function settle() {
  for (let turn = 0; turn < 20; turn++) await undefined;
}

Deno.test("ThreadServer posts the first heartbeat before it calls the work, once", async () => {
  using time = new FakeTime();
  let atCall: string[] | undefined;
  const scope = serve(function* squares() {
    atCall = scope.types;
    yield 1;
  }, { lastDetail: { step: 7 }, interval: 100 });
  const beat = { worker: "squares", seq: 1, time: time.now };
  assertEquals(scope.posted[1], {
    heartbeat: "beat",
    beat: { ...beat, detail: { step: 7 } },
  });
  await settle();
  assertEquals(atCall, ["ready", "beat"]);
  await time.tickAsync(100);
  assertEquals(scope.types, ["ready", "beat", "beat"]);
  scope.stop("results", undefined);
  await time.tickAsync(0);
});

Deno.test("ThreadServer names the heartbeats after the option, the work, or what they are", async () => {
  const names: [ThreadWork<never>, string | undefined, string][] = [
    [
      function own() {
        return [];
      },
      "given",
      "given",
    ],
    [
      function own() {
        return [];
      },
      "",
      "",
    ],
    [
      function own() {
        return [];
      },
      undefined,
      "own",
    ],
    [(() => () => [])(), undefined, "worker"],
  ];
  for (const [work, name, expected] of names) {
    const scope = serve(work, { name });
    const { beat } = scope.posted[1] as ThreadMessage & { heartbeat: "beat" };
    assertEquals(beat.worker, expected);
    assertEquals("detail" in beat, false);
    scope.pull();
    await scope.end();
  }
});

Deno.test("ThreadServer gives the work its input and checkpoint, and posts a result for each pull", async () => {
  const seen: unknown[] = [];
  const scope = serve(function* ({ input, lastDetail }) {
    seen.push(input, lastDetail);
    yield* [1, 2];
  }, { input: { n: 1 }, lastDetail: "step" });
  await settle();
  assertEquals(scope.results, []);
  for (const expected of [[1], [1, 2], [1, 2]]) {
    scope.pull();
    await settle();
    assertEquals(scope.results, expected);
  }
  assertEquals(seen, [{ n: 1 }, "step"]);
  assertEquals(await scope.end(), { result: undefined, error: undefined });
  assertEquals(scope.types.slice(-2), ["end", "finished"]);
});

Deno.test("ThreadServer starts no unit before the result of the last one was posted", async () => {
  const works: Record<string, (log: string[]) => ThreadWork<number>> = {
    "a generator": (log) =>
      function* () {
        for (let n = 1; n <= 3; n++) yield (log.push(`made ${n}`), n);
      },
    "an async generator": (log) =>
      async function* () {
        for (let n = 1; n <= 3; n++) yield (log.push(`made ${n}`), n);
      },
    "a generator of promises": (log) =>
      function* () {
        for (let n = 1; n <= 3; n++) {
          log.push(`made ${n}`);
          yield Promise.resolve(n);
        }
      },
  };
  for (const [label, createWork] of Object.entries(works)) {
    const log: string[] = [];
    const scope = serve(createWork(log));
    const { postMessage } = scope;
    scope.postMessage = (message) => {
      if (message.heartbeat === "result") log.push(`posted ${message.value}`);
      postMessage.call(scope, message);
    };
    for (let n = 1; n <= 4; n++) {
      await settle();
      scope.pull();
    }
    await scope.end();
    const expected = [1, 2, 3].flatMap((n) => [`made ${n}`, `posted ${n}`]);
    assertEquals(log, expected, label);
  }
});

Deno.test("ThreadServer reads a stream, and posts what the work throws or returns instead of units", async () => {
  const stream = serve(() => ReadableStream.from([1, 2]));
  for (let n = 0; n < 3; n++) {
    stream.pull();
    await settle();
  }
  assertEquals([stream.results, (await stream.end()).error], [
    [1, 2],
    undefined,
  ]);

  const promised = serve(() => Promise.resolve([1, 2]));
  for (let n = 0; n < 3; n++) {
    promised.pull();
    await settle();
  }
  assertEquals([promised.results, (await promised.end()).error], [
    ...[[1, 2], undefined],
  ]);

  const failing = serve(function* () {
    yield 1;
    throw new RangeError("bad");
  });
  failing.pull();
  const { error } = await failing.end();
  assert(error instanceof RangeError && error.message === "bad");

  const wrong = serve((() => 5) as unknown as ThreadWork<never>);
  const refused = await wrong.end();
  assert(refused.error instanceof TypeError);
  assert(/must return an iterable/.test(refused.error!.message));
});

Deno.test("ThreadServer hands an abort on, and posts the result that waits with the end", async () => {
  const reason = new RangeError("stop");
  const reasons: unknown[] = [];
  const scope = serve(async function* ({ signal }) {
    try {
      yield "first";
      yield "never";
    } finally {
      reasons.push(signal.reason);
    }
  });
  await settle();
  scope.stop("signal", reason);
  assertEquals(await scope.end(), {
    result: { value: "first" },
    error: undefined,
  });
  assertEquals(String(reasons[0]), String(reason));
});

Deno.test("ThreadServer cancels the stream that the host's consumer cancelled", async () => {
  for (const by of ["results", "heartbeats"] as const) {
    const reasons: string[] = [];
    const scope = serve(async function* ({ signal }) {
      yield "first";
      await new Promise((resolve) => signal.onabort = resolve);
      reasons.push(String(signal.reason));
    });
    scope.pull();
    await settle();
    scope.stop(by, new Error("enough"));
    const { error } = await scope.end();
    assertEquals(error?.message, by === "results" ? undefined : "enough");
    assertEquals([scope.results, reasons], [["first"], ["Error: enough"]]);
  }
});

Deno.test("ThreadServer ends the work when a result or a detail cannot be cloned", async () => {
  const ended: string[] = [];
  const works: Record<string, ThreadWork<unknown>> = {
    async *result() {
      try {
        yield () => {};
        yield 2;
      } finally {
        ended.push("result");
      }
    },
    async *detail({ beat }) {
      try {
        beat(() => {});
        yield 1;
        await new Promise((resolve) => setTimeout(resolve, 30));
        yield 2;
      } finally {
        ended.push("detail");
      }
    },
  };
  for (const [label, work] of Object.entries(works)) {
    const scope = serve(work, { interval: 10 });
    await settle();
    scope.pull();
    const { error } = await scope.end();
    assertEquals(error?.name, "DataCloneError", label);
    await waitUntil(() => ended.includes(label));
  }
});

Deno.test("ThreadServer posts an error instead of a waiting result that cannot be cloned", async () => {
  const scope = serve(function* () {
    yield () => {};
  });
  await settle();
  scope.stop("signal", new Error("stop"));
  const { result, error } = await scope.end();
  assertEquals([result, error?.name], [undefined, "DataCloneError"]);
});

Deno.test("ThreadServer ignores messages that are not of its protocol", async () => {
  const scope = serve(() => [1]);
  const { length } = scope.posted;
  for (const data of [undefined, null, 5, "text", {}, { heartbeat: "none" }]) {
    scope.send(data);
  }
  await settle();
  assertEquals(scope.posted.length, length);
  scope.pull();
  scope.pull();
  await scope.end();
  assertEquals(scope.results, [1]);
});
