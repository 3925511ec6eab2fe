// Copyright 2026 the heartbeat authors. MIT license.

// What the portable core promises, in real time and without a test framework, on
// whatever runtime this is run. run.ts bundles it and runs it on each.
// deno-lint-ignore-file no-console

import {
  type AttemptContext,
  type Heartbeat,
  HeartbeatMonitor,
  HeartbeatTimeoutError,
  RestartLimitError,
  startWorker,
  supervise,
  watch,
  Watchdog,
  withHeartbeat,
  type WorkContext,
} from "../../mod.ts";
import { guardFetch } from "../../fetch.ts";
import { type FleetEvent, FleetMonitor } from "../../fleet.ts";
import { type LeaseBucket, WatchGroup } from "../../group.ts";
import {
  type NatsConnection,
  publishHeartbeats,
  subscribeHeartbeats,
} from "../../nats.ts";
import { type FleetStore, persistFleet, type StoredRow } from "../../store.ts";
import { startThread, type StartThreadOptions } from "../../thread.ts";
import { canRunCommands, commandBehaviours } from "./command.ts";
import type { Task } from "./thread.ts";
import {
  fetchWith,
  findAgent,
  findGarbageCollector,
  startSilentServer,
} from "./undici.ts";

/** The longest that one behaviour may take (ms). */
const DEADLINE = 12_000;
/** A silence that is to be found (ms). */
const STALL = 300;
/** A limit that nothing healthy comes near to (ms), however busy the machine is. */
const PATIENT = 5_000;
/** How many chunks are many. */
const MANY = 1_000;

/** The timers that are set, by number, for not all that is cleared is an object; with who set them. */
const armed = new Map<number, string>();
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis;

function countTimers(kind: "Timeout" | "Interval") {
  const scope = globalThis as unknown as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  const { [`set${kind}`]: set, [`clear${kind}`]: clear } = scope;
  scope[`set${kind}`] = (callback, ...rest) => {
    const timer = set!((...args: unknown[]) => {
      if (kind === "Timeout") armed.delete(Number(timer));
      // a runtime's own timers have arguments
      (callback as (...args: unknown[]) => void)(...args);
    }, ...rest);
    armed.set(Number(timer), String(new Error(`set${kind}(${rest})`).stack));
    return timer;
  };
  scope[`clear${kind}`] = (timer) => {
    armed.delete(Number(timer));
    clear!(timer);
  };
}
countTimers("Timeout");
countTimers("Interval");

/** Something that this runtime lacks. */
class Skip extends Error {}

/** What a promise rejects with. */
function rejects(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => Promise.reject(new Error("it resolved")), (e) => e);
}

function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(why);
}

function assertSame(actual: unknown, expected: unknown, what: string) {
  const [is, wanted] = [actual, expected].map((value) => JSON.stringify(value));
  assert(is === wanted, `${what}: ${is} instead of ${wanted}`);
}

/** Waits by a timer that is not counted. */
function sleep(ms: number) {
  return new Promise<void>((resolve) => void startTimer(resolve, ms));
}

/** A promise that never settles. */
function never() {
  return new Promise<never>(() => {});
}

async function until(condition: () => unknown, what: string) {
  const end = Date.now() + PATIENT;
  while (!condition()) {
    assert(Date.now() < end, `still ${what}`);
    await sleep(10);
  }
}

/** Reads to the end, by a reader: not every stream can be iterated. */
async function collect<T>(stream: ReadableStream<T>, chunks: T[] = []) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    chunks.push(value);
  }
}

/** What a promise is rejected with. */
function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then((value) => {
    throw new Error(`it was to fail, it gave ${JSON.stringify(value)}`);
  }, (error) => error);
}

/** The stall that a promise is rejected with. */
async function stallOf(promise: Promise<unknown>) {
  const error = await failureOf(promise);
  assert(error instanceof HeartbeatTimeoutError, `it failed with ${error}`);
  return error as HeartbeatTimeoutError<Heartbeat>;
}

/** A stream that sends its chunks, one every `ms`, and then stays silent. */
function silentAfter<T>(chunks: T[], ms: number) {
  const source = {} as { stream: ReadableStream<T>; cancelled?: unknown };
  let at = 0;
  source.stream = new ReadableStream({
    async pull(controller) {
      if (at === chunks.length) return await never();
      await sleep(ms);
      controller.enqueue(chunks[at++]);
    },
    cancel: (reason) => void (source.cancelled = reason),
  });
  return source;
}

