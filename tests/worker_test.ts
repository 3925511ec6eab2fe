// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { startWorker, type Work, type WorkerStreams } from "../worker.ts";
import { advance, type Collected, createSource, readAll } from "./_help.ts";

function record<R>(worker: WorkerStreams<R>) {
  const seen = {
    results: readAll(worker.results),
    heartbeats: readAll(worker.heartbeats),
    finished: false,
  };
  worker.finished.then(() => seen.finished = true);
  return seen;
}

/** Steps that a unit waits for; each is opened by hand. */
function gates() {
  const open: (() => void)[] = [];
  const wait = () => new Promise<void>((resolve) => open.push(resolve));
  return { wait, next: () => open.shift()?.() };
}

/** Lets a turn of the event loop pass. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

const REASON = new Error("that is enough");
const FAILURE = new Error("lost");
const ABORTED = new DOMException("Aborted", "AbortError");

Deno.test("startWorker delivers the results of any iterable and closes", async (t) => {
  const iterables: Record<string, Work<number>> = {
    "array": () => [1, 2, 3],
    "array of promises": () => [1, 2, 3].map((n) => Promise.resolve(n)),
    "set": () => new Set([1, 2, 3]),
    "generator": function* () {
      yield* [1, 2, 3];
    },
    "async generator": async function* () {
      yield* [1, 2, 3];
    },
    "stream": () => ReadableStream.from([1, 2, 3]),
  };
  for (const [name, work] of Object.entries(iterables)) {
    await t.step(name, async () => {
      const { results, heartbeats, finished } = startWorker(work);
      assertEquals(await Array.fromAsync(results), [1, 2, 3]);
      await finished;
      const beats = await Array.fromAsync(heartbeats);
      assertEquals(beats.map(({ seq }) => seq), [1]);
    });
  }
});

Deno.test("startWorker beats at the start, and then while units settle", async () => {
  using time = new FakeTime(5000);
  const source = createSource<number>();
  const worker = startWorker(() => source.stream, {
    name: "alpha",
    interval: 100,
  });
  const seen = record(worker);
  await time.runMicrotasks();
  for (let n = 0; n < 3; n++) {
    await advance(time, 60);
    source.controller.enqueue(n);
    await advance(time, 40);
  }
  assertEquals(seen.heartbeats.chunks, [
    { worker: "alpha", seq: 1, time: 5000 },
    { worker: "alpha", seq: 2, time: 5100 },
    { worker: "alpha", seq: 3, time: 5200 },
    { worker: "alpha", seq: 4, time: 5300 },
  ]);
  source.controller.close();
  await time.runMicrotasks();
  assertEquals(seen.heartbeats.end, "closed");
  assertEquals(time.next(), false);
});

Deno.test("startWorker beats once an interval, however many units settle", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const seen = record(startWorker(() => source.stream, { interval: 100 }));
  for (let n = 0; n < 50; n++) {
    source.controller.enqueue(n);
    await advance(time, 10);
  }
  assertEquals(seen.results.chunks.length, 50);
  assertEquals(seen.heartbeats.chunks.length, 6);
  source.controller.close();
  await time.runMicrotasks();
});

Deno.test("startWorker is silent while a unit is in flight and silent", async () => {
  using time = new FakeTime();
  const worker = startWorker(async function* () {
    yield 1;
    await new Promise(() => {});
  }, { interval: 100 });
  const seen = record(worker);
  await advance(time, 5000, 100);
  assertEquals(seen.results.chunks, [1]);
  assertEquals(seen.heartbeats.chunks.map(({ seq }) => seq), [1, 2]);
  assertEquals(seen.finished, false);
  assert(time.next(), "it goes on looking for progress");
});

Deno.test("startWorker is silent when its very first unit hangs", async () => {
  using time = new FakeTime();
  const seen = record(startWorker(async function* () {
    await new Promise(() => {});
    yield 1;
  }, { interval: 100 }));
  await advance(time, 1000, 100);
  assertEquals(seen.heartbeats.chunks.length, 1);
});

Deno.test("startWorker beats for a long unit that reports its progress, with the latest detail", async () => {
  using time = new FakeTime(0);
  const { wait, next } = gates();
  const seen = record(startWorker(async function* ({ beat }) {
    beat("read");
    await wait();
    beat("parsed");
    beat();
    await wait();
    beat({ step: "written" });
    await wait();
    yield 1;
  }, { interval: 100 }));
  await time.runMicrotasks();
  await advance(time, 150);
  next();
  await advance(time, 150);
  next();
  await advance(time, 300);
  next();
  await time.runMicrotasks();
  assertEquals(
    seen.heartbeats.chunks.map(({ time, detail }) => [time, detail]),
    [
      [0, undefined],
      [100, "read"],
      [200, "parsed"],
      [400, { step: "written" }],
    ],
  );
  assertEquals(Object.keys(seen.heartbeats.chunks[0]!), [
    "worker",
    "seq",
    "time",
  ]);
});

Deno.test("startWorker beats while it is idle because nobody asks for more", async () => {
  using time = new FakeTime();
  let units = 0;
  const { results, heartbeats } = startWorker(function* () {
    for (;;) yield ++units;
  }, { interval: 100 });
  const beats = readAll(heartbeats);
  await advance(time, 1000, 100);
  assertEquals(beats.chunks.length, 11);
  assertEquals(units, 1, "one unit runs ahead of the consumer");
  const reader = results.getReader();
  for (let n = 1; n <= 3; n++) {
    assertEquals((await reader.read()).value, n);
    await time.runMicrotasks();
    assertEquals(units, n + 1);
  }
  await reader.cancel();
});

Deno.test("startWorker never queues heartbeats: a gap in seq shows what was dropped", async () => {
  using time = new FakeTime(0);
  const { results, heartbeats } = startWorker(function* () {
    for (let n = 0;; n++) yield n;
  }, { interval: 100 });
  await advance(time, 1050);
  const reader = heartbeats.getReader();
  const { value: late } = await reader.read();
  assertEquals([late?.seq, late?.time], [11, 1000]);
  const next = reader.read();
  await advance(time, 50);
  assertEquals((await next).value?.seq, 12);
  await results.cancel();
  assertEquals((await reader.read()).done, true);
});

Deno.test("startWorker answers every read of heartbeats that waits", async () => {
  using time = new FakeTime();
  const { results, heartbeats } = startWorker(function* () {
    for (;;) yield 1;
  }, { interval: 100 });
  const reader = heartbeats.getReader();
  const reads = Promise.all([reader.read(), reader.read(), reader.read()]);
  await advance(time, 300);
  assertEquals((await reads).map(({ value }) => value?.seq), [1, 2, 3]);
  await results.cancel();
});

Deno.test("startWorker sends the last detail before it errors", async () => {
  for (const unread of [true, false]) {
    const worker = startWorker(async function* ({ beat }) {
      yield 1;
      beat({ next: 2 });
      throw FAILURE;
    });
    const early = unread ? undefined : readAll(worker.heartbeats);
    await Array.fromAsync(worker.results).catch(() => {});
    const { chunks, end } = early ?? readAll(worker.heartbeats);
    await turn();
    assertEquals(chunks.at(-1)?.detail, { next: 2 });
    assertEquals(chunks.length, unread ? 1 : 2);
    assertStrictEquals(end ?? FAILURE, FAILURE);
  }
});

Deno.test("startWorker delivers the last unread heartbeat when it closes", async () => {
  const { results, heartbeats } = startWorker(function* ({ beat }) {
    beat("never sent: no interval has passed");
    yield 1;
  });
  await Array.fromAsync(results);
  const beats = await Array.fromAsync(heartbeats);
  assertEquals(beats.map(({ seq, detail }) => [seq, detail]), [[1, undefined]]);
});

Deno.test("startWorker hands lastDetail to the work and to its first heartbeats", async () => {
  let handed: unknown;
  const { results, heartbeats } = startWorker(({ lastDetail }) => {
    handed = lastDetail;
    return [1];
  }, { lastDetail: { page: 7 } });
  await Array.fromAsync(results);
  assertEquals(handed, { page: 7 });
  const [first] = await Array.fromAsync(heartbeats);
  assertEquals(first?.detail, { page: 7 });
});

Deno.test("startWorker names the heartbeats by the option, the function or 'worker'", async () => {
  async function nameOf<R>(worker: WorkerStreams<R>) {
    await worker.results.cancel();
    return (await Array.fromAsync(worker.heartbeats))[0]?.worker;
  }
  assertEquals(await nameOf(startWorker(() => [], { name: "alpha" })), "alpha");
  assertEquals(
    await nameOf(startWorker(function crawl() {
      return [];
    })),
    "crawl",
  );
  assertEquals(await nameOf(startWorker(() => [])), "worker");
});

Deno.test("startWorker beats once and sets no timer when the interval is infinite", async () => {
  using time = new FakeTime();
  const source = createSource<number>();
  const seen = record(
    startWorker(() => source.stream, { interval: Infinity }),
  );
  source.controller.enqueue(1);
  await time.runMicrotasks();
  assertEquals(time.next(), false);
  assertEquals(seen.heartbeats.chunks.length, 1);
  source.controller.close();
  await time.runMicrotasks();
});

Deno.test("startWorker keeps an interval longer than the longest timer", async () => {
  using time = new FakeTime(0);
  const interval = 2 ** 33;
  const { results, heartbeats } = startWorker(() => [1, 2], { interval });
  const beats = readAll(heartbeats);
  await advance(time, interval - 1, 2 ** 30);
  assertEquals(beats.chunks.length, 1);
  await advance(time, 1);
  assertEquals(beats.chunks.map(({ time }) => time), [0, interval]);
  await results.cancel();
});

type Cancel = Pick<Collected<unknown>, "cancel">;

/** How far the streams, the context's signal, the work and `finished` are. */
type State = [
  results: unknown,
  heartbeats: unknown,
  reason: unknown,
  cleaned: boolean,
  finished: boolean,
];
const OPEN = undefined;
const CLOSED = "closed";

