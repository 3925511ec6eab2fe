// Copyright 2026 the heartbeat authors. MIT license.

import { delay } from "@std/async/delay";
import type { Chunks, Peer, Source } from "./peer.ts";

/** What was observed of a peer in one row of the table. */
export interface Observed {
  cell: string;
  /** Text of a footnote. */
  note?: string | undefined;
}

/** Rows by their titles; each holds what was observed, one peer after the other. */
export type Rows = Record<string, Observed[]>;

/** The longest allowed silence (ms) in all scenarios. */
export const TIMEOUT = 100;
/** By when (ms) an in-process guard reports it, even on a busy machine. */
export const LATEST = 500;
/** How much longer (ms) to wait before it counts as never. */
export const NEVER = 2_000;

export function latest(peer: Peer) {
  return peer.latest ?? LATEST;
}

export function no(note?: string): Observed {
  return { cell: "no", note };
}

export function verdict(good: boolean, bad?: string): Observed {
  return good ? { cell: "yes" } : no(bad);
}

/** A source that sends one byte after each delay (ms), and is then silent for ever. */
export function timed(delays: number[]) {
  const seen = { cancelled: false, last: 0, stream: {} as Source };
  seen.stream = new ReadableStream({
    start(controller) {
      (async () => {
        for (const [index, ms] of delays.entries()) {
          if (ms > 0) await delay(ms);
          if (seen.cancelled) return;
          controller.enqueue(Uint8Array.of(index + 1));
          seen.last = performance.now();
        }
      })();
    },
    cancel: () => void (seen.cancelled = true),
  });
  return seen;
}

/** Reads to the end, for at most `limit` ms. */
export async function read(
  chunks: Chunks,
  limit: number,
  work?: (chunk: number) => Promise<void>,
) {
  const seen = {
    bytes: [] as number[],
    size: 0,
    end: "pending" as "pending" | "closed" | "error",
    error: undefined as unknown,
    time: 0,
  };
  async function drain() {
    let count = 0;
    try {
      for await (const chunk of chunks) {
        seen.size += chunk.length;
        if (chunk.length < 10) seen.bytes.push(...chunk);
        await work?.(++count);
      }
      seen.end = "closed";
    } catch (error) {
      seen.end = "error";
      seen.error = error;
    }
    seen.time = performance.now();
  }
  const over = new AbortController();
  await Promise.race([
    drain(),
    delay(limit, over).catch(() => {}),
  ]);
  over.abort();
  return { ...seen };
}

export const ENDS = {
  pending: "the silence is never reported",
  closed: "the stream just ends, as if it were complete",
  error: "it is an error",
};

/** Observes all peers at the same time, as they mostly wait. */
export async function each(
  title: string,
  peers: Peer[],
  run: (peer: Peer) => Promise<Observed>,
): Promise<Rows> {
  return { [title]: await Promise.all(peers.map(run)) };
}
