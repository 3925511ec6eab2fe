// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { type FleetEvent, FleetMonitor } from "../../fleet.ts";
import {
  type MalformedMessage,
  type NatsConnection,
  type NatsMessage,
  subscribeHeartbeats,
} from "../../nats.ts";
import type { Heartbeat } from "../../worker.ts";
import { FIELDS, MessageMaker } from "./_heartbeat_messages.ts";

const SEED = Number(Deno.env.get("SEED") ?? Date.now());
const CASES = 20_000;
/** What nothing here takes, in milliseconds. */
const LONG_MS = 60_000;

/** What may be said of a message: by the library, or by the platform. */
const PROBLEM =
  /^'(worker' is (no string|empty)|seq' is no integer|time' is no number)$|JSON|encoded data/;

/** What the bytes say, if they are JSON in UTF-8. */
function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch {
    return undefined;
  }
}

/** What a message is to be read as: a heartbeat, or none. */
function expect(data: Uint8Array): Heartbeat | undefined {
  const value = readJson(data);
  if (typeof value !== "object" || value === null) return;
  const own = new Map(Object.entries(value));
  const [worker, seq, time, detail] = FIELDS.map((field) => own.get(field));
  if (typeof worker !== "string" || worker === "") return;
  if (typeof time !== "number" || Math.abs(time) === Infinity) return;
  if (!Number.isSafeInteger(seq)) return;
  return {
    worker,
    seq,
    time,
    ...(own.has("detail") && { detail }),
  } as Heartbeat;
}

/** As text: what is deep is too deep for assertEquals(). */
function show(beats: Iterable<Heartbeat>) {
  return [...beats].map((beat) => {
    assert(
      Object.getPrototypeOf(beat) === Object.prototype,
      "another prototype",
    );
    return JSON.stringify({ ...beat, detail: flatten(beat.detail) });
  }).sort();
}

/** Takes off brackets that hold one thing each: to show very many takes too many calls. */
function flatten(value: unknown): unknown {
  let depth = 0;
  let inner = value;
  while (typeof inner === "object" && inner !== null) {
    const entries: unknown[] = Object.values(inner);
    if (entries.length !== 1) break;
    [inner] = entries;
    depth++;
  }
  return depth < 1_000 ? value : { depth, inner };
}

/** A connection whose messages the test delivers to all subscriptions. */
function createConnection() {
  const callbacks: ((error: null, message: NatsMessage) => void)[] = [];
  const closed = Promise.withResolvers<void>();
  const counts = { unsubscribed: 0 };
  const connection: NatsConnection = {
    publish() {},
    subscribe(_, { callback }) {
      callbacks.push(callback);
      return {
        closed: closed.promise,
        unsubscribe: () => void counts.unsubscribed++,
      };
    },
    async *status() {},
    isClosed: () => false,
    isDraining: () => false,
  };
  return {
    connection,
    counts,
    close: closed.resolve,
    deliver(message: NatsMessage) {
      for (const callback of callbacks) callback(null, message);
    },
  };
}

/** Delivers made-up messages, and compares what comes of each with the specification. */
class Fuzz {
  readonly maker = new MessageMaker(SEED);
  readonly nats = createConnection();
  /** How many messages of each kind are a heartbeat, and how many are not. */
  readonly kinds: Record<string, [taken: number, refused: number]> = {};
  /** The workers that were named, in order. */
  readonly names = new Set<string>();
  readonly #malformed: MalformedMessage[] = [];
  #cases = 0;
  #refused = 0;

  readonly reader = subscribeHeartbeats(this.nats.connection, "heartbeats", {
    maxDetailSize: Infinity,
    onMalformed: (message) => void this.#malformed.push(message),
  }).getReader();

  /** Delivers until there is a batch, and compares it. */
  async playBatch() {
    const { maker, reader } = this;
    const early = maker.chance(0.5) ? reader.read() : undefined;
    const batch = new Map<string, Heartbeat>();
    do {
      for (let n = 1 + maker.below(10); n > 0; n--) this.#playMessage(batch);
    } while (batch.size === 0);
    const { value } = await deadline(early ?? reader.read(), LONG_MS);
    assertEquals(show(value!), show(batch.values()));
  }

  async playAll() {
    while (this.#cases < CASES) await this.playBatch();
  }

  #playMessage(batch: Map<string, Heartbeat>) {
    const [kind, data] = this.maker.message();
    const beat = expect(data);
    if (beat) {
      batch.set(beat.worker, beat);
      this.names.add(beat.worker);
    } else this.#refused++;
    (this.kinds[kind] ??= [0, 0])[beat ? 0 : 1]++;
    const subject = `heartbeats.${this.#cases++}`;
    this.nats.deliver({ subject, data });
    const what = `a ${kind}: ${beat ? "refused" : "taken"}`;
    assertEquals(this.#malformed.length, this.#refused, what);
    if (!beat) this.#checkReport(subject, data);
  }

  #checkReport(subject: string, data: Uint8Array) {
    const { count, problem, ...last } = this.#malformed.at(-1)!;
    assert(last.data === data && last.subject === subject, "another message");
    assertEquals(count, this.#refused);
    assertMatch(problem, PROBLEM);
    // of JSON, it is reported what it lacks
    assertEquals(problem.startsWith("'"), readJson(data) !== undefined);
  }

  /** Each kind is of both sorts, except those that cannot be. */
  checkKinds() {
    for (const [kind, [taken, refused]] of Object.entries(this.kinds)) {
      assert(taken > 0 || /bytes|value/.test(kind), `no ${kind} was taken`);
      assert(refused > 0 || /right|two|huge/.test(kind), `no ${kind} refused`);
    }
    assertEquals(Object.keys(this.kinds).length, 9);
  }
}

Deno.test("subscribeHeartbeats makes a well-formed heartbeat of a message or reports that it is none, whatever comes", async () => {
  const fuzz = new Fuzz();
  const { nats, names, reader } = fuzz;
  const beats = subscribeHeartbeats(nats.connection, "heartbeats", {
    maxDetailSize: Infinity,
  });
  const fleet = new FleetMonitor({
    timeout: LONG_MS,
    maxNameLength: Infinity,
  });
  const up = Array.fromAsync(beats.pipeThrough(fleet));
  const scope = [Object.prototype, Array.prototype, Function.prototype];
  const keys = scope.map((prototype) => Reflect.ownKeys(prototype));
  try {
    await fuzz.playAll();
  } catch (error) {
    throw new Error(`SEED=${SEED}: ${(error as Error).message}`);
  }
  nats.close();
  const { done } = await deadline(reader.read(), LONG_MS);
  assertEquals(done, true);
  const events: FleetEvent[] = await deadline(up, LONG_MS);
  assertEquals(
    events.map(({ type, worker }) => [type, worker]),
    [...names].map((name) => ["up", name]),
  );
  assertEquals(nats.counts.unsubscribed, 0);
  assertEquals(scope.map((prototype) => Reflect.ownKeys(prototype)), keys);
  fuzz.checkKinds();
});
