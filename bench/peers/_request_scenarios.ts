// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Scenarios with requests: a server that never answers, one that only pings, an
 * LLM client, and a warning before the end.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import OpenAI from "openai";
import { type Peer, PINGS, type Source } from "./peer.ts";
import {
  each,
  ENDS,
  latest,
  NEVER,
  no,
  read,
  timed,
  TIMEOUT,
  verdict,
} from "./_observe.ts";

/** What a promise came to, within a time. */
function settle(promise: Promise<unknown>, limit: number) {
  return Promise.race([
    promise.then(() => "value", () => "error"),
    delay(limit).then(() => "pending"),
  ]);
}

/** Waits until a set has a member, for a second at most. */
async function eventually(set: Set<string>, member: string) {
  for (let left = 20; left > 0 && !set.has(member); left--) await delay(50);
  return set.has(member);
}

/** A TCP server that takes requests and never answers; knows whose connection was closed. */
function serveSilence() {
  const closed = new Set<string>();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) {
      (async () => {
        let path: string | undefined;
        for await (const bytes of connection.readable) {
          path ??= new TextDecoder().decode(bytes).split(" ")[1];
        }
        if (path) closed.add(path);
      })().catch(() => {});
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  return { closed, listener, url: `http://127.0.0.1:${port}` };
}

export async function headers(peers: Peer[]) {
  const { closed, listener, url } = serveSilence();
  const rows = await each("Covers connect and headers", peers, async (peer) => {
    if (!peer.guardRequest) return no();
    const path = `/${peers.indexOf(peer)}`;
    const outcome = await settle(
      peer.guardRequest(url + path, TIMEOUT),
      latest(peer) + NEVER,
    );
    if (outcome !== "error") return no("the silence is never reported");
    return verdict(await eventually(closed, path), "the request stays open");
  });
  listener.close();
  return rows;
}

/** One chunk, then a ping every 20 ms for ever. A ping is a zero. */
function pinging(): Source {
  let timer: ReturnType<typeof setInterval>;
  return new ReadableStream({
    start(controller) {
      controller.enqueue(Uint8Array.of(1));
      timer = setInterval(() => controller.enqueue(Uint8Array.of(0)), 20);
    },
    cancel: () => clearInterval(timer),
  });
}

export function pings(peers: Peer[]) {
  return each(PINGS, peers, async (peer) => {
    const chunks = peer.guard(pinging(), {
      timeout: TIMEOUT,
      isPing: ([first]) => first === 0,
    });
    const { end } = await read(chunks, latest(peer) + NEVER);
    return verdict(end === "error", ENDS[end]);
  });
}

/** A response of one token, and then nothing. */
function answer(onCancel: () => void) {
  const chunk = { choices: [{ index: 0, delta: { content: "Hi" } }] };
  const bytes = new TextEncoder().encode(`data: ${JSON.stringify(chunk)}\n\n`);
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(bytes),
    cancel: onCancel,
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream" },
  });
}

/** The tokens of an answer; throws what the client throws. */
async function ask(baseURL: string, guarded: typeof fetch) {
  const client = new OpenAI({
    apiKey: "key",
    maxRetries: 0,
    baseURL,
    fetch: guarded,
  });
  const parts = await client.chat.completions.create({
    ...{ model: "m", messages: [], stream: true as const },
  });
  for await (const _ of parts);
}

export async function llmClient(peers: Peer[]) {
  const closed = new Set<string>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    ({ url }) => {
      const [, path] = new URL(url).pathname.split("/");
      return answer(() => closed.add(path!));
    },
  );
  const rows = await each(
    "One line with an LLM client",
    peers,
    async (peer) => {
      if (!peer.createFetch) return no();
      const path = String(peers.indexOf(peer));
      const outcome = await settle(
        ask(
          `http://127.0.0.1:${server.addr.port}/${path}`,
          peer.createFetch(TIMEOUT),
        ),
        latest(peer) + NEVER,
      );
      return verdict(
        outcome === "error" && await eventually(closed, path),
        outcome === "value"
          ? "the answer just ends, as if it were complete"
          : outcome === "error"
          ? "the request stays open"
          : "the silence is never reported",
      );
    },
  );
  server.shutdown();
  return rows;
}

export function warning(peers: Peer[]) {
  return each("Warns before it ends", peers, async (peer) => {
    const warnings: number[] = [];
    const { end, time } = await read(
      peer.guard(timed([0]).stream, {
        timeout: TIMEOUT,
        warn: () => warnings.push(performance.now()),
      }),
      latest(peer) + NEVER,
    );
    return verdict(
      end === "error" && warnings.length === 1 && warnings[0]! < time,
    );
  });
}
