// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import type { ConnectionOptions } from "npm:@nats-io/transport-node@3.4.0";
import {
  type DroppedHeartbeat,
  type MalformedMessage,
  publishHeartbeats,
  subscribeHeartbeats,
  type SubscribeHeartbeatsOptions,
} from "../nats.ts";
import { type Heartbeat, startWorker } from "../worker.ts";
import { waitUntil } from "./_help.ts";
import {
  BEAT,
  Broker,
  createConnection,
  LONG,
  testWithBroker as test,
  users,
} from "./_nats.ts";

test("heartbeats go over NATS and back, with their details", async () => {
  await using broker = await Broker.start();
  const [near, far] = [await broker.connect(), await broker.connect()];
  const received = subscribeHeartbeats(far, "heartbeats.>").getReader();
  await far.flush();
  const { results, heartbeats } = startWorker(async function* ({ beat }) {
    beat({ step: "one" });
    await delay(50);
    yield 1;
    await delay(50);
  }, { name: "alpha", interval: 10 });
  const published = heartbeats.pipeTo(
    publishHeartbeats(near, "heartbeats.alpha"),
  );
  assertEquals(await Array.fromAsync(results), [1]);
  await published;
  await near.flush();
  const beats: Heartbeat[] = [];
  while (beats.at(-1)?.detail === undefined) {
    beats.push(...(await received.read()).value!);
  }
  assertEquals(beats.at(-1)!.worker, "alpha");
  assertEquals(beats.at(-1)!.detail, { step: "one" });
  assert(Math.abs(beats.at(-1)!.time - Date.now()) < LONG);
  await near.close();
  // the subscriber's stream closes with its connection
  await far.close();
  while (!(await received.read()).done);
});

test("publishHeartbeats drops what is written while the connection is lost, or was closed", async () => {
  await using broker = await Broker.start();
  // not back before somebody listens
  const near = await broker.connect({ reconnectTimeWait: 2_000 });
  const writer = publishHeartbeats(near, "heartbeats.alpha").getWriter();
  const statuses: string[] = [];
  const listening = (async () => {
    for await (const { type } of near.status()) statuses.push(type);
  })();
  await writer.write(BEAT);
  await near.flush();
  await broker.stop();
  await waitUntil(() => statuses.includes("disconnect"));
  for (let seq = 2; seq < 100; seq++) await writer.write({ ...BEAT, seq });
  await broker.start();
  const far = await broker.connect();
  const reader = subscribeHeartbeats(far, "heartbeats.>").getReader();
  await far.flush();
  await waitUntil(() => statuses.includes("reconnect"));
  await writer.write({ ...BEAT, seq: 100 });
  assertEquals((await reader.read()).value, [{ ...BEAT, seq: 100 }]);
  await near.close();
  await writer.write({ ...BEAT, seq: 101 });
  await writer.close();
  await listening;
  await far.close();
});

test("publishHeartbeats errors where a detail cannot be said in JSON", async () => {
  await using broker = await Broker.start();
  const connection = await broker.connect();
  const writer = publishHeartbeats(connection, "heartbeats.a").getWriter();
  await assertRejects(
    () => writer.write({ ...BEAT, detail: 5n }),
    TypeError,
    "BigInt",
  );
  await connection.close();
});

test("publishHeartbeats leaves nothing that keeps listening when it ends", async () => {
  await using broker = await Broker.start();
  const connection = await broker.connect();
  const { listeners } =
    (connection as unknown as { protocol: { listeners: unknown[] } })
      .protocol;
  for (const end of ["close", "abort"] as const) {
    const writers = Array.from(
      { length: 100 },
      () => publishHeartbeats(connection, "heartbeats.a").getWriter(),
    );
    assertEquals(listeners.length, 100);
    for (const writer of writers) await writer[end]();
    await waitUntil(() => listeners.length === 0);
  }
  await connection.close();
});

