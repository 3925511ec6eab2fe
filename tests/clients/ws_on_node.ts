// Copyright 2026 the heartbeat authors. MIT license.

// Runs on Node.js, as a bundle: what becomes of a WebSocket in each case.
// deno-lint-ignore-file no-console -- the lines are what the test reads

import { readWebSocket, startWebSocketServer } from "./_web_socket.ts";

for (
  const behaviour of ["healthy", "lost", "stalls", "no-handshake"] as const
) {
  const server = await startWebSocketServer(behaviour);
  const messages: string[] = [];
  const end = await readWebSocket(server.url, messages).catch(
    (error: Error) => error.name,
  );
  console.log(`${behaviour} ${messages} ${end}`);
  await server[Symbol.asyncDispose]();
}
