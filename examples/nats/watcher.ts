// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- what it says is the example

/**
 * Watches the heartbeats of a fleet over NATS, and says who goes down.
 *
 * ```sh
 * deno run -A examples/nats/watcher.ts --server localhost:4222 --timeout 3s --json
 * ```
 */

import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
import { subscribeHeartbeats } from "@heartbeat/heartbeat/nats";
import { parseDuration } from "../../_cli_args.ts";
import { connectTo, failLate, orFail, readOptions } from "./_connect.ts";

const options = readOptions({
  server: "localhost:4222",
  subject: "heartbeats.>",
  timeout: "3s",
}, ["json"]);

const fleet = orFail(() => {
  const timeout = parseDuration("timeout", options.timeout, true);
  return new FleetMonitor({ timeout });
});
const connection = await connectTo(options.server, "watcher");

function say(type: string, what: object, text: string) {
  console.log(
    options.json
      ? JSON.stringify({ type, ...what })
      : `${new Date().toTimeString().slice(0, 8)}  ${type.padEnd(9)}  ${text}`,
  );
}

/** Declares nobody down while nobody can be heard. */
async function mindTheConnection() {
  let blind = false;
  for await (const { type } of connection.status()) {
    const time = Date.now();
    if (type === "disconnect" && !blind) {
      blind = true;
      fleet.pause();
      say("blind", { time }, `lost ${options.server}: nobody can be heard`);
    } else if (type === "reconnect") {
      blind = false;
      fleet.resume();
      say("sees", { time }, `${options.server} is back`);
    }
  }
}
mindTheConnection();

const beats = orFail(() =>
  subscribeHeartbeats(connection, options.subject, {
    onMalformed({ count, subject, problem }) {
      const time = Date.now();
      const text = `${subject}: ${problem} (${count} so far)`;
      say("malformed", { time, count, subject, problem }, text);
    },
  })
);
say(
  "watching",
  { time: Date.now(), subject: options.subject },
  `${options.subject} on ${options.server}`,
);
try {
  for await (const event of beats.pipeThrough(fleet)) {
    const { type, worker, ...more } = event;
    say(type, { worker, ...more }, `${worker}  (${fleet.size} known)`);
  }
} catch (error) {
  failLate(`lost ${options.server} for good: ${(error as Error).message}`);
}
