// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- what it says is the example

/**
 * Workers that publish their heartbeats over NATS.
 *
 * ```sh
 * deno run -A examples/nats/worker.ts --server localhost:4222 --name alpha --count 1 --interval 1s
 * ```
 */

import { delay } from "@std/async/delay";
import { publishHeartbeats } from "@heartbeat/heartbeat/nats";
import { startWorker } from "@heartbeat/heartbeat";
import { parseCount, parseDuration } from "../../_cli_args.ts";
import { connectTo, orFail, readOptions } from "./_connect.ts";

const options = readOptions({
  server: "localhost:4222",
  subject: "heartbeats",
  name: "alpha",
  count: "1",
  interval: "1s",
});

const { count, interval } = orFail(() => ({
  count: parseCount("count", options.count),
  interval: parseDuration("interval", options.interval, false),
}));
const connection = await connectTo(options.server, options.name);

for (let index = 0; index < count; index++) {
  const name = count === 1 ? options.name : `${options.name}-${index}`;
  const { results, heartbeats } = startWorker(async function* () {
    for (let item = 1;; item++) {
      await delay(interval / 2); // what is real work elsewhere
      yield item;
    }
  }, { name, interval });
  heartbeats.pipeTo(
    orFail(() => publishHeartbeats(connection, `${options.subject}.${name}`)),
  );
  results.pipeTo(new WritableStream());
}
console.log(
  `${options.name}: ${count} on ${options.server}, a heartbeat every ${options.interval}`,
);
