// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { isResultBeat } from "../_result_beats.ts";
import { startWorker } from "../worker.ts";

const FAILURE = new Error("lost");

/** Runs everything that needs no time. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

/** An async iterator whose units and whose cleanup wait until they are let go. */
function createWork() {
  const calls = { next: 0, return: 0 };
  const unit = Promise.withResolvers<void>();
  const cleanup = Promise.withResolvers<void>();
  const iterable: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (++calls.next > 1) await unit.promise;
        return { done: false, value: calls.next };
      },
      async return() {
        calls.return++;
        await cleanup.promise;
        return { done: true, value: undefined };
      },
    }),
  };
  return {
    calls,
    iterable,
    endUnit: unit.resolve,
    endCleanup: cleanup.resolve,
  };
}

/** Lets the abort come between two units, in a unit, or before there is an iterator. */
const WAYS = ["between two units", "in a unit", "before the iterator"] as const;

async function startCleanup(way: typeof WAYS[number]) {
  const work = createWork();
  const aborter = new AbortController();
  const opened = Promise.withResolvers<void>();
  const worker = startWorker(async () => {
    if (way === "before the iterator") await opened.promise;
    return work.iterable;
  }, { signal: aborter.signal });
  const seen = { finished: false };
  worker.finished.then(() => seen.finished = true);
  const reader = worker.results.getReader();
  // a read asks for the second unit, which waits
  const first = way === "in a unit" ? reader.read() : undefined;
  await turn();
  aborter.abort(FAILURE);
  opened.resolve();
  work.endUnit();
  await first;
  await turn();
  return { ...work, worker, reader, seen };
}

for (const way of WAYS) {
  Deno.test(`startWorker closes the work once when it is aborted ${way} and cancelled during the cleanup`, async () => {
    for (const stream of ["results", "heartbeats"] as const) {
      const { calls, endCleanup, worker, reader, seen } = await startCleanup(
        way,
      );
      assertEquals(calls.return, 1);
      await (stream === "results" ? reader : worker.heartbeats).cancel(
        "enough",
      );
      await turn();
      assertEquals([calls.return, seen.finished], [1, false]);
      endCleanup();
      await worker.finished;
    }
  });
}

Deno.test("startWorker closes both streams when it is aborted before the work was called", async () => {
  const aborter = new AbortController();
  let isCalled = false;
  const worker = startWorker(() => {
    isCalled = true;
    return [1];
  }, { signal: aborter.signal });
  aborter.abort(FAILURE);
  assertEquals(await Array.fromAsync(worker.results), []);
  await worker.finished;
  assertEquals(isCalled, false);
});

Deno.test("startWorker runs a unit in the turn in which it calls the work, and delivers it in the same", async () => {
  const steps: string[] = [];
  const note = (step: string) => queueMicrotask(() => steps.push(step));
  const { results } = startWorker(() => {
    note("after the call");
    return {
      [Symbol.iterator]: () => ({
        next() {
          steps.push("unit");
          queueMicrotask(() => note("two microtasks later"));
          return { done: steps.includes("read"), value: 1 };
        },
      }),
    };
  });
  await results.getReader().read().then(() => steps.push("read"));
  await turn();
  assertEquals([...new Set(steps)], [
    "unit",
    "after the call",
    "read",
    "two microtasks later",
  ]);
});

Deno.test("startWorker sends no heartbeat for a failure without a new checkpoint", async () => {
  const { results, heartbeats } = startWorker(async function* ({ beat }) {
    beat();
    yield 1;
    await turn();
    throw FAILURE;
  });
  const beats = heartbeats.getReader();
  assertEquals((await beats.read()).value?.seq, 1);
  const next = assertRejects(() => beats.read());
  await assertRejects(() => Array.fromAsync(results));
  assertStrictEquals(await next, FAILURE);
});

Deno.test("startWorker sends the last checkpoint before a failure, as a heartbeat of its own", async () => {
  const { results, heartbeats } = startWorker(async function* ({ beat }) {
    yield 1;
    beat({ page: 2 });
    await turn();
    throw FAILURE;
  });
  const beats = heartbeats.getReader();
  await beats.read();
  const next = beats.read();
  await assertRejects(() => Array.fromAsync(results));
  const { value } = await next;
  assertEquals([value?.seq, value?.detail], [2, { page: 2 }]);
  assertEquals(isResultBeat(value!), false);
});