Deno.test("publishHeartbeats drops what is written while the connection drains", async () => {
  const { connection, sent } = createConnection();
  const draining = { ...connection, isDraining: () => true };
  const writer = publishHeartbeats(draining, "heartbeats.a").getWriter();
  await writer.write(BEAT);
  await writer.close();
  assertEquals(sent, []);
});

Deno.test("publishHeartbeats hands nothing to a client that is not connected: it might keep it", async () => {
  const { connection, sent, status } = createConnection();
  const writer = publishHeartbeats(connection, "heartbeats.a").getWriter();
  const beat = async (seq: number) => {
    await delay(0);
    await writer.write({ ...BEAT, seq });
  };
  await beat(1);
  status({ type: "disconnect" });
  await beat(2);
  status({ type: "reconnecting" });
  await beat(3);
  status({ type: "reconnect" });
  await beat(4);
  status({ type: "ping" });
  await beat(5);
  assertEquals(sent.map((text) => JSON.parse(text).seq), [1, 4, 5]);
  await writer.close();
});

test("a detail past the broker's max_payload is dropped and counted, and the work goes on", async () => {
  await using broker = await Broker.start("max_payload: 512");
  const [near, far] = [await broker.connect(), await broker.connect()];
  const heard: Heartbeat[] = [];
  const listening = subscribeHeartbeats(far, "heartbeats.*").pipeTo(
    new WritableStream({ write: (beats) => void heard.push(...beats) }),
  );
  await far.flush();
  const dropped: DroppedHeartbeat[] = [];
  const { results, heartbeats } = startWorker(async function* ({ beat }) {
    for (let unit = 1; unit <= 99; unit++) {
      // large from the 14th on, but for the last
      beat(
        unit < 14 || unit === 99 ? { unit } : { unit, text: "x".repeat(512) },
      );
      await delay(5);
      yield unit;
    }
  }, { name: "alpha", interval: 5 });
  const published = heartbeats.pipeTo(
    publishHeartbeats(near, "heartbeats.alpha", {
      onDropped: (it) => void dropped.push(it),
    }),
  );
  assertEquals((await Array.fromAsync(results)).length, 99);
  await published;
  await near.drain();
  await far.drain();
  await listening;
  assert(dropped.length > 0);
  for (const [i, { problem, seq, ...rest }] of dropped.entries()) {
    assertEquals(rest, { dropped: "detail", count: i + 1, worker: "alpha" });
    assertMatch(problem, /max_payload/);
    const beat = heard.find((beat) => beat.seq === seq);
    if (beat) assertEquals(Object.keys(beat), ["worker", "seq", "time"]);
  }
  assert(heard.some(({ detail }) => detail !== undefined), "small ones stay");
});

/** Publishes through a client that refuses all payloads of `refuses`. */
function publishToRefusing(refuses: (payload: string) => boolean) {
  const { connection, sent } = createConnection();
  const test = { sent, tries: 0, dropped: [] as string[] };
  const publish = (subject: string, payload: string) => {
    test.tries++;
    // whatever it throws
    if (/"seq":2\b/.test(payload)) throw undefined;
    if (refuses(payload)) throw new Error("too long");
    connection.publish(subject, payload);
  };
  const client = { ...connection, publish };
  const stream = publishHeartbeats(client, "heartbeats.alpha", {
    onDropped: ({ dropped, count, seq, problem }) =>
      void test.dropped.push(`${seq}: ${dropped} ${count}, ${problem}`),
  });
  return Object.assign(test, { writer: stream.getWriter() });
}