/** A row of the table "How it ends". The work yields 1, waits at a gate, and then does as `then` says. */
interface Ending {
  /** Whether the first result is left unread, so that no unit is in flight. */
  idle?: boolean;
  then?: (signal: AbortSignal) => void;
  act?: (
    worker: { results: Cancel; heartbeats: Cancel },
    aborter: AbortController,
  ) => void;
  /** After `act`, with the work still at its gate. */
  before: State;
  /** After the gate was opened. */
  after: State;
  results: number[];
}

const ENDINGS: Record<string, Ending> = {
  "the work returns": {
    before: [OPEN, OPEN, null, false, false],
    after: [CLOSED, CLOSED, null, true, true],
    results: [1, 2],
  },
  "the work throws": {
    then() {
      throw FAILURE;
    },
    before: [OPEN, OPEN, null, false, false],
    after: [FAILURE, FAILURE, null, true, true],
    results: [1],
  },
  "signal aborts with no unit in flight": {
    idle: true,
    act: (_, aborter) => aborter.abort(REASON),
    before: [CLOSED, CLOSED, REASON, true, true],
    after: [CLOSED, CLOSED, REASON, true, true],
    results: [1],
  },
  "signal aborts with a unit in flight": {
    act: (_, aborter) => aborter.abort(REASON),
    before: [OPEN, OPEN, REASON, false, false],
    after: [CLOSED, CLOSED, REASON, true, true],
    results: [1, 2],
  },
  "signal aborts and the work throws the reason": {
    act: (_, aborter) => aborter.abort(REASON),
    then: (signal) => signal.throwIfAborted(),
    before: [OPEN, OPEN, REASON, false, false],
    after: [CLOSED, CLOSED, REASON, true, true],
    results: [1],
  },
  "signal aborts and the work throws an AbortError": {
    act: (_, aborter) => aborter.abort(REASON),
    then() {
      throw ABORTED;
    },
    before: [OPEN, OPEN, REASON, false, false],
    after: [CLOSED, CLOSED, REASON, true, true],
    results: [1],
  },
  "signal aborts and the work throws anything else": {
    act: (_, aborter) => aborter.abort(REASON),
    then() {
      throw FAILURE;
    },
    before: [OPEN, OPEN, REASON, false, false],
    after: [FAILURE, FAILURE, REASON, true, true],
    results: [1],
  },
  "an AbortError that nobody asked for": {
    then() {
      throw ABORTED;
    },
    before: [OPEN, OPEN, null, false, false],
    after: [ABORTED, ABORTED, null, true, true],
    results: [1],
  },
  "heartbeats is cancelled with a unit in flight": {
    act: (worker) => worker.heartbeats.cancel(REASON),
    before: [REASON, CLOSED, REASON, false, false],
    after: [REASON, CLOSED, REASON, true, true],
    results: [1],
  },
  "heartbeats is cancelled with no unit in flight": {
    idle: true,
    act: (worker) => worker.heartbeats.cancel(REASON),
    before: [REASON, CLOSED, REASON, true, true],
    after: [REASON, CLOSED, REASON, true, true],
    results: [],
  },
  "heartbeats is cancelled after signal aborted": {
    act(worker, aborter) {
      aborter.abort(REASON);
      worker.heartbeats.cancel(FAILURE);
    },
    before: [FAILURE, CLOSED, REASON, false, false],
    after: [FAILURE, CLOSED, REASON, true, true],
    results: [1],
  },
  "results is cancelled with a unit in flight": {
    act: (worker) => worker.results.cancel(REASON),
    before: [CLOSED, CLOSED, REASON, false, false],
    after: [CLOSED, CLOSED, REASON, true, true],
    results: [1],
  },
  "results is cancelled with no unit in flight": {
    idle: true,
    act: (worker) => worker.results.cancel(REASON),
    before: [CLOSED, CLOSED, REASON, true, true],
    after: [CLOSED, CLOSED, REASON, true, true],
    results: [],
  },
};

