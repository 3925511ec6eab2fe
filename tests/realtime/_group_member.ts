// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- what it prints is what the test reads

// A member of a group in a process of its own, which a test can stop and kill.
// It prints its changes, and what it holds every 50 ms, as JSON lines.

import { Kvm } from "npm:@nats-io/kv@3.4.0";
import { connect } from "npm:@nats-io/transport-node@3.4.0";
import { WatchGroup } from "../../group.ts";

const [servers, bucketName, lease] = Deno.args as [string, string, string];
const connection = await connect({
  servers,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 50,
});
const bucket = await new Kvm(connection).open(bucketName);
const group = new WatchGroup(bucket, { lease: Number(lease), partitions: 32 });
setInterval(() => {
  console.log(JSON.stringify({ time: Date.now(), held: group.held }));
}, 50);
