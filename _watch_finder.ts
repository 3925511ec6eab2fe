// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { FleetWatch } from "./_fleet_watch.ts";

/** The key of a fleet's function that finds the {@linkcode FleetWatch} of a worker, for those who go around its streams. */
export const FIND_WATCH = Symbol("find watch");

/** Finds who watches a worker, if anybody here does. */
export type FindWatch = (worker: string) => FleetWatch | undefined;

/** A fleet with that function, or a fleet of another kind. */
export interface WatchFinder {
  [FIND_WATCH]?: FindWatch;
}