/** Starts a worker whose second unit waits, and returns how its state is read. */
function startEnding(time: FakeTime, ending: Ending) {
  const aborter = new AbortController();
  const { wait, next } = gates();
  const seen = { cleaned: false, finished: false };
  let context!: AbortSignal;
  const worker = startWorker(async function* ({ signal }) {
    context = signal;
    try {
      yield 1;
      await wait();
      ending.then?.(signal);
      yield 2;
    } finally {
      seen.cleaned = true;
    }
  }, { signal: aborter.signal });
  worker.finished.then(() => seen.finished = true);
  const heartbeats = readAll(worker.heartbeats);
  let results: Collected<number> | undefined;
  const open = () => results ??= readAll(worker.results);
  const readState = async () => {
    await advance(time, 1);
    const reason = context.aborted ? context.reason : null;
    const { cleaned, finished } = seen;
    return [results?.end, heartbeats.end, reason, cleaned, finished] as State;
  };
  const cancellable = {
    heartbeats,
    results: {
      cancel: (reason: unknown) => (results ?? worker.results).cancel(reason),
    },
  };
  return { aborter, cancellable, next, open, readState };
}

for (const [name, ending] of Object.entries(ENDINGS)) {
  Deno.test(`startWorker ends as its table says when ${name}`, async () => {
    using time = new FakeTime();
    const { aborter, cancellable, next, open, readState } = startEnding(
      time,
      ending,
    );
    if (!ending.idle) open();
    await advance(time, 1);
    ending.act?.(cancellable, aborter);
    const results = open();
    const before = await readState();
    next();
    const after = await readState();
    for (const i of ending.before.keys()) {
      assertStrictEquals(before[i], ending.before[i]);
      assertStrictEquals(after[i], ending.after[i]);
    }
    assertEquals(results.chunks, ending.results);
    assertEquals(time.next(), false);
  });
}

