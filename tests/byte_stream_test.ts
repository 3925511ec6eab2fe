// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { isByteBody, isByteStream } from "../_byte_stream.ts";

function createStream(type?: "bytes") {
  return new ReadableStream({ type } as UnderlyingByteSource);
}

/** Counts how often a stream is asked for a reader. */
function countReaders(stream: ReadableStream) {
  const seen = { readers: 0 };
  stream.getReader = ((options: ReadableStreamGetReaderOptions) => {
    seen.readers++;
    return ReadableStream.prototype.getReader.call(stream, options);
  }) as typeof stream.getReader;
  return seen;
}

Deno.test("isByteStream distinguishes the streams, and leaves them unlocked", () => {
  for (const type of ["bytes", undefined] as const) {
    const stream = createStream(type);
    assertEquals(isByteStream(stream), type === "bytes");
    assertEquals(stream.locked, false);
  }
});

Deno.test("isByteBody asks each body that is not from the network, whatever its URL says", () => {
  for (const type of ["bytes", undefined, "bytes"] as const) {
    const response = new Response(createStream(type));
    Object.defineProperty(response, "url", { value: "https://a.example" });
    assertEquals(isByteBody(response, response.body!), type === "bytes");
    // a response of another implementation
    const foreign = { url: "https://a.example" } as Response;
    assertEquals(isByteBody(foreign, createStream(type)), type === "bytes");
  }
});

Deno.test("isByteBody asks only the first body from the network", async () => {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("alive"),
  );
  for (const isFirst of [true, false]) {
    const response = await fetch(`http://127.0.0.1:${server.addr.port}`);
    const body = response.body!;
    const seen = countReaders(body);
    assertEquals(isByteBody(response, body), isByteStream(body));
    // isByteStream() asks, too
    assertEquals(seen.readers, isFirst ? 2 : 1);
    await body.cancel();
  }
  await server.shutdown();
});
