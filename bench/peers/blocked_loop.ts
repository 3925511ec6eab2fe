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

/** Blocks the loop for `ms`, with so many guards of each peer at a time, until all trials are done. */
export async function countAlarms(peers: Peer[], ms: number, guards: number) {
  const thread = new Worker(new URL("beats.ts", import.meta.url), {
    type: "module",
  });
  const listeners = new Set<(sent: number) => void>();
  const { promise: address, resolve } = Promise.withResolvers<string>();
  thread.onmessage = ({ data }) => {
    if (typeof data === "string") return resolve(data);
    for (const listener of [...listeners]) listener(data);
  };
  const url = await address;

  function beating(): Source {
    let beat: () => void;
    return new ReadableStream({
      start(controller) {
        beat = () => controller.enqueue(Uint8Array.of(1));
        listeners.add(beat);
      },
      cancel: () => void listeners.delete(beat),
    });
  }

  function start(peer: Peer) {
    const seen = { alarm: false, count: 0, over: false };
    const options = { timeout: TIMEOUT };
    (async () => {
      try {
        const chunks = peer.guardBody?.(url, options) ??
          peer.guard(beating(), options);
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

  /** The number of alarms of each peer, unless the thread could not send in time. */
  async function block() {
    let pause = 0;
    let last = Infinity;
    function watch(sent: number) {
      pause = Math.max(pause, sent - last);
      last = sent;
    }
    listeners.add(watch);
    const trials = peers.map((peer) =>
      Array.from({ length: guards }, () => start(peer))
    );
    await delay(200);
    const steady = trials.flat().every(({ alarm, count }) =>
      count > 2 && !alarm
    );
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    // waiting input arrives, and late timers fire
    await delay(peers.some(isCoarse) ? 700 : 50);
    for (const seen of trials.flat()) seen.over = true;
    listeners.delete(watch);
    await delay(50); // the loops end at the next item
    return steady && pause < PAUSE
      ? trials.map((each) => each.filter(({ alarm }) => alarm).length)
      : undefined;
  }

  const alarms = peers.map(() => 0);
  const end = performance.now() + 45_000;
  for (let done = 0; done < TRIALS;) {
    if (performance.now() > end) throw new Error("This machine is too busy");
    const counts = await block();
    if (!counts) continue;
    done += guards;
    counts.forEach((count, index) => alarms[index]! += count);
  }
  thread.terminate();
  return alarms;
}

if (import.meta.main) {
  const { peers } = await import("./peers.ts");
  console.log(
    JSON.stringify(await countAlarms(peers.filter(isCoarse), 2_000, 3)),
  );
  Deno.exit();
}
