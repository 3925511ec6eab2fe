// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the summary is for who soaks it

import { assert, assertEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { startCommand } from "../command.ts";
import { FleetMonitor } from "../fleet.ts";
import { HeartbeatMonitor, watch } from "../monitor.ts";
import {
  type NatsConnection,
  publishHeartbeats,
  subscribeHeartbeats,
} from "../nats.ts";
import { supervise } from "../supervisor.ts";
import { startThread } from "../thread.ts";
import {
  startWorker,
  type WorkContext,
  type WorkerStreams,
} from "../worker.ts";
import { countListeners, isRunning, mulberry32 } from "./_help.ts";

/** `deno task soak` takes ten minutes. */
const SECONDS = Number(Deno.env.get("SOAK_SECONDS") ?? 8);
const SEED = Number(Deno.env.get("SEED") ?? Date.now());
/** How many are alive at once. */
const WORKERS = 1_000;
/** How many of those that cost a thread or a process each. */
const HEAVY = 2;
/** What nothing here takes (ms). */
const LONG = 60_000;
/** How much the heap may grow from the middle to the end (bytes): in ten minutes, 20 bytes a life. */
const NOISE = 4_000_000;

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");
const { setTimeout: startTimer } = globalThis;
let asleep = 0;

/** Waits by a timer that is not counted among those of the library. */
async function sleep(ms: number) {
  asleep++;
  await new Promise<void>((resolve) => void startTimer(resolve, ms));
  asleep--;
}

/** An error that was put in on purpose. */
class Fault extends Error {
  override readonly name = "Fault";
}

/** Counts what may be left behind, while it is in use. */
function count() {
  const scope = globalThis as unknown as Record<string, unknown>;
  const before = { ...globalThis, Worker };
  const timers = new Map<number, string>();
  const threads = new Set<Worker>();
  const unhandled: unknown[] = [];
  const originals: Record<string, unknown> = {};
  for (const kind of ["Timeout", "Interval"]) {
    const [set, clear] = [`set${kind}`, `clear${kind}`].map((name) => {
      originals[name] = scope[name];
      return scope[name] as (...args: unknown[]) => unknown;
    });
    scope[`set${kind}`] = (run: () => void, ...rest: unknown[]) => {
      const timer = set!(() => {
        if (kind === "Timeout") timers.delete(Number(timer));
        run();
      }, ...rest);
      timers.set(Number(timer), String(new Error(kind).stack));
      return timer;
    };
    scope[`clear${kind}`] = (timer: unknown) => {
      timers.delete(Number(timer));
      clear!(timer);
    };
  }
  originals.Worker = before.Worker;
  scope.Worker = class extends before.Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      threads.add(this);
    }
    override terminate() {
      threads.delete(this);
      super.terminate();
    }
  };
  function onUnhandled(event: PromiseRejectionEvent) {
    event.preventDefault();
    // what onEvent() throws when nobody is left to be told of it is not to be swallowed
    if (event.reason instanceof Fault && event.reason.message === "onEvent") {
      return;
    }
    unhandled.push(event.reason);
  }
  globalThis.addEventListener("unhandledrejection", onUnhandled);
  return {
    timers,
    threads,
    unhandled,
    [Symbol.dispose]() {
      Object.assign(scope, originals);
      globalThis.removeEventListener("unhandledrejection", onUnhandled);
    },
  };
}

const THREAD = `data:text/javascript,${
  encodeURIComponent(`
    import { serveThread } from "${import.meta.resolve("../thread.ts")}";
    serveThread(async function* ({ input, signal, beat }) {
      try {
        for (let n = 1; n <= input.length; n++) {
          beat(n);
          if (n === input.faultAt) throw new Error("Fault");
          if (n === input.hangAt) {
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          }
          yield n;
        }
      } finally {
        if (input.badEnd) throw new Error("Fault");
      }
    });`)
}`;

