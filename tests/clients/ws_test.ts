// Copyright 2026 the heartbeat authors. MIT license.

// A WebSocket of Node.js as a stream, against a server that stalls.

import { assertEquals, assertRejects } from "@std/assert";
import { HeartbeatTimeoutError } from "../../monitor.ts";
import { waitUntil } from "../_help.ts";
import { node, runOnNode } from "./_on_node.ts";
import { readWebSocket, startWebSocketServer } from "./_web_socket.ts";

Deno.test("watch() of a WebSocket reads all messages; its code distinguishes the end from a loss", async () => {
  for (
    const [behaviour, code] of [["healthy", 1005], ["lost", 1006]] as const
  ) {
    await using server = await startWebSocketServer(behaviour);
    const messages: string[] = [];
    assertEquals(await readWebSocket(server.url, messages), code);
    assertEquals(messages, ["one", "two"]);
    await waitUntil(() => server.seen.closed === 1);
  }
});

for (const behaviour of ["stalls", "pings", "no-handshake"] as const) {
  Deno.test(`watch() of a WebSocket ends it when the server does this: ${behaviour}`, async () => {
    await using server = await startWebSocketServer(behaviour);
    const messages: string[] = [];
    await assertRejects(
      () => readWebSocket(server.url, messages),
      HeartbeatTimeoutError,
    );
    const expected = behaviour === "no-handshake" ? [] : ["one", "two"];
    assertEquals(messages, expected);
    await waitUntil(() => server.seen.closed === 1);
  });
}

Deno.test({
  name: "watch() of a WebSocket behaves on Node.js as it does here",
  ignore: node === undefined,
  async fn() {
    assertEquals(await runOnNode("ws_on_node.ts"), [
      "healthy one,two 1005",
      "lost one,two 1006",
      "stalls one,two HeartbeatTimeoutError",
      "no-handshake  HeartbeatTimeoutError",
    ]);
  },
});
