// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { type FleetEvent, FleetMonitor } from "../fleet.ts";
import { watch } from "../monitor.ts";
import {
  type MalformedMessage,
  type NatsConnection,
  type NatsMessage,
  subscribeHeartbeats,
} from "../nats.ts";
import { startThread } from "../thread.ts";
import type { Heartbeat } from "../worker.ts";
import type { Outcomes } from "./_fuzz_cli.ts";
import { mulberry32 } from "./_help.ts";

const SEED = Number(Deno.env.get("SEED") ?? Date.now());
/** What nothing here takes (ms). */
const LONG = 60_000;

Deno.test("parse() of the command line gives settings within their ranges or refuses in one line, whatever is said", async () => {
  const cases = 40_000;
  const thread = startThread<Outcomes>(
    new URL("_fuzz_cli.ts", import.meta.url),
    { input: { seed: SEED, cases } },
  );
  const all: Outcomes = {};
  const done = () => Object.values(all).reduce((sum, n) => sum + n, 0);
  try {
    // what never ends in there is silent
    for await (const outcomes of watch(thread, { timeout: LONG })) {
      for (const [outcome, n] of Object.entries(outcomes)) {
        all[outcome] = (all[outcome] ?? 0) + n;
      }
    }
  } catch (error) {
    const { name, message } = error as Error;
    throw new Error(`SEED=${SEED}, after ${done()}: ${name}: ${message}`);
  }
  assertEquals(done(), cases);
  // a fuzz that reaches less is none
  const reached = [
    ...["command", "demo", "help", "pipe", "refused", "version"]
      .map((answer) => `noise ${answer}`),
    ...["command", "demo", "pipe"].map((mode) => `right ${mode}`),
    ...["command", "switch", "unknown", "use", "value", "word"]
      .map((kind) => `wrong ${kind}`),
  ];
  assertEquals(Object.keys(all).sort(), reached);
  await thread.finished;
});

const NAMES = [
  "",
  "a",
  "alpha",
  "__proto__",
  "constructor",
  "\0",
  "ü",
  "\ud800",
];
const FIELDS = ["worker", "seq", "time", "detail"];

/** What may be said of a message: by the library, or by the platform. */
const PROBLEM =
  /^'(worker' is no string|seq' is no integer|time' is no number)$|JSON|encoded data/;

/** Makes up messages; all that it does follows from `random`. */
function createMaker(random: () => number) {
  const below = (n: number) => Math.floor(n * random());
  const chance = (share: number) => random() < share;
  const pick = <T>(from: readonly T[]) => from[below(from.length)]!;
  const encode = (text: string) => new TextEncoder().encode(text);

  function name() {
    return chance(0.01)
      ? "x".repeat(below(100_000))
      : `${pick(NAMES)}${below(5)}`;
  }
  /** Any value, as it stands in JSON. */
  function value(depth = 0): string {
    const list = () => Array.from({ length: below(4) }, () => value(depth + 1));
    return pick([
      () =>
        pick(["null", "true", "false", "0", "-0", "1", "1.5", "-1", "1e999"]),
      () => pick(["9007199254740991", "9007199254740992", "5e-324", "1e21"]),
      () => JSON.stringify(name()),
      () => depth > 3 ? "[]" : `[${list()}]`,
      () =>
        depth > 3
          ? "{}"
          : `{${
            list().map((of) =>
              `${JSON.stringify(pick([...NAMES, ...FIELDS, "toJSON"]))}:${of}`
            )
          }}`,
    ])();
  }
  /** Brackets, more than any stack holds calls. */
  function deep() {
    const depth = 1 + below(100_000);
    const [open, close] = pick([["[", "]"], ['{"a":', "}"]]);
    return open!.repeat(depth) + pick(["0", ""]) +
      close!.repeat(depth - below(2));
  }
  /** The fields of a heartbeat, in any order, as they stand in JSON. */
  function fields() {
    const all = [
      `"worker":${JSON.stringify(name())}`,
      `"seq":${below(1_000)}`,
      `"time":${pick(["0", "1700000000000", "-1", "0.5"])}`,
      ...(chance(0.5) ? [`"detail":${value()}`] : []),
    ];
    return all.sort(() => random() - 0.5);
  }
  const object = (of: string[]) => `{${of.join(chance(0.9) ? "," : " ,\n")}}`;

  const kinds: Record<string, () => string | Uint8Array> = {
    right: () => object(fields()),
    bytes: () => Uint8Array.from({ length: below(200) }, () => below(256)),
    value: () => value(),
    "wrong field": () => {
      const name = `"${pick(FIELDS)}":`;
      const others = fields().filter((field) => !field.startsWith(name));
      return object(chance(0.2) ? others : [...others, name + value()]);
    },
    // the last one of two counts
    "two of one": () => object([...fields(), ...fields()]),
    inherited: () => {
      const key = pick(["__proto__", "constructor", "prototype"]);
      const all = object(fields());
      return `{"${key}":${pick([all, `{"prototype":${all}}`])}${
        chance(0.3) ? `,${fields()}` : ""
      }}`;
    },
    deep: () =>
      chance(0.5) ? deep() : object([...fields(), `"detail":${deep()}`]),
    huge: () =>
      object([...fields(), `"detail":"${"é".repeat(below(300_000))}"`]),
    mutated: () => {
      const bytes = [...encode(object(fields()))];
      for (let n = 1 + below(4); n > 0; n--) {
        const at = below(bytes.length);
        pick([
          () => bytes.splice(at, 1, below(256)),
          () => bytes.splice(at, 1 + below(5)),
          () => bytes.splice(at, 0, ...encode(pick([...'"\\{}[],:0-e \0']))),
          () => bytes.splice(at),
          () => bytes.splice(at, 0, ...bytes.slice(below(at + 1), at)),
          // no UTF-8: overlong, half of a pair, not one whole
          () =>
            bytes.splice(
              at,
              0,
              ...pick([[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]),
            ),
          () => bytes.unshift(0xef, 0xbb, 0xbf),
        ])();
      }
      return Uint8Array.from(bytes);
    },
  };

  /** A message: what kind of one, and its bytes, which may lie within others. */
  function message(): [kind: string, data: Uint8Array] {
    // what is large is rare
    const some = Object.keys(kinds).filter((kind) =>
      chance(0.02) || !/deep|huge/.test(kind)
    );
    const kind = pick(some);
    const made = kinds[kind]!();
    const bytes = typeof made === "string" ? encode(made) : made;
    if (chance(0.5)) return [kind, bytes];
    const around = new Uint8Array(bytes.length + 20).fill(0x7b);
    around.set(bytes, 10);
    return [kind, around.subarray(10, 10 + bytes.length)];
  }
  return { below, chance, message };
}

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
  if (typeof worker !== "string" || typeof time !== "number") return;
  if (!Number.isSafeInteger(seq) || Math.abs(time) === Infinity) return;
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
    return JSON.stringify(beat);
  }).sort();
}

