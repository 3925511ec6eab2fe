// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- what it prints is what the test reads

// A watcher of a group in a process of its own, which a test can stop and kill.
// It prints each event as a JSON line.

import { type KV, Kvm } from "npm:@nats-io/kv@3.4.0";
import { connect } from "npm:@nats-io/transport-node@3.4.0";
import { SharedFleet, WatchGroup } from "../../group.ts";
import { subscribeHeartbeats } from "../../nats.ts";
import { natsStore } from "../../store.ts";

const [servers, lease, timeout] = Deno.args as [string, string, string];
const connection = await connect({
  servers,
  maxReconnectAttempts: -1,
  waitOnFirstConnect: true,
  reconnectTimeWait: 50,
  pingInterval: Number(timeout) / 4,
  maxPingOut: 1,
});
const kvm = new Kvm(connection);

/** Opens a bucket, however often the broker restarts meanwhile. */
async function open(name: string): Promise<KV> {
  for (;;) {
    try {
      return await kvm.open(name);
    } catch {
      // try again
    }
  }
}

const group = new WatchGroup(await open("leases"), {
  lease: Number(lease),
  partitions: 16,
});
const bucket = await open("fleet");
const fleet = new SharedFleet(group, {
  timeout: Number(timeout),
  store: (partition) => natsStore(bucket, `${partition}.`),
});
(async () => {
  for await (const { type } of connection.status()) {
    if (type === "disconnect") fleet.pause();
    if (type === "reconnect") fleet.resume();
  }
})();
const beats = subscribeHeartbeats(connection, "heartbeats.*");
for await (const event of beats.pipeThrough(fleet)) {
  console.log(JSON.stringify(event));
}