Deno.test("publishHeartbeats never ends for what the client throws", async () => {
  const test = publishToRefusing((payload) => payload.length > 99);
  const write = (seq: number, more: Partial<Heartbeat> = {}) =>
    test.writer.write({ ...BEAT, seq, ...more });
  const detail = "x".repeat(99);
  await write(1, { detail });
  await write(2, { detail });
  test.tries = 0;
  await write(2);
  assertEquals(test.tries, 1); // nothing to leave out
  await write(3, { detail: "x" });
  await write(4, { detail, restarting: { attempt: 2 } });
  // as of a detail whose JSON is longer than any string
  const tooLong = {
    toJSON() {
      throw new RangeError("Invalid string length");
    },
  };
  await write(5, { detail: tooLong });
  assertEquals(test.sent.map((text) => JSON.parse(text)), [
    { ...BEAT, seq: 1 },
    { ...BEAT, seq: 3, detail: "x" },
    { ...BEAT, seq: 4, restarting: { attempt: 2 } },
    { ...BEAT, seq: 5 },
  ]);
  assertEquals(test.dropped, [
    "1: detail 1, too long",
    "2: heartbeat 1, undefined",
    "2: heartbeat 2, undefined",
    "4: detail 2, too long",
    "5: detail 3, Invalid string length",
  ]);
});

Deno.test("publishHeartbeats errors with what onDropped throws", async () => {
  const { connection } = createConnection();
  const thrown = new Error("enough");
  const writer = publishHeartbeats(
    {
      ...connection,
      publish() {
        throw new Error("refused");
      },
    },
    "heartbeats.alpha",
    {
      onDropped() {
        throw thrown;
      },
    },
  ).getWriter();
  const error = await assertRejects(() => writer.write(BEAT));
  assertStrictEquals(error, thrown);
});

test("publishHeartbeats errors where the server does not permit it, and only there", async () => {
  await using broker = await Broker.start(`
    authorization {
      users = [
        { user: "build", password: "b", permissions: { publish: "heartbeats.build.*" } }
      ]
    }`);
  const build = await broker.connect({ user: "build", pass: "b" });
  const own = publishHeartbeats(build, "heartbeats.build.alpha").getWriter();
  const { results, heartbeats } = startWorker(async function* () {
    for (;;) {
      yield 1;
      await delay(10);
    }
  }, { name: "beta", interval: 10 });
  const published = heartbeats.pipeTo(
    publishHeartbeats(build, "heartbeats.beta"),
  );
  const error = await deadline(assertRejects(() => published, Error), LONG);
  assertEquals(error.name, "PermissionViolationError");
  assertMatch(error.message, /publish to "heartbeats\.beta"/i);
  const ended = await assertRejects(() => Array.fromAsync(results));
  assertStrictEquals(ended, error);
  await own.write(BEAT);
  await own.close();
  await build.close();
});

test("subscribeHeartbeats gives what has arrived as one batch, and the latest heartbeat of each only", async () => {
  await using broker = await Broker.start();
  const [near, far] = [await broker.connect(), await broker.connect()];
  const stream = subscribeHeartbeats(far, "heartbeats.*");
  await far.flush();
  const writers = ["alpha", "beta"].map((worker) => ({
    worker,
    writer: publishHeartbeats(near, `heartbeats.${worker}`).getWriter(),
  }));
  for (let seq = 1; seq <= 5_000; seq++) {
    for (const { worker, writer } of writers) {
      await writer.write({ worker, seq, time: seq });
    }
  }
  await near.flush();
  await far.flush();
  const reader = stream.getReader();
  const { value } = await reader.read();
  const last = { seq: 5_000, time: 5_000 };
  assertEquals(value, [
    { worker: "alpha", ...last },
    { worker: "beta", ...last },
  ]);
  for (const { writer } of writers) await writer.close();
  await reader.cancel();
  // neither stream has closed the connection that it was given
  await Promise.all([near.flush(), far.flush()]);
  await Promise.all([near.close(), far.close()]);
});

