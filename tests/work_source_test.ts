// Copyright 2026 the heartbeat authors. MIT license.

import {
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { checkIteratorResult, openSource } from "../_work_source.ts";

const FAILURE = new Error("lost");

/** A synchronous iterable that answers with one result, and counts `return()`. */
function createIterable(result: unknown, hasReturn = true) {
  const calls: string[] = [];
  const iterator = {
    next: () => result as IteratorResult<number>,
    ...(hasReturn && {
      return: () => {
        calls.push("return");
        return { done: true as const, value: undefined };
      },
    }),
  };
  return { calls, iterable: { [Symbol.iterator]: () => iterator } };
}

Deno.test("checkIteratorResult() takes objects and functions, and names what else it gets", () => {
  checkIteratorResult({});
  checkIteratorResult(() => {});
  for (const result of [undefined, null, 5, "text", true]) {
    assertThrows(
      () => checkIteratorResult(result),
      TypeError,
      `Cannot take a result as the iterator returned no object: it returned ${result}`,
    );
  }
});

Deno.test("openSource() answers synchronously for a synchronous iterator", () => {
  for (const value of [5, undefined, null, { then: 5 }]) {
    const result = { done: false, value };
    const { iterable, calls } = createIterable(result);
    assertStrictEquals<unknown>(openSource(iterable).next(), result);
    assertEquals(calls, []);
  }
});

Deno.test("openSource() refuses what is no result of a synchronous iterator, at once", () => {
  for (const result of [undefined, null, 5]) {
    const { iterable, calls } = createIterable(result);
    const source = openSource(iterable);
    assertThrows(() => source.next(), TypeError, "returned no object");
    assertEquals(calls, []);
  }
});

Deno.test("openSource() ends an iterator whose promise rejects, unless it has ended", async () => {
  for (const [done, expected] of [[false, ["return"]], [true, []]] as const) {
    const result = { done, value: Promise.reject(FAILURE) };
    const { iterable, calls } = createIterable(result);
    const source = openSource(iterable);
    assertStrictEquals(
      await assertRejects(() => Promise.resolve(source.next())),
      FAILURE,
    );
    assertEquals(calls, expected);
  }
});

Deno.test("openSource() ends an iterator whose value cannot be looked at, unless it has ended", () => {
  const value = {
    get then() {
      throw FAILURE;
    },
  };
  for (const [done, expected] of [[false, ["return"]], [true, []]] as const) {
    const { iterable, calls } = createIterable({ done, value });
    const source = openSource(iterable);
    assertStrictEquals(assertThrows(() => source.next()), FAILURE);
    assertEquals(calls, expected);
  }
});

Deno.test("openSource() closes an iterator that has no return()", async () => {
  const { iterable } = createIterable({ done: false, value: 1 }, false);
  assertEquals(openSource(iterable).close(FAILURE), undefined);
  const rejected = createIterable(
    { done: false, value: Promise.reject(FAILURE) },
    false,
  );
  assertStrictEquals(
    await assertRejects(() =>
      Promise.resolve(openSource(rejected.iterable).next())
    ),
    FAILURE,
  );
});
