// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { connect } from "npm:@nats-io/transport-node@3.4.0";
import { FleetMonitor } from "../fleet.ts";
import {
  type MalformedMessage,
  type NatsConnection,
  publishHeartbeats,
  subscribeHeartbeats,
} from "../nats.ts";
import { type Heartbeat, startWorker } from "../worker.ts";
import { NPM_FLAGS, waitUntil } from "./_help.ts";

/** The longest that anything here may take (ms). */
const LONG = 60_000;

/** Debian's package `nats-server`; CI installs it. */
async function hasServer() {
  try {
    await new Deno.Command("nats-server", { args: ["--version"] }).output();
    return true;
  } catch {
    return false;
  }
}
const ignore = !await hasServer();

function test(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore, fn: () => deadline(fn(), 2 * LONG) });
}

function freePort() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** A real broker, on a port that is kept over restarts. */
async function startBroker(config = "") {
  const port = freePort();
  const servers = `127.0.0.1:${port}`;
  const file = await Deno.makeTempFile({ suffix: ".conf" });
  await Deno.writeTextFile(file, `host: 127.0.0.1\nport: ${port}\n${config}`);
  let child: Deno.ChildProcess | undefined;
  async function start() {
    child = new Deno.Command("nats-server", {
      args: ["-c", file],
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let tries = 0;; tries++) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return;
      } catch (error) {
        if (tries > 500) throw error;
        await delay(20);
      }
    }
  }
  async function stop() {
    child?.kill("SIGKILL");
    await child?.status;
    child = undefined;
  }
  await start();
  return {
    servers,
    start,
    stop,
    connect: (more = {}) =>
      connect({
        servers,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
        reconnectJitter: 10,
        ...more,
      }),
    async [Symbol.asyncDispose]() {
      await stop();
      await Deno.remove(file);
    },
  };
}

/** Starts an example, and reads its lines. */
function startExample(name: string, args: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-check", ...NPM_FLAGS],
      `examples/nats/${name}.ts`,
      ...args,
    ],
    cwd: new URL("..", import.meta.url),
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines: string[] = [];
  const read = (async () => {
    let rest = "";
    for await (
      const text of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      lines.push(...parts);
    }
  })();
  return {
    lines,
    kill: (signal: Deno.Signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // it has ended
      }
      await child.status;
      await read;
    },
  };
}

async function startWatcher(servers: string, args: string[] = []) {
  const watcher = startExample("watcher", [
    ...["--server", servers, "--json"],
    ...args,
  ]);
  await waitUntil(
    () => watcher.lines.length > 0,
    "a watcher that says something",
  );
  const events = () => watcher.lines.map((line) => JSON.parse(line));
  return {
    ...watcher,
    [Symbol.asyncDispose]: watcher[Symbol.asyncDispose],
    /** The names of which it told something of this type, sorted. */
    told: (type: string): string[] =>
      events().filter((event) => event.type === type)
        .map(({ worker }) => worker).sort(),
  };
}

const BEAT: Heartbeat = { worker: "alpha", seq: 1, time: 5 };