Deno.test("startWorker stays open and silent when the work ignores the abort, and a stall ends it", async () => {
  using time = new FakeTime();
  const aborter = new AbortController();
  const worker = startWorker(async function* () {
    yield 1;
    await new Promise(() => {});
  }, { interval: 100, signal: aborter.signal });
  const seen = record(worker);
  await advance(time, 100);
  aborter.abort(REASON);
  await advance(time, 5000, 100);
  assertEquals([seen.results.end, seen.heartbeats.end], [OPEN, OPEN]);
  assertEquals(seen.heartbeats.chunks.length, 2);
  seen.heartbeats.cancel(FAILURE);
  await time.runMicrotasks();
  assertStrictEquals(seen.results.end, FAILURE);
  assertEquals(seen.finished, false);
});

Deno.test("startWorker is silent while the work's cleanup hangs", async () => {
  using time = new FakeTime();
  const aborter = new AbortController();
  const worker = startWorker(async function* () {
    try {
      for (let n = 1;; n++) yield n;
    } finally {
      await new Promise(() => {});
    }
  }, { interval: 100, signal: aborter.signal });
  const beats = readAll(worker.heartbeats);
  await advance(time, 300);
  const before = beats.chunks.length;
  aborter.abort(REASON);
  await advance(time, 1000);
  assert(beats.chunks.length <= before + 1, "an interval's progress at most");
  assertEquals(beats.end, OPEN);
  await beats.cancel(FAILURE);
});

