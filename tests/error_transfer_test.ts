// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import {
  deserializeError,
  isSerializedError,
  MAX_ERRORS,
  serializeError,
} from "../_error_transfer.ts";

/** Sends a thrown value as a thread does. */
function transfer(value: unknown): unknown {
  const serialized: unknown = structuredClone(serializeError(value));
  if (!isSerializedError(serialized)) throw new Error("refused");
  return deserializeError(serialized);
}

/** An error and its causes, as texts. */
function listCauses(error: unknown): string[] {
  const causes: string[] = [];
  for (let next = error; next !== undefined;) {
    causes.push(String(next));
    next = (next as Error).cause;
  }
  return causes;
}

Deno.test("an error keeps its class, name, message, stack, cause and data", () => {
  for (const Class of [Error, RangeError, SyntaxError, TypeError, URIError]) {
    const error = Object.assign(new Class("bad", { cause: new Class("why") }), {
      code: 7,
      none: () => {},
    });
    const copy = transfer(error) as typeof error;
    assertEquals(copy.constructor, Class);
    assertEquals(Object.keys(copy), ["code"]);
    assertEquals([copy.code, copy.stack], [7, error.stack]);
    assertEquals(listCauses(copy), [
      `${Class.name}: bad`,
      `${Class.name}: why`,
    ]);
    assertEquals((copy.cause as Error).constructor, Class);
    assertEquals("cause" in (transfer(new Class()) as Error), false);
  }
});

Deno.test("an error has no property that it had not, and its own can be changed", () => {
  const plain = transfer(new TypeError("bad")) as TypeError;
  assertEquals(Object.hasOwn(plain, "name"), false);
  const errors = [1, 2];
  const copy = transfer(
    Object.assign(new Error("bad"), { errors, stack: undefined }),
  ) as Error & { errors?: unknown };
  assertEquals([copy.constructor, copy.stack], [Error, undefined]);
  assertEquals(Object.entries(copy), [["errors", errors]]);
  copy.errors = 5;
  assertEquals(copy.errors, 5);
  delete copy.errors;
  assertEquals("errors" in copy, false);
});

Deno.test("an error keeps a name that is no class, whatever it is", () => {
  for (
    const name of ["OrderError", "toString", "__proto__", "constructor", ""]
  ) {
    const copy = transfer(Object.assign(new Error("boom"), { name })) as Error;
    assertEquals(copy.constructor, Error);
    assertEquals([copy.name, copy.message], [name, "boom"]);
    assertEquals(Object.keys(copy), []);
  }
});

Deno.test("an error keeps data under the names of what all objects have", () => {
  const data = JSON.parse(
    `{ "__proto__": 1, "toString": 2, "constructor": 3 }`,
  );
  const error = Object.defineProperties(
    new Error("odd"),
    Object.getOwnPropertyDescriptors(data),
  );
  const copy = transfer(error) as Error;
  assert(copy instanceof Error);
  assertEquals(Object.entries(copy), Object.entries(data));
});

Deno.test("an AggregateError keeps its errors, their classes and its cause", () => {
  const errors = [
    new RangeError("one"),
    "two",
    new AggregateError([], "three"),
  ];
  const error = new AggregateError(errors, "all", {
    cause: new TypeError("x"),
  });
  const copy = transfer(error) as AggregateError;
  assert(copy instanceof AggregateError);
  assertEquals(copy.errors.map((member) => member.constructor), [
    RangeError,
    String,
    AggregateError,
  ]);
  assertEquals(copy.errors.map(String), errors.map(String));
  assertEquals(listCauses(copy), ["AggregateError: all", "TypeError: x"]);
  assertEquals(Object.keys(copy), []);
});

Deno.test("a DOMException keeps its name, code, cause and data", () => {
  const error = Object.assign(new DOMException("gone", "NotFoundError"), {
    path: "/a",
  });
  Object.defineProperty(error, "cause", { value: new RangeError("why") });
  const copy = transfer(error) as typeof error & { cause: unknown };
  assert(copy instanceof DOMException);
  const { name, message, code, path } = copy;
  assertEquals([name, message, code, path], ["NotFoundError", "gone", 8, "/a"]);
  assert(copy.cause instanceof RangeError);
  assertEquals(Object.keys(copy), ["path"]);
  assertEquals("cause" in (transfer(new DOMException("gone")) as Error), false);
});

Deno.test("an error that contains itself ends with its text", () => {
  const error = new AggregateError([], "loop");
  error.cause = error;
  error.errors.push(error);
  const copy = transfer(error) as AggregateError;
  assertEquals(copy.cause, "AggregateError: loop");
  assertEquals(copy.errors, ["AggregateError: loop"]);
});

Deno.test("a thrown value keeps 1,000 errors, and the text of the next", () => {
  let chain = new Error("0");
  for (let n = 1; n < 5_000; n++) chain = new Error(`${n}`, { cause: chain });
  const causes = listCauses(transfer(chain));
  assertEquals(causes.length, MAX_ERRORS + 1);
  assertEquals(causes.slice(-2), ["Error: 4000", "Error: 3999"]);

  const many = Array.from({ length: 2_000 }, (_, n) => new Error(`${n}`));
  const copy = transfer(new AggregateError(many)) as AggregateError;
  assertEquals(copy.errors.map(String), many.map(String));
  const kept = copy.errors.filter((member) => member instanceof Error);
  assertEquals(kept.length, MAX_ERRORS - 1);
});

Deno.test("serializeError() never throws", () => {
  const { proxy, revoke } = Proxy.revocable(new Error("odd"), {});
  revoke();
  const unreadable = "what was thrown cannot be shown";
  const values: [unknown, unknown][] = [
    [undefined, undefined],
    [null, null],
    [{ a: [1] }, { a: [1] }],
    [Symbol("s"), "Symbol(s)"],
    [proxy, unreadable],
    [Object.assign(Object.create(null), { none() {} }), unreadable],
    [
      Object.defineProperty(new Error("odd"), "name", {
        get() {
          throw 1;
        },
      }),
      unreadable,
    ],
  ];
  for (const [value, expected] of values) {
    assertEquals(transfer(value), expected);
  }
});

Deno.test("isSerializedError() refuses what is none, at once", () => {
  const error = { name: "Error", message: "" };
  const right = { error, isDOMException: false, data: {} };
  assert(isSerializedError(right));
  assert(isSerializedError({ ...right, cause: right, errors: [right] }));
  const loop: Record<string, unknown> = { ...right };
  loop.cause = loop;
  const values = [
    ...[undefined, null, 5, "text", [], {}, { error }, loop],
    ...["name", "message", "stack"]
      .map((key) => ({ ...right, error: { ...error, [key]: 5 } })),
    ...[undefined, null, 5].map((error) => ({ ...right, error })),
    ...[undefined, null, 0].map((isDOMException) => ({
      ...right,
      isDOMException,
    })),
    ...[undefined, null, 5].map((data) => ({ ...right, data })),
    ...[null, 5, {}].map((cause) => ({ ...right, cause })),
    ...[null, 5, {}, [undefined], [{}], new Array(2 ** 30)]
      .map((errors) => ({ ...right, errors })),
  ];
  for (const value of values) assertEquals(isSerializedError(value), false);
});
