// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ConnectionWatch } from "../_connection_watch.ts";
import { advance, skewClock } from "./_help.ts";
import { createConnection } from "./_nats.ts";

/** Watches a fake connection, whose answers the test gives. */
function watchConnection(blindAfter: number, hasFlush = true) {
  const fake = createConnection();
  const checks: PromiseWithResolvers<void>[] = [];
  let stopped = 0;
  const connection = {
    ...fake.connection,
    status: () =>
      Object.assign(fake.connection.status(), { stop: () => void stopped++ }),
    ...(hasFlush && {
      flush() {
        const check = Promise.withResolvers<void>();
        checks.push(check);
        return check.promise;
      },
    }),
  };
  const events: string[] = [];
  const start = Date.now();
  const report = (what: string) =>
    void events.push(`${what} ${Date.now() - start}`);
  const watch = new ConnectionWatch(connection, {
    blindAfter,
    onBlind: () => report("blind"),
    onSees: () => report("sees"),
  });
  return { ...fake, watch, events, checks, stopped: () => stopped };
}

Deno.test("ConnectionWatch is blind when there is no answer, and sees with the next one that is in time", async () => {
  using time = new FakeTime();
  const { watch, events, checks } = watchConnection(1_000);
  for (let second = 0; second < 10; second++) {
    await advance(time, 1_000);
    checks.forEach(({ resolve }) => resolve());
  }
  assertEquals(events, []);
  const sent = checks.length;
  await advance(time, 5_000);
  // sent at the next tick, and due 1,000 ms after that
  assertEquals(events, ["blind 11250"]);
  assertEquals(checks.length, sent + 1);
  // what comes at last is too late, so another check is sent at once
  checks.at(-1)!.resolve();
  await advance(time, 50);
  assertEquals(checks.length, sent + 2);
  checks.at(-1)!.resolve();
  await advance(time, 50);
  assertEquals(events, ["blind 11250", "sees 15050"]);
  watch.stop();
});

Deno.test("ConnectionWatch stays blind as long as each answer is late", async () => {
  using time = new FakeTime();
  const { watch, events, checks } = watchConnection(1_000);
  let answerAfter = 1_300;
  let answered = 0;
  const answering = setInterval(() => {
    for (; answered < checks.length; answered++) {
      setTimeout(checks[answered]!.resolve, answerAfter);
    }
  }, 10);
  await advance(time, 20_000, 10);
  assertEquals(events, ["blind 1250"]);
  answerAfter = 700;
  await advance(time, 20_000, 10);
  assertEquals(events.length, 2);
  clearInterval(answering);
  watch.stop();
});

Deno.test("ConnectionWatch is blind at once when the connection is lost, and sees when the server answers", async () => {
  using time = new FakeTime();
  const { watch, events, checks, status } = watchConnection(1_000);
  await advance(time, 300);
  status({ type: "disconnect" });
  status({ type: "disconnect" });
  checks[0]!.reject(new Error("connection disconnected"));
  await advance(time, 0);
  assertEquals(events, ["blind 300"]);
  status({ type: "reconnecting" });
  await advance(time, 5_000);
  assertEquals(events, ["blind 300"]);
  status({ type: "reconnect" });
  await advance(time, 100);
  assertEquals(events, ["blind 300"]);
  checks.at(-1)!.resolve();
  await advance(time, 0);
  assertEquals(events, ["blind 300", "sees 5400"]);
  watch.stop();
});

Deno.test("ConnectionWatch sees at the reconnect if the client cannot check", async () => {
  using time = new FakeTime();
  const { watch, events, status } = watchConnection(1_000, false);
  await advance(time, 5_000);
  status({ type: "disconnect" });
  await advance(time, 1_000);
  status({ type: "reconnect" });
  await advance(time, 0);
  assertEquals(events, ["blind 5000", "sees 6000"]);
  watch.stop();
});

Deno.test("ConnectionWatch is not blind for an absence of its own: the answer waits", async () => {
  using time = new FakeTime();
  const clock = skewClock(time);
  using _ = clock;
  const { watch, events, checks } = watchConnection(1_000);
  await advance(time, 250);
  assertEquals(checks.length, 1);
  clock.ahead += 10_000;
  await advance(time, 250); // the first tick after the absence
  checks[0]!.resolve();
  await advance(time, 250);
  assertEquals(events, []);
  watch.stop();
});

Deno.test("ConnectionWatch is blind although the clock was set back", async () => {
  using time = new FakeTime();
  const clock = skewClock(time);
  using _ = clock;
  const { watch, events } = watchConnection(1_000);
  await advance(time, 300);
  clock.ahead -= 3_600_000;
  await advance(time, 3_000);
  assertEquals(events.length, 1);
  watch.stop();
});

Deno.test("ConnectionWatch leaves no timer and no listener, and reports nothing once it is stopped", async () => {
  for (const isBlind of [false, true]) {
    using time = new FakeTime();
    const { watch, events, checks, status, stopped } = watchConnection(1_000);
    await advance(time, isBlind ? 3_000 : 300);
    const { length } = events;
    watch.stop();
    assertEquals(stopped(), 1);
    assertEquals(time.next(), false);
    status({ type: "disconnect" });
    checks.at(-1)!.resolve();
    await advance(time, 3_000);
    status({ type: "reconnect" });
    await advance(time, 3_000);
    assertEquals(events.length, length);
  }
});

Deno.test("ConnectionWatch sends another check when one was lost", async () => {
  using time = new FakeTime();
  const { watch, events, checks } = watchConnection(1_000);
  await advance(time, 300);
  checks[0]!.reject(new Error("connection disconnected"));
  await advance(time, 300);
  assertEquals(checks.length, 2);
  checks[1]!.resolve();
  await advance(time, 300);
  assertEquals(events, []);
  watch.stop();
});