test("subscribeHeartbeats counts and reports what is malformed, and goes on", async () => {
  await using broker = await Broker.start();
  const connection = await broker.connect();
  const malformed: MalformedMessage[] = [];
  const reader = subscribeHeartbeats(connection, "heartbeats.>", {
    onMalformed: (message) => void malformed.push(message),
  }).getReader();
  const good = JSON.stringify(BEAT);
  const bad: (string | Uint8Array)[] = [
    "",
    "{",
    "null",
    "5",
    "[]",
    "{}",
    '{"worker":5,"seq":1,"time":1}',
    '{"worker":"alpha","seq":"1","time":1}',
    '{"worker":"alpha","seq":1.5,"time":1}',
    '{"worker":"alpha","seq":1}',
    // no UTF-8, in what would be JSON otherwise
    Uint8Array.from(
      JSON.stringify({ ...BEAT, detail: "~" }),
      (char) => char === "~" ? 0xff : char.charCodeAt(0),
    ),
    `${good}x`,
  ];
  for (const payload of bad) connection.publish("heartbeats.alpha", payload);
  connection.publish("heartbeats.alpha", good);
  const { value } = await reader.read();
  assertEquals(value, [BEAT]);
  assertEquals(malformed.map(({ count }) => count), bad.map((_, i) => i + 1));
  for (const { subject, problem } of malformed) {
    assertEquals(subject, "heartbeats.alpha");
    assert(problem.length > 0);
  }
  assertEquals(new TextDecoder().decode(malformed[1]!.data), "{");
  // unknown fields are dropped: they might be large
  connection.publish("heartbeats.a", '{"worker":"a","seq":2,"time":3,"x":4}');
  assertEquals((await reader.read()).value, [{
    worker: "a",
    seq: 2,
    time: 3,
  }]);
  await reader.cancel();
  await connection.close();
});

test("subscribeHeartbeats errors with what onMalformed throws", async () => {
  await using broker = await Broker.start();
  const connection = await broker.connect();
  const lost = new Error("lost");
  const reader = subscribeHeartbeats(connection, "heartbeats.>", {
    onMalformed() {
      throw lost;
    },
  }).getReader();
  connection.publish("heartbeats.x", "{");
  assertStrictEquals(await assertRejects(() => reader.read()), lost);
  await connection.close();
});

Deno.test("subscribeHeartbeats errors with undefined if onMalformed throws that: no clean end", async () => {
  const { connection, receive } = createConnection();
  const reader = subscribeHeartbeats(connection, "heartbeats", {
    onMalformed() {
      throw undefined;
    },
  }).getReader();
  receive("{");
  const ended = reader.read().then(() => "closed", (error) => error);
  assertStrictEquals(await ended, undefined);
});

test("subscribeHeartbeats errors where the server does not permit it", async () => {
  await using broker = await Broker.start(`
    authorization {
      users = [
        { user: "build", password: "b", permissions: {
          publish: "heartbeats.build.*", subscribe: "_INBOX.>" } }
        { user: "watcher", password: "w", permissions: { subscribe: "heartbeats.>" } }
      ]
    }`);
  const build = await broker.connect({ user: "build", pass: "b" });
  const watcher = await broker.connect({ user: "watcher", pass: "w" });
  const malformed: unknown[] = [];
  const error = await assertRejects(() =>
    subscribeHeartbeats(build, "heartbeats.>", {
      onMalformed: (message) => void malformed.push(message),
    }).getReader().read()
  );
  assertEquals(malformed, []);
  assertMatch((error as Error).message, /permission/i);
  const reader = subscribeHeartbeats(watcher, "heartbeats.>").getReader();
  await watcher.flush();
  // one that it may not publish, and one that it may
  const others = publishHeartbeats(build, "heartbeats.other").getWriter();
  const own = publishHeartbeats(build, "heartbeats.build.alpha").getWriter();
  await others.write({ ...BEAT, worker: "other" });
  await own.write(BEAT);
  assertEquals((await reader.read()).value, [{
    ...BEAT,
    worker: "build.alpha",
  }]);
  await Promise.all([build.close(), watcher.close()]);
});