Deno.test("startWorker passes on what the work's cleanup throws", async () => {
  const aborter = new AbortController();
  const worker = startWorker(async function* () {
    try {
      yield 1;
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw FAILURE;
    }
  }, { signal: aborter.signal });
  await turn();
  aborter.abort(REASON);
  const seen = record(worker);
  await worker.finished;
  await turn();
  assertStrictEquals(seen.results.end, FAILURE);
  assertStrictEquals(seen.heartbeats.end, FAILURE);
});

Deno.test("startWorker loses no result that waits when the work's cleanup throws", async () => {
  for (const inFlight of [false, true]) {
    const aborter = new AbortController();
    const { wait, next } = gates();
    const worker = startWorker(async function* () {
      try {
        if (inFlight) await wait();
        yield "precious";
      } finally {
        // deno-lint-ignore no-unsafe-finally
        throw FAILURE;
      }
    }, { signal: aborter.signal });
    await turn();
    aborter.abort(REASON);
    next();
    await worker.finished;
    const seen = record(worker);
    await turn();
    assertEquals(seen.results.chunks, ["precious"]);
    assertStrictEquals(seen.results.end, FAILURE);
    assertStrictEquals(seen.heartbeats.end, FAILURE);
  }
});

Deno.test("startWorker minds no cancel of the one stream while the other is cancelled", async () => {
  for (
    const [first, second] of [["results", "heartbeats"], [
      "heartbeats",
      "results",
    ]] as const
  ) {
    const worker = startWorker(({ signal }) => {
      signal.addEventListener("abort", () => {
        worker[second].cancel("inner").catch(() => {});
      });
      return new ReadableStream<number>();
    });
    await turn();
    await worker[first].cancel("outer");
    await worker.finished;
  }
});

Deno.test("startWorker starts no new unit once the signal aborted", async () => {
  const aborter = new AbortController();
  let units = 0;
  const { results, finished } = startWorker(function* () {
    for (;;) yield ++units;
  }, { signal: aborter.signal });
  const reader = results.getReader();
  await reader.read();
  await reader.read();
  const before = units;
  aborter.abort();
  const rest = [];
  for (let next; !(next = await reader.read()).done;) rest.push(next.value);
  await finished;
  assertEquals(units, before);
  assertEquals(rest, before === 3 ? [3] : []);
});

Deno.test("startWorker does not call the work when the signal was aborted before", async () => {
  using time = new FakeTime();
  let called = false;
  const worker = startWorker(() => {
    called = true;
    return [1];
  }, { signal: AbortSignal.abort(REASON) });
  const seen = record(worker);
  await time.runMicrotasks();
  assertEquals(seen.results.chunks, []);
  assertEquals(seen.heartbeats.chunks, []);
  assertEquals([seen.results.end, seen.heartbeats.end], [CLOSED, CLOSED]);
  assertEquals([called, seen.finished], [false, true]);
  assertEquals(time.next(), false);
});