/** Stays in this turn of the event loop. */
function block(ms: number) {
  const end = Date.now() + ms;
  while (Date.now() < end);
}

async function hasTransformerCancel() {
  let called = false;
  const transformer = { cancel: () => void (called = true) };
  await new TransformStream(transformer).readable.cancel();
  return called;
}

async function canTransferStreams() {
  try {
    const stream = new ReadableStream();
    const clone = structuredClone(stream, { transfer: [stream] });
    // else its ports keep the process alive
    await clone.cancel();
    return true;
  } catch {
    return false;
  }
}

/** What this runtime has of what is not everywhere. */
const features = {
  "Worker": typeof Worker === "function",
  "Transformer.cancel": await hasTransformerCancel(),
  "transferable streams": await canTransferStreams(),
  "ReadableStream.from": "from" in ReadableStream,
  "async iteration of streams": Symbol.asyncIterator in
    ReadableStream.prototype,
  "CompressionStream": typeof CompressionStream === "function",
  "SharedArrayBuffer": typeof SharedArrayBuffer === "function",
  "commands": await canRunCommands(),
};

/** What was seen of it in passing. */
const observed: Record<string, boolean> = {};

function need(...names: (keyof typeof features)[]) {
  for (const name of names) if (!features[name]) throw new Skip(`no ${name}`);
}

/** A monitor that waits for its second chunk, by one timer. */
async function waiting(timeout: number) {
  const before = armed.size;
  const monitor = new HeartbeatMonitor<number>({ timeout });
  const writer = monitor.writable.getWriter();
  const reader = monitor.readable.getReader();
  for (const { closed } of [writer, reader]) closed.catch(() => {});
  writer.write(1).catch(() => {});
  await reader.read();
  await sleep(10);
  assertSame(armed.size - before, 1, "timers of a monitor that waits");
  return { writer, reader };
}

/** Starts the work of thread.ts. */
function startTask<R>(input: Task, options: StartThreadOptions = {}) {
  need("Worker");
  return startThread<R>(new URL("./thread.js", import.meta.url), {
    interval: 50,
    ...options,
    input,
  });
}

/** Whether a loop that counts in memory ends soon. */
async function comesToRest(memory: Int32Array) {
  for (let i = 0; i < 20; i++) {
    const [, turns] = memory;
    await sleep(200);
    if (turns === memory[1]) return true;
  }
  return false;
}

type Behaviours = Record<string, () => Promise<void>>;

/** These count timers or block the event loop, so they run one by one. */
const alone: Behaviours = {
  async "a monitor that was never attached holds no timer"() {
    new HeartbeatMonitor({ timeout: PATIENT });
    await sleep(10);
    assertSame(armed.size, 0, "timers");
  },

  async "a monitor that is closed leaves no timer"() {
    const { writer, reader } = await waiting(3_600_000);
    await Promise.all([writer.close(), reader.read()]);
    assertSame(armed.size, 0, "timers");
  },

  async "a monitor that is aborted or cancelled leaves no timer"() {
    need("Transformer.cancel");
    await (await waiting(3_600_000)).writer.abort("over");
    assertSame(armed.size, 0, "timers after an abort");
    await (await waiting(3_600_000)).reader.cancel("over");
    assertSame(armed.size, 0, "timers after a cancel");
  },

  async "a monitor that is aborted or cancelled leaves no timer past its timeout"() {
    const { writer } = await waiting(STALL);
    const { reader } = await waiting(STALL);
    await writer.abort("over");
    await reader.cancel("over");
    const monitor = new HeartbeatMonitor<number>({ timeout: STALL });
    await silentAfter([], 0).stream.pipeThrough(monitor).cancel("over");
    await until(() => armed.size === 0, "a timer");
  },

  async "a blocked event loop is no silence"() {
    let beats = 0;
    let ticker: ReturnType<typeof setInterval>;
    const alive = new ReadableStream<number>({
      start(controller) {
        ticker = setInterval(() => controller.enqueue(++beats), 20);
      },
      cancel: () => clearInterval(ticker),
    });
    const reader = alive.pipeThrough(new HeartbeatMonitor({ timeout: STALL }))
      .getReader();
    for (let i = 0; i < 3; i++) {
      await reader.read();
      block(3 * STALL);
      await reader.read();
    }
    await reader.cancel();
    await until(() => armed.size === 0, "a timer");
  },
};

