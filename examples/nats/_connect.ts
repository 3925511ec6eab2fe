// Copyright 2026 the heartbeat authors. MIT license.

import { connect } from "npm:@nats-io/transport-node@3.4.0";
import { fail } from "../options.ts";

// The client leaves the socket of a refused connection without a listener: a reset
// of it would end the program before the client has said what is wrong.
addEventListener("error", (event) => {
  if (event.error?.code === "ECONNRESET") event.preventDefault();
});

/**
 * Connects, as the user that the environment names in NATS_USER and NATS_PASSWORD.
 * Once connected, it reconnects for as long as it takes, unless it is refused.
 */
export async function connectTo(servers: string, name: string) {
  const [user, pass] = ["NATS_USER", "NATS_PASSWORD"].map(Deno.env.get);
  try {
    return await connect({
      servers,
      name,
      ...(user !== undefined && { user }),
      ...(pass !== undefined && { pass }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 100,
      pingInterval: 1_000,
      maxPingOut: 1,
    });
  } catch (error) {
    return fail(`cannot connect to ${servers}: ${(error as Error).message}`);
  }
}
