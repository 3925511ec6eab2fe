// Copyright 2026 the heartbeat authors. MIT license.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");

export const collectGarbage: () => void = runInNewContext("gc");

/** The heap without garbage, in bytes. */
export function measureHeap() {
  collectGarbage();
  collectGarbage();
  return Deno.memoryUsage().heapUsed;
}
