// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- its parent reads it

/**
 * Ends guarded streams in three ways: by the source, by an error of the source and
 * by the consumer. The timeout is 3 s. Prints when that was done: a timer that is
 * left keeps this process alive, or fires although all streams have ended.
 */

import { peers } from "./peers.ts";
import type { Source } from "./peer.ts";

const TIMEOUT = 3_000;
const signals: WeakRef<AbortSignal>[] = [];
const { timeout } = AbortSignal;
AbortSignal.timeout = (ms) => {
  const signal = timeout.call(AbortSignal, ms);
  signals.push(new WeakRef(signal));
  return signal;
};

function source(end?: (controller: ReadableStreamDefaultController) => void) {
  const stream: Source = new ReadableStream({
    start(controller) {
      controller.enqueue(Uint8Array.of(1));
      end?.(controller);
    },
  });
  return stream;
}

const { guard } = peers[Number(Deno.args[0])]!;
const closed = source((controller) => controller.close());
for await (const _ of guard(closed, { timeout: TIMEOUT }));
const failed = source((controller) =>
  setTimeout(() => controller.error(new Error("by the source")), 50)
);
try {
  for await (const _ of guard(failed, { timeout: TIMEOUT }));
} catch { /* it is what was to come */ }
for await (const _ of guard(source(), { timeout: TIMEOUT })) break;

const done = Date.now();
let fired = 0;
if (signals.length > 0) {
  await new Promise((resolve) => setTimeout(resolve, TIMEOUT + 200));
  fired = signals.filter((signal) => signal.deref()?.aborted).length;
}
console.log(JSON.stringify({ done, fired }));
