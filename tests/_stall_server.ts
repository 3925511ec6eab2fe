// Copyright 2026 the heartbeat authors. MIT license.

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createGzip } from "node:zlib";

/**
 * What a server does after it got a request. The chunks of `write` are in the
 * form that the path asks for, such as server-sent events.
 */
export type Behaviour =
  /** Sends all chunks, and ends. */
  | "healthy"
  /** Sends the chunks with pauses. */
  | "slow"
  /** Sends nothing, not even headers. */
  | "no-headers"
  /** Sends the headers, and nothing else. */
  | "no-body"
  /** Sends some chunks, then nothing. */
  | "stalls"
  /** Sends some chunks, then only keep-alive comments. */
  | "pings"
  /** Sends single bytes of one event that never ends. */
  | "drips"
  /** Sends some chunks, then ends the TCP stream in the middle of the body. */
  | "half-closes"
  /** Sends some chunks, then resets the connection. */
  | "resets";

/** A server on loopback that stalls in a given way. */
export interface StallServer extends AsyncDisposable {
  /** The URL of a behaviour, without a slash at its end: a client appends its own path. */
  url(behaviour: Behaviour): string;
  /** How many requests arrived. */
  readonly requests: number;
  /** How many responses were cut off by the client. */
  readonly aborted: number;
  /** How many TCP connections are open. */
  readonly open: number;
}

export interface StallServerOptions {
  /** The chunks of a response to a path, without the prefix of the behaviour. */
  chunks?: (path: string) => string[];
  /** The content type of a response to a path. */
  contentType?: (path: string) => string;
  /** The time between two chunks, pings or drips, in milliseconds. */
  pause?: number;
  /** How many chunks are sent before a stall. */
  before?: number;
  /** Whether the body is compressed. */
  gzip?: boolean;
}

const EVENTS = ["one", "two", "three", "four"].map((word) =>
  `data: ${word}\n\n`
);

/** Starts a server on a free port of loopback. */
export async function startStallServer(
  options: StallServerOptions = {},
): Promise<StallServer> {
  const sockets = new Set<Socket>();
  const counts = { requests: 0, aborted: 0 };
  const responding = new Set<Promise<void>>();
  const server = createServer((request, response) => {
    counts.requests++;
    response.on("close", () => {
      if (!response.writableFinished) counts.aborted++;
    });
    response.on("error", () => {});
    // the request is read to its end: otherwise a close may go unnoticed
    request.resume();
    request.on("end", () => {
      const responded = answer(request.url!, response, options)
        .catch(() => {})
        .finally(() => responding.delete(responded));
      responding.add(responded);
    });
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const { port } = server.address() as AddressInfo;
  return {
    url: (behaviour) => `http://127.0.0.1:${port}/${behaviour}`,
    get requests() {
      return counts.requests;
    },
    get aborted() {
      return counts.aborted;
    },
    get open() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) =>
        server.close(() => resolve())
      );
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed, ...responding]);
    },
  };
}

function answer(
  url: string,
  response: ServerResponse,
  options: StallServerOptions,
): Promise<void> {
  const {
    chunks = () => EVENTS,
    contentType = () => "text/event-stream",
    pause = 50,
    before = 2,
    gzip = false,
  } = options;
  const [, behaviour, ...rest] = url.split("/");
  const path = `/${rest.join("/")}`;
  const headers = {
    "content-type": contentType(path),
    ...(gzip && { "content-encoding": "gzip" }),
  };
  const body = { chunks: chunks(path), pause, before, gzip };
  return respond(response, behaviour as Behaviour, headers, body);
}

async function respond(
  response: ServerResponse,
  behaviour: Behaviour,
  headers: Record<string, string>,
  { chunks, pause, before, gzip }:
    & Required<Pick<StallServerOptions, "pause" | "before" | "gzip">>
    & { chunks: string[] },
) {
  if (behaviour === "no-headers") return;
  response.writeHead(200, headers);
  response.flushHeaders();
  if (behaviour === "no-body") return;
  const body = gzip ? createGzip() : undefined;
  body?.pipe(response);
  function write(text: string) {
    (body ?? response).write(text);
    body?.flush();
  }
  function wait() {
    return new Promise((resolve) => setTimeout(resolve, pause));
  }
  const isWhole = behaviour === "healthy" || behaviour === "slow";
  for (const chunk of isWhole ? chunks : chunks.slice(0, before)) {
    write(chunk);
    if (behaviour === "slow") await wait();
  }
  if (isWhole) return void (body ?? response).end();
  await wait();
  if (behaviour === "half-closes") return void response.socket!.end();
  if (behaviour === "resets") return void response.socket!.resetAndDestroy();
  const repeated = { pings: ": ping\n\n", drips: "x", stalls: undefined }[
    behaviour as "pings" | "drips" | "stalls"
  ];
  while (repeated !== undefined && !response.destroyed) {
    write(repeated);
    await wait();
  }
}