Deno.test("subscribeHeartbeats puts what comes in one piece into one batch, and lets go at the end", async () => {
  const fake = createConnection();
  const { connection, receive } = fake;
  const reader = subscribeHeartbeats(connection, "heartbeats").getReader();
  const names = ["a", "b", "c"];
  const read = reader.read();
  await delay(0);
  for (const worker of names) receive(JSON.stringify({ ...BEAT, worker }));
  assertEquals((await read).value!.map(({ worker }) => worker), names);
  const rest = reader.read();
  await reader.cancel();
  receive(JSON.stringify(BEAT));
  assertEquals((await rest).done, true);
  const bad = subscribeHeartbeats(connection, "heartbeats", {
    onMalformed() {
      throw new Error("lost");
    },
  });
  receive("{");
  receive(JSON.stringify(BEAT));
  await assertRejects(() => bad.getReader().read(), Error, "lost");
  assertEquals(fake.unsubscribed, 2);
});

/** What a subscriber reads once its broker is stopped and `then` was done. */
async function readAfterLoss(
  options: ConnectionOptions,
  then: (broker: Broker) => void | Promise<void>,
) {
  await using broker = await Broker.start(users("watcher", "old"));
  const login = { user: "watcher", pass: "old" };
  const connection = await broker.connect({ ...login, ...options });
  const reader = subscribeHeartbeats(connection, "heartbeats.>").getReader();
  await connection.flush();
  await broker.stop();
  await then(broker);
  const outcome = await deadline(
    reader.read().then(({ done }) => ({ done }), (error) => ({ error })),
    LONG,
  );
  return { outcome, reason: await connection.closed() };
}

test("subscribeHeartbeats errors when the client gives up to reconnect", async () => {
  const { outcome, reason } = await readAfterLoss(
    { maxReconnectAttempts: 3 },
    () => {},
  );
  assertInstanceOf(reason, Error);
  assertEquals(outcome, { error: reason });
});

test("subscribeHeartbeats errors when a restarted broker refuses the credentials", async () => {
  const { outcome, reason } = await readAfterLoss(
    {},
    (broker) => broker.start(users("watcher", "new")),
  );
  assertMatch((reason as Error).message, /authorization violation/i);
  assertEquals(outcome, { error: reason });
});

test("subscribeHeartbeats closes when the connection is closed or drained, after what has arrived", async () => {
  await using broker = await Broker.start();
  const near = await broker.connect();
  for (const end of ["close", "drain"] as const) {
    const far = await broker.connect();
    const reader = subscribeHeartbeats(far, "heartbeats.*").getReader();
    await far.flush();
    near.publish("heartbeats.alpha", JSON.stringify(BEAT));
    await near.flush();
    await far.flush();
    await far[end]();
    assertEquals(await reader.read(), { done: false, value: [BEAT] });
    assertEquals((await reader.read()).done, true);
  }
  await near.close();
});

Deno.test("subscribeHeartbeats drops a detail whose payload is too large, and counts it", async () => {
  const fake = createConnection();
  const dropped: DroppedHeartbeat[] = [];
  const listen = (options: SubscribeHeartbeatsOptions) =>
    subscribeHeartbeats(fake.connection, "heartbeats.*", {
      onDropped: (it) => void dropped.push(it),
      ...options,
    }).getReader();
  const receive = (seq: number, size: number) => {
    const beat = { ...BEAT, seq, detail: "" };
    // one character of two bytes
    beat.detail = `ü${"x".repeat(size - JSON.stringify(beat).length - 2)}`;
    fake.receive(JSON.stringify(beat), "heartbeats.alpha");
    return beat;
  };
  const bySize = listen({});
  const kept = receive(1, 4_096);
  assertEquals((await bySize.read()).value, [kept]);
  receive(2, 4_097);
  assertEquals((await bySize.read()).value, [{ ...BEAT, seq: 2 }]);
  const problem = "its payload has 4097 bytes, more than 4096";
  const of = { dropped: "detail", worker: "alpha", seq: 2, problem } as const;
  assertEquals(dropped.splice(0), [{ ...of, count: 1 }]);
  receive(2, 4_097);
  assertEquals(dropped.splice(0), [{ ...of, count: 2 }]);

  const own = listen({ maxDetailSize: 100 });
  receive(3, 102);
  assertEquals((await own.read()).value, [{ ...BEAT, seq: 3 }]);
  assertEquals(dropped.length, 1);
  const all = listen({ maxDetailSize: Infinity });
  const large = receive(4, 1_000_000);
  assertEquals((await all.read()).value, [large]);
  // a large payload without a detail has nothing to drop
  const text = JSON.stringify({ ...BEAT, more: "x".repeat(200) });
  const small = listen({ maxDetailSize: 100 });
  fake.receive(text, "heartbeats.alpha");
  assertEquals((await small.read()).value, [BEAT]);
  assertEquals(dropped.length, 1);
});

