// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openSource } from "../_work_source.ts";

const FAILURE = new Error("lost");

/** An iterator that gives these results, and counts the calls of `return()`. */
function createIterator(...results: unknown[]) {
  const calls = { return: 0 };
  const iterator = {
    next: () => results.shift() as IteratorResult<unknown>,
    return() {
      calls.return++;
      return { done: true, value: undefined };
    },
  };
  const source = openSource<unknown>({
    [Symbol.iterator]: () => iterator as Iterator<unknown>,
  });
  return { calls, source };
}

/** A value whose getter `then` throws. */
const trap = {
  get then() {
    throw FAILURE;
  },
};

Deno.test("openSource gives the results of a synchronous iterator synchronously", () => {
  const source = openSource(["a", null]);
  assertEquals(source.next(), { done: false, value: "a" });
  assertEquals(source.next(), { done: false, value: null });
  assertEquals(source.next(), { done: true, value: undefined });
});

Deno.test("openSource takes a function for a result, which is an object, too", () => {
  const result = Object.assign(() => {}, { done: false, value: 1 });
  assertEquals(createIterator(result).source.next(), result as never);
});

Deno.test("openSource refuses what is no result, and says what it is", () => {
  for (const value of [5, null, undefined, "x"]) {
    assertThrows(
      () => createIterator(value).source.next(),
      TypeError,
      `Cannot take a result as the iterator returned no object: it returned ${value}`,
    );
  }
});

Deno.test("openSource waits for a promise among the results, and ends the iterator if it rejects", async () => {
  const resolves = createIterator({ done: false, value: Promise.resolve(1) });
  assertEquals(await resolves.source.next(), { done: false, value: 1 });
  assertEquals(resolves.calls.return, 0);
  for (const done of [false, true]) {
    const value = Promise.reject(FAILURE);
    const { source, calls } = createIterator({ done, value });
    const error = await assertRejects(async () => await source.next());
    assertEquals(error, FAILURE);
    assertEquals(calls.return, done ? 0 : 1);
  }
});

Deno.test("openSource throws what a getter `then` throws, and ends the iterator", () => {
  for (const done of [false, true]) {
    const { source, calls } = createIterator({ done, value: trap });
    assertEquals(assertThrows(() => source.next()), FAILURE);
    assertEquals(calls.return, done ? 0 : 1);
  }
});

Deno.test("openSource closes an iterator that has no return()", () => {
  const next = () => ({ done: false, value: 1 });
  const sync = openSource<number>({ [Symbol.iterator]: () => ({ next }) });
  const async = openSource<number>({
    [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(next()) }),
  });
  assertEquals([sync.close(FAILURE), async.close(FAILURE)], [
    undefined,
    undefined,
  ]);
});
