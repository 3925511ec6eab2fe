// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { guardFetch, type GuardFetchOptions } from "../fetch.ts";
import { HeartbeatMonitor, HeartbeatTimeoutError, watch } from "../monitor.ts";
import { Watchdog, withHeartbeat } from "../watchdog.ts";
import { startWorker, type Work, type WorkerStreams } from "../worker.ts";
import { collectGarbage } from "./_heap.ts";
import { countListeners } from "./_help.ts";

/** How many bytes a use may leave behind: far less than the smallest stream takes. */
const NOISE = 100;
const HOUR = 3_600_000;
/** How many streams, side by side and one after the other. */
const STREAMS = 2_000;
/** How many workers share a signal: each listener, timer and stream of them is counted. */
const WORKERS = 250;

/** Counts the timers that are outstanding. */
function countTimers() {
  const { setTimeout, clearTimeout, setInterval } = globalThis;
  const timers = new Set<unknown>();
  // deno-lint-ignore no-explicit-any
  globalThis.setTimeout = ((run: any, ms?: number, ...args: unknown[]) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run(...args);
    }, ms);
    timers.add(timer);
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (timer) => {
    timers.delete(timer);
    clearTimeout(timer);
  };
  // nothing here is to use one: it would not be counted
  globalThis.setInterval = (() => {
    throw new Error("setInterval() was called");
  }) as unknown as typeof setInterval;
  return {
    get left() {
      return timers.size;
    },
    /** One turn of the event loop, by a timer that is not counted. */
    turn: (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms)),
    [Symbol.dispose]() {
      for (const timer of timers) clearTimeout(timer as number);
      Object.assign(globalThis, { setTimeout, clearTimeout, setInterval });
    },
  };
}

/** Uses a thing many times, side by side, and returns how many bytes each use left behind. */
async function bytesLeft(
  uses: number,
  turn: () => Promise<unknown>,
  use: () => unknown,
) {
  const BATCH = 500;
  async function heapAfter(count: number) {
    for (let rest = count; rest > 0; rest -= BATCH) {
      await Promise.all(Array.from({ length: Math.min(BATCH, rest) }, use));
      // what a WeakRef was made of lives until the turn ends
      await turn();
    }
    for (let i = 0; i < 3; i++) {
      await turn();
      collectGarbage();
    }
    return Deno.memoryUsage().heapUsed;
  }
  const before = await heapAfter(uses / 10);
  return (await heapAfter(uses) - before) / uses;
}

type Pair = {
  source: ReadableStreamDefaultController<number>;
  stream: ReadableStream<number>;
  aborter: AbortController;
};

const MONITORED: Record<string, (pair: Pair) => unknown> = {
  "the source closes": ({ source }) => source.close(),
  "the source errors": ({ source }) => source.error("lost"),
  "readable is cancelled": ({ stream }) => stream.cancel("enough"),
  "the pipe is aborted": ({ aborter }) => aborter.abort("stop"),
};

for (const [way, end] of Object.entries(MONITORED)) {
  Deno.test(`HeartbeatMonitor leaves no timer and no memory behind ${STREAMS} streams when ${way}`, async () => {
    using timers = countTimers();
    let most = 0;
    const bytes = await bytesLeft(STREAMS, timers.turn, async () => {
      const pair = { aborter: new AbortController() } as Pair;
      pair.stream = new ReadableStream<number>({
        start: (controller) => void (pair.source = controller),
      }).pipeThrough(new HeartbeatMonitor<number>({ timeout: HOUR }), {
        signal: pair.aborter.signal,
      });
      const reader = pair.stream.getReader();
      pair.source.enqueue(1);
      await reader.read();
      reader.releaseLock();
      most = Math.max(most, timers.left);
      await end(pair);
      await pair.stream.getReader().closed.catch(() => {});
    });
    assertEquals(timers.left, 0);
    assert(most > 0, "no timer was seen");
    assert(bytes < NOISE, `${bytes} bytes a stream`);
  });
}

Deno.test(`HeartbeatMonitor leaves no timer and no memory behind ${STREAMS} streams when a writer aborts`, async () => {
  using timers = countTimers();
  const bytes = await bytesLeft(STREAMS, timers.turn, async () => {
    const { readable, writable } = new HeartbeatMonitor({ timeout: HOUR });
    const writer = writable.getWriter();
    const closed = [writer.closed, readable.getReader().closed];
    await writer.abort("stop");
    await Promise.allSettled(closed);
  });
  assertEquals(timers.left, 0);
  assert(bytes < NOISE, `${bytes} bytes a stream`);
});

