// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { guardFetch } from "../fetch.ts";
import { HeartbeatTimeoutError } from "../monitor.ts";
import { advance } from "./_help.ts";

type Way = "arrayBuffer" | "blob" | "bytes" | "formData" | "json" | "text";

/** Makes a method of all responses that of another platform, for a while. */
function replaceMethod<K extends Way>(
  way: K,
  wrap: (original: Response[K]) => Response[K],
) {
  const { prototype } = Response;
  const property = Object.getOwnPropertyDescriptor(prototype, way)!;
  const value = wrap(prototype[way]);
  Object.defineProperty(prototype, way, { ...property, value });
  return {
    [Symbol.dispose]: () => Object.defineProperty(prototype, way, property),
  };
}

/** A response whose body is a stream with these bytes. */
function respond(text: string, headers: HeadersInit = {}) {
  const { body } = new Response(text);
  return new Response(body, { headers });
}

Deno.test("guardFetch types a blob by the headers where the platform does not, as on Bun", async () => {
  let asked = 0;
  using _ = replaceMethod(
    "blob",
    (original) =>
      async function (this: Response) {
        asked++;
        const blob = await original.call(this);
        const isOfStream = this.constructor !== Response;
        return isOfStream ? new Blob([await blob.bytes()]) : blob;
      },
  );
  const headers = { "content-type": "image/png" };
  const guarded = guardFetch({
    timeout: 1_000,
    fetch: () => Promise.resolve(respond("alive", headers)),
  });
  const blob = await (await guarded("https://a.example")).blob();
  assertEquals([blob.type, await blob.text()], ["image/png", "alive"]);
  assertEquals(asked, 2);
});

Deno.test("guardFetch makes a blob only once where the platform types it", async () => {
  let asked = 0;
  using _ = replaceMethod("blob", (original) =>
    function (this: Response) {
      asked++;
      return original.call(this);
    });
  const headers = { "content-type": "image/png" };
  const guarded = guardFetch({
    timeout: 1_000,
    fetch: () => Promise.resolve(respond("alive", headers)),
  });
  const { type } = await (await guarded("https://a.example")).blob();
  assertEquals([type, asked], ["image/png", 1]);
});

Deno.test("guardFetch rejects with the stall where the platform says only that it failed, as on Chromium", async () => {
  const failure = new TypeError("Failed to fetch");
  const ways: Way[] = [
    ...["arrayBuffer", "blob", "bytes"] as const,
    ...["formData", "json", "text"] as const,
  ];
  for (const way of ways) {
    using time = new FakeTime();
    using _ = replaceMethod(way, (original) =>
      function (this: Response) {
        return (original as () => Promise<never>).call(this)
          .catch(() => Promise.reject(failure));
      });
    let body = new ReadableStream<Uint8Array<ArrayBuffer>>();
    const guarded = guardFetch({
      timeout: 1_000,
      fetch: () => Promise.resolve(new Response(body)),
    });
    const response = await guarded("https://a.example");
    const rejected = assertRejects(() => response[way]());
    await advance(time, 1_000, 250);
    assertInstanceOf(await rejected, HeartbeatTimeoutError, way);
    // what is not the guard's doing stays the platform's
    body = new ReadableStream({ start: (source) => source.error("lost") });
    const lost = await guarded("https://a.example");
    assertStrictEquals(await assertRejects(() => lost[way]()), failure);
  }
});

Deno.test("guardFetch gives a response no method that the platform lacks", async () => {
  const { prototype } = Response;
  const bytes = Object.getOwnPropertyDescriptor(prototype, "bytes")!;
  const load = (name: string) => import(`../_response_body.ts?${name}`);
  Reflect.deleteProperty(prototype, "bytes");
  try {
    const { ResponseWithBody } = await load("without-bytes");
    assert(!("bytes" in ResponseWithBody.prototype));
    assert("text" in ResponseWithBody.prototype);
  } finally {
    Object.defineProperty(prototype, "bytes", bytes);
  }
  const { ResponseWithBody } = await load("with-bytes");
  assert(Object.hasOwn(ResponseWithBody.prototype, "bytes"));
});
