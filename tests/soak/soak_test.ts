// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- the summary is for who soaks it

import { assert, assertEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { measureHeap } from "../_heap.ts";
import { countListeners, isRunning } from "../_help.ts";
import { Dice, LONG_MS } from "./_dice.ts";
import { trackLeftovers } from "./_leftovers.ts";
import { Lives } from "./_lives.ts";

/** `deno task soak` takes ten minutes. */
const SECONDS = Number(Deno.env.get("SOAK_SECONDS") ?? 5);
const SEED = Number(Deno.env.get("SEED") ?? Date.now());
/** How many are alive at once. */
const WORKERS = 1_000;
/** How many of those that cost a thread or a process each. */
const HEAVY = 2;
/** How much the heap may grow from the middle to the end (bytes): in ten minutes, 20 bytes a life. */
const NOISE = 4_000_000;

const LIGHT_KINDS = [
  "worker",
  "supervisor",
  "monitor",
  "published",
  "nats",
] as const;
const HEAVY_KINDS = Deno.build.os === "windows"
  ? ["thread"] as const
  : ["thread", "command"] as const;

type Counts = Map<string, number>;

function increment(counts: Counts, key: string) {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function format(counts: Counts) {
  return [...counts].sort().map(([name, n]) => `${n} ${name}`).join(", ");
}

class Soak {
  readonly dice = new Dice(SEED);
  readonly lives = new Lives(this.dice);
  /** A signal that never aborts. */
  readonly shared = countListeners();
  readonly started: Counts = new Map();
  readonly ended: Counts = new Map();
  #heavy = 0;

  /** One life after the other, until all is over. */
  async fillSlot() {
    const { dice } = this;
    while (!dice.isOver) {
      const isHeavy = this.#heavy < HEAVY && dice.chance(0.05);
      if (isHeavy) this.#heavy++;
      await this.#live(isHeavy);
      if (isHeavy) this.#heavy--;
      await dice.sleep(dice.below(50));
    }
  }

  async #live(isHeavy: boolean) {
    const { dice, lives, shared, started, ended } = this;
    const kind = dice.pick(isHeavy ? HEAVY_KINDS : LIGHT_KINDS);
    increment(started, kind);
    const aborter = new AbortController();
    const stop = setTimeout(
      () => aborter.abort(),
      dice.chance(0.3) ? dice.below(500) : 3_000,
    );
    // what is heavy may hang for ever: it is stopped
    const isStopped = isHeavy || dice.chance(0.5);
    try {
      await lives[kind](isStopped ? aborter.signal : shared.signal);
      increment(ended, "well");
    } catch (error) {
      increment(ended, error instanceof Error ? error.name : String(error));
    } finally {
      clearTimeout(stop);
    }
  }

  /** Runs all slots for the given time; returns ten measurements of the heap. */
  async run(seconds: number) {
    const start = performance.now();
    const slots = Array.from({ length: WORKERS }, () => this.fillSlot());
    const heap: number[] = [];
    for (let at = 1; at <= 10; at++) {
      const due = start + seconds * 100 * at;
      await this.dice.sleep(Math.max(due - performance.now(), 0));
      heap.push(measureHeap());
    }
    this.dice.isOver = true;
    await deadline(Promise.all(slots), LONG_MS);
    return heap;
  }
}

/** Waits until nothing is left of what is counted. */
async function waitUntilEmpty(
  dice: Dice,
  left: { readonly size: number },
  describe: () => string,
) {
  for (const end = performance.now() + LONG_MS; left.size > 0;) {
    if (performance.now() > end) throw new Error(describe());
    await dice.sleep(20);
  }
}

Deno.test("1,000 workers start, stall, heal and end at random, faults in every callback, and nothing is left of them", async () => {
  using left = trackLeftovers();
  const soak = new Soak();
  const { dice, lives, shared, started, ended } = soak;
  const events = lives.fleet.readable.pipeTo(
    new WritableStream({ write: ({ type }) => increment(ended, type) }),
  );

  const heap = await soak.run(SECONDS);
  const { unfinished, fleet, pids } = lives;
  await waitUntilEmpty(
    dice,
    unfinished,
    () => `${unfinished.size} works did not finish`,
  );
  await fleet.writable.close();
  await events;
  await waitUntilEmpty(dice, left.timers, () => [...left.timers.values()][0]!);
  await dice.waitForSleepers();

  console.log(
    `SEED=${SEED}, ${SECONDS} s: ${format(started)}; ended: ${
      format(ended)
    }; ` +
      `heap ${heap.map((bytes) => (bytes / 1e6).toFixed(0)).join(" ")} MB`,
  );
  assertEquals(left.unhandled, []);
  // that signal never aborted: what listened to it has let go by itself
  assertEquals(shared.listeners.size, 0);
  assertEquals(left.threads.size, 0);
  for (const pid of pids) assert(!await isRunning(pid), `${pid} runs`);
  const grown = Math.min(...heap.slice(7)) - Math.min(...heap.slice(4, 7));
  assert(grown < NOISE, `the heap grew by ${grown} bytes`);
  // the soak is none if it does not reach what it is for
  for (const what of ["HeartbeatTimeoutError", "RestartLimitError", "Fault"]) {
    assert(ended.get(what)! > 0, `no ${what}`);
  }
});