Deno.test(`HeartbeatMonitor leaves no timer and no memory behind ${STREAMS} streams when they stall`, async () => {
  using timers = countTimers();
  let stalls = 0;
  const bytes = await bytesLeft(STREAMS, timers.turn, async () => {
    const reader = new ReadableStream().pipeThrough(
      new HeartbeatMonitor({ timeout: 1 }),
    ).getReader();
    const { name } = await reader.read().catch((error) => error);
    if (name === "HeartbeatTimeoutError") stalls++;
  });
  assertEquals(stalls, STREAMS + STREAMS / 10);
  assertEquals(timers.left, 0);
  assert(bytes < NOISE, `${bytes} bytes a stream`);
});

Deno.test(`HeartbeatMonitor leaves no timer and no memory behind ${STREAMS} monitors that were never attached`, async () => {
  using timers = countTimers();
  const bytes = await bytesLeft(STREAMS, timers.turn, () => {
    new HeartbeatMonitor({ timeout: 1 }).readable.getReader();
  });
  assertEquals(timers.left, 0);
  assert(bytes < NOISE, `${bytes} bytes a monitor`);
});

Deno.test(`HeartbeatMonitor leaves no timer and no memory behind ${STREAMS} writables that were put aside and forgotten`, async () => {
  using timers = countTimers();
  let most = 0;
  const bytes = await bytesLeft(2 * STREAMS, async () => {
    // the poll goes on until the monitor was collected
    for (let i = 0; i < 20; i++) {
      await timers.turn(50);
      most = Math.max(most, timers.left);
      collectGarbage();
      if (timers.left === 0) break;
    }
  }, () => {
    new HeartbeatMonitor({ timeout: 100 }).writable;
  });
  assertEquals(timers.left, 0);
  assert(most > 0, "no timer was seen");
  assert(bytes < NOISE, `${bytes} bytes a monitor`);
});

const failure = new Error("failed");

/** The work, and how it ends. */
type End = [
  work: Work<number>,
  end: (
    worker: Pick<WorkerStreams<number>, "results" | "heartbeats">,
    aborter: AbortController,
  ) => Promise<unknown>,
];

async function* returns() {
  yield* [1, 2];
}

async function* hangs() {
  yield 1;
  await new Promise(() => {});
}