Deno.test("startWorker errors both streams when the work throws before its first unit, or is no iterable", async () => {
  for (
    const [work, message] of [
      [() => {
        throw FAILURE;
      }, "lost"],
      [
        () => 7,
        "Cannot start worker as 'work' must return an iterable or an async iterable: it returned 7",
      ],
      [
        () => undefined,
        "Cannot start worker as 'work' must return an iterable or an async iterable: it returned undefined",
      ],
      [() => Promise.resolve({}), "it returned [object Object]"],
      [() => {
        const stream = new ReadableStream();
        stream.getReader();
        return stream;
      }, "locked"],
    ] as [Work<unknown>, string][]
  ) {
    const worker = startWorker(work);
    const seen = record(worker);
    await worker.finished;
    await turn();
    assert(String(seen.results.end).includes(message), `${seen.results.end}`);
    assertStrictEquals(seen.results.end, seen.heartbeats.end);
  }
});

Deno.test("startWorker cancels a stream that the work returned, although a read is pending", async () => {
  const source = createSource<number>();
  const worker = startWorker(() => source.stream);
  const seen = record(worker);
  await turn();
  await seen.heartbeats.cancel(REASON);
  await worker.finished;
  assertStrictEquals(source.cancelled, REASON);
  assertStrictEquals(seen.results.end, REASON);
});

Deno.test("startWorker errors the results with an AbortError when heartbeats is cancelled without a reason", async () => {
  const worker = startWorker(() => new ReadableStream<number>());
  const seen = record(worker);
  await seen.heartbeats.cancel(undefined);
  await worker.finished;
  assertEquals((seen.results.end as Error).name, "AbortError");
});

Deno.test("startWorker calls return() of an iterator that it leaves, and nothing if there is none", async () => {
  const calls: string[] = [];
  const bare = { next: () => ({ done: false as const, value: 1 }) };
  for (
    const iterator of [
      bare,
      {
        ...bare,
        return() {
          calls.push("return");
          throw FAILURE;
        },
      },
    ]
  ) {
    for (const key of [Symbol.iterator, Symbol.asyncIterator]) {
      const worker = startWorker(() =>
        ({ [key]: () => iterator }) as unknown as Iterable<number>
      );
      const reader = worker.results.getReader();
      await reader.read();
      await reader.cancel();
      await worker.finished;
    }
  }
  assertEquals(calls, ["return", "return"]);
});

Deno.test("startWorker does not pull an iterator that it cannot end after the signal aborted", async () => {
  const aborter = new AbortController();
  let pulled = 0;
  const iterator = { next: () => ({ done: false, value: ++pulled }) };
  const worker = startWorker(
    () => ({ [Symbol.iterator]: () => iterator }) as Iterable<number>,
    { signal: aborter.signal },
  );
  await turn();
  aborter.abort();
  assertEquals(await Array.fromAsync(worker.results), [1]);
  assertEquals(pulled, 1);
});

Deno.test("startWorker ends a generator that stops its own worker", async () => {
  for (const side of ["results", "heartbeats"] as const) {
    let cleaned = false;
    const worker = startWorker(function* () {
      try {
        worker[side].cancel(REASON).catch(() => {});
        for (;;) yield 1;
      } finally {
        cleaned = true;
      }
    });
    await worker.finished;
    assert(cleaned, side);
  }
});

Deno.test("startWorker ends a generator whose promise hangs", async () => {
  let cleaned = false;
  const worker = startWorker(function* () {
    try {
      yield new Promise<number>(() => {});
    } finally {
      cleaned = true;
    }
  });
  const seen = record(worker);
  await turn();
  await seen.heartbeats.cancel(REASON);
  await turn();
  assertStrictEquals(seen.results.end, REASON);
  assertEquals([cleaned, seen.finished], [true, false]);
});

Deno.test("startWorker takes a promise that rejects for a unit that throws", async () => {
  let cleaned = false;
  const worker = startWorker(function* () {
    try {
      yield* [Promise.resolve(1), Promise.reject(FAILURE)];
    } finally {
      cleaned = true;
    }
  });
  const seen = record(worker);
  await worker.finished;
  await turn();
  assertEquals([seen.results.chunks, cleaned], [[1], true]);
  assertStrictEquals(seen.results.end, FAILURE);
});