Deno.test("subscribeHeartbeats errors with what onDropped throws", async () => {
  const fake = createConnection();
  const thrown = new Error("enough");
  const reader = subscribeHeartbeats(fake.connection, "heartbeats", {
    maxDetailSize: 1,
    onDropped() {
      throw thrown;
    },
  }).getReader();
  fake.receive(JSON.stringify({ ...BEAT, detail: 1 }));
  assertStrictEquals(await assertRejects(() => reader.read()), thrown);
  assertEquals(fake.unsubscribed, 1);
});

Deno.test("subscribeHeartbeats keeps what a supervisor says of its restart", async () => {
  const fake = createConnection();
  const problems: string[] = [];
  const reader = subscribeHeartbeats(fake.connection, "heartbeats", {
    onMalformed: ({ problem }) => void problems.push(problem),
  }).getReader();
  const receive = (restarting: unknown) =>
    fake.receive(JSON.stringify({ ...BEAT, restarting }));
  const wrong = [null, 1, "2", [], {}, { attempt: "2" }, { attempt: 0 }];
  for (const restarting of [...wrong, { attempt: 1.5 }]) receive(restarting);
  assertEquals([...new Set(problems)], ["'restarting' names no attempt"]);
  assertEquals(problems.length, wrong.length + 1);
  receive({ attempt: 2, more: 1 });
  const { value } = await reader.read();
  assertEquals(value, [{ ...BEAT, restarting: { attempt: 2 } }]);
});

test("the members of a queue group share the messages: each goes to one", async () => {
  await using broker = await Broker.start();
  const connections = [await broker.connect(), await broker.connect()];
  const seen = connections.map(() => new Set<number>());
  const reading = connections.map((connection, i) =>
    subscribeHeartbeats(connection, "heartbeats.*", { queue: "watchers" })
      .pipeTo(
        new WritableStream({
          write: (beats) => beats.forEach(({ seq }) => seen[i]!.add(seq)),
        }),
      )
  );
  await Promise.all(connections.map((connection) => connection.flush()));
  const near = await broker.connect();
  for (let seq = 1; seq <= 200; seq++) {
    // a worker each, so that none replaces another one
    const beat = { worker: `w${seq}`, seq, time: 0 };
    near.publish(`heartbeats.w${seq}`, JSON.stringify(beat));
  }
  await near.drain();
  await Promise.all(connections.map((connection) => connection.drain()));
  await Promise.all(reading);
  const [one, other] = seen as [Set<number>, Set<number>];
  assertEquals(one.size + other.size, 200);
  assertEquals(one.union(other).size, 200);
  assert(Math.min(one.size, other.size) > 20, `${one.size} of 200`);
});