function untilAbort(signal: AbortSignal) {
  return new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Reads the first result; then the worker is in the middle of its second unit, or has it ready. */
async function readOne(results: ReadableStream<number>) {
  const reader = results.getReader();
  assertEquals(await reader.read(), { done: false, value: 1 });
  await new Promise((resolve) => setTimeout(resolve, 0));
  return reader;
}

const ENDS: Record<string, End> = {
  "the work returns": [
    returns,
    async ({ results }) => assertEquals(await Array.fromAsync(results), [1, 2]),
  ],
  "its iterable ends": [
    () => [1, 2],
    async ({ results }) => assertEquals(await Array.fromAsync(results), [1, 2]),
  ],
  "the work throws": [
    async function* () {
      yield 1;
      throw failure;
    },
    async ({ results }) =>
      assertStrictEquals(
        await assertRejects(() => Array.fromAsync(results)),
        failure,
      ),
  ],
  "results are cancelled at once": [
    returns,
    ({ results }) => results.cancel(failure),
  ],
  "results are cancelled between two units": [
    returns,
    async ({ results }) => await (await readOne(results)).cancel(failure),
  ],
  "results are cancelled in the middle of a unit": [
    hangs,
    async ({ results }) => await (await readOne(results)).cancel(failure),
  ],
  "the signal aborts between two units": [
    async function* () {
      for (;;) yield 1;
    },
    async ({ results }, aborter) => {
      const reader = await readOne(results);
      aborter.abort(failure);
      while (!(await reader.read()).done);
    },
  ],
  "the signal aborts in the middle of a unit": [
    async function* ({ signal }) {
      yield 1;
      await untilAbort(signal);
      yield 2;
    },
    async ({ results }, aborter) => {
      const reader = await readOne(results);
      aborter.abort(failure);
      assertEquals(await reader.read(), { done: false, value: 2 });
      assertEquals((await reader.read()).done, true);
    },
  ],
  "the signal aborts and the work throws its reason": [
    async function* ({ signal }) {
      yield 1;
      await untilAbort(signal);
      throw signal.reason;
    },
    async ({ results }, aborter) => {
      const reader = await readOne(results);
      aborter.abort(failure);
      assertEquals((await reader.read()).done, true);
    },
  ],
};

const WORKER_ENDS: Record<string, End> = {
  "heartbeats are cancelled in the middle of a unit": [
    hangs,
    async ({ results, heartbeats }) => {
      const reader = await readOne(results);
      await heartbeats.cancel(failure);
      assertStrictEquals(await assertRejects(() => reader.read()), failure);
    },
  ],
  "heartbeats are cancelled between two units": [
    returns,
    async ({ results, heartbeats }) => {
      await heartbeats.cancel(failure);
      assertStrictEquals(
        await assertRejects(() => Array.fromAsync(results)),
        failure,
      );
    },
  ],
  "heartbeats are cancelled as the abort is ignored": [
    hangs,
    async ({ results, heartbeats }, aborter) => {
      const reader = await readOne(results);
      aborter.abort("stop");
      await heartbeats.cancel(failure);
      assertStrictEquals(await assertRejects(() => reader.read()), failure);
    },
  ],
};

const STALL = "the worker stalls";

const WATCH_ENDS: Record<string, End> = {
  [STALL]: [
    hangs,
    async ({ results }) => {
      await assertRejects(
        () => Array.fromAsync(results),
        HeartbeatTimeoutError,
      );
    },
  ],
};

for (
  const [name, ends] of [
    ["startWorker", { ...ENDS, ...WORKER_ENDS }],
    ["watch", { ...ENDS, ...WATCH_ENDS }],
  ] as const
) {
  for (const [way, [work, end]] of Object.entries<End>(ends)) {
    Deno.test(`${name} leaves no listener, timer or memory behind ${WORKERS} uses of one signal when ${way}`, async () => {
      using timers = countTimers();
      const { aborter, signal, listeners } = countListeners();

      async function use() {
        const timeout = way === STALL ? 100 : HOUR;
        const uses = Array.from({ length: WORKERS }, () => {
          const worker = startWorker(work, {
            signal,
            interval: HOUR,
          });
          return name === "watch"
            ? { ...worker, results: watch(worker, { timeout }) }
            : worker;
        });
        assertEquals(listeners.size, WORKERS);
        assert(timers.left >= WORKERS, "the timers were not counted");
        const ends = uses.map((worker) => end(worker, aborter));
        await deadline(Promise.all(ends), 60_000);
        return uses.flatMap(({ results, heartbeats }) =>
          [results, heartbeats].map((stream) => new WeakRef<object>(stream))
        );
      }

      const refs = await use();
      await timers.turn();
      assertEquals(listeners.size, 0);
      assertEquals(timers.left, 0);
      collectGarbage();
      const alive = refs.filter((ref) => ref.deref() !== undefined).length;
      assert(
        alive < 10,
        `${alive} of ${refs.length} streams were not collected`,
      );
    });
  }
}

Deno.test("startWorker leaves no listener and no timer behind 1,000 uses of a signal that was aborted before", async () => {
  using timers = countTimers();
  const { aborter, listeners } = countListeners();
  aborter.abort(failure);
  for (let i = 0; i < 1000; i++) {
    const { results } = startWorker(returns, { signal: aborter.signal });
    assertEquals(await Array.fromAsync(results), []);
  }
  assertEquals(listeners.size, 0);
  assertEquals(timers.left, 0);
});

/** A million in `deno task soak`. */
const USES = Number(Deno.env.get("USES") ?? 2_000);

const reply = new TextEncoder().encode("data: one\n\n");
const limits = { timeout: HOUR, progressTimeout: HOUR, totalTimeout: HOUR };

/** A `fetch` without a network, which follows its signal. */
function answer(_: unknown, init?: RequestInit) {
  init!.signal!.throwIfAborted();
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(reply),
  });
  const headers = { "content-type": "text/event-stream" };
  return Promise.resolve(new Response(body, { headers }));
}

