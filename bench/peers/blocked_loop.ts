// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- its parent reads it

/**
 * Guards what a thread sends every 20 ms, while the event loop of this thread is
 * blocked: input waits in the loop's queue, and so do timers that are due. Run as
 * a program, it prints the false alarms of the peers with a coarse clock.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Peer, Source } from "./peer.ts";

export const TRIALS = 15;
const TIMEOUT = 100;
/** A trial with a longer pause (ms) between two items does not count: the machine was busy. */
const PAUSE = 80;

export function isCoarse(peer: Peer) {
  return peer.latest !== undefined;
}

/** A thread that sends every 20 ms, and who listens to it. */
async function startThread() {
  const thread = new Worker(new URL("beats.ts", import.meta.url), {
    type: "module",
  });
  const listeners = new Set<(sent: number) => void>();
  const { promise: address, resolve } = Promise.withResolvers<string>();
  thread.onmessage = ({ data }) => {
    if (typeof data === "string") return resolve(data);
    for (const listener of [...listeners]) listener(data);
  };
  return { url: await address, listeners, end: () => thread.terminate() };
}

type Thread = Awaited<ReturnType<typeof startThread>>;

/** A stream of what the thread sends. */
function listen({ listeners }: Thread): Source {
  let onSent: () => void;
  return new ReadableStream({
    start(controller) {
      onSent = () => controller.enqueue(Uint8Array.of(1));
      listeners.add(onSent);
    },
    cancel: () => void listeners.delete(onSent),
  });
}

/** Guards what the thread sends until the trial is over. */
function startTrial(peer: Peer, thread: Thread) {
  const seen = { alarm: false, count: 0, over: false };
  const options = { timeout: TIMEOUT };
  (async () => {
    try {
      const chunks = peer.guardBody?.(thread.url, options) ??
        peer.guard(listen(thread), options);
      for await (const _ of chunks) {
        seen.count++;
        if (seen.over) break;
      }
    } catch {
      seen.alarm = !seen.over;
    }
  })();
  return seen;
}

/** Measures the longest pause between two items; the result ends it. */
function measurePause({ listeners }: Thread) {
  let pause = 0;
  let last = Infinity;
  const onSent = (sent: number) => {
    pause = Math.max(pause, sent - last);
    last = sent;
  };
  listeners.add(onSent);
  return () => {
    listeners.delete(onSent);
    return pause;
  };
}

/** The number of alarms of each peer, unless the thread could not send in time. */
async function block(
  peers: Peer[],
  thread: Thread,
  ms: number,
  guards: number,
) {
  const endPause = measurePause(thread);
  const trials = peers.map((peer) =>
    Array.from({ length: guards }, () => startTrial(peer, thread))
  );
  await delay(200);
  const steady = trials.flat().every(({ alarm, count }) => count > 2 && !alarm);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  // waiting input arrives, and late timers fire
  await delay(peers.some(isCoarse) ? 700 : 50);
  for (const seen of trials.flat()) seen.over = true;
  const pause = endPause();
  await delay(50); // the loops end at the next item
  return steady && pause < PAUSE
    ? trials.map((each) => each.filter(({ alarm }) => alarm).length)
    : undefined;
}

/** Blocks the loop for `ms`, with so many guards of each peer at a time, until all trials are done. */
export async function countAlarms(peers: Peer[], ms: number, guards: number) {
  const thread = await startThread();
  const alarms = peers.map(() => 0);
  const end = performance.now() + 45_000;
  for (let done = 0; done < TRIALS;) {
    if (performance.now() > end) throw new Error("This machine is too busy");
    const counts = await block(peers, thread, ms, guards);
    if (!counts) continue;
    done += guards;
    counts.forEach((count, index) => alarms[index]! += count);
  }
  thread.end();
  return alarms;
}

if (import.meta.main) {
  const { peers } = await import("./peers.ts");
  console.log(
    JSON.stringify(await countAlarms(peers.filter(isCoarse), 2_000, 3)),
  );
  Deno.exit();
}