Deno.test("startWorker takes an iterator that answers with no object for a unit that throws", async () => {
  for (
    const [key, answer] of [
      [Symbol.iterator, undefined],
      [Symbol.asyncIterator, undefined],
      [Symbol.asyncIterator, Promise.resolve(undefined)],
    ] as const
  ) {
    const iterable = { [key]: () => ({ next: () => answer }) } as unknown;
    const seen = record(
      startWorker(() => iterable as Iterable<number>, { interval: Infinity }),
    );
    await turn();
    assert(seen.results.end instanceof TypeError, `${seen.results.end}`);
    assertStrictEquals(seen.heartbeats.end, seen.results.end);
    assert(seen.finished);
  }
});

Deno.test("startWorker beats once a second by default", async () => {
  using time = new FakeTime(0);
  const { results, heartbeats } = startWorker(() => [1]);
  const beats = readAll(heartbeats);
  await advance(time, 2_500, 100);
  assertEquals(beats.chunks.map(({ time }) => time), [0, 1_000, 2_000]);
  await results.cancel();
});

Deno.test("startWorker errors with the first error, although the iterator's return() throws", async () => {
  const iterator = {
    next: () => ({ done: false, value: Promise.reject(FAILURE) }),
    return() {
      throw new Error("return() failed");
    },
  };
  const seen = record(
    startWorker(() => ({ [Symbol.iterator]: () => iterator })),
  );
  await turn();
  assertStrictEquals(seen.results.end, FAILURE);
  assertStrictEquals(seen.heartbeats.end, FAILURE);
  assert(seen.finished);
});

Deno.test("startWorker ends a generator that yields a value whose 'then' throws", async () => {
  let cleaned = false;
  const value = {
    get then() {
      throw FAILURE;
    },
  };
  const seen = record(startWorker(function* () {
    try {
      yield value;
    } finally {
      cleaned = true;
    }
  }));
  await turn();
  assertStrictEquals(seen.results.end, FAILURE);
  assertEquals([cleaned, seen.finished], [true, true]);
});

Deno.test("startWorker finishes after an abort, whatever the work throws", async () => {
  const aborter = new AbortController();
  const gate = gates();
  const error = Object.defineProperty(new Error("lost"), "name", {
    get() {
      throw FAILURE;
    },
  });
  const seen = record(
    startWorker(async function* () {
      yield 1;
      await gate.wait();
      throw error;
    }, { signal: aborter.signal }),
  );
  await turn();
  aborter.abort(REASON);
  gate.next();
  await turn();
  assert(seen.results.end === error);
  assert(seen.heartbeats.end === error);
  assert(seen.finished);
});

Deno.test("startWorker errors when an iterator returns no result object", async () => {
  for (
    const [key, answer] of [
      [Symbol.iterator, 5],
      [Symbol.iterator, "text"],
      [Symbol.asyncIterator, 5],
      [Symbol.asyncIterator, Promise.resolve(true)],
    ] as const
  ) {
    const iterable = { [key]: () => ({ next: () => answer }) } as unknown;
    const seen = record(startWorker(() => iterable as Iterable<number>));
    await turn();
    assertInstanceOf(seen.results.end, TypeError);
    assertStrictEquals(seen.heartbeats.end, seen.results.end);
    assertEquals(seen.results.chunks, []);
    assert(seen.finished);
  }
});

Deno.test("startWorker takes a promise of an iterable", async () => {
  const seen = record(startWorker(() => Promise.resolve([1, 2])));
  await turn();
  assertEquals(seen.results.chunks, [1, 2]);
  assertEquals([seen.results.end, seen.finished], ["closed", true]);
});

Deno.test("startWorker errors when the promise of an iterable rejects, or is of none", async () => {
  const rejected = record(startWorker(() => Promise.reject(FAILURE)));
  const none = record(
    startWorker(() => Promise.resolve(5) as unknown as Promise<number[]>),
  );
  await turn();
  assertStrictEquals(rejected.results.end, FAILURE);
  assertStrictEquals(rejected.heartbeats.end, FAILURE);
  assertInstanceOf(none.results.end, TypeError);
  assertEquals([rejected.finished, none.finished], [true, true]);
});

