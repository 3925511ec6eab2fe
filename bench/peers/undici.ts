// Copyright 2026 the heartbeat authors. MIT license.

import { Agent, fetch as send, request } from "npm:undici@8.12.4";
import {
  type Chunks,
  type GuardOptions,
  type Peer,
  PINGS,
  type Source,
} from "./peer.ts";

async function* guardBody(url: string, options: GuardOptions): Chunks {
  const { timeout: bodyTimeout, first } = options;
  const dispatcher = new Agent({
    bodyTimeout,
    ...first !== undefined && { headersTimeout: first },
  });
  try {
    const { body } = await request(url, { dispatcher });
    for await (const chunk of body) yield chunk;
  } finally {
    await dispatcher.destroy();
  }
}

/** It guards only bodies, so a server turns the source into one. */
export async function* guard(source: Source, options: GuardOptions): Chunks {
  const { promise: ready, resolve } = Promise.withResolvers<number>();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => resolve(port),
  }, () => new Response(source));
  try {
    yield* guardBody(`http://127.0.0.1:${await ready}/`, options);
  } finally {
    server.shutdown();
  }
}

export const undici: Peer = {
  name: "undici `bodyTimeout`",
  version: "undici 8.12.4",
  file: "undici.ts",
  latest: 1_800,
  guard,
  guardBody,
  async guardRequest(url, headersTimeout) {
    const dispatcher = new Agent({ headersTimeout });
    try {
      await request(url, { dispatcher });
    } finally {
      await dispatcher.destroy();
    }
  },
  createFetch(bodyTimeout) {
    const dispatcher = new Agent({ bodyTimeout });
    return ((url: string, init: object) =>
      send(url, { ...init, dispatcher })) as unknown as typeof fetch;
  },
  notes: {
    "One line with an LLM client": {
      no: "on Deno, where its error does not reach the client; on Node.js it " +
        "does, with undici's own `fetch` and an `Agent`",
    },
    [PINGS]: { no: "its limit counts every byte" },
    "A blocked event loop is not silence": {
      yes: "its clock counts its own ticks, not the time",
    },
    "Works on an HTTP body": {
      yes: "on those of its own requests, and on nothing else: a server " +
        "made such bodies of the sources of the other rows",
    },
    "Size, minified and gzipped": { yes: "a whole HTTP client" },
  },
};
