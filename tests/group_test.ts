// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { getOwner } from "../_partition.ts";
import { WatchGroup, type WatchGroupOptions } from "../group.ts";
import { MemoryBucket } from "./_memory_bucket.ts";
import { VirtualTime } from "./model/_virtual_time.ts";

const LEASE = 4000;
const ROUND = 1000;
// so many that none of two members is without any
const ALL = Array.from({ length: 24 }, (_, partition) => partition);
const CUT = new Error("the link is cut");

/** A group in virtual time, over a bucket in memory; all leave at the end. */
class Setup {
  readonly time = new VirtualTime();
  readonly bucket = new MemoryBucket(LEASE);
  readonly errors: unknown[] = [];
  readonly #groups: WatchGroup[] = [];

  /** Joins, by a link that can be cut. */
  join(options: Partial<WatchGroupOptions> = {}) {
    const link: { cuts?: "request" | "answer" | undefined; hangs?: boolean } =
      {};
    const changes: string[] = [];
    const group = new WatchGroup(
      this.bucket.connect(async (request) => {
        if (link.hangs) await new Promise(() => {});
        if (link.cuts === "request") throw CUT;
        const answer = request();
        if (link.cuts === "answer") throw CUT;
        return answer;
      }),
      {
        lease: LEASE,
        partitions: ALL.length,
        onChange: ({ type, partition }) => changes.push(`${type} ${partition}`),
        onError: (error) => this.errors.push(error),
        ...options,
      },
    );
    this.#groups.push(group);
    return { group, link, changes };
  }

  async advance(ms: number) {
    await this.time.runUntil(Date.now() + ms);
  }

