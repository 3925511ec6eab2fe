// Copyright 2026 the heartbeat authors. MIT license.

// The server's side: an answer that hangs is an error for its client, too, and a
// client that leaves ends the work for it.

import { serve } from "@hono/node-server";
import { assertEquals, assertInstanceOf } from "@std/assert";
import { deadline } from "@std/async/deadline";
import express from "express";
import { Hono } from "hono";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline, Readable } from "node:stream";
import { stream, streamSSE } from "npm:hono@4.13.19/streaming";
import { HeartbeatTimeoutError, watch } from "../../monitor.ts";
import { waitUntil } from "../_help.ts";

const TIMEOUT = 500;
/** What nothing here takes, in milliseconds. */
const LONG_MS = 30_000;

/** An answer of two words; one that hangs does not end. */
function createAnswer(hangs: boolean) {
  const seen: { signal?: AbortSignal } = {};
  const encoder = new TextEncoder();
  const limits = { timeout: TIMEOUT };
  const body = () =>
    watch(async function* answer({ signal }) {
      seen.signal = signal;
      yield encoder.encode("one");
      yield encoder.encode("two");
      if (hangs) await new Promise(() => {});
    }, limits);
  return { seen, body };
}

type Answer = ReturnType<typeof createAnswer>;

interface Running extends AsyncDisposable {
  url: string;
}

function toRunning(server: Server): Running {
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** Servers that send an answer, each as its documentation here says. */
const SERVERS: Record<string, (answer: Answer) => Promise<Running>> = {
  "Hono on Deno": ({ body }) => {
    const app = new Hono();
    app.get("/", (context) => context.body(body()));
    const server = Deno.serve({
      port: 0,
      hostname: "127.0.0.1",
      onListen() {},
    }, app.fetch);
    return Promise.resolve({
      url: `http://127.0.0.1:${server.addr.port}/`,
      [Symbol.asyncDispose]: () => server.shutdown(),
    });
  },

  "Hono on Node.js": ({ body }) => {
    const app = new Hono();
    app.get("/", (context) => context.body(body()));
    return listenWithHono(app);
  },

  "Express": ({ body }) => {
    const app = express();
    app.get("/", (_request: unknown, response: NodeJS.WritableStream) => {
      const readable = Readable.fromWeb(
        body() as Parameters<typeof Readable.fromWeb>[0],
      );
      pipeline(readable, response, () => {});
    });
    return new Promise((resolve) => {
      const server: Server = app.listen(
        0,
        "127.0.0.1",
        () => resolve(toRunning(server)),
      );
    });
  },
};

function listenWithHono(app: Hono): Promise<Running> {
  return new Promise((resolve) => {
    const options = { fetch: app.fetch, port: 0, hostname: "127.0.0.1" };
    const server = serve(options, () => resolve(toRunning(server))) as Server;
  });
}

/** Reads an answer; a client that leaves does so at the second word. */
async function read(url: string, leaves = false) {
  let text = "";
  let error: unknown;
  const response = await fetch(url);
  try {
    for await (const bytes of response.body!) {
      text += new TextDecoder().decode(bytes);
      if (leaves && text === "onetwo") break;
    }
  } catch (reason) {
    error = reason;
  }
  return { text, error };
}

for (const [name, start] of Object.entries(SERVERS)) {
  Deno.test(`${name}: an answer that hangs is an error for its client, and a healthy one is not`, async () => {
    for (const hangs of [false, true]) {
      const answer = createAnswer(hangs);
      await using server = await start(answer);
      const { text, error } = await deadline(read(server.url), LONG_MS);
      assertEquals(text, "onetwo");
      if (hangs) assertInstanceOf(error, TypeError);
      else assertEquals(error, undefined);
      const { aborted, reason } = answer.seen.signal!;
      assertEquals(aborted, hangs);
      if (hangs) assertInstanceOf(reason, HeartbeatTimeoutError);
    }
  });

  Deno.test(`${name}: a client that leaves ends the work`, async () => {
    const answer = createAnswer(true);
    await using server = await start(answer);
    await read(server.url, true);
    await waitUntil(() => answer.seen.signal!.aborted);
    assertEquals(
      answer.seen.signal!.reason instanceof HeartbeatTimeoutError,
      false,
    );
  });
}

Deno.test("Hono's stream() ends an answer that hangs as if it were complete", async () => {
  const answer = createAnswer(true);
  const seen: { error?: Error } = {};
  const app = new Hono();
  app.get("/", (context) =>
    stream(
      context,
      async (output) => await output.pipe(answer.body()),
      (error) => Promise.resolve(void (seen.error = error)),
    ));
  await using server = await listenWithHono(app);
  const { text, error } = await deadline(read(server.url), LONG_MS);
  assertEquals([text, error], ["onetwo", undefined]);
  assertInstanceOf(seen.error, HeartbeatTimeoutError);
});

Deno.test("Hono's streamSSE() does so, too, after an event named error if it has an onError", async () => {
  const answer = createAnswer(true);
  const app = new Hono();
  app.get("/", (context) =>
    streamSSE(context, async (output) => {
      for await (const bytes of answer.body()) {
        await output.writeSSE({ data: new TextDecoder().decode(bytes) });
      }
    }, () => Promise.resolve()));
  await using server = await listenWithHono(app);
  const { text, error } = await deadline(read(server.url), LONG_MS);
  assertEquals(error, undefined);
  const [one, two, last] = text.split("\n\n");
  assertEquals([one, two], ["data: one", "data: two"]);
  assertEquals(last!.startsWith("event: error\ndata: No heartbeat from"), true);
});
