// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { guardFetch } from "../../fetch.ts";
import { HeartbeatTimeoutError } from "../../monitor.ts";
import { waitUntil } from "../_help.ts";

/** HTTP/2's code for a stream that the client does not want any more. */
const CANCEL = 8;

/** A server whose `/stalls` sends one event, and whose other paths answer. */
async function serve() {
  const seen = { sessions: 0, requests: 0, codes: [] as number[] };
  const server = createServer();
  const streams = new Set<ServerHttp2Stream>();
  server.on("session", () => void seen.sessions++);
  server.on("stream", (opened, headers) => {
    const stream = opened as ServerHttp2Stream;
    seen.requests++;
    streams.add(stream);
    stream.on("error", () => {});
    stream.on("close", () => {
      streams.delete(stream);
      seen.codes.push(stream.rstCode);
    });
    stream.respond({ ":status": 200, "content-type": "text/event-stream" });
    if (headers[":path"] === "/stalls") stream.write("data: one\n\n");
    else stream.end("data: one\n\n");
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const stream of streams) stream.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

Deno.test("guardFetch ends the stream of HTTP/2 that stalls, and the connection goes on", async () => {
  await using server = await serve();
  // HTTP/2 without TLS, and nothing else
  using client = Deno.createHttpClient({ http1: false, http2: true });
  const fetch = guardFetch({ timeout: 500 });
  const ask = (path: string) =>
    fetch(server.url + path, { client } as RequestInit);

  const stalled = await ask("/stalls");
  const error = await assertRejects(
    () => stalled.text(),
    HeartbeatTimeoutError,
  );
  assertEquals(error.limit, "silence");
  await waitUntil(() => server.seen.codes.length === 1);
  assertEquals(server.seen.codes, [CANCEL]);

  assertEquals(await (await ask("/")).text(), "data: one\n\n");
  assertEquals(server.seen.requests, 2);
  assertEquals(server.seen.sessions, 1);
});