Deno.test("subscribeHeartbeats delivers the last batch before it closes, and no empty one", async () => {
  const late = createConnection();
  const reader = subscribeHeartbeats(late.connection, "heartbeats").getReader();
  late.receive(JSON.stringify(BEAT));
  late.close();
  await delay(0);
  assertEquals(await reader.read(), { done: false, value: [BEAT] });
  assertEquals((await reader.read()).done, true);

  const empty = createConnection();
  const stream = subscribeHeartbeats(empty.connection, "heartbeats");
  empty.close();
  assertEquals(await Array.fromAsync(stream), []);

  // the close comes before the microtask that delivers
  const soon = createConnection();
  const waiting = subscribeHeartbeats(soon.connection, "heartbeats");
  const batches = Array.fromAsync(waiting);
  await delay(0);
  soon.close();
  soon.receive(JSON.stringify(BEAT));
  assertEquals(await batches, [[BEAT]]);
});

Deno.test("publishHeartbeats stops listening to the connection, however it ends", async () => {
  const ends: Record<string, (test: PublishTest) => Promise<unknown>> = {
    close: ({ writer }) => writer.close(),
    abort: ({ writer }) => writer.abort(),
    "a bad name": ({ writer }) =>
      assertRejects(() => writer.write({ ...BEAT, worker: "a b" })),
    "not permitted": ({ writer, fake }) => {
      fake.status({ type: "error", error: violation("publish") });
      return assertRejects(() => writer.closed, Error, "no permission");
    },
  };
  for (const [name, end] of Object.entries(ends)) {
    const fake = createConnection();
    let stopped = 0;
    const status = () =>
      Object.assign(fake.connection.status(), { stop: () => void stopped++ });
    const writer = publishHeartbeats(
      { ...fake.connection, status },
      "heartbeats.alpha",
    ).getWriter();
    await writer.write(BEAT);
    assertEquals(stopped, 0);
    await end({ writer, fake });
    assertEquals(stopped, 1, name);
  }
});

interface PublishTest {
  writer: WritableStreamDefaultWriter<Heartbeat>;
  fake: ReturnType<typeof createConnection>;
}

/** What the client reports if the server does not permit something. */
function violation(operation: string, subject = "heartbeats.alpha") {
  const error = new Error("no permission");
  error.name = "PermissionViolationError";
  return Object.assign(error, { operation, subject });
}

Deno.test("publishHeartbeats ignores what the server refuses to others", async () => {
  const fake = createConnection();
  const writer = publishHeartbeats(fake.connection, "heartbeats.alpha")
    .getWriter();
  fake.status({ type: "error", error: violation("subscription") });
  fake.status({ type: "error", error: violation("publish", "heartbeats.b") });
  fake.status({ type: "error", error: new Error("another") });
  fake.status({ type: "error" });
  await delay(0);
  await writer.write(BEAT);
  assertEquals(fake.sent.length, 1);
  await writer.close();
});

Deno.test("subscribeHeartbeats calls nobody once it has ended, or its subscription has", async () => {
  for (const end of ["cancel", "closing"]) {
    const fake = createConnection();
    const never = new Promise<void>(() => {});
    let calls = 0;
    const stream = subscribeHeartbeats(
      { ...fake.connection, closed: () => never },
      "heartbeats",
      { onMalformed: () => void calls++ },
    );
    fake.receive("{");
    assertEquals(calls, 1);
    if (end === "cancel") await stream.cancel();
    else fake.close();
    await delay(0);
    fake.receive("{");
    assertEquals(calls, 1, end);
    await stream.cancel();
  }
});

Deno.test("publishHeartbeats says goodbye with a last heartbeat: done, or failed", async () => {
  type Writer = WritableStreamDefaultWriter<Heartbeat>;
  const ends: Record<string, (writer: Writer) => Promise<unknown>> = {
    done: (writer) => writer.close(),
    failed: (writer) => writer.abort(new Error("broken")),
    // a mistake of the work, which stops it
    "failed ": (writer) =>
      assertRejects(() => writer.write({ ...BEAT, detail: 5n })),
  };
  for (const [ended, end] of Object.entries(ends)) {
    const { connection, sent } = createConnection();
    const writer = publishHeartbeats(connection, "heartbeats.alpha")
      .getWriter();
    await writer.write({ ...BEAT, detail: "x", restarting: { attempt: 2 } });
    await end(writer);
    assertEquals(sent.length, 2);
    const { time, ...last } = JSON.parse(sent[1]!);
    assertEquals(last, {
      ...{ worker: "alpha", seq: 2, detail: "x" },
      ended: ended.trim(),
    });
    assert(Math.abs(time - Date.now()) < LONG);
    assertMatch(sent[1]!, /,"ended":"(done|failed)"}$/);
  }
});