/** These run side by side. */
const together: Behaviours = {
  async "a monitor is a TransformStream that loses nothing"() {
    const monitor = new HeartbeatMonitor<number>({ timeout: PATIENT });
    assert(monitor instanceof TransformStream, "it is no TransformStream");
    let at = 0;
    const source = new ReadableStream<number>({
      pull(controller) {
        if (at === MANY) controller.close();
        else controller.enqueue(at++);
      },
    });
    const chunks = await collect(source.pipeThrough(monitor));
    assertSame(chunks.length, MANY, "chunks");
    assert(chunks.every((chunk, index) => chunk === index), "out of order");
  },

  async "a monitor keeps the backpressure"() {
    let made = 0;
    const source = new ReadableStream<number>({
      pull: (controller) => controller.enqueue(++made),
    }, { highWaterMark: 0 });
    const reader = source.pipeThrough(new HeartbeatMonitor({ timeout: STALL }))
      .getReader();
    await reader.read();
    await sleep(2 * STALL);
    assert(made <= 8, `${made} chunks were made for one that was read`);
    await reader.cancel();
  },

  async "a silence errors the stream and cancels its source with the same error"() {
    const source = silentAfter(["a", "b"], 20);
    const chunks: string[] = [];
    const monitor = new HeartbeatMonitor<string>({ timeout: STALL });
    const error = await stallOf(
      collect(source.stream.pipeThrough(monitor), chunks),
    );
    assertSame(chunks, ["a", "b"], "chunks");
    assertSame([error.count, error.last], [2, "b"], "count and last");
    assert(error.elapsed >= STALL, `after ${error.elapsed} ms only`);
    await until(() => source.cancelled, "not cancelled");
    assert(source.cancelled === error, "it was cancelled with something else");
  },

  async "a silence before the first chunk is one"() {
    const source = silentAfter([], 0);
    const monitor = new HeartbeatMonitor({
      timeout: 3_600_000,
      firstTimeout: STALL,
    });
    const error = await stallOf(collect(source.stream.pipeThrough(monitor)));
    assertSame([error.count, error.timeout], [0, STALL], "count and timeout");
  },

  async "a slow consumer is no silence"() {
    const source = new ReadableStream<number>({
      start(controller) {
        for (const n of [1, 2, 3]) controller.enqueue(n);
        controller.close();
      },
    });
    const reader = source.pipeThrough(new HeartbeatMonitor({ timeout: STALL }))
      .getReader();
    for (const n of [1, 2, 3]) {
      await sleep(2 * STALL);
      assertSame((await reader.read()).value, n, "chunk");
    }
  },

  async "a chunk that is no heartbeat does not hide a silence"() {
    const pings = silentAfter(Array(1_000).fill("ping"), 20);
    const chunks: string[] = [];
    const monitor = new HeartbeatMonitor<string>({
      timeout: STALL,
      isHeartbeat: (chunk) => chunk !== "ping",
    });
    const error = await stallOf(
      collect(pings.stream.pipeThrough(monitor), chunks),
    );
    assertSame(error.count, 0, "heartbeats");
    assert(chunks.length > 0, "the pings did not pass");
  },

  async "a monitor guards the streams of the runtime itself"() {
    const response = await fetch("data:text/plain,still%20alive");
    const body = response.body!.pipeThrough(
      new HeartbeatMonitor<Uint8Array<ArrayBuffer>>({ timeout: PATIENT }),
    );
    assertSame(await new Response(body).text(), "still alive", "text");
  },

  async "a monitor stands between two streams of the runtime"() {
    need("CompressionStream");
    const text = "still alive ".repeat(MANY);
    const guarded = new Response(text).body!
      .pipeThrough(new CompressionStream("gzip"))
      .pipeThrough(
        new HeartbeatMonitor<Uint8Array<ArrayBuffer>>({ timeout: PATIENT }),
      )
      .pipeThrough(new DecompressionStream("gzip"));
    assert(await new Response(guarded).text() === text, "the text has changed");
  },

  async "a monitored stream can be transferred, and its stall with it"() {
    need("transferable streams");
    const { stream } = silentAfter(["a"], 20);
    const guarded = stream.pipeThrough(
      new HeartbeatMonitor<string>({ timeout: STALL }),
    );
    const chunks: string[] = [];
    const error = await failureOf(
      collect(structuredClone(guarded, { transfer: [guarded] }), chunks),
    );
    assertSame(chunks, ["a"], "chunks");
    assert(
      String(error).includes("No heartbeat for"),
      `it failed with ${error}`,
    );
  },

  async "a worker delivers all results and closes both streams"() {
    const worker = startWorker(async function* count() {
      for (let n = 1; n <= 100; n++) yield await Promise.resolve(n);
    });
    const [results, heartbeats] = await Promise.all([
      collect(worker.results),
      collect(worker.heartbeats),
    ]);
    assertSame([results.length, results.at(-1)], [100, 100], "results");
    assertSame([heartbeats[0]?.worker, heartbeats[0]?.seq], [
      "count",
      1,
    ], "first heartbeat");
    await worker.finished;
  },

  async "a worker beats for progress, and not while a unit is silent"() {
    const worker = startWorker(async function* ({ beat }) {
      for (let n = 1; n <= 20; n++) {
        await sleep(20);
        beat(n);
      }
      yield await never();
    }, { interval: 50 });
    const read = worker.results.getReader().read();
    const reader = worker.heartbeats.getReader();
    const beats: Heartbeat[] = [];
    while (beats.at(-1)?.detail !== 20) {
      beats.push((await reader.read()).value!);
    }
    assert(beats.length >= 3, `${beats.length} heartbeats only`);
    const next = await Promise.race([reader.read(), sleep(500)]);
    assert(next === undefined, "it beat while the work hung");
    const reason = new Error("over");
    await reader.cancel(reason);
    assert(await failureOf(read) === reason, "another error than the reason");
  },

  async "a worker beats while nobody asks for more, and never queues"() {
    const worker = startWorker(() => [1, 2, 3], { interval: 20 });
    // not one long wait: the others may block the event loop for most of it
    for (let i = 0; i < 20; i++) await sleep(25);
    const reader = worker.heartbeats.getReader();
    const { value } = await reader.read();
    assert(value!.seq > 3, `${value!.seq} heartbeats only`);
    assertSame((await reader.read()).value!.seq, value!.seq + 1, "the next");
    await worker.results.cancel();
    assert((await reader.read()).done, "the heartbeats went on");
  },

  async "a worker runs one unit ahead of its consumer"() {
    let units = 0;
    const { results } = startWorker(function* () {
      for (;;) yield ++units;
    });
    await sleep(100);
    assertSame(units, 1, "units before the first read");
    const reader = results.getReader();
    await reader.read();
    await sleep(100);
    assertSame(units, 2, "units after it");
    await reader.cancel();
  },

  async "an abort lets the unit in flight finish, then closes"() {
    const aborter = new AbortController();
    let cleaned = false;
    const worker = startWorker(async function* ({ signal }) {
      try {
        for (let n = 1;; n++) {
          await sleep(100);
          yield signal.aborted ? "last" : n;
        }
      } finally {
        cleaned = true;
      }
    }, { signal: aborter.signal });
    const heartbeats = collect(worker.heartbeats);
    startTimer(() => aborter.abort(new Error("enough")), 250);
    assertSame((await collect(worker.results)).at(-1), "last", "last result");
    await Promise.all([heartbeats, worker.finished]);
    assert(cleaned, "the work did not end");
  },

  async "work that throws errors both streams with that error"() {
    const error = new Error("broken");
    const worker = startWorker(async function* () {
      yield await Promise.resolve(1);
      throw error;
    });
    const results: number[] = [];
    const failures = await Promise.all([
      failureOf(collect(worker.results, results)),
      failureOf(collect(worker.heartbeats)),
    ]);
    assert(failures.every((failure) => failure === error), "another error");
    assertSame(results, [1], "results");
  },

  async "watch() reports where a worker hung, and stops it"() {
    let context: WorkContext | undefined;
    const worker = startWorker(async function* (given) {
      context = given;
      for (const page of ["/a", "/b", "/c"]) {
        given.beat({ page });
        yield page === "/c" ? await never() : page;
      }
    }, { interval: 50 });
    const pages: string[] = [];
    const error = await stallOf(
      collect(watch(worker, { timeout: STALL }), pages),
    );
    assertSame(pages, ["/a", "/b"], "results");
    assertSame(error.last?.detail, { page: "/c" }, "last detail");
    await until(() => context!.signal.aborted, "not aborted");
    assert(
      context!.signal.reason === error,
      "it was aborted for another reason",
    );
  },

  async "watch() of a healthy worker gives all results"() {
    const worker = startWorker(async function* () {
      for (let n = 1; n <= 10; n++) {
        await sleep(50);
        yield n;
      }
    }, { interval: 50 });
    const results = await collect(watch(worker, { timeout: PATIENT }));
    assertSame(results.length, 10, "results");
  },

  async "supervise() restarts after a stall and a failure, from the checkpoint"() {
    const events: string[] = [];
    const work = ({ attempt, signal, lastDetail }: AttemptContext) =>
      startWorker(async function* ({ beat }) {
        for (let n = (lastDetail as number | undefined) ?? 1; n <= 5; n++) {
          if (n === 3 && attempt === 1) await never();
          if (n === 4 && attempt === 2) throw new Error("lost");
          yield n;
          beat(n + 1);
        }
      }, { signal, interval: 20 });
    const { results, finished } = supervise(work, {
      timeout: STALL,
      stopTimeout: 50,
      backoff: { min: 1, max: 20 },
      onEvent: ({ type }) => events.push(type),
    });
    assertSame(await collect(results), [1, 2, 3, 4, 5], "results");
    assertSame(
      events.join(),
      "started,stalled,restarting,unstopped,started,failed,restarting,started,ended",
      "events",
    );
    const ended = await Promise.race([finished, sleep(100).then(() => "no")]);
    assertSame(ended, "no", "whether the work that hangs has ended");
  },

  async "supervise() gives up with the last failure as the cause"() {
    const cause = new Error("lost");
    const { results, heartbeats, finished } = supervise(() => {
      throw cause;
    }, { timeout: PATIENT, maxRestarts: 2, backoff: { min: 1, max: 5 } });
    const beats = failureOf(collect(heartbeats));
    const error = await failureOf(collect(results));
    assert(error instanceof RestartLimitError, `it failed with ${error}`);
    assert(error.cause === cause, "another cause");
    assert(await beats === error, "another error of the heartbeats");
    await finished;
  },

  async "supervise() ends with its signal, in the middle of a wait, too"() {
    const aborter = new AbortController();
    const { results, finished } = supervise(() => {
      throw new Error("lost");
    }, {
      timeout: PATIENT,
      backoff: { min: 3_600_000, max: 3_600_000, jitter: 0 },
      signal: aborter.signal,
    });
    startTimer(() => aborter.abort(), 100);
    assertSame(await collect(results), [], "results");
    await finished;
  },

  async "a watchdog aborts after a silence, and follows its signal"() {
    const aborter = new AbortController();
    const { signal } = aborter;
    const dog = new Watchdog({ timeout: STALL, signal });
    const other = new Watchdog({ timeout: Infinity, signal: dog.signal });
    for (let i = 0; i < 5; i++) {
      await sleep(STALL / 3);
      dog.beat(i);
      other.beat();
    }
    assert(!dog.signal.aborted, "aborted too early");
    await until(() => dog.signal.aborted, "not aborted");
    assertSame(dog.signal.reason.last, 4, "the last detail");
    assertSame(other.signal.reason, dog.signal.reason, "the reason");
    await until(() => armed.size === 0, "a timer");
  },

  async "withHeartbeat() rejects at the verdict, although the work hangs"() {
    const value = await withHeartbeat(() => 7, { timeout: STALL });
    assertSame(value, 7, "the value");
    const error = await rejects(
      withHeartbeat(() => new Promise(() => {}), { timeout: STALL }),
    );
    assert(error instanceof HeartbeatTimeoutError, `${error}`);
    await until(() => armed.size === 0, "a timer");
  },

  async "a guarded fetch passes a body, and ends what hangs"() {
    const hang = () => new Promise<Response>(() => {});
    const silent = () => Promise.resolve(new Response(new ReadableStream()));
    const limits = { timeout: STALL };
    const healthy = () => Promise.resolve(new Response("alive"));
    const alive = await guardFetch({ ...limits, fetch: healthy })("x:y");
    assertSame(await alive.text(), "alive", "the body");
    const first = await rejects(guardFetch({ ...limits, fetch: hang })("x:y"));
    const response = await guardFetch({ ...limits, fetch: silent })("x:y");
    assert(response instanceof Response, "it is no Response");
    const second = await rejects(response.text());
    for (const error of [first, second]) {
      assert(error instanceof HeartbeatTimeoutError, `${error}`);
    }
    await until(() => armed.size === 0, "a timer");
  },

  async "a guarded fetch takes a request as its settings, as fetch does"() {
    let sent: Request | undefined;
    const fetch = guardFetch({
      timeout: STALL,
      fetch(input, init) {
        sent = new Request(input, init);
        return new Promise(() => {});
      },
    });
    const [method, body] = ["POST", "alive"];
    const headers = { "x-test": "1" };
    const settings = new Request("https://a.example/", {
      method,
      body,
      headers,
    });
    const stall = await rejects(fetch("https://b.example/", settings));
    assert(stall instanceof HeartbeatTimeoutError, `${stall}`);
    const { url, signal } = sent!;
    assertSame(
      [url, sent!.method, sent!.headers.get("x-test"), await sent!.text()],
      ["https://b.example/", method, "1", body],
      "the request",
    );
    assertSame(signal.reason, stall, "the reason");
  },

  async "a guarded fetch passes on a status that is no status"() {
    for (const status of [200, 404, 999]) {
      const original = Object.defineProperty(new Response("alive"), "status", {
        value: status,
      });
      const fetch = () => Promise.resolve(original);
      const response = await guardFetch({ timeout: STALL, fetch })("x:y");
      const clone = response.clone();
      assertSame(
        [response.status, await response.text()],
        [status, "alive"],
        "the response",
      );
      assertSame(
        [clone.status, await clone.text()],
        [status, "alive"],
        "the clone",
      );
    }
  },

  async "a guarded fetch keeps the type of what it gets"() {
    const type = "image/svg+xml";
    const blob = URL.createObjectURL(new Blob(["<svg/>"], { type }));
    const text = () =>
      Promise.resolve(
        new Response("<svg/>", { headers: { "content-type": type } }),
      );
    const requests = {
      [`data:${type},<svg/>`]: undefined,
      [blob]: undefined,
      "x:y": text,
    };
    for (const [url, fetch] of Object.entries(requests)) {
      const guarded = guardFetch({ timeout: STALL, fetch });
      const responses = [await guarded(url)];
      responses.push(responses[0]!.clone());
      for (const response of responses) {
        const { headers } = response;
        const got = await response.blob();
        assertSame(
          [headers.get("content-type"), got.type, await got.text()],
          [type, type, "<svg/>"],
          url,
        );
      }
    }
    URL.revokeObjectURL(blob);
    const form = new FormData();
    form.set("alive", "yes");
    const send = () => Promise.resolve(new Response(form));
    const answer = await guardFetch({ timeout: STALL, fetch: send })("x:y");
    assertSame((await answer.formData()).get("alive"), "yes", "the form");
    await until(() => armed.size === 0, "a timer");
  },

  async "a guarded response with the status 204 is that of fetch"() {
    const { origin } = (globalThis as { location?: Location }).location ?? {};
    // chromium.ts serves it
    if (!origin?.startsWith("http")) throw new Skip("there is no page");
    const response = await guardFetch({ timeout: PATIENT })("/empty");
    assertSame([response.status, await response.text()], [204, ""], "answer");
  },

  async "the own limit of undici for a body ends, and can be lifted"() {
    const Agent = await findAgent();
    if (!Agent) throw new Skip("there is no undici");
    const server = await startSilentServer();
    const own = guardFetch({ timeout: PATIENT, fetch: fetchWith(Agent, 500) });
    const first = await failureOf((await own(server.url)).text());
    const { code } = (first as Error).cause as { code?: string };
    assertSame(code, "UND_ERR_BODY_TIMEOUT", "the limit of undici");
    const lifted = guardFetch({ timeout: 2_000, fetch: fetchWith(Agent, 0) });
    const second = await failureOf((await lifted(server.url)).text());
    assert(second instanceof HeartbeatTimeoutError, `${second}`);
    server.close();
  },

  async "undici has no unhandled rejection when nobody reads a guarded body"() {
    if (!await findAgent()) throw new Skip("there is no undici");
    const server = await startSilentServer();
    const aborter = new AbortController();
    const own = guardFetch({ timeout: PATIENT, totalTimeout: STALL });
    await own(server.url);
    await own(server.url, { signal: aborter.signal });
    aborter.abort();
    // an unhandled rejection would end Node.js
    await until(() => server.closed === 2, "open");
    await sleep(0);
    server.close();
  },

  async "a guarded response that nobody holds leaves no connection of undici"() {
    if (!await findAgent()) throw new Skip("there is no undici");
    const collectGarbage = await findGarbageCollector();
    const server = await startSilentServer();
    await guardFetch({ timeout: PATIENT })(server.url);
    await until(() => {
      collectGarbage();
      return server.closed === 1;
    }, "open");
    server.close();
  },

  async "startThread() without a Worker says what is missing"() {
    if (features.Worker) throw new Skip("there is a Worker");
    const error = await failureOf(
      Promise.resolve("data:text/javascript,").then(startThread),
    );
    assert(error instanceof TypeError, `it failed with ${error}`);
    assert(/\bWorker\b/.test(error.message), error.message);
  },

  async "a thread delivers its results and its heartbeats"() {
    const thread = startTask<number>({ task: "square", count: 5 }, {
      name: "squares",
    });
    const [results, heartbeats] = await Promise.all([
      collect(thread.results),
      collect(thread.heartbeats),
    ]);
    assertSame(results, [1, 4, 9, 16, 25], "results");
    assertSame(heartbeats[0]?.worker, "squares", "name");
    await thread.finished;
  },

  async "a thread that throws hands its error on"() {
    const { results } = startTask<number>({ task: "throw" });
    const error = await failureOf(collect(results)) as Error & { page: number };
    assert(error instanceof RangeError, `it failed with ${error}`);
    assertSame([error.message, error.page], ["out of work", 7], "the error");
  },

  async "a thread whose module cannot be loaded errors"() {
    need("Worker");
    const missing = new URL("./missing.js", import.meta.url);
    const { results, finished } = startThread(missing);
    const error = await failureOf(collect(results));
    assert(error instanceof Error, `it failed with ${error}`);
    await finished;
  },

  async "a thread ends with its signal"() {
    const aborter = new AbortController();
    const { results, finished } = startTask<number>(
      { task: "count until stopped" },
      { signal: aborter.signal },
    );
    const reader = results.getReader();
    await reader.read();
    aborter.abort(new Error("enough"));
    while (!(await reader.read()).done);
    await finished;
  },

  async "a loop that burns the CPU is found in its thread, and given up"() {
    need("Worker", "SharedArrayBuffer");
    const memory = new Int32Array(new SharedArrayBuffer(8));
    try {
      const thread = startTask<string>(
        { task: "spin", memory, most: DEADLINE },
        { stopTimeout: 100 },
      );
      // a result that waits is not lost, though the loop follows it
      await sleep(STALL);
      const results: string[] = [];
      await stallOf(collect(
        watch(thread, { timeout: 2 * STALL, firstTimeout: PATIENT }),
        results,
      ));
      assertSame(results, ["spinning"], "results");
      await thread.finished;
      observed["terminate() ends a busy loop"] = await comesToRest(memory);
    } finally {
      memory[0] = 1;
    }
  },

  async "a fleet reports who is silent, and who is back, and closes after its source"() {
    const fleet = new FleetMonitor({ timeout: 3 * STALL });
    const writer = fleet.writable.getWriter();
    const events: FleetEvent[] = [];
    const read = collect(fleet.readable, events);
    const beat = (worker: string, seq: number) =>
      writer.write([{ worker, seq, time: Date.now() }]);
    fleet.expect(["absent"]);
    await beat("a", 1);
    await beat("b", 1);
    const alive = setInterval(() => beat("b", 2), STALL / 3);
    await until(() => events.length === 4, "two are not reported");
    clearInterval(alive);
    await beat("a", 9);
    await writer.close();
    await read;
    const reported = events.map(({ worker, type }) => `${worker} ${type}`);
    assertSame(reported.slice(0, 2), ["a up", "b up"], "first");
    assertSame(reported.slice(2, 4).sort(), ["a down", "absent down"], "then");
    assertSame(reported.slice(4), ["a recovered"], "last");
  },

  async "a fleet that is cancelled cancels its source, with the same reason"() {
    const source = silentAfter([{ worker: "a", seq: 1, time: 0 }], 10);
    const reader = source.stream
      .pipeThrough(new FleetMonitor({ timeout: PATIENT })).getReader();
    assertSame((await reader.read()).value?.type, "up", "event");
    const reason = new Error("enough");
    await reader.cancel(reason);
    await until(() => source.cancelled === reason, "not cancelled");
  },

  async "a group holds its partitions until it leaves"() {
    const stored = new Map<string, string>();
    let revision = 0;
    const write = (key: string, value: string) => {
      stored.set(key, value);
      return Promise.resolve(++revision);
    };
    const bucket: LeaseBucket = {
      create: write,
      update: write,
      put: write,
      get: () => Promise.resolve(null),
      delete: (key) => Promise.resolve(void stored.delete(key)),
      keys: () =>
        Promise.resolve(async function* () {
          yield* [...stored.keys()].filter((key) => key.startsWith("member"));
        }()),
    };
    const changes: string[] = [];
    const group = new WatchGroup(bucket, {
      ...{ lease: PATIENT, partitions: 2 },
      onChange: ({ type, partition }) => changes.push(`${type} ${partition}`),
    });
    await until(() => changes.length === 2, "nothing is acquired");
    assertSame(group.held, [0, 1], "held");
    await group.leave();
    assertSame(group.held, [], "held");
    assertSame(stored.size, 0, "stored");
    assertSame(changes.length, 4, "changes");
  },

  async "a fleet with a memory knows who died while no watcher was there"() {
    const rows = new Map<string, StoredRow>();
    let acknowledged = 0;
    const store: FleetStore = {
      load: () =>
        Promise.resolve({ workers: [...rows.values()], acknowledged }),
      save: (row) => {
        rows.set(row.worker, { ...row, position: rows.size + 1 });
        return Promise.resolve(rows.size);
      },
      remove: () => Promise.resolve(),
      acknowledge: (position) =>
        Promise.resolve(void (acknowledged = position)),
    };
    const first = new FleetMonitor({ timeout: PATIENT });
    const reader = persistFleet(first, store).getReader();
    first.beat("a");
    assertSame((await reader.read()).value?.type, "up", "event");
    const next = reader.read();
    await until(() => acknowledged === 1, "not acknowledged");
    await reader.cancel();
    await next;
    const second = persistFleet(new FleetMonitor({ timeout: STALL }), store)
      .getReader();
    assertSame((await second.read()).value?.id, "a#2", "event");
    await second.cancel();
  },

  async "heartbeats go by a NATS client and back, and nothing while it is not connected"() {
    let say = (_type: string) => {};
    let hear = (_data: Uint8Array) => {};
    const connection: NatsConnection = {
      publish: (_, payload) => hear(new TextEncoder().encode(payload)),
      subscribe(_, { callback }) {
        hear = (data) => callback(null, { subject: "heartbeats.a", data });
        return { closed: never(), unsubscribe() {} };
      },
      async *status() {
        for (;;) yield { type: await new Promise<string>((it) => say = it) };
      },
      isClosed: () => false,
      isDraining: () => false,
    };
    const reader = subscribeHeartbeats(connection, "heartbeats.>").getReader();
    const writer = publishHeartbeats(connection, "heartbeats.a").getWriter();
    const beat = (seq: number) => writer.write({ worker: "a", seq, time: 0 });
    await beat(1);
    assertSame((await reader.read()).value?.[0]?.seq, 1, "seq");
    say("disconnect");
    await sleep(10);
    await beat(2);
    say("reconnect");
    await sleep(10);
    await beat(3);
    hear(new TextEncoder().encode("{"));
    assertSame((await reader.read()).value?.[0]?.seq, 3, "seq");
    await reader.cancel();
    await writer.close();
  },
};

