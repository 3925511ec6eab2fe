// Copyright 2026 the heartbeat authors. MIT license.
// deno-lint-ignore-file no-console -- its output is the example

/**
 * Workers that publish their heartbeats over NATS.
 *
 * ```sh
 * deno run -A examples/nats/worker.ts --server localhost:4222 --name alpha --count 1 --interval 1s
 * ```
 *
 * @module
 */

import { startWorker } from "@heartbeat/heartbeat";
import { escapeText, publishHeartbeats } from "@heartbeat/heartbeat/nats";
import { delay } from "@std/async/delay";
import { connectTo } from "./_connect.ts";
import { orFail, parseCount, parseDuration, readOptions } from "../options.ts";

const options = readOptions({
  server: "localhost:4222",
  subject: "heartbeats",
  name: "alpha",
  count: "1",
  interval: "1s",
});
const count = parseCount("count", options.count);
const interval = parseDuration("interval", options.interval);
const connection = await connectTo(options.server, options.name);

function startOne(name: string) {
  const subject = `${options.subject}.${name}`;
  const published = orFail(() => publishHeartbeats(connection, subject));
  const { results, heartbeats } = startWorker(async function* () {
    for (let item = 1;; item++) {
      await delay(interval / 2); // real work, elsewhere
      yield item;
    }
  }, { name, interval });
  // both streams error with the same reason: one line is enough
  results.pipeTo(new WritableStream()).catch(() => {});
  heartbeats.pipeTo(published).catch((error) => {
    console.error(escapeText(`${name} stopped: ${error.message}`));
  });
}

for (let index = 0; index < count; index++) {
  startOne(count === 1 ? options.name : `${options.name}-${index}`);
}
console.log(escapeText(
  `${options.name}: ${count} on ${options.server}, a heartbeat every ${options.interval}`,
));