Deno.test("subscribeHeartbeats gives a goodbye with the heartbeat before it", async () => {
  const fake = createConnection();
  const reader = subscribeHeartbeats(fake.connection, "heartbeats").getReader();
  const receive = (worker: string, seq: number, ended?: string) =>
    fake.receive(JSON.stringify({ worker, seq, time: 5, ended }));
  const read = async () =>
    (await reader.read()).value!.map(({ worker, seq, ended = "lives" }) =>
      `${worker} ${seq} ${ended}`
    );
  for (const seq of [1, 2, 3]) receive("alpha", seq);
  receive("alpha", 4, "done");
  receive("beta", 7, "failed");
  // the next process has the name
  for (const seq of [1, 2]) receive("alpha", seq);
  assertEquals(await read(), [
    ...["alpha 3 lives", "alpha 4 done", "beta 7 failed", "alpha 2 lives"],
  ]);
  // however many come, they do not pile up
  for (let seq = 1; seq < 1_000; seq++) receive("alpha", seq, "done");
  assertEquals(await read(), ["alpha 998 done", "alpha 999 done"]);
  receive("alpha", 1, "done");
  assertEquals(await read(), ["alpha 1 done"]);
  await reader.cancel();
});

Deno.test("publishHeartbeats says no goodbye that cannot be sent, or of a worker that never beat", async () => {
  for (const block of ["disconnected", "closed", "draining", "no beat"]) {
    const fake = createConnection();
    let isBlocked = false;
    const writer = publishHeartbeats({
      ...fake.connection,
      isClosed: () => isBlocked && block === "closed",
      isDraining: () => isBlocked && block === "draining",
    }, "heartbeats.alpha").getWriter();
    if (block !== "no beat") await writer.write(BEAT);
    const { length } = fake.sent;
    isBlocked = true;
    if (block === "disconnected") fake.status({ type: "disconnect" });
    await delay(0);
    await writer.close();
    assertEquals(fake.sent.length, length, block);
  }
});

test("a worker that returns, throws or is aborted says how it ended, over NATS", async () => {
  await using broker = await Broker.start();
  const [near, far] = [await broker.connect(), await broker.connect()];
  const ended: Record<string, unknown> = {};
  const listening = subscribeHeartbeats(far, "heartbeats.*").pipeTo(
    new WritableStream({
      write(beats) {
        for (const beat of beats) {
          if (beat.ended) ended[beat.worker] = beat.ended;
        }
      },
    }),
  );
  await far.flush();
  const aborter = new AbortController();
  const works: Record<string, () => Iterable<Promise<void>>> = {
    *returns() {},
    throws() {
      throw new Error("broken");
    },
    *aborted() {
      for (;;) yield delay(5);
    },
  };
  const running = Object.entries(works).map(([name, work]) => {
    const { signal } = aborter;
    const { results, heartbeats } = startWorker(work, { name, signal });
    const stream = publishHeartbeats(near, `heartbeats.${name}`);
    return Promise.allSettled([
      results.pipeTo(new WritableStream()),
      heartbeats.pipeTo(stream),
    ]);
  });
  await delay(50);
  aborter.abort();
  await Promise.all(running);
  await near.drain();
  await far.drain();
  await listening;
  assertEquals(ended, { returns: "done", throws: "failed", aborted: "done" });
});
