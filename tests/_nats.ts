// Copyright 2026 the heartbeat authors. MIT license.

/**
 * What the tests of `nats.ts` share: a real broker, the examples as child
 * processes, and a connection that the test controls.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import {
  connect,
  type ConnectionOptions,
} from "npm:@nats-io/transport-node@3.4.0";
import type { NatsConnection, NatsStatus } from "../nats.ts";
import type { Heartbeat } from "../worker.ts";
import { NPM_FLAGS, waitUntil } from "./_help.ts";

// The client's transport leaves a socket that the broker refuses without a listener,
// so a reset of it (1 in 8 refusals on Deno 2.9.6) would be an uncaught error.
addEventListener("error", (event) => {
  if (event.error?.code === "ECONNRESET") event.preventDefault();
});

/** The longest that anything here may take (ms). */
export const LONG = 60_000;

export const BEAT: Heartbeat = { worker: "alpha", seq: 1, time: 5 };

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

/** A test with a real broker; ignored where `nats-server` is missing. */
export function testWithBroker(
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
  limit = 2 * LONG,
) {
  Deno.test({ name, ignore, fn: (t) => deadline(fn(t), limit) });
}

export function freePort() {
  for (;;) {
    // below those that the system may give to anybody before the broker has it
    const port = 10_000 + Math.floor(20_000 * Math.random());
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

async function waitForPort(port: number) {
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

/** A configuration with one user. */
export function users(user: string, password: string) {
  return `authorization { user: "${user}", password: "${password}" }`;
}

/** A real broker. It keeps its port when it is stopped and started again. */
export class Broker {
  readonly #port = freePort();
  readonly #file = Deno.makeTempFileSync({ suffix: ".conf" });
  readonly #env: Record<string, string>;
  #child: Deno.ChildProcess | undefined;

  /** The address of the broker. */
  readonly servers = `127.0.0.1:${this.#port}`;

  constructor(env: Record<string, string> = {}) {
    this.#env = env;
  }

  static async start(config = "", env = {}): Promise<Broker> {
    const broker = new Broker(env);
    await broker.start(config);
    return broker;
  }

  /** Starts it, with another configuration if one is given. */
  async start(config?: string) {
    if (config !== undefined) this.#configure(config);
    this.#child = new Deno.Command("nats-server", {
      // an address in the configuration does not count
      args: ["-c", this.#file, "-a", "127.0.0.1", "-p", `${this.#port}`],
      env: this.#env,
      stdout: "null",
      stderr: "null",
    }).spawn();
    await waitForPort(this.#port);
  }

  /** Has the running broker read another configuration. */
  reload(config: string) {
    this.#configure(config);
    this.#child!.kill("SIGHUP");
  }

  /** Stops the process without a word, and lets it go on. */
  signal(name: "SIGSTOP" | "SIGCONT") {
    this.#child!.kill(name);
  }

  #configure(config: string) {
    Deno.writeTextFileSync(this.#file, config);
  }

  async stop() {
    this.#child?.kill("SIGKILL");
    await this.#child?.status;
    this.#child = undefined;
  }

  /** A connection that comes back quickly, and never gives up. */
  async connect(options: ConnectionOptions = {}) {
    for (;;) {
      try {
        return await connect({
          servers: this.servers,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 50,
          reconnectJitter: 10,
          ...options,
        });
      } catch (error) {
        // a socket is reset now and then before it was used, see above
        if ((error as { code?: unknown }).code !== "ECONNRESET") throw error;
      }
    }
  }

  async [Symbol.asyncDispose]() {
    await this.stop();
    await Deno.remove(this.#file);
  }
}

/** A broker with JetStream, and a connection to it. */
export async function startJetStream() {
  const folder = await Deno.makeTempDir();
  const broker = await Broker.start(`jetstream { store_dir: "${folder}" }`);
  const connection = await broker.connect();
  return {
    broker,
    connection,
    async [Symbol.asyncDispose]() {
      await connection.close();
      await broker[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Three brokers that form a cluster, each with more configuration of its own. */
export async function startCluster(
  configure: (index: number) => string = () => "",
) {
  const ports = Array.from({ length: 3 }, freePort);
  const routes = JSON.stringify(
    ports.map((port) => `nats-route://127.0.0.1:${port}`),
  );
  const brokers = await Promise.all(ports.map((port, index) =>
    Broker.start(`
      server_name: n${index}
      cluster { name: fleet, listen: "127.0.0.1:${port}", routes: ${routes} }
      ${configure(index)}`)
  ));
  return {
    brokers,
    async [Symbol.asyncDispose]() {
      for (const broker of brokers) await broker[Symbol.asyncDispose]();
    },
  };
}

/** A link to a broker that can be cut without a word: bytes are lost, nothing is closed. */
export class Link {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #to: Deno.ConnectOptions;
  readonly #connections = new Set<Deno.Conn>();
  readonly #end = new AbortController();
  #isCut = false;
  /** For how long (ms) each chunk is on its way. */
  latency = 0;

  /** The address of this end. */
  readonly servers = `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;

  constructor({ servers }: Broker) {
    const [hostname, port] = servers.split(":");
    this.#to = { hostname: hostname!, port: Number(port) };
    this.#accept();
  }

  /** Loses all bytes from now on, in both directions, of old and new connections. */
  cut() {
    this.#isCut = true;
  }

  /** New connections work again; those that were cut stay so. */
  mend() {
    this.#isCut = false;
  }

  async #accept() {
    for await (const near of this.#listener) {
      const far = await Deno.connect(this.#to);
      const link = { isCut: this.#isCut };
      this.#forward(near, far, link);
      this.#forward(far, near, link);
    }
  }

  async #forward(from: Deno.Conn, to: Deno.Conn, link: { isCut: boolean }) {
    this.#connections.add(from);
    try {
      for await (const bytes of from.readable) {
        const { signal } = this.#end;
        if (this.latency > 0) await delay(this.latency, { signal });
        link.isCut ||= this.#isCut;
        for (let at = 0; !link.isCut && at < bytes.length;) {
          at += await to.write(bytes.subarray(at));
        }
      }
    } catch {
      // one end was closed
    }
    this.#connections.delete(from);
    try {
      to.close();
    } catch {
      // by the other direction
    }
  }

  [Symbol.dispose]() {
    this.#end.abort();
    this.#listener.close();
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // it was closed
      }
    }
  }
}

/** The command that runs an example of `examples/nats`. */
function exampleCommand(
  name: string,
  args: readonly string[],
  options: Deno.CommandOptions,
) {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-check", ...NPM_FLAGS],
      `examples/nats/${name}.ts`,
      ...args,
    ],
    cwd: new URL("..", import.meta.url),
    ...options,
  });
}

/** Runs an example to its end. */
export async function runExample(name: string, args: readonly string[]) {
  const { code, stdout, stderr } = await exampleCommand(name, args, {})
    .output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Starts an example and collects the lines that it prints. */
export function startExample(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
) {
  const child = exampleCommand(name, args, {
    env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const err = new Response(child.stderr).text();
  const lines: string[] = [];
  const reading = (async () => {
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
    /** What it printed on stderr, and its exit code, once it has ended. */
    async ended() {
      const { code } = await child.status;
      return { code, err: await err };
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // it has ended
      }
      await Promise.all([child.status, reading, err]);
    },
  };
}

/** Starts the example watcher and waits until it watches. */
export async function startWatcher(
  servers: string,
  args: string[] = [],
  env = {},
) {
  const watcher = startExample(
    "watcher",
    ["--server", servers, "--json", ...args],
    env,
  );
  await waitUntil(() => watcher.lines.length > 0, "the watcher prints");
  const events: { type: string; worker: string }[] = [];
  /** Parses each line once, however often somebody looks. */
  function read() {
    while (events.length < watcher.lines.length) {
      events.push(JSON.parse(watcher.lines[events.length]!));
    }
    return events;
  }
  return {
    ...watcher,
    [Symbol.asyncDispose]: watcher[Symbol.asyncDispose],
    /** Waits until it is blind, or sees. */
    waitForSight: (sight: "blind" | "sees") =>
      waitUntil(() => {
        const types = read().map(({ type }) => type);
        return separateSight(types).sight === sight;
      }, `it is ${sight}`),
    /** The workers of all events of this type, sorted. */
    reported: (type: string): string[] =>
      read().filter((event) => event.type === type)
        .map(({ worker }) => worker).sort(),
  };
}

/**
 * Separates `blind` and `sees`, which take turns, from the other events, and returns
 * the last of them. A busy broker that answers late adds such a pair at any time.
 */
export function separateSight(events: readonly string[]) {
  const isSight = (event: string) => event === "blind" || event === "sees";
  const sights = events.filter(isSight);
  sights.forEach((event, i) =>
    assertEquals(event, i % 2 === 0 ? "blind" : "sees", `${events}`)
  );
  return {
    sight: sights.at(-1),
    others: events.filter((event) => !isSight(event)),
  };
}

/** A connection that the test controls. */
export function createConnection() {
  const closing = Promise.withResolvers<void | Error>();
  const encoder = new TextEncoder();
  let callback: Parameters<NatsConnection["subscribe"]>[1]["callback"];
  let statuses!: ReadableStreamDefaultController<NatsStatus>;
  const fake = {
    sent: [] as string[],
    unsubscribed: 0,
    /** Ends the subscription. */
    close: closing.resolve,
    status: (status: NatsStatus) => statuses.enqueue(status),
    receive: (payload: string, subject = "heartbeats") =>
      callback(null, { subject, data: encoder.encode(payload) }),
    connection: {
      publish: (_, payload) => void fake.sent.push(payload),
      subscribe(_, options) {
        callback = options.callback;
        return {
          closed: closing.promise,
          unsubscribe: () => void fake.unsubscribed++,
        };
      },
      status: () =>
        new ReadableStream<NatsStatus>({
          start: (controller) => void (statuses = controller),
        }),
      isClosed: () => false,
      isDraining: () => false,
    } as NatsConnection,
  };
  return fake;
}
