// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  type MalformedMessage,
  publishHeartbeats,
  subscribeHeartbeats,
  type SubscribeHeartbeatsOptions,
} from "../nats.ts";
import {
  BEAT,
  Broker,
  createConnection,
  testWithBroker as test,
} from "./_nats.ts";

/** Receives one payload on a subject; gives the worker's name, or what is wrong. */
async function receiveOne(
  pattern: string,
  subject: string,
  worker: string,
  options: SubscribeHeartbeatsOptions = {},
) {
  const fake = createConnection();
  const problems: string[] = [];
  const reader = subscribeHeartbeats(fake.connection, pattern, {
    onMalformed: ({ problem }) => void problems.push(problem),
    ...options,
  }).getReader();
  fake.receive(JSON.stringify({ ...BEAT, worker }), subject);
  fake.close();
  const { value } = await reader.read();
  return value?.[0]?.worker ?? problems[0];
}

Deno.test("subscribeHeartbeats takes the name from the subject: what the wildcards stand for", async () => {
  const rows = [
    // pattern, subject, worker of the payload, name
    ["heartbeats.*", "heartbeats.alpha", "alpha", "alpha"],
    ["heartbeats.build.*", "heartbeats.build.alpha", "alpha", "alpha"],
    ["heartbeats.*.state", "heartbeats.alpha.state", "alpha", "alpha"],
    ["heartbeats.>", "heartbeats.alpha", "alpha", "alpha"],
    ["heartbeats.>", "heartbeats.build.alpha", "build.alpha", "build.alpha"],
    // the payload may name the last part only
    ["heartbeats.>", "heartbeats.build.alpha", "alpha", "build.alpha"],
    [">", "alpha", "alpha", "alpha"],
    ["*", "alpha", "alpha", "alpha"],
    ["*.heartbeats.*", "eu.heartbeats.alpha", "alpha", "eu.alpha"],
    ["*.heartbeats.>", "eu.heartbeats.build.alpha", "alpha", "eu.build.alpha"],
    // without a wildcard there is nothing but the payload
    ["heartbeats.shared", "heartbeats.shared", "alpha", "alpha"],
  ] as const;
  for (const [pattern, subject, worker, name] of rows) {
    assertEquals(await receiveOne(pattern, subject, worker), name, subject);
  }
});

Deno.test("subscribeHeartbeats calls a payload malformed that speaks for another worker", async () => {
  const rows = [
    ["heartbeats.*", "heartbeats.alpha", "beta"],
    ["heartbeats.*", "heartbeats.alpha", "Alpha"],
    ["heartbeats.*", "heartbeats.alpha", "heartbeats.alpha"],
    ["heartbeats.>", "heartbeats.build.alpha", "beta"],
    ["heartbeats.>", "heartbeats.build.alpha", "build"],
    ["heartbeats.>", "heartbeats.build.alpha", "build.beta"],
    ["heartbeats.>", "heartbeats.a.b.c", "b.c"],
    ["heartbeats.>", "heartbeats.build.alpha", ".alpha"],
  ] as const;
  for (const [pattern, subject, worker] of rows) {
    assertMatch(
      await receiveOne(pattern, subject, worker) ?? "",
      /^'worker' is not the one of the subject: "(build\.|a\.b\.)?(alpha|c)"$/,
      `${worker} on ${subject}`,
    );
  }
  const noName = await receiveOne("heartbeats.*", "heartbeats.alpha", "");
  assertEquals(noName, "'worker' is empty");
});

Deno.test("subscribeHeartbeats takes the name from workerOf, if it is given", async () => {
  const of = (workerOf: (subject: string) => string) =>
    receiveOne("heartbeats.>", "heartbeats.eu.7", "alpha", { workerOf });
  assertEquals(await of((subject) => subject.split(".")[1]!), "eu");
  assertEquals(await of((subject) => `of ${subject}`), "of heartbeats.eu.7");
  const noName = /^'workerOf' gave no name$/;
  assertMatch(await of(() => "") ?? "", noName);
  assertMatch(await of(() => undefined!) ?? "", noName);
  const thrown = await of(() => {
    throw new Error("not ours");
  });
  assertEquals(thrown, "not ours");
});

test("a worker cannot speak for another one whose subject it may not publish to", async () => {
  await using broker = await Broker.start(`
    authorization {
      users = [
        { user: "alpha", password: "a", permissions: { publish: "heartbeats.alpha" } }
        { user: "watcher", password: "w", permissions: { subscribe: "heartbeats.>" } }
      ]
    }`);
  const watcher = await broker.connect({ user: "watcher", pass: "w" });
  const malformed: MalformedMessage[] = [];
  const reader = subscribeHeartbeats(watcher, "heartbeats.*", {
    onMalformed: (message) => void malformed.push(message),
  }).getReader();
  await watcher.flush();
  const alpha = await broker.connect({ user: "alpha", pass: "a" });
  const speak = (subject: string, worker: string) =>
    alpha.publish(subject, JSON.stringify({ ...BEAT, worker }));
  speak("heartbeats.beta", "beta"); // the broker refuses the subject
  speak("heartbeats.alpha", "beta"); // the subscriber refuses the name
  speak("heartbeats.alpha", "alpha");
  assertEquals((await reader.read()).value, [BEAT]);
  assertEquals(malformed.map(({ subject }) => subject), ["heartbeats.alpha"]);
  await Promise.all([alpha.close(), watcher.close()]);
});

Deno.test("publishHeartbeats refuses a name that is no part of a subject", async () => {
  const { connection, sent } = createConnection();
  const write = (worker: string, subject = "heartbeats.alpha") =>
    publishHeartbeats(connection, subject).getWriter()
      .write({ ...BEAT, worker });
  for (
    const name of ["", " ", "a b", "a\n", "*", ">", "a.b", ".", "a.", "\u2028"]
  ) {
    const error = await assertRejects(() => write(name), RangeError);
    assertEquals(
      error.message,
      "Cannot publish heartbeats as 'worker' must be a part of a subject " +
        "without white space, dots and wildcards, or the end of " +
        `"heartbeats.alpha": current value is ${JSON.stringify(name)}`,
    );
  }
  assertEquals(sent, []);
  for (const name of ["alpha", "a*b", "ä-1", "beta"]) await write(name);
  await write("build.alpha", "heartbeats.build.alpha");
  await write("build.alpha", "build.alpha");
  await assertRejects(
    () => write("d.alpha", "heartbeats.build.alpha"),
    RangeError,
  );
  assertEquals(sent.length, 6);
});
