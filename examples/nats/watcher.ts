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

import type { FleetEvent } from "@heartbeat/heartbeat/fleet";
import { escapeText, watchFleet } from "@heartbeat/heartbeat/nats";
import { connectTo } from "./_connect.ts";
import {
  fail,
  orFail,
  parseCount,
  parseDuration,
  readOptions,
} from "../options.ts";

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

function printEvent({ type, ...event }: FleetEvent) {
  if (type === "blind") {
    print(type, event, `lost ${options.server}: nobody can be heard`);
  } else if (type === "sees") {
    print(type, event, `${options.server} is back`);
  } else if ("worker" in event) {
    const { worker } = event;
    const text = "count" in event
      ? `${worker}  (${event.reason}: ${event.count} so far)`
      : "reason" in event
      ? `${worker}  (${event.reason})`
      : `${worker}  (${fleet.size} known)`;
    print(type, event, text);
  }
}

const limits = {
  timeout: parseDuration("timeout", options.timeout),
  forgetAfter: parseDuration("forget-after", options["forget-after"]),
  maxWorkers: parseCount("max-workers", options["max-workers"]),
};
const { server, subject } = options;
const connection = await connectTo(server, "watcher");
const { events, fleet } = orFail(() =>
  watchFleet(connection, subject, {
    ...limits,
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
// the server knows the subject by then; if it is lost, that is an event
await connection.flush().catch(() => {});
print("watching", { time: Date.now(), subject }, `${subject} on ${server}`);
try {
  for await (const event of events) printEvent(event);
} catch (error) {
  fail(`lost ${server} for good: ${(error as Error).message}`, 1);
}