const SIGNALLED: Record<string, (signal: AbortSignal) => unknown> = {
  "Watchdog that is stopped": (signal) => {
    using dog = new Watchdog({ ...limits, signal });
    dog.beat();
  },
  "withHeartbeat() that returns": (signal) =>
    withHeartbeat(({ beat }) => beat(), { ...limits, signal }),
  "withHeartbeat() that throws": (signal) =>
    assertRejects(() =>
      withHeartbeat(() => Promise.reject(failure), { ...limits, signal })
    ),
  "guardFetch() whose body is cancelled": async (signal) => {
    const fetch = guardFetch({ ...limits, fetch: answer as typeof fetch });
    const response = await fetch("https://example.com/", { signal });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
  },
  "guardFetch() that is rejected": async (signal) => {
    const fetch = guardFetch({
      ...limits,
      fetch: () => Promise.reject(failure),
    });
    const rejected = fetch("https://example.com/", { signal });
    assertStrictEquals(await rejected.catch((error) => error), failure);
  },
};

for (const [what, use] of Object.entries(SIGNALLED)) {
  Deno.test(`${what} leaves no listener, timer or memory behind ${USES} uses of one signal`, async () => {
    using timers = countTimers();
    const { signal, listeners } = countListeners();
    let most = 0;
    const bytes = await bytesLeft(USES, timers.turn, async () => {
      const done = use(signal);
      most = Math.max(most, listeners.size);
      await done;
    });
    assert(what.startsWith("Watchdog") || most > 0, "no listener was seen");
    assertEquals(listeners.size, 0);
    assertEquals(timers.left, 0);
    assert(bytes < NOISE, `${bytes} bytes a use`);
  });
}

/** Makes requests, drops the responses, and resolves to how many of 10 are kept. */
async function countKept(
  limits: GuardFetchOptions,
  use: (response: Response) => unknown,
) {
  using timers = countTimers();
  const fetch = guardFetch({
    ...limits,
    fetch: answer as typeof globalThis.fetch,
  });
  const responses: WeakRef<Response>[] = [];
  for (let i = 0; i < 10; i++) {
    const response = await fetch("https://example.com/");
    await use(response);
    responses.push(new WeakRef(response));
  }
  // what a WeakRef was made of lives until the turn ends
  await timers.turn(100);
  collectGarbage();
  return responses.filter((response) => response.deref()).length;
}

const LATE_TOTAL = { timeout: 40, totalTimeout: HOUR };
const UNREAD = {
  "from the beginning": { ...LATE_TOTAL, firstTimeout: HOUR / 2 },
  "when the body waits": LATE_TOTAL,
  "later than that": { timeout: HOUR, totalTimeout: 2 * HOUR },
};

for (const [when, limits] of Object.entries(UNREAD)) {
  Deno.test(`guardFetch() keeps no response that nobody reads, with a totalTimeout that counts ${when}`, async () => {
    const kept = await countKept(limits, () => {});
    assert(kept <= 1, `${kept} responses were kept`);
  });
}

const READ_IN_PART = {
  timeout: { timeout: HOUR },
  progressTimeout: { timeout: Infinity, progressTimeout: HOUR },
  totalTimeout: { timeout: Infinity, totalTimeout: HOUR },
};

for (const [limit, limits] of Object.entries(READ_IN_PART)) {
  Deno.test(`guardFetch() with a ${limit} keeps no response that was read in part`, async () => {
    const kept = await countKept(
      limits,
      (response) => response.body!.getReader().read(),
    );
    assert(kept <= 1, `${kept} responses were kept`);
  });
}

Deno.test("guardFetch() leaves no listener on the signal of responses that nobody reads", async () => {
  using timers = countTimers();
  const { aborter, signal, listeners } = countListeners();
  const fetch = guardFetch({
    timeout: HOUR,
    fetch: answer as typeof globalThis.fetch,
  });
  const COUNT = 10;
  const drop = async () => {
    for (let i = 0; i < COUNT; i++) {
      await fetch("https://example.com/", { signal });
    }
    await timers.turn();
    collectGarbage();
  };
  await drop();
  assertEquals(listeners.size, COUNT);
  // a finalizer runs only in a later turn
  for (let i = 0; i < 20 && listeners.size > 1; i++) {
    await timers.turn(10);
    collectGarbage();
  }
  assert(listeners.size <= 1, `${listeners.size} listeners are left`);
  // some of these are collected, and still listen
  await drop();
  assert(listeners.size >= COUNT, "they do not listen any more");
  aborter.abort(failure);
});
