// Copyright 2026 the heartbeat authors. MIT license.

import { HeartbeatMonitor, watch } from "../../monitor.ts";
import { startWorker } from "../../worker.ts";
import type { Chunks, GuardOptions, Peer, Source } from "./peer.ts";

export function guard(source: Source, options: GuardOptions): Chunks {
  const { timeout, first: firstTimeout } = options;
  return source.pipeThrough(new HeartbeatMonitor({ timeout, firstTimeout }));
}

export const heartbeat: Peer = {
  name: "**heartbeat**",
  file: "heartbeat.ts",
  guard,
  guardIterable: (iterable, timeout) =>
    watch(startWorker(() => iterable, { interval: timeout / 2 }), { timeout }),
  notes: {
    "Detects a hung async generator": {
      yes: "as the work of `startWorker()`, for `watch()`",
    },
    "Can continue with another source after a stall": {
      no: "a worker can: `supervise()` starts it again",
    },
    "Takes a promise as it is": {
      no: "`startWorker()` takes work that awaits the promise",
    },
  },
};
