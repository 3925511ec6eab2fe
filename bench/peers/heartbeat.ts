// Copyright 2026 the heartbeat authors. MIT license.

import { guardFetch } from "../../fetch.ts";
import { HeartbeatMonitor, watch } from "../../monitor.ts";
import { withHeartbeat } from "../../watchdog.ts";
import { startWorker } from "../../worker.ts";
import type { Chunks, GuardOptions, Peer, Source } from "./peer.ts";

export function guard(source: Source, options: GuardOptions): Chunks {
  const { timeout, first: firstTimeout, isPing, warn } = options;
  return source.pipeThrough(
    new HeartbeatMonitor({
      timeout,
      firstTimeout,
      isHeartbeat: isPing && ((chunk) => !isPing(chunk)),
      onSilence: warn && (({ type }) => void (type === "silent" && warn())),
    }),
  );
}

export const heartbeat: Peer = {
  name: "**heartbeat**",
  file: "heartbeat.ts",
  guard,
  guardIterable: (iterable, timeout) =>
    watch(startWorker(() => iterable, { interval: timeout / 2 }), { timeout }),
  guardPromise: (promise, timeout) => withHeartbeat(() => promise, { timeout }),
  guardRequest: (url, timeout) => guardFetch({ timeout })(url),
  createFetch: (timeout) => guardFetch({ timeout }),
  notes: {
    "Detects a hung async generator": {
      yes: "as the work of `startWorker()`, for `watch()`",
    },
    "Can continue with another source after a stall": {
      no: "a worker can: `supervise()` starts it again",
    },
  },
};
