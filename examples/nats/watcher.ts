// Copyright 2026 the heartbeat authors. MIT license.
// deno-lint-ignore-file no-console -- its output is the example

/**
 * Watches the heartbeats of a fleet over NATS, and prints who goes down.
 *
 * ```sh
 * deno run -A examples/nats/watcher.ts --server localhost:4222 --timeout 3s --json
 * ```
 *
 * Exit codes: 1 if the connection is lost for good, 2 for bad usage.
 *
 * @module
 */

import { type FleetEvent, FleetMonitor } from "@heartbeat/heartbeat/fleet";
import { escapeText, subscribeHeartbeats } from "@heartbeat/heartbeat/nats";
import { connectTo } from "./_connect.ts";
import {
  fail,
  orFail,
  parseCount,
  parseDuration,
  readOptions,
} from "./_options.ts";

const options = readOptions({
  server: "localhost:4222",
  subject: "heartbeats.>",
  timeout: "3s",
  // names come from a network: neither their number nor their memory is unbounded
  "forget-after": "1h",
  "max-workers": "100000",
}, ["json"]);

/** Prints an event in one line; names and details are chosen by others. */
function print(type: string, event: object, text: string) {
  const time = new Date().toTimeString().slice(0, 8);
  const line = options.json
    ? JSON.stringify({ type, ...event })
    : `${time}  ${type.padEnd(9)}  ${text}`;
  console.log(escapeText(line));
}

function printFleetEvent({ type, ...event }: FleetEvent) {
  const { worker } = event;
  const text = "count" in event
    ? `${worker}  (${event.reason}: ${event.count} so far)`
    : `${worker}  (${fleet.size} known)`;
  print(type, event, text);
}

const fleet = orFail(() =>
  new FleetMonitor({
    timeout: parseDuration("timeout", options.timeout),
    forgetAfter: parseDuration("forget-after", options["forget-after"]),
    maxWorkers: parseCount("max-workers", options["max-workers"]),
  })
);
const connection = await connectTo(options.server, "watcher");

/** Pauses the fleet while nobody can be heard: that is no sign of death. */
async function watchConnection() {
  let isBlind = false;
  for await (const { type } of connection.status()) {
    const time = Date.now();
    // it comes again for each attempt that the server refuses
    if (type === "disconnect" && !isBlind) {
      isBlind = true;
      fleet.pause();
      print("blind", { time }, `lost ${options.server}: nobody can be heard`);
    } else if (type === "reconnect") {
      isBlind = false;
      fleet.resume();
      print("sees", { time }, `${options.server} is back`);
    }
  }
}
watchConnection();

const beats = orFail(() =>
  subscribeHeartbeats(connection, options.subject, {
    onDropped({ count, worker, problem }) {
      // a worker may do so with each heartbeat
      if (!/^10*$/.test(`${count}`)) return;
      const event = { time: Date.now(), count, worker, problem };
      print("dropped", event, `${worker}: ${problem} (${count} so far)`);
    },
    onMalformed({ count, subject, problem }) {
      const event = { time: Date.now(), count, subject, problem };
      print("malformed", event, `${subject}: ${problem} (${count} so far)`);
    },
  })
);
const { subject } = options;
print(
  "watching",
  { time: Date.now(), subject },
  `${subject} on ${options.server}`,
);
try {
  for await (const event of beats.pipeThrough(fleet)) printFleetEvent(event);
} catch (error) {
  const { message } = error as Error;
  fail(`lost ${options.server} for good: ${message}`, 1);
}