/** How many came to what. */
const outcome = { ok: 0, failed: 0, skipped: 0 };

async function run(name: string, behaviour: () => Promise<void>) {
  let timer: ReturnType<typeof setTimeout>;
  try {
    await Promise.race([
      behaviour(),
      new Promise((_, reject) => {
        const late = new Error(`not over after ${DEADLINE} ms`);
        timer = startTimer(() => reject(late), DEADLINE);
      }),
    ]);
    outcome.ok++;
    console.log(`ok ${name}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof Skip) {
      outcome.skipped++;
      console.log(`skipped ${name}: ${why}`);
    } else {
      outcome.failed++;
      console.log(`FAILED ${name}: ${why}`);
    }
  } finally {
    stopTimer(timer!);
  }
}

const start = Date.now();
for (const [name, has] of Object.entries(features)) {
  console.log(`has ${name}: ${has ? "yes" : "no"}`);
}
for (const entry of Object.entries(alone)) await run(...entry);
await Promise.all(Object.entries(together).map((entry) => run(...entry)));
await Promise.all(
  Object.entries(commandBehaviours).map(([name, behaviour]) =>
    run(name, async () => {
      need("commands");
      await behaviour();
    })
  ),
);
await run("no timer is left of all of this", async () => {
  try {
    await until(() => armed.size === 0, "a timer");
  } catch {
    throw new Error([...armed.values()].join("\n"));
  }
});
for (const [name, seen] of Object.entries(observed)) {
  console.log(`saw ${name}: ${seen ? "yes" : "no"}`);
}
console.log(
  `${outcome.ok} ok, ${outcome.failed} failed, ${outcome.skipped} skipped in ${
    Date.now() - start
  } ms`,
);

const scope = globalThis as {
  outcome?: typeof outcome;
  process?: { exit(code: number): void };
};
scope.outcome = outcome;
// else it ends by itself: nothing keeps it alive
if (outcome.failed > 0) scope.process?.exit(1);
