// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { watchFleet } from "../../nats.ts";
import { measureHeap } from "../_heap.ts";
import { mulberry32, waitUntil } from "../_help.ts";
import { Broker, LONG, testWithBroker as test } from "../_nats.ts";

/** How many names there are; `HOSTILE_NAMES=1000000` is the long form. */
const NAMES = Number(Deno.env.get("HOSTILE_NAMES") ?? 50_000);
const MAX_WORKERS = 1_000;
/** How many messages are sent at once. */
const BATCH = 1_000;

const PARTS = [
  ...["__proto__", "constructor", "\x1b[2J", "\x07", "\x7f\x9b31m", "\u202e"],
  ...["\u200b\ufeff", "\ud83e\udec0", "a=b&c", "'\"`$(reboot)", "%00", "NaN"],
  "x".repeat(400),
];

/** A name that nobody has had, as somebody who may publish can choose it. */
function createName(random: () => number, index: number): string {
  const parts = Array.from(
    { length: 3 },
    () => PARTS[Math.floor(PARTS.length * random())]!,
  );
  return `${parts.join("")}${index}`;
}

test(
  `${NAMES} hostile names cost a watcher neither its memory nor a verdict`,
  async () => {
    await using broker = await Broker.start();
    const [near, far] = [await broker.connect(), await broker.connect()];
    const { events, fleet } = watchFleet(far, "heartbeats.*", {
      timeout: 2_000,
      maxWorkers: MAX_WORKERS,
    });
    const seen: { type: string; worker?: string | undefined }[] = [];
    const listening = events.pipeTo(
      new WritableStream({ write: (event) => void seen.push(event) }),
    );
    await far.flush();
    const send = (worker: string, seq: number) => {
      const beat = { worker, seq, time: 0, detail: { [worker]: worker } };
      near.publish(`heartbeats.${worker}`, JSON.stringify(beat));
    };
    let seq = 0;
    const beating = setInterval(() => {
      send("alpha", ++seq);
      if (!isOver) send("beta", seq);
    }, 200);
    let isOver = false;
    await waitUntil(() => fleet.size === 2, "both are up");
    const before = measureHeap();
    const random = mulberry32(7);
    for (let index = 0; index < NAMES; index++) {
      send(createName(random, index), 1);
      if (index % BATCH === BATCH - 1) await near.flush();
    }
    const refused = NAMES + 2 - MAX_WORKERS;
    await waitUntil(() => fleet.refused >= refused, "all have come");
    assertEquals(fleet.size, MAX_WORKERS);
    const used = measureHeap() - before;
    assert(used < 6_000_000, `${used} bytes`);
    isOver = true;
    const down = (name: string) =>
      seen.some(({ type, worker }) => type === "down" && worker === name);
    await waitUntil(() => down("beta"), "beta is down");
    assert(!down("alpha"));
    // one event for each that was taken, and few of those that were refused
    const refusals = seen.filter(({ type }) => type === "refused");
    assert(refusals.length > 0 && refusals.length < 100, `${refusals.length}`);
    clearInterval(beating);
    await Promise.all([near.close(), far.close()]);
    await listening;
  },
  4 * LONG,
);
