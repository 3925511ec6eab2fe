// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { SharedFleet, WatchGroup } from "../../group.ts";
import { natsStore, type StoredFleetEvent } from "../../store.ts";
import type { Heartbeat } from "../../worker.ts";
import { MemoryBucket } from "../_memory_bucket.ts";
import { checkProperty } from "./_check_property.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** The life of one watcher; times are in milliseconds. */
interface WatcherPlan {
  joinsAt: number;
  ending: "leaves" | "dies" | "stays";
  /** After it joined. */
  endsAfter: number;
  /** When nothing reaches it and nothing it sends arrives, and for how long. */
  cut: { after: number; for: number } | undefined;
}

/** When a worker is there: it beats in every other of these stretches, from its first. */
type WorkerPlan = number[];

interface Schedule {
  watchers: WatcherPlan[];
  workers: WorkerPlan[];
}

const LEASE = 2000;
const RENEW_EVERY = 500;
const TIMEOUT = 1000;
const RESOLUTION = 100;
const INTERVAL = 200;
const REQUEST_TIMEOUT = 500;
const LOST = new Error("the link is cut");

const WATCHER: fc.Arbitrary<WatcherPlan> = fc.record({
  joinsAt: fc.nat(8000),
  ending: fc.constantFrom("leaves", "dies", "stays"),
  endsAfter: fc.nat(10_000),
  cut: fc.option(
    fc.record({ after: fc.nat(5000), for: fc.nat(5000) }),
    { nil: undefined },
  ),
});

const SCHEDULE: fc.Arbitrary<Schedule> = fc.record({
  watchers: fc.array(WATCHER, { maxLength: 4, size: "max" }),
  workers: fc.array(
    fc.array(fc.integer({ min: 3000, max: 9000 }), { maxLength: 3 }),
    { minLength: 1, maxLength: 6, size: "max" },
  ),
});

const sleep = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Whether a worker beats. */
function isAlive(plan: WorkerPlan, at = Date.now()): boolean {
  let end = 0;
  const stretch = plan.findIndex((length) => at < (end += length));
  return (stretch < 0 ? plan.length : stretch) % 2 === 0;
}

/** What the group reports, by whichever watcher. */
class Reader {
  readonly problems: string[] = [];
  /** The last event of each worker, by the number in its id. */
  readonly last = new Map<string, { change: number; type: string }>();
  readonly #workers: WorkerPlan[];

  constructor(workers: WorkerPlan[]) {
    this.#workers = workers;
  }

  take({ worker = "", type, id, time }: StoredFleetEvent) {
    const change = Number(id!.split("#").at(-1));
    const before = this.last.get(worker);
    if (before && before.change >= change) {
      // it comes once more
      if (before.change === change && before.type !== type) {
        this.problems.push(`${id} is ${before.type} and ${type}`);
      }
      return;
    }
    if (before && change > before.change + 1) {
      this.problems.push(`${id} follows ${before.change}`);
    }
    this.last.set(worker, { change, type });
    const plan = this.#workers[Number(worker)]!;
    if (
      type === "down" && isAlive(plan, time) && isAlive(plan, time - TIMEOUT)
    ) {
      this.problems.push(`${time}: ${worker} is reported down, and lives`);
    }
  }
}

/** One watcher of a schedule. */
class Watcher {
  readonly #plan: WatcherPlan;
  readonly #group: WatchGroup;
  readonly #fleet: SharedFleet;
  readonly #beats: WritableStreamDefaultWriter<Heartbeat[]>;
  readonly #reader: Reader;
  #isOver = false;