Deno.test("startWorker ends an iterable that arrives after an abort or a cancel", async () => {
  const acts = {
    "signal": [(_: unknown, aborter: AbortController) => aborter.abort(REASON)],
    "heartbeats": [
      (seen: ReturnType<typeof record>) => seen.heartbeats.cancel(REASON),
    ],
    "results": [
      (seen: ReturnType<typeof record>) => seen.results.cancel(REASON),
    ],
  } as const;
  for (const [name, [act]] of Object.entries(acts)) {
    const aborter = new AbortController();
    const calls: unknown[] = [];
    let resolve!: (iterable: AsyncIterable<number>) => void;
    const seen = record(startWorker(({ signal }) => {
      signal.addEventListener("abort", () => calls.push(signal.reason));
      return new Promise<AsyncIterable<number>>((done) => resolve = done);
    }, { signal: aborter.signal }));
    await turn();
    act(seen, aborter);
    await turn();
    assertEquals([calls, seen.finished], [[REASON], false], name);
    const iterator = {
      next: () => Promise.resolve({ done: false, value: calls.push("next") }),
      return: () =>
        Promise.resolve({ done: true as const, value: calls.push("return") }),
    };
    resolve({ [Symbol.asyncIterator]: () => iterator });
    await turn();
    assertEquals([calls, seen.finished], [[REASON, "return"], true], name);
    assertEquals(seen.results.chunks, []);
  }
});

Deno.test("startWorker closes when it is aborted before its work was called", async () => {
  const aborter = new AbortController();
  let calls = 0;
  const seen = record(startWorker(() => {
    calls++;
    return [1];
  }, { signal: aborter.signal }));
  aborter.abort(REASON);
  await turn();
  assertEquals([seen.results.end, seen.heartbeats.end], ["closed", "closed"]);
  assertEquals([calls, seen.finished], [0, true]);
});

Deno.test("startWorker waits for a cleanup that runs when a stream is cancelled, and ends nothing twice", async () => {
  for (const side of ["results", "heartbeats"] as const) {
    const aborter = new AbortController();
    const gate = gates();
    let returns = 0;
    const iterator = {
      next: () => Promise.resolve({ done: false, value: 1 }),
      async return() {
        returns++;
        await gate.wait();
        return { done: true as const, value: undefined };
      },
    };
    const worker = startWorker(
      () => ({ [Symbol.asyncIterator]: () => iterator }),
      { signal: aborter.signal },
    );
    let isFinished = false;
    worker.finished.then(() => isFinished = true);
    await turn();
    aborter.abort(REASON);
    await turn();
    worker[side].cancel(REASON).catch(() => {});
    await turn();
    assertEquals([returns, isFinished], [1, false], side);
    gate.next();
    await turn();
    assertEquals([returns, isFinished], [1, true], side);
  }
});

Deno.test("startWorker sends no more heartbeats than it has news, when the work throws", async () => {
  using time = new FakeTime(0);
  const gate = gates();
  const seen = record(
    startWorker(async function* ({ beat }) {
      beat("load");
      await gate.wait();
      throw FAILURE;
      // deno-lint-ignore no-unreachable
      yield 1;
    }, { interval: 100 }),
  );
  await advance(time, 100, 10);
  gate.next();
  await advance(time, 1, 1);
  assertStrictEquals(seen.results.end, FAILURE);
  assertEquals(seen.heartbeats.chunks.map(({ seq, detail }) => [seq, detail]), [
    [1, undefined],
    [2, "load"],
  ]);
});

Deno.test("startWorker finishes only when the cleanup has ended, too, although the unit was the last or threw", async () => {
  for (const unit of ["the last", "throws"]) {
    const [units, cleanups] = [gates(), gates()];
    const iterator = {
      async next() {
        await units.wait();
        if (unit === "throws") throw FAILURE;
        return { done: true as const, value: undefined };
      },
      async return() {
        await cleanups.wait();
        return { done: true as const, value: undefined };
      },
    };
    const seen = record(
      startWorker(() => ({ [Symbol.asyncIterator]: () => iterator })),
    );
    await turn();
    await seen.heartbeats.cancel(REASON);
    await turn();
    units.next();
    await turn();
    assertEquals(seen.finished, false, unit);
    cleanups.next();
    await turn();
    assertEquals(seen.finished, true, unit);
    assertStrictEquals(seen.results.end, REASON);
  }
});
