// Copyright 2026 the heartbeat authors. MIT license.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws";
import { watch } from "../../monitor.ts";

/** What a server of WebSockets does after it sent two messages. */
export type WebSocketBehaviour =
  | "healthy"
  | "stalls"
  | "pings"
  | "no-handshake"
  | "lost";

/** What is used of a WebSocket; the package has no types of its own. */
interface ServerSocket {
  ping(): void;
  send(message: string, onSent?: () => void): void;
  close(): void;
  terminate(): void;
  on(event: "close", listener: () => void): void;
}

/** A server of WebSockets; `closed` counts the connections that are closed. */
export async function startWebSocketServer(
  behaviour: WebSocketBehaviour,
) {
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
export async function readWebSocket(url: string, messages: string[]) {
  const socket = new WebSocket(url);
  let code: number | undefined;
  socket.on("close", (closeCode: number) => void (code = closeCode));
  // or it does not end before Node.js 24
  const options = { allowHalfOpen: false };
  const stream = createWebSocketStream(socket, options);
  const web = Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array>;
  for await (const bytes of watch(web, { timeout: 500 })) {
    messages.push(new TextDecoder().decode(bytes));
  }
  return code;
}