  constructor(
    plan: WatcherPlan,
    reader: Reader,
    leases: MemoryBucket,
    stored: MemoryBucket,
  ) {
    this.#plan = plan;
    this.#reader = reader;
    const send = <T>(request: () => T) => this.#send(request);
    this.#group = new WatchGroup(leases.connect(send), {
      ...{ lease: LEASE, renewEvery: RENEW_EVERY, partitions: 4 },
    });
    const bucket = stored.connect(send);
    this.#fleet = new SharedFleet(this.#group, {
      ...{ timeout: TIMEOUT, resolution: RESOLUTION },
      store: (partition) => natsStore(bucket, `${partition}.`),
    });
    this.#beats = this.#fleet.writable.getWriter();
    this.#beats.closed.catch(() => {});
    this.#read();
    if (plan.ending !== "stays") setTimeout(() => this.#end(), plan.endsAfter);
    if (plan.cut) this.#planCut(plan.cut);
  }

  /** A watcher that cannot hear knows that. */
  #planCut({ after, for: duration }: { after: number; for: number }) {
    setTimeout(() => this.#fleet.pause(), after);
    setTimeout(() => this.#fleet.resume(), after + duration);
  }

  get #isCut(): boolean {
    const { joinsAt, cut, ending } = this.#plan;
    if (this.#isOver && ending === "dies") return true;
    const since = Date.now() - joinsAt - (cut?.after ?? 0);
    return cut !== undefined && since >= 0 && since < cut.for;
  }

  hear(beats: Heartbeat[]) {
    if (!this.#isCut && !this.#isOver) this.#beats.write(beats).catch(() => {});
  }

  async #read() {
    try {
      for await (const event of this.#fleet.readable) {
        if (this.#isOver) return;
        this.#reader.take(event);
      }
    } catch (error) {
      this.#reader.problems.push(String(error));
    }
  }

  #end() {
    if (this.#plan.ending === "leaves") this.#leave();
    this.#isOver = true;
  }

  #leave() {
    this.#isOver = true;
    this.#beats.close().catch(() => {});
    this.#group.leave();
  }

  async #send<T>(request: () => T): Promise<T> {
    await sleep(10);
    if (!this.#isCut) {
      const answer = request();
      await sleep(10);
      if (!this.#isCut) return answer;
    }
    await sleep(REQUEST_TIMEOUT);
    throw LOST;
  }

  /** Stops it, to leave no timer. */
  async stop() {
    await Promise.all([
      this.#group.leave(),
      this.#beats.abort().catch(() => {}),
    ]);
  }
}

async function run({ watchers: plans, workers }: Schedule) {
  using time = new VirtualTime();
  const [leases, stored] = [
    new MemoryBucket(LEASE),
    new MemoryBucket(Infinity),
  ];
  const reader = new Reader(workers);
  const watchers: Watcher[] = [];
  // the last one comes when all faults are over, so that somebody is there
  const changes = workers.flat().reduce((sum, length) => sum + length, 0);
  const quietAt = Math.max(25_000, changes);
  const last: WatcherPlan = {
    ...{ joinsAt: quietAt, ending: "stays", endsAfter: 0, cut: undefined },
  };
  for (const plan of [...plans, last]) {
    setTimeout(
      () => watchers.push(new Watcher(plan, reader, leases, stored)),
      plan.joinsAt,
    );
  }
  let seq = 0;
  const beating = setInterval(() => {
    seq++;
    const beats = workers.flatMap((plan, i) =>
      isAlive(plan) ? [{ worker: `${i}`, seq, time: Date.now() }] : []
    );
    for (const watcher of watchers) watcher.hear(beats);
  }, INTERVAL);
  await time.runUntil(
    quietAt + LEASE + 2 * (RENEW_EVERY + REQUEST_TIMEOUT) + TIMEOUT +
      RESOLUTION + 500,
  );
  clearInterval(beating);
  assertEquals(reader.problems, []);
  for (const [i, plan] of workers.entries()) {
    const type = reader.last.get(`${i}`)?.type;
    // nobody was there to hear it
    if (type === undefined && !isAlive(plan)) continue;
    const state = type === "up" || type === "recovered" ? "up" : type;
    assertEquals(state, isAlive(plan) ? "up" : "down", `worker ${i}`);
  }
  await Promise.all([
    ...watchers.map((watcher) => watcher.stop()),
    time.runUntil(Date.now() + 10_000),
  ]);
  assertEquals(time.timers, 0, "a timer is left");
}

Deno.test("a shared fleet misses nobody who died and reports nobody who lives, in random schedules", () =>
  checkProperty(fc.asyncProperty(SCHEDULE, run), 200));