  async [Symbol.asyncDispose]() {
    await Promise.all(this.#groups.map((group) => group.leave()));
    await this.advance(0);
    const { timers } = this.time;
    this.time[Symbol.dispose]();
    assertEquals(timers, 0, "a timer was left");
  }
}

/** The partitions of each of the groups. */
function divide(groups: WatchGroup[]) {
  const ids = groups.map(({ id }) => id);
  return ids.map((id) => ALL.filter((each) => getOwner(each, ids) === id));
}

Deno.test("WatchGroup holds all partitions as long as it is alone", async () => {
  await using setup = new Setup();
  const { group, changes } = setup.join({ name: "alpha" });
  assertEquals(group.held, []);
  await setup.advance(0);
  assertEquals(group.held, ALL);
  assertEquals(changes, ALL.map((partition) => `acquired ${partition}`));
  await setup.advance(20 * LEASE);
  assertEquals(group.held, ALL);
  assertEquals(changes.length, ALL.length);
  assert(group.id.startsWith("alpha-"));
  assert(group.holds("anybody"));
  assertEquals(group.getPartition("foobar"), 0xbf9cf968 % ALL.length);
});

Deno.test("WatchGroup shares with a member that comes, within one renewal", async () => {
  await using setup = new Setup();
  const first = setup.join();
  await setup.advance(500);
  const second = setup.join();
  const groups = [first.group, second.group];
  // the first one gives back at 1000, the second one takes at 1500
  await setup.advance(999);
  assertEquals(second.group.held, []);
  await setup.advance(1);
  assertEquals(groups.map(({ held }) => held), divide(groups));
  assertEquals(setup.errors, []);
});

Deno.test("WatchGroup takes over from a member that leaves, within one renewal", async () => {
  await using setup = new Setup();
  const { group } = setup.join();
  const second = setup.join();
  await setup.advance(3 * ROUND);
  const held = second.group.held;
  assert(held.length > 0);
  const left = second.group.leave();
  assertEquals(second.group.held, []);
  await left;
  assertEquals(
    second.changes.filter((change) => change.startsWith("lost")),
    held.map((partition) => `lost ${partition}`),
  );
  assertEquals(second.group.leave(), left);
  await setup.advance(ROUND);
  assertEquals(group.held, ALL);
  assertEquals(setup.errors, []);
});

Deno.test("WatchGroup takes over from a member that dies, within the lease and one renewal", async () => {
  await using setup = new Setup();
  const { group } = setup.join();
  await setup.advance(500);
  const { group: other, link } = setup.join();
  await setup.advance(2000);
  link.cuts = "request";
  // its last renewal was at 2500
  await setup.advance(LEASE - 1);
  assert(other.held.length > 0 && group.held.length < ALL.length);
  await setup.advance(1);
  assertEquals(other.held, []);
  await setup.advance(ROUND);
  assertEquals(group.held, ALL);
});

Deno.test("WatchGroup knows that its lease has ended, and comes back", async () => {
  await using setup = new Setup();
  const { group, link, changes } = setup.join();
  await setup.advance(10_500);
  link.cuts = "request";
  await setup.advance(LEASE - 501);
  assertEquals(group.held, ALL);
  assertEquals(setup.errors, Array(3).fill(CUT));
  await setup.advance(1);
  assertEquals(group.held, []);
  assertEquals(
    changes.filter((change) => /^lost/.test(change)).length,
    ALL.length,
  );
  await setup.advance(5 * LEASE);
  link.cuts = undefined;
  await setup.advance(ROUND);
  assertEquals(group.held, ALL);
});

Deno.test("WatchGroup goes on where only the answers are lost", async () => {
  await using setup = new Setup();
  const { group, link, changes } = setup.join();
  link.cuts = "answer";
  // it has announced itself, and does not know
  await setup.advance(500);
  link.cuts = undefined;
  await setup.advance(500);
  assertEquals(group.held, ALL);
  link.cuts = "answer";
  await setup.advance(2 * ROUND);
  link.cuts = undefined;
  await setup.advance(20 * ROUND);
  assertEquals(changes.length, ALL.length, "a lease was lost");
});

Deno.test("WatchGroup waits for a lost request no longer than one renewal", async () => {
  await using setup = new Setup();
  const { group, link, changes } = setup.join();
  await setup.advance(ROUND / 2);
  link.hangs = true;
  // the request at 1000 fails at 2000
  await setup.advance(ROUND);
  link.hangs = false;
  await setup.advance(ROUND);
  const [error] = setup.errors as Error[];
  assertEquals(
    [error?.name, error?.message, setup.errors.length],
    ["TimeoutError", "The bucket did not answer within 1000 ms", 1],
  );
  await setup.advance(5 * LEASE);
  assertEquals(group.held, ALL);
  assertEquals(changes.length, ALL.length, "a lease was lost");
});

Deno.test("WatchGroup adopts a lease that it got without knowing", async () => {
  await using setup = new Setup();
  const { group } = setup.join({ partitions: 1 });
  // an earlier write of its own, whose answer was lost
  setup.bucket.overwrite("lease.0", group.id);
  await setup.advance(0);
  assertEquals(group.held, [0]);
});

Deno.test("WatchGroup loses a lease that somebody else has written", async () => {
  await using setup = new Setup();
  const { group, changes } = setup.join();
  await setup.advance(ROUND / 2);
  setup.bucket.overwrite("lease.3", "somebody");
  await setup.advance(ROUND / 2);
  assertEquals(group.held, ALL.filter((partition) => partition !== 3));
  assertEquals(changes.at(-1), "lost 3");
  await setup.advance(LEASE);
  assertEquals(group.held, ALL);
});

Deno.test("WatchGroup gives back what it gets after it left", async () => {
  await using setup = new Setup();
  const { group, changes } = setup.join();
  await group.leave();
  await setup.advance(2 * LEASE);
  assertEquals(group.held, []);
  assertEquals(changes, []);
  for (const partition of ALL) {
    assertEquals(setup.bucket.peek(`lease.${partition}`), undefined);
  }
  assertEquals(setup.bucket.peek(`member.${group.id}`), undefined);
});

for (
  const [what, set] of [
    ["the wall clock is set forward", "wall"],
    ["a machine was suspended, where only the wall clock went on", "wall"],
    ["the wall clock is set back, and the process was stopped", "steady"],
  ] as const
) {
  Deno.test(`WatchGroup considers its leases ended where ${what}`, async () => {
    await using setup = new Setup();
    const { group } = setup.join();
    await setup.advance(100);
    const { now } = Date;
    const steady = performance.now;
    const far = LEASE - 100;
    Date.now = set === "wall" ? () => now() + far : () => now() - far;
    if (set === "steady") performance.now = () => steady() + far;
    assertEquals(group.held, []);
    assertEquals(group.holds("alpha"), false);
    Date.now = now;
    performance.now = steady;
    assertEquals(group.held, ALL);
  });
}

Deno.test("WatchGroup leaves within two renewals if its bucket does not answer", async () => {
  await using setup = new Setup();
  const { group, link } = setup.join();
  await setup.advance(500);
  link.hangs = true;
  await setup.advance(1000);
  const left = group.leave().then(() => "left");
  assertEquals(group.held, []);
  await setup.advance(2 * ROUND);
  assertEquals(await Promise.race([left, "waits"]), "left");
});

Deno.test("WatchGroup stops reading its members if that does not end", async () => {
  await using setup = new Setup();
  const bucket = setup.bucket.connect();
  const { keys } = bucket;
  let stopped = 0;
  bucket.keys = async (filter) => {
    const found = await keys(filter);
    return Object.assign(
      (async function* () {
        yield* found;
        await new Promise(() => {}); // the bucket was removed
      })(),
      { stop: () => stopped++ },
    );
  };
  const errors: unknown[] = [];
  const group = new WatchGroup(bucket, {
    lease: LEASE,
    onError: (error) => errors.push(error),
  });
  await setup.advance(3 * ROUND);
  assertEquals([stopped, errors.length], [3, 3]);
  const left = group.leave();
  await setup.advance(ROUND);
  await left;
});

Deno.test("WatchGroup goes on where onError throws, which is an uncaught error", async () => {
  await using setup = new Setup();
  const mistake = new Error("a mistake in onError");
  const uncaught: unknown[] = [];
  const listen = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.push(event.error);
  };
  addEventListener("error", listen);
  const { group, link } = setup.join({
    onError() {
      throw mistake;
    },
  });
  await setup.advance(0);
  link.cuts = "request";
  await setup.advance(2 * ROUND);
  link.cuts = undefined;
  await setup.advance(ROUND);
  assertEquals(group.held, ALL);
  link.cuts = "request";
  await group.leave();
  removeEventListener("error", listen);
  assertEquals(uncaught, [mistake, mistake, mistake]);
});

Deno.test("WatchGroup leaves at the end of its scope", async () => {
  await using setup = new Setup();
  let left: WatchGroup;
  {
    await using group = setup.join().group;
    await setup.advance(ROUND);
    assertEquals(group.held, ALL);
    left = group;
  }
  assertEquals(left.held, []);
  assertEquals(setup.bucket.peek("lease.0"), undefined);
});
