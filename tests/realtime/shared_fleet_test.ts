// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { Kvm } from "npm:@nats-io/kv@3.4.0";
import type { StoredFleetEvent } from "../../store.ts";
import { mulberry32, NPM_FLAGS, waitUntil } from "../_help.ts";
import { Broker, LONG, testWithBroker as test } from "../_nats.ts";

/** How long there is a fault a second; `FAULT_SECONDS=120` is the long form. */
const FAULT_SECONDS = Number(Deno.env.get("FAULT_SECONDS") ?? 8);
const SEED = Number(Deno.env.get("SEED") ?? Date.now() % 1e6);
const LEASE = 2000;
const TIMEOUT = 3000;
const INTERVAL = 200;

/** The workers, all played by this process, and who of them is alive. */
class Workers {
  /** Since when each is as it is. */
  readonly since = new Map<string, { isAlive: boolean; at: number }>();
  #seq = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(
    publish: (worker: string, payload: string) => void,
    count: number,
  ) {
    for (let i = 0; i < count; i++) this.set(`w-${i}`, true);
    this.#timer = setInterval(() => {
      const seq = ++this.#seq;
      for (const [worker, { isAlive }] of this.since) {
        const beat = { worker, seq, time: Date.now() };
        if (isAlive) publish(worker, JSON.stringify(beat));
      }
    }, INTERVAL);
  }

  set(worker: string, isAlive: boolean) {
    this.since.set(worker, { isAlive, at: Date.now() });
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** What all watchers have reported, by the ids. */
class Events {
  readonly problems: string[] = [];
  readonly #last = new Map<string, { change: number; type: string }>();
  readonly #workers: Workers;

  constructor(workers: Workers) {
    this.#workers = workers;
  }

  add({ worker = "", type, id, time }: StoredFleetEvent) {
    const change = Number(id!.split("#")[1]);
    if (change <= (this.#last.get(worker)?.change ?? 0)) return;
    this.#last.set(worker, { change, type });
    const { isAlive, at } = this.#workers.since.get(worker)!;
    // it had beaten for a whole timeout before
    if (type === "down" && isAlive && at < time - TIMEOUT - INTERVAL) {
      this.problems.push(`false alarm: ${id} at ${time}, alive since ${at}`);
    }
  }

  stateOf(worker: string) {
    const type = this.#last.get(worker)?.type;
    return type === "recovered" ? "up" : type;
  }
}

/** A watcher in a process of its own. */
class Watcher {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #isWanted = true;

  constructor(servers: string, events: Events) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-check", ...NPM_FLAGS],
        new URL("./_shared_watcher.ts", import.meta.url).pathname,
        ...[servers, `${LEASE}`, `${TIMEOUT}`],
      ],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#reading = this.#read(events);
    this.#child.status.then(({ code }) => {
      if (this.#isWanted) events.problems.push(`a watcher ended with ${code}`);
    });
  }

  async #read(events: Events) {
    let rest = "";
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of text) {
      const lines = (rest + part).split("\n");
      rest = lines.pop()!;
      for (const line of lines) events.add(JSON.parse(line));
    }
  }

  async stopFor(ms: number) {
    this.#child.kill("SIGSTOP");
    await delay(ms);
    this.#child.kill("SIGCONT");
  }

  async kill() {
    this.#isWanted = false;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await Promise.all([this.#child.status, this.#reading]);
  }
}

/** One fault: a watcher is killed or stopped, the broker restarts, a worker dies or comes back. */
async function makeFault(
  random: () => number,
  { broker, watchers, workers, events }: {
    broker: Broker;
    watchers: Watcher[];
    workers: Workers;
    events: Events;
  },
) {
  const index = Math.floor(watchers.length * random());
  const chance = random();
  if (chance < 0.2) {
    await watchers[index]!.kill();
    watchers[index] = new Watcher(broker.servers, events);
  } else if (chance < 0.4) {
    await watchers[index]!.stopFor(500 + 4000 * random());
  } else if (chance < 0.5) {
    await broker.stop();
    await broker.start();
  } else {
    const names = [...workers.since.keys()];
    const worker = names[Math.floor(names.length * random())]!;
    workers.set(worker, !workers.since.get(worker)!.isAlive);
  }
}

test(
  `20 workers and 3 watchers with a fault a second for ${FAULT_SECONDS} s: nobody is missed, and nobody alive is reported (SEED=${SEED})`,
  async () => {
    const folder = await Deno.makeTempDir();
    await using broker = await Broker.start(
      `jetstream { store_dir: "${folder}" }`,
    );
    const connection = await broker.connect();
    const kvm = new Kvm(connection);
    await kvm.create("leases", { ttl: LEASE });
    await kvm.create("fleet");
    const workers = new Workers(
      (worker, payload) => connection.publish(`heartbeats.${worker}`, payload),
      20,
    );
    const events = new Events(workers);
    const watchers = Array.from(
      { length: 3 },
      () => new Watcher(broker.servers, events),
    );
    try {
      const isTrue = () =>
        [...workers.since].every(([worker, { isAlive }]) =>
          events.stateOf(worker) === (isAlive ? "up" : "down")
        );
      await waitUntil(isTrue, "all are up");
      const random = mulberry32(SEED);
      const end = Date.now() + 1000 * FAULT_SECONDS;
      while (Date.now() < end) {
        const next = delay(1000);
        await makeFault(random, { broker, watchers, workers, events });
        await next;
      }
      await waitUntil(isTrue, "the watchers know who is alive");
      await delay(TIMEOUT);
      assert(isTrue(), "the watchers know it no more");
      assertEquals(events.problems, []);
    } finally {
      workers.stop();
      await Promise.all(watchers.map((watcher) => watcher.kill()));
      await connection.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
  2 * LONG + 1000 * FAULT_SECONDS,
);
