// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { getOwner } from "../../_partition.ts";
import { WatchGroup } from "../../group.ts";
import { MemoryBucket } from "../_memory_bucket.ts";
import { checkProperty } from "./_check_property.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** How a watcher ends. */
type Ending = "leaves" | "dies" | "stays";

/** The life of one watcher; times are in milliseconds. */
interface Member {
  joinsAt: number;
  ending: Ending;
  /** After it joined. */
  endsAfter: number;
  /** When its link is cut, after it joined, and for how long. */
  cut: { after: number; for: number; loses: "request" | "answer" } | undefined;
}

/** What happens to a group. */
interface Schedule {
  members: Member[];
  /** How long a request takes to the server, and an answer back, over and over. */
  latencies: number[];
}

const LEASE = 2000;
const RENEW_EVERY = 500;
const PARTITIONS = 8;
const LATENCY = 100;
/** How long a request waits for its answer before it fails. */
const REQUEST_TIMEOUT = 700;
const LOST = new Error("no answer");

const SCHEDULE: fc.Arbitrary<Schedule> = fc.record({
  members: fc.array(
    fc.record({
      joinsAt: fc.nat(10_000),
      ending: fc.constantFrom<Ending>("leaves", "dies", "stays", "stays"),
      endsAfter: fc.nat(10_000),
      cut: fc.option(
        fc.record({
          after: fc.nat(6000),
          for: fc.nat(6000),
          loses: fc.constantFrom("request" as const, "answer" as const),
        }),
        { nil: undefined },
      ),
    }),
    { minLength: 1, maxLength: 5, size: "max" },
  ),
  latencies: fc.array(fc.nat(LATENCY), { minLength: 1, maxLength: 7 }),
});

/** Until when something happens to a watcher. */
function getQuietTime({ joinsAt, ending, endsAfter, cut }: Member): number {
  const end = ending === "stays" ? 0 : endsAfter;
  return joinsAt + Math.max(end, cut ? cut.after + cut.for : 0);
}

/** One watcher of a schedule. */
class Life {
  readonly member: Member;
  readonly group: WatchGroup;
  isDead = false;
  hasLeft = false;

  constructor(member: Member, bucket: MemoryBucket, latency: () => number) {
    this.member = member;
    this.group = new WatchGroup(
      bucket.connect((request) => this.#send(request, latency)),
      { lease: LEASE, renewEvery: RENEW_EVERY, partitions: PARTITIONS },
    );
    setTimeout(() => this.#end(), member.endsAfter);
  }

  #end() {
    if (this.member.ending === "dies") this.isDead = true;
    if (this.member.ending !== "leaves") return;
    this.hasLeft = true;
    this.group.leave();
  }

  get #isCut(): boolean {
    const { joinsAt, cut } = this.member;
    if (this.isDead) return true;
    const since = Date.now() - joinsAt - (cut?.after ?? 0);
    return cut !== undefined && since >= 0 && since < cut.for;
  }

  async #send<T>(request: () => T, latency: () => number): Promise<T> {
    await sleep(latency());
    if (this.#isCut && (this.isDead || this.member.cut!.loses === "request")) {
      await sleep(REQUEST_TIMEOUT);
      throw LOST;
    }
    const answer = request();
    await sleep(latency());
    if (!this.#isCut) return answer;
    await sleep(REQUEST_TIMEOUT);
    throw LOST;
  }
}

const sleep = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Makes the random part of the ids count the members, so that a schedule repeats itself. */
function countMembers() {
  const { getRandomValues } = crypto;
  let count = 0;
  crypto.getRandomValues = (bytes) => {
    (bytes as unknown as Uint8Array).fill(count++);
    return bytes;
  };
  return {
    [Symbol.dispose]: () => void (crypto.getRandomValues = getRandomValues),
  };
}

/** That nobody holds what another one holds, at any moment. */
function checkExclusion(lives: Life[]) {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const holders = lives.filter(({ group, isDead }) =>
      !isDead && group.holdsPartition(partition)
    );
    if (holders.length < 2) continue;
    throw new Error(
      `at ${Date.now()}: ${
        holders.map(({ group }) => group.id)
      } hold ${partition}`,
    );
  }
}

/** That those who are left share all partitions. */
function checkShares(lives: Life[]) {
  const present = lives.filter(({ isDead, hasLeft }) => !isDead && !hasLeft);
  if (present.length === 0) return;
  const ids = present.map(({ group }) => group.id);
  for (const { group } of present) {
    const expected = Array.from({ length: PARTITIONS }, (_, i) => i)
      .filter((partition) => getOwner(partition, ids) === group.id);
    assertEquals(group.held, expected, `${group.id} of ${ids}`);
  }
}

async function run({ members, latencies }: Schedule) {
  using _members = countMembers();
  using time = new VirtualTime();
  const bucket = new MemoryBucket(LEASE);
  let next = 0;
  const latency = () => latencies[next++ % latencies.length]!;
  const lives: Life[] = [];
  for (const member of members) {
    setTimeout(
      () => lives.push(new Life(member, bucket, latency)),
      member.joinsAt,
    );
  }
  // the leases of the last one to go end, and the others see that in their next rounds
  const settledAt = Math.max(...members.map(getQuietTime)) + LEASE +
    2 * (RENEW_EVERY + REQUEST_TIMEOUT + 10 * LATENCY);
  for (let at = 0; at < settledAt; at += 25) {
    await time.runUntil(at);
    checkExclusion(lives);
  }
  checkShares(lives);
  await Promise.all([
    ...lives.map(({ group }) => group.leave()),
    time.runUntil(settledAt + 10_000),
  ]);
  assertEquals(time.timers, 0, "a timer is left");
}

Deno.test("WatchGroup keeps its promises in random schedules", () =>
  checkProperty(fc.asyncProperty(SCHEDULE, run), 500));
