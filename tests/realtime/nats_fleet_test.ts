// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import type { NatsConnection } from "npm:@nats-io/transport-node@3.4.0";
import {
  publishHeartbeats,
  watchFleet,
  type WatchFleetOptions,
} from "../../nats.ts";
import { waitUntil } from "../_help.ts";
import {
  Broker,
  Link,
  separateSight,
  testWithBroker as test,
} from "../_nats.ts";

const NAMES = ["alpha", "beta", "gamma"];

/** Workers that beat every 200 ms, until each is stopped. */
function startWorkers(connection: NatsConnection) {
  const timers = new Map(NAMES.map((worker) => {
    const writer = publishHeartbeats(connection, `heartbeats.${worker}`)
      .getWriter();
    let seq = 0;
    const beat = () => {
      writer.write({ worker, seq: ++seq, time: Date.now() }).catch(() => {});
    };
    return [worker, setInterval(beat, 200)];
  }));
  return {
    stop: (name: string) => clearInterval(timers.get(name)),
    [Symbol.dispose]: () => timers.forEach((timer) => clearInterval(timer)),
  };
}

/** Watches, and collects what happens as `type` or `type worker`. */
function startWatching(
  connection: NatsConnection,
  options: Partial<WatchFleetOptions> = {},
) {
  const seen: string[] = [];
  const { events } = watchFleet(connection, "heartbeats.*", {
    timeout: 2_000,
    ...options,
  });
  const ended = events.pipeTo(
    new WritableStream({
      write: (event) =>
        void seen.push(
          "worker" in event ? `${event.type} ${event.worker}` : event.type,
        ),
    }),
  );
  return {
    seen,
    ended,
    count: (text: string) => seen.filter((it) => it.startsWith(text)).length,
    waitForSight: (sight: "blind" | "sees") =>
      waitUntil(() => separateSight(seen).sight === sight, `it is ${sight}`),
    /** What happened since all were up, but for `blind` and `sees`. */
    others: () => separateSight(seen).others.slice(NAMES.length),
  };
}

test("watchFleet is blind while the broker is stopped without a word, and calls nobody down", async () => {
  await using broker = await Broker.start();
  const [near, far] = [await broker.connect(), await broker.connect()];
  using workers = startWorkers(near);
  const watching = startWatching(far);
  await waitUntil(() => watching.count("up") === 3, "all are up");
  broker.signal("SIGSTOP");
  await watching.waitForSight("blind");
  await delay(5_000);
  broker.signal("SIGCONT");
  await watching.waitForSight("sees");
  await delay(2_500);
  assertEquals(watching.others(), []);
  // and it is still awake
  workers.stop("beta");
  await waitUntil(() => watching.count("down") > 0, "beta is down");
  assertEquals(watching.others(), ["down beta"]);
  await Promise.all([near.close(), far.close()]);
  await watching.ended;
});

test("watchFleet is blind while its link loses all bytes, until the client has another one", async () => {
  await using broker = await Broker.start();
  using link = new Link(broker);
  const near = await broker.connect();
  const far = await broker.connect({
    servers: link.servers,
    pingInterval: 1_000,
    maxPingOut: 1,
    timeout: 1_000,
  });
  using _workers = startWorkers(near);
  const watching = startWatching(far);
  await waitUntil(() => watching.count("up") === 3, "all are up");
  link.cut();
  await watching.waitForSight("blind");
  await delay(4_000);
  link.mend();
  await watching.waitForSight("sees");
  await delay(2_500);
  assertEquals(watching.others(), []);
  await Promise.all([near.close(), far.close()]);
  await watching.ended;
});

test("watchFleet errors when it can never hear again", async () => {
  await using broker = await Broker.start();
  const connection = await broker.connect({ maxReconnectAttempts: 2 });
  const { ended, seen, waitForSight } = startWatching(connection);
  await connection.flush();
  await broker.stop();
  const error = await ended.then(() => undefined, (error) => error);
  assertEquals(error, await connection.closed());
  assertMatch(error.message, /refused/);
  await waitForSight("blind");
  assertEquals(separateSight(seen).others, []);
});
