// Copyright 2026 the heartbeat authors. MIT license.

// A WebSocket of Node.js as a stream, against a server that stalls.

import { assertEquals, assertRejects } from "@std/assert";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws";
import { HeartbeatTimeoutError, watch } from "../../monitor.ts";
import { waitUntil } from "../_help.ts";

type Behaviour = "healthy" | "stalls" | "pings" | "no-handshake" | "lost";

/** What is used of a WebSocket; the package has no types of its own. */
interface ServerSocket {
  ping(): void;
  send(message: string, onSent?: () => void): void;
  close(): void;
  terminate(): void;
  on(event: "close", listener: () => void): void;
}

/** A server of WebSockets; `closed` counts the connections that are closed. */
async function serve(behaviour: Behaviour) {
  const seen = { closed: 0 };
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (request, socket, head) => {
    if (behaviour === "no-handshake") {
      socket.on("end", () => {
        seen.closed++;
        socket.destroy();
      });
      return void socket.resume();
    }
    sockets.handleUpgrade(request, socket, head, (client: ServerSocket) => {
      const pings = behaviour === "pings"
        ? setInterval(() => client.ping(), 50)
        : undefined;
      client.on("close", () => {
        seen.closed++;
        clearInterval(pings);
      });
      client.send("one");
      client.send("two", () => {
        if (behaviour === "healthy") client.close();
        if (behaviour === "lost") client.terminate();
      });
    });
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    url: `ws://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Reads the messages of a WebSocket; resolves to them and to its close code. */
async function read(url: string, messages: string[]) {
  const socket = new WebSocket(url);
  let code: number | undefined;
  socket.on("close", (closeCode: number) => void (code = closeCode));
  const stream = createWebSocketStream(socket);
  const web = Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array>;
  for await (const bytes of watch(web, { timeout: 500 })) {
    messages.push(new TextDecoder().decode(bytes));
  }
  return code;
}

Deno.test("watch() of a WebSocket reads all messages; its code distinguishes the end from a loss", async () => {
  for (
    const [behaviour, code] of [["healthy", 1005], ["lost", 1006]] as const
  ) {
    await using server = await serve(behaviour);
    const messages: string[] = [];
    assertEquals(await read(server.url, messages), code);
    assertEquals(messages, ["one", "two"]);
    await waitUntil(() => server.seen.closed === 1);
  }
});

for (const behaviour of ["stalls", "pings", "no-handshake"] as const) {
  Deno.test(`watch() of a WebSocket ends it when the server does this: ${behaviour}`, async () => {
    await using server = await serve(behaviour);
    const messages: string[] = [];
    await assertRejects(
      () => read(server.url, messages),
      HeartbeatTimeoutError,
    );
    const expected = behaviour === "no-handshake" ? [] : ["one", "two"];
    assertEquals(messages, expected);
    await waitUntil(() => server.seen.closed === 1);
  });
}