Deno.test("subscribeHeartbeats makes a well-formed heartbeat of a message or tells that it is none, whatever comes", async () => {
  const { below, chance, message } = createMaker(mulberry32(SEED));
  const callbacks: ((error: null, message: NatsMessage) => void)[] = [];
  const closed = Promise.withResolvers<void>();
  let unsubscribed = 0;
  const connection: NatsConnection = {
    publish() {},
    subscribe(_, { callback }) {
      callbacks.push(callback);
      return { closed: closed.promise, unsubscribe: () => void unsubscribed++ };
    },
    async *status() {},
    isClosed: () => false,
    isDraining: () => false,
  };
  const told: MalformedMessage[] = [];
  const reader = subscribeHeartbeats(connection, "heartbeats", {
    maxDetailSize: Infinity,
    onMalformed: (message) => void told.push(message),
  }).getReader();
  const up = Array.fromAsync(
    subscribeHeartbeats(connection, "heartbeats", { maxDetailSize: Infinity })
      .pipeThrough(
        new FleetMonitor({ timeout: LONG, maxNameLength: Infinity }),
      ),
  );
  const scope = [Object.prototype, Array.prototype, Function.prototype];
  const keys = scope.map((prototype) => Reflect.ownKeys(prototype));

  const names = new Set<string>();
  const kinds: Record<string, [taken: number, refused: number]> = {};
  const expected: Uint8Array[] = [];
  try {
    for (let cases = 0; cases < 20_000;) {
      const early = chance(0.5) ? reader.read() : undefined;
      const batch = new Map<string, Heartbeat>();
      do {
        for (let n = 1 + below(10); n > 0; n--, cases++) {
          const [kind, data] = message();
          const beat = expect(data);
          if (beat) {
            batch.set(beat.worker, beat);
            names.add(beat.worker);
          } else expected.push(data);
          (kinds[kind] ??= [0, 0])[beat ? 0 : 1]++;
          const subject = `heartbeats.${cases}`;
          for (const callback of callbacks) callback(null, { subject, data });
          assertEquals(
            told.length,
            expected.length,
            `a ${kind}: ${beat ? "refused" : "taken"}`,
          );
          if (beat) continue;
          const { count, problem, ...last } = told.at(-1)!;
          assert(
            last.data === data && last.subject === subject,
            "another message",
          );
          assertEquals(count, told.length);
          assertMatch(problem, PROBLEM);
          // what is JSON is told by what it lacks
          assertEquals(problem.startsWith("'"), readJson(data) !== undefined);
        }
      } while (batch.size === 0);
      const { value } = await deadline(early ?? reader.read(), LONG);
      assertEquals(show(value!), show(batch.values()));
    }
  } catch (error) {
    throw new Error(`SEED=${SEED}: ${(error as Error).message}`);
  }
  closed.resolve();
  const { done } = await deadline(reader.read(), LONG);
  assertEquals(done, true);
  const events: FleetEvent[] = await deadline(up, LONG);
  assertEquals(
    events.map(({ type, worker }) => [type, worker]),
    [...names].map((name) => ["up", name]),
  );
  assertEquals(unsubscribed, 0);
  assertEquals(scope.map((prototype) => Reflect.ownKeys(prototype)), keys);
  // each kind is of both sorts, but for those that cannot be
  for (const [kind, [taken, refused]] of Object.entries(kinds)) {
    assert(
      taken > 0 || kind === "bytes" || kind === "value",
      `no ${kind} was taken`,
    );
    assert(
      refused > 0 || /right|two|huge/.test(kind),
      `no ${kind} was refused`,
    );
  }
  assertEquals(Object.keys(kinds).length, 9);
});