Deno.test("1,000 workers start, stall, heal and end at random, faults in every callback, and nothing is left of them", async () => {
  const random = mulberry32(SEED);
  const chance = (share: number) => random() < share;
  const below = (n: number) => Math.floor(n * random());
  const pick = <T>(...from: T[]) => from[below(from.length)]!;
  using left = count();
  const { signal: shared, listeners } = countListeners();
  const lives = new Map<string, number>();
  const ends = new Map<string, number>();
  const pids: number[] = [];
  /** The `finished` that have not resolved. */
  const unfinished = new Set<Promise<void>>();
  let heavy = 0;
  let over = false;

  function fault(where: string, share = 0.03) {
    if (chance(share)) throw new Fault(where);
  }
  /** A limit: at times a long one, whose timer is seen if it is left behind. */
  const limit = (ms: number) => chance(0.2) ? 100 * LONG : ms;
  function finishing<R>(worker: WorkerStreams<R>): WorkerStreams<R> {
    const { finished } = worker;
    unfinished.add(finished);
    finished.then(() => unfinished.delete(finished));
    return worker;
  }
  /** Hangs: for a while, or until it is told to stop, unless it is deaf. */
  async function hang(signal: AbortSignal) {
    const until = [sleep(3_000)];
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    if (!chance(0.1)) until.push(promise);
    if (signal.aborted || over) return;
    signal.addEventListener("abort", onAbort, { once: true });
    await Promise.race(until);
    signal.removeEventListener("abort", onAbort);
  }

  async function* generate({ signal, beat }: WorkContext) {
    try {
      for (let n = below(20); n > 0 && !signal.aborted; n--) {
        if (chance(0.3)) beat({ n });
        if (chance(0.05)) await hang(signal);
        fault("work");
        if (chance(0.5)) await sleep(below(50));
        yield n;
      }
    } finally {
      fault("finally");
    }
  }
  /** An iterator by hand, sync or not, with faults in all its methods. */
  function iterate(): Iterable<number> & AsyncIterable<number> {
    let n = below(20);
    const sync = chance(0.5);
    const step = () => {
      fault("next");
      return n-- > 0 ? { value: n, done: false } : { value: 0, done: true };
    };
    const end = () => {
      fault("return", 0.2);
      return { value: 0, done: true };
    };
    const iterator = {
      next: () => sync ? step() : sleep(below(30)).then(step),
      return: () => sync ? end() : sleep(below(30)).then(end),
    };
    return {
      [sync ? Symbol.iterator : Symbol.asyncIterator]: () => iterator,
    } as never;
  }
  function stream(): ReadableStream<number> {
    let n = below(20);
    return new ReadableStream({
      async pull(controller) {
        fault("pull");
        await sleep(chance(0.03) ? 1_000 : below(30));
        if (n-- <= 0) controller.close();
        else controller.enqueue(n);
      },
      cancel: () => fault("cancel", 0.2),
    });
  }
  function startAny(signal: AbortSignal): WorkerStreams<unknown> {
    const work = pick<(context: WorkContext) => AsyncIterable<number>>(
      generate,
      generate,
      iterate,
      stream,
      () => {
        throw new Fault("work");
      },
    );
    return finishing(startWorker<unknown>(work, { signal, interval: 50 }));
  }

  const fleet = new FleetMonitor({ timeout: 300, forgetAfter: 300 });
  const told = fleet.readable.pipeTo(
    new WritableStream({
      write: ({ type }) => void ends.set(type, (ends.get(type) ?? 0) + 1),
    }),
  );

  let members = 0;
  async function tellFleet(heartbeats: WorkerStreams<unknown>["heartbeats"]) {
    const member = fleet.handle(`member-${members++}`);
    for await (const { seq, detail } of heartbeats) member.beat(seq, detail);
    if (chance(0.5)) fleet.remove(member.worker);
  }

  /** Reads in one of the ways of a consumer; how it ends is no matter here. */
  async function consume(stream: ReadableStream<unknown>) {
    const reader = stream.getReader();
    const leaveAt = chance(0.2) ? below(10) : Infinity;
    for (let n = 0;; n++) {
      if (n === leaveAt) return await reader.cancel(new Error("enough"));
      if (chance(0.05)) await sleep(below(100));
      if ((await reader.read()).done) return;
    }
  }
  /** Waits for all, and fails as the first of them that does. */
  async function settle(...all: Promise<unknown>[]) {
    for (const end of await Promise.allSettled(all)) {
      if (end.status === "rejected") throw end.reason;
    }
  }
  /** Reads a pair of streams, one way or another. */
  async function consumeBoth({ results, heartbeats }: WorkerStreams<unknown>) {
    const way = below(3);
    if (way === 0) {
      return await consume(watch({ results, heartbeats }, {
        timeout: limit(300),
        isHeartbeat: () => {
          fault("isHeartbeat");
          return true;
        },
      }));
    }
    const beats = way === 1 ? tellFleet(heartbeats) : consume(heartbeats);
    await settle(
      consume(results),
      Promise.race([beats, sleep(2_000).then(() => "late")]),
    );
  }

  const kinds: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    worker: (signal) => consumeBoth(startAny(signal)),
    supervisor: (signal) =>
      consumeBoth(finishing(supervise(({ signal }) => {
        fault("start");
        return startAny(signal);
      }, {
        timeout: limit(300),
        stopTimeout: limit(200),
        interval: 50,
        maxRestarts: below(4),
        backoff: { min: below(30), max: 50 },
        signal,
        onEvent: () => fault("onEvent", 0.01),
        shouldRestart() {
          fault("shouldRestart");
          return chance(0.9);
        },
        isHeartbeat() {
          fault("isHeartbeat", 0.01);
          return true;
        },
      }))),
    monitor: (signal) =>
      consume(
        stream().pipeThrough(
          new HeartbeatMonitor<number>({
            timeout: limit(100 + below(400)),
            isHeartbeat: (n) => {
              fault("isHeartbeat");
              return n % 2 === 0;
            },
          }),
          { signal },
        ),
      ),
    published: (signal) => {
      const { results, heartbeats } = startAny(signal);
      const connection: NatsConnection = {
        publish: () => fault("publish", 0.1),
        subscribe() {
          throw new Fault("subscribe");
        },
        async *status() {
          fault("status", 0.1);
          yield { type: "disconnect" };
          await sleep(below(100));
          fault("status", 0.1);
          yield { type: "reconnect" };
        },
        isClosed: () => chance(0.1),
        isDraining: () => chance(0.1),
      };
      const publishing = publishHeartbeats(connection, "heartbeats.a");
      return settle(consume(results), heartbeats.pipeTo(publishing));
    },
    nats: async (signal) => {
      let hear = (_worker: string, _payload: string) => {};
      const closed = Promise.withResolvers<void>();
      const connection: NatsConnection = {
        publish() {},
        subscribe(_, { callback }) {
          hear = (worker, text) =>
            callback(null, {
              subject: `heartbeats.${worker}`,
              data: new TextEncoder().encode(text),
            });
          return { closed: closed.promise, unsubscribe: closed.resolve };
        },
        async *status() {},
        isClosed: () => false,
        isDraining: () => false,
      };
      const beats = subscribeHeartbeats(connection, "heartbeats.>", {
        onMalformed: () => fault("onMalformed", 0.3),
      });
      const read = consume(beats.pipeThrough(
        new FleetMonitor({ timeout: limit(200), forgetAfter: limit(100) }),
        { signal },
      ));
      const stop = new AbortController();
      const caught = read.finally(() => stop.abort());
      caught.catch(() => {});
      for (let seq = below(20); seq > 0 && !stop.signal.aborted; seq--) {
        const worker = `w${below(5)}`;
        const beat = JSON.stringify({ worker, seq, time: 0 });
        hear(worker, chance(0.1) ? "{" : beat);
        await sleep(below(50));
      }
      closed.resolve();
      await caught;
    },
  };
  const costly: typeof kinds = {
    thread: (signal) => {
      const length = below(10);
      return consumeBoth(finishing(startThread(THREAD, {
        signal,
        interval: 50,
        stopTimeout: limit(300),
        input: {
          length,
          faultAt: chance(0.3) ? below(10) : 0,
          hangAt: chance(0.3) ? below(10) : 0,
          badEnd: chance(0.2),
        },
      })));
    },
    command: async (signal) => {
      const script = pick("exit 0", "exit 3", "sleep 60", "cat", "kill $$");
      const output = finishing(startCommand("sh", {
        args: ["-c", `echo $$; ${script}`],
        signal,
        interval: 50,
        killAfter: 300,
        killSignal: () => {
          fault("killSignal", 0.2);
          return "SIGTERM";
        },
        stdin: chance(0.5) ? "null" : new ReadableStream({
          async pull(controller) {
            await sleep(below(50));
            fault("stdin", 0.1);
            if (chance(0.3)) controller.close();
            else controller.enqueue(new Uint8Array(below(100)));
          },
          cancel: () => fault("cancel", 0.2),
        }),
      }));
      const [taken, read] = output.results.tee();
      const first = read.getReader();
      first.read().then(({ value }) => {
        if (value) pids.push(Number(new TextDecoder().decode(value.bytes)));
      }).catch(() => {}).finally(() => first.cancel().catch(() => {}));
      await consumeBoth({ ...output, results: taken });
    },
  };
  if (Deno.build.os === "windows") delete costly.command;

  /** One life after the other, until all is over. */
  async function live() {
    while (!over) {
      const isHeavy = heavy < HEAVY && chance(0.05);
      const from = isHeavy ? costly : kinds;
      const kind = pick(...Object.keys(from));
      lives.set(kind, (lives.get(kind) ?? 0) + 1);
      if (isHeavy) heavy++;
      const aborter = new AbortController();
      const stop = setTimeout(
        () => aborter.abort(),
        chance(0.3) ? below(500) : 3_000,
      );
      try {
        // what is costly may hang for ever: it is stopped
        await from[kind]!(isHeavy || chance(0.5) ? aborter.signal : shared);
        ends.set("well", (ends.get("well") ?? 0) + 1);
      } catch (error) {
        const name = error instanceof Error ? error.name : String(error);
        ends.set(name, (ends.get(name) ?? 0) + 1);
      } finally {
        clearTimeout(stop);
        if (isHeavy) heavy--;
      }
      await sleep(below(50));
    }
  }

  const started = performance.now();
  const slots = Array.from({ length: WORKERS }, live);
  const heap: number[] = [];
  for (let at = 1; at <= 10; at++) {
    await sleep(
      Math.max(started + SECONDS * 100 * at - performance.now(), 0),
    );
    gc();
    gc();
    heap.push(Deno.memoryUsage().heapUsed);
  }
  over = true;
  await deadline(Promise.all(slots), LONG);
  for (const end = performance.now() + LONG; unfinished.size > 0;) {
    assert(performance.now() < end, `${unfinished.size} works did not finish`);
    await sleep(20);
  }
  await fleet.writable.close();
  await told;
  for (const end = performance.now() + LONG; left.timers.size > 0;) {
    if (performance.now() > end) throw new Error([...left.timers.values()][0]);
    await sleep(20);
  }
  while (asleep > 0) {
    await new Promise<void>((resolve) => void startTimer(resolve, 20));
  }

  const said = (map: Map<string, number>) =>
    [...map].sort().map(([name, n]) => `${n} ${name}`).join(", ");
  const grown = Math.min(...heap.slice(7)) - Math.min(...heap.slice(4, 7));
  console.log(
    `SEED=${SEED}, ${SECONDS} s: ${said(lives)}; ended: ${said(ends)}; heap ${
      heap.map((bytes) => (bytes / 1e6).toFixed(0)).join(" ")
    } MB`,
  );
  assertEquals(left.unhandled, []);
  // that signal never aborted: what listened to it has let go by itself
  assertEquals(listeners.size, 0);
  assertEquals(left.threads.size, 0);
  for (const pid of pids) assert(!await isRunning(pid), `${pid} runs`);
  assert(grown < NOISE, `the heap grew by ${grown} bytes`);
  // the soak is none if it does not reach what it is for
  for (const what of ["HeartbeatTimeoutError", "RestartLimitError", "Fault"]) {
    assert(ends.get(what)! > 0, `no ${what}`);
  }
});
