// Copyright 2026 the heartbeat authors. MIT license.

// The example configuration `examples/nats/nats.conf`, in a real server.

import { assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { Kvm } from "npm:@nats-io/kv@3.4.0";
import type { ConnectionOptions } from "npm:@nats-io/transport-node@3.4.0";
import { natsStore } from "../../store.ts";
import { parseLines, startCli } from "../_cli_process.ts";
import { waitUntil } from "../_help.ts";
import { BEAT, Broker, LONG, testWithBroker as test } from "../_nats.ts";
import { Talker } from "../_talker.ts";

/** The server of the example, with a store of its own. */
async function startExample() {
  const folder = await Deno.makeTempDir();
  const path = new URL("../../examples/nats/nats.conf", import.meta.url);
  const text = await Deno.readTextFile(path);
  const broker = await Broker.start(
    text.replace('"jetstream"', JSON.stringify(folder)),
    { ALPHA_PASSWORD: "a", BETA_PASSWORD: "b", WATCHER_PASSWORD: "w" },
  );
  return {
    broker,
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const logIn = (NATS_USER: string, NATS_PASSWORD: string) => ({
  env: { NATS_USER, NATS_PASSWORD },
});

test("the example configuration lets each worker speak for itself only", async () => {
  await using example = await startExample();
  const nats = `--nats=${example.broker.servers}`;
  const fleet = startCli(
    ["fleet", nats, "--json", "--group=watchers"],
    logIn("watcher", "w"),
  );
  await fleet.waitFor("stdout", '"held":64');
  await using talker = new Talker();
  const speak = (name: string, user: string, password: string) => {
    const args = [nats, `--name=${name}`, "--timeout=20s", "--json"];
    return startCli([...args, ...talker.command()], logIn(user, password));
  };
  const alpha = speak("alpha", "alpha", "a");
  const beta = speak("beta", "beta", "b");
  const impostor = speak("gamma", "alpha", "a");
  await impostor.waitFor("stderr", "unpublished");
  await fleet.waitFor("stdout", '"worker":"alpha"');
  await fleet.waitFor("stdout", '"worker":"beta"');
  talker.end();
  for (const { ended } of [alpha, beta]) {
    const { code, stderr } = await ended;
    assertEquals([code, stderr], [0, ""]);
  }
  // the broker says so, and the command ends as ever
  const refused = await impostor.ended;
  assertEquals(refused.code, 0);
  assertMatch(refused.stdout, /^line 1\n/);
  const [{ message }] = parseLines(refused.stderr);
  assertMatch(message, /publish to "heartbeats\.gamma"/i);
  fleet.kill("SIGINT");
  const { stdout, stderr } = await fleet.ended;
  assertEquals(stderr, "");
  const lines = parseLines(stdout);
  const workers = new Set(lines.map(({ worker }) => worker));
  assertEquals(workers, new Set([undefined, "alpha", "beta"]));
});

/** What the server refuses to this user. */
async function listRefused(
  { broker }: { broker: Broker },
  login: ConnectionOptions,
  subjects: { publish: string[]; subscribe: string[] },
) {
  const connection = await broker.connect(login);
  const refused: string[] = [];
  (async () => {
    for await (const status of connection.status()) {
      if (status.type === "error") refused.push(status.error.message);
    }
  })();
  for (const subject of subjects.subscribe) connection.subscribe(subject);
  for (const subject of subjects.publish) {
    connection.publish(subject, JSON.stringify(BEAT));
  }
  const count = subjects.publish.length + subjects.subscribe.length;
  await deadline(waitUntil(() => refused.length === count), LONG);
  await connection.close();
  return refused.map((text) => /"(.*)"/.exec(text)![1]).sort();
}

test("the example configuration lets workers hear nothing, and watchers publish nothing", async () => {
  await using example = await startExample();
  const alpha = { user: "alpha", pass: "a" };
  const watcher = { user: "watcher", pass: "w" };
  const workerRows = {
    publish: ["$KV.watchers-fleet.0.alpha", "heartbeats.beta", "other"],
    subscribe: ["_INBOX.>", "heartbeats.>", "heartbeats.alpha"],
  };
  assertEquals(await listRefused(example, alpha, workerRows), [
    ...workerRows.publish.slice(0, 1),
    ...workerRows.subscribe.slice(0, 2),
    ...["heartbeats.alpha", "heartbeats.beta", "other"],
  ]);
  const watcherRows = {
    publish: ["heartbeats.alpha"],
    subscribe: ["$KV.watchers-fleet.>", "other"],
  };
  assertEquals(await listRefused(example, watcher, watcherRows), [
    ...["$KV.watchers-fleet.>", "heartbeats.alpha", "other"],
  ]);
});

test("the example configuration lets a watcher read a large memory", async () => {
  await using example = await startExample();
  const login = { user: "watcher", pass: "w" };
  const connection = await example.broker.connect(login);
  const store = natsStore(await new Kvm(connection).create("fleet"));
  const detail = "x".repeat(4000);
  // so much that the server waits until the client has taken a part of it
  const names = Array.from({ length: 1000 }, (_, i) => `w-${i}`);
  await Promise.all(names.map((worker) => {
    const event = { type: "up", worker, time: 5, detail } as const;
    return store.save({ worker, change: 1, event }, undefined);
  }));
  assertEquals((await store.load()).workers.length, names.length);
  await connection.close();
});