test("heartbeats go over NATS and back, with their details", async () => {
  await using broker = await startBroker();
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

test("subscribeHeartbeats gives what has arrived as one batch, and the latest heartbeat of each only", async () => {
  await using broker = await startBroker();
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

test("subscribeHeartbeats counts and tells what is malformed, and goes on", async () => {
  await using broker = await startBroker();
  const connection = await broker.connect();
  const told: MalformedMessage[] = [];
  const reader = subscribeHeartbeats(connection, "heartbeats.>", {
    onMalformed: (message) => void told.push(message),
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
    Uint8Array.from(good, (char) => char === "p" ? 0xff : char.charCodeAt(0)),
    `${good}x`,
  ];
  for (const payload of bad) connection.publish("heartbeats.x", payload);
  connection.publish("heartbeats.x", good);
  const { value } = await reader.read();
  assertEquals(value, [BEAT]);
  assertEquals(told.map(({ count }) => count), bad.map((_, i) => i + 1));
  for (const { subject, problem } of told) {
    assertEquals(subject, "heartbeats.x");
    assert(problem.length > 0);
  }
  assertEquals(new TextDecoder().decode(told[1]!.data), "{");
  // unknown fields are dropped: they might be large
  connection.publish("heartbeats.x", '{"worker":"a","seq":2,"time":3,"x":4}');
  assertEquals((await reader.read()).value, [{ worker: "a", seq: 2, time: 3 }]);
  await reader.cancel();
  await connection.close();
});

test("subscribeHeartbeats errors with what onMalformed throws", async () => {
  await using broker = await startBroker();
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
  const { connection, hear } = playConnection();
  const reader = subscribeHeartbeats(connection, "heartbeats", {
    onMalformed() {
      throw undefined;
    },
  }).getReader();
  hear("{");
  const ended = reader.read().then(() => "closed", (error) => error);
  assertStrictEquals(await ended, undefined);
});

test("subscribeHeartbeats errors where the server does not permit it", async () => {
  await using broker = await startBroker(`
    authorization {
      users = [
        { user: "build", password: "b", permissions: {
          publish: "heartbeats.build.*", subscribe: "_INBOX.>" } }
        { user: "watcher", password: "w", permissions: { subscribe: "heartbeats.>" } }
      ]
    }`);
  const build = await broker.connect({ user: "build", pass: "b" });
  const watcher = await broker.connect({ user: "watcher", pass: "w" });
  const error = await assertRejects(() =>
    subscribeHeartbeats(build, "heartbeats.>").getReader().read()
  );
  assertMatch((error as Error).message, /permission/i);
  const reader = subscribeHeartbeats(watcher, "heartbeats.>").getReader();
  await watcher.flush();
  // one that it may not publish, and one that it may
  const others = publishHeartbeats(build, "heartbeats.other").getWriter();
  const own = publishHeartbeats(build, "heartbeats.build.alpha").getWriter();
  await others.write({ ...BEAT, worker: "other" });
  await own.write(BEAT);
  assertEquals((await reader.read()).value, [BEAT]);
  await Promise.all([build.close(), watcher.close()]);
});

test("publishHeartbeats drops what is written while the connection is lost, or was closed", async () => {
  await using broker = await startBroker();
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
  await using broker = await startBroker();
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
  await using broker = await startBroker();
  const connection = await broker.connect();
  const { listeners } =
    (connection as unknown as { protocol: { listeners: unknown[] } }).protocol;
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

/** A connection that is played by hand. */
function playConnection() {
  const sent: string[] = [];
  let say = (_type: string) => {};
  let callback: Parameters<NatsConnection["subscribe"]>[1]["callback"];
  const played = {
    sent,
    unsubscribed: 0,
    say: (type: string) => say(type),
    hear: (payload: string) =>
      callback(null, {
        subject: "heartbeats",
        data: new TextEncoder().encode(payload),
      }),
    connection: {
      publish: (_, payload) => void sent.push(payload),
      subscribe(_, options) {
        callback = options.callback;
        return {
          closed: new Promise(() => {}),
          unsubscribe: () => void played.unsubscribed++,
        };
      },
      status: () =>
        new ReadableStream<{ type: string }>({
          start: (controller) => {
            say = (type) => controller.enqueue({ type });
          },
        }),
      isClosed: () => false,
      isDraining: () => false,
    } satisfies NatsConnection,
  };
  return played;
}

Deno.test("publishHeartbeats drops what is written while the connection drains", async () => {
  const { connection, sent } = playConnection();
  const draining = { ...connection, isDraining: () => true };
  const writer = publishHeartbeats(draining, "heartbeats.a").getWriter();
  await writer.write(BEAT);
  await writer.close();
  assertEquals(sent, []);
});

Deno.test("publishHeartbeats hands nothing to a client that is not connected: it might keep it", async () => {
  const { connection, sent, say } = playConnection();
  const writer = publishHeartbeats(connection, "heartbeats.a").getWriter();
  const beat = async (seq: number) => {
    await delay(0);
    await writer.write({ ...BEAT, seq });
  };
  await beat(1);
  say("disconnect");
  await beat(2);
  say("reconnecting");
  await beat(3);
  say("reconnect");
  await beat(4);
  say("ping");
  await beat(5);
  assertEquals(sent.map((text) => JSON.parse(text).seq), [1, 4, 5]);
  await writer.close();
});

Deno.test("subscribeHeartbeats puts what comes in one piece into one batch, and lets go at the end", async () => {
  const played = playConnection();
  const { connection, hear } = played;
  const reader = subscribeHeartbeats(connection, "heartbeats").getReader();
  const names = ["a", "b", "c"];
  const read = reader.read();
  await delay(0);
  for (const worker of names) hear(JSON.stringify({ ...BEAT, worker }));
  assertEquals((await read).value!.map(({ worker }) => worker), names);
  const rest = reader.read();
  await reader.cancel();
  hear(JSON.stringify(BEAT));
  assertEquals((await rest).done, true);
  const bad = subscribeHeartbeats(connection, "heartbeats", {
    onMalformed() {
      throw new Error("lost");
    },
  });
  hear("{");
  hear(JSON.stringify(BEAT));
  await assertRejects(() => bad.getReader().read(), Error, "lost");
  assertEquals(played.unsubscribed, 2);
});

test("a million heartbeats over NATS cost no verdict: who is silent is found, and nobody else", async () => {
  await using broker = await startBroker();
  const [near, far] = [await broker.connect(), await broker.connect()];
  const WORKERS = 1_000;
  const BEATS = 1_000_000;
  const fleet = new FleetMonitor({ timeout: 3_000 });
  const told: Record<string, string[]> = { up: [], down: [], recovered: [] };
  const malformed: unknown[] = [];
  let taken = 0;
  const listening = subscribeHeartbeats(far, "heartbeats.>", {
    onMalformed: (message) => void malformed.push(message),
  })
    .pipeThrough(
      new TransformStream<Heartbeat[], Heartbeat[]>({
        transform(batch, controller) {
          for (const { seq } of batch) taken = Math.max(taken, seq);
          controller.enqueue(batch);
        },
      }),
    )
    .pipeThrough(fleet)
    .pipeTo(
      new WritableStream({
        write: ({ type, worker }) => void told[type]!.push(worker),
      }),
    );
  await far.flush();
  const names = Array.from({ length: WORKERS }, (_, i) => `w-${i}`);
  const writers = names.map((name) =>
    publishHeartbeats(near, `heartbeats.${name}`).getWriter()
  );
  // the last ten fall silent half-way
  const silent = names.slice(-10);
  const started = performance.now();
  let spoke = 0;
  for (let seq = 1; seq <= BEATS / WORKERS; seq++) {
    for (const [i, writer] of writers.entries()) {
      const worker = names[i]!;
      if (seq * 2 > BEATS / WORKERS && i >= WORKERS - 10) continue;
      writer.write({ worker, seq, time: Date.now() });
      spoke++;
    }
    // not faster than a second of them at once, so that nobody's buffer overflows
    await near.flush();
  }
  // the others go on until the verdict
  const others = names.slice(0, -10);
  let seq = BEATS / WORKERS;
  while (told.down!.length < 10 && performance.now() - started < LONG) {
    seq++;
    for (const [i, worker] of others.entries()) {
      writers[i]!.write({ worker, seq, time: Date.now() });
    }
    await near.flush();
    await delay(200);
  }
  assertEquals(spoke, BEATS - 10 * BEATS / WORKERS / 2);
  assertEquals(told.up!.sort(), names.toSorted());
  assertEquals(told.down!.sort(), silent.toSorted());
  assertEquals(told.recovered, []);
  assertEquals(malformed, []);
  assert(taken >= BEATS / WORKERS);
  await Promise.all([near.close(), far.close()]);
  await listening;
});

test("a watcher of three processes tells the workers of the one that is killed, and only them", async () => {
  await using broker = await startBroker();
  await using watcher = await startWatcher(broker.servers);
  const args = ["--server", broker.servers, "--count", "1000"];
  await using _alpha = startExample("worker", [...args, "--name", "alpha"]);
  await using beta = startExample("worker", [...args, "--name", "beta"]);
  await using _gamma = startExample("worker", [...args, "--name", "gamma"]);
  await waitUntil(() => watcher.told("up").length === 3_000, "3,000 are up");
  assertEquals(watcher.told("down"), []);
  const names = Array.from({ length: 1_000 }, (_, i) => `beta-${i}`).sort();
  beta.kill("SIGKILL");
  await waitUntil(() => watcher.told("down").length >= 1_000, "1,000 are down");
  // what is not to come would come now
  await delay(4_000);
  assertEquals(watcher.told("down"), names);

  // a watcher that was stopped meanwhile has no evidence
  watcher.kill("SIGSTOP");
  await delay(6_000);
  watcher.kill("SIGCONT");
  await delay(5_000);
  assertEquals(watcher.told("down"), names);

  // nor has one whose broker was away
  await broker.stop();
  await waitUntil(
    () => watcher.told("blind").length === 1,
    "it says it is blind",
  );
  await delay(5_000);
  await broker.start();
  await waitUntil(() => watcher.told("sees").length === 1, "it says it sees");
  await delay(5_000);
  assertEquals(watcher.told("down"), names);

  // and after all that it is still awake
  await using _again = startExample("worker", [...args, "--name", "beta"]);
  await waitUntil(
    () => watcher.told("recovered").length === 1_000,
    "recovered",
  );
  assertEquals(watcher.told("recovered"), names);
  _gamma.kill("SIGKILL");
  await waitUntil(() => watcher.told("down").length === 2_000, "gamma is down");
  assertEquals(
    watcher.told("down").filter((name) => name.startsWith("gamma")).length,
    1_000,
  );
});

test("two watchers divide a fleet by the partitions of the broker", async () => {
  await using broker = await startBroker(`
    mappings = {
      "heartbeats.*": "partition.{{partition(2,1)}}.{{wildcard(1)}}"
    }`);
  await using first = await startWatcher(broker.servers, [
    ...["--subject", "partition.0.*"],
  ]);
  await using second = await startWatcher(broker.servers, [
    ...["--subject", "partition.1.*"],
  ]);
  const args = ["--server", broker.servers, "--count", "100"];
  await using alpha = startExample("worker", args);
  const told = (type: string) => [...first.told(type), ...second.told(type)];
  const names = Array.from({ length: 100 }, (_, i) => `alpha-${i}`).sort();
  await waitUntil(() => told("up").length >= 100, "100 are up");
  await delay(2_000);
  assertEquals(told("up").sort(), names);
  for (const watcher of [first, second]) {
    assert(watcher.told("up").length > 20, "a fair share");
    assertEquals(watcher.told("down"), []);
  }
  const shares = [first, second].map((watcher) => watcher.told("up"));
  alpha.kill("SIGKILL");
  await waitUntil(() => told("down").length === 100, "100 are down");
  assertEquals([first.told("down"), second.told("down")], shares);
});

test("the examples end with a word where there is no server, or an option is wrong", async () => {
  await using broker = await startBroker();
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
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-check", ...NPM_FLAGS],
        `examples/nats/${name}.ts`,
        ...args,
      ],
      cwd: new URL("..", import.meta.url),
    }).output();
    const text = new TextDecoder().decode(stderr);
    assertEquals(code, 2, text);
    assert(text.startsWith(word), text);
    assertEquals(text.trim().split("\n").length, 1);
  }
});
