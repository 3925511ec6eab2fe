// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { waitUntil } from "./_help.ts";
import {
  BEAT,
  Broker,
  freePort,
  LONG,
  runExample,
  separateSight,
  startExample,
  startWatcher,
  testWithBroker as test,
  users,
} from "./_nats.ts";

test("the examples end with a word where there is no server, or an option is wrong", async () => {
  await using broker = await Broker.start();
  const nobody = `127.0.0.1:${freePort()}`;
  const server = ["--server", broker.servers];
  const rows = [
    ["worker", ["--server", nobody], `cannot connect to ${nobody}: `],
    ["watcher", ["--server", nobody], `cannot connect to ${nobody}: `],
    ["worker", ["--count", "x"], "invalid value 'x' for --count"],
    ["worker", ["--interval", "0"], "invalid value '0' for --interval"],
    ["watcher", ["--timeout", "x"], "invalid value 'x' for --timeout"],
    ["watcher", ["--what", "x"], "unknown option '--what'"],
    ["worker", [...server, "--name", "a b"], "Cannot publish heartbeats as"],
    ["watcher", [...server, "--subject", "a..b"], "Cannot subscribe to"],
  ] as const;
  for (const [name, args, word] of rows) {
    const { code, err } = await runExample(name, args);
    assertEquals(code, 2, err);
    assert(err.startsWith(word), err);
    assertEquals(err.trim().split("\n").length, 1);
  }
});

test("the example watcher ends with a word and a code when it can never hear again", async () => {
  await using broker = await Broker.start(users("watcher", "old"));
  const env = { NATS_USER: "watcher", NATS_PASSWORD: "old" };
  await using watcher = await startWatcher(broker.servers, [], env);
  await broker.stop();
  await broker.start(users("watcher", "new"));
  const { code, err } = await deadline(watcher.ended(), LONG);
  assertEquals(code, 1, err);
  assertMatch(err, /^lost .* for good: .*authorization violation.*\n$/i);
});

/** Names and texts that a terminal must not get as they are. */
const HOSTILE = [
  "\x1b[2J\x1b]0;title\x07",
  "\x7f\x85\x9b31m",
  "\u202ealpha\u2066",
  "al\u200bpha\ufeff\xad",
  "alpha\n12:00:00  down       beta  (1 known)",
  "alpha\r\t\u2028\u2029",
];

/** Publishes heartbeats whose names, subjects and details are hostile. */
async function publishHostile(broker: Broker) {
  const connection = await broker.connect();
  for (const text of HOSTILE) {
    const beat = { ...BEAT, worker: text, detail: { [text]: text } };
    // the names of this subject come from the payload
    connection.publish("shared", JSON.stringify(beat));
    connection.publish("shared", text);
    // the server takes any subject without white space
    const worker = text.replaceAll(/[ \t\r\n]/g, "");
    connection.publish(`any.${worker}`, JSON.stringify({ ...beat, worker }));
    connection.publish(`any.${worker}`, text);
  }
  await connection.drain();
}

for (const json of [true, false]) {
  test(`the example watcher prints hostile text in one safe line per event, ${json ? "JSON" : "text"}`, async () => {
    await using broker = await Broker.start();
    for (const subject of ["shared", "any.*"]) {
      await using watcher = startExample("watcher", [
        ...["--server", broker.servers, "--subject", subject],
        ...["--timeout", "500ms", ...json ? ["--json"] : []],
      ]);
      await waitUntil(() => watcher.lines.length > 0);
      await publishHostile(broker);
      // each name is up and goes down, and each bare text is malformed
      const expected = 1 + 3 * HOSTILE.length;
      const listTypes = () => {
        const types = watcher.lines.map((line) =>
          json ? JSON.parse(line).type : line.slice(10).split(" ")[0]
        );
        return separateSight(types).others;
      };
      await waitUntil(() => listTypes().length >= expected, "all events");
      await delay(200);
      for (const line of watcher.lines) {
        assertMatch(line, /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);
        if (!json) assertMatch(line, /^\d\d:\d\d:\d\d {2}[a-z]+ /);
      }
      const types = listTypes();
      const count = (type: string) => types.filter((it) => it === type).length;
      assertEquals(
        ["watching", "up", "down", "malformed"].map(count),
        [1, HOSTILE.length, HOSTILE.length, HOSTILE.length],
      );
      assertEquals(types.length, expected);
    }
  });
}
