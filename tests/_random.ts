// Copyright 2026 the heartbeat authors. MIT license.

import { mulberry32 } from "./_help.ts";

/** Random decisions; the same seed makes the same ones. */
export class Random {
  /** A number from 0 to below 1. */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = mulberry32(seed);
  }

  chance(share: number) {
    return this.next() < share;
  }

  /** A whole number from 0 to below `n`. */
  below(n: number) {
    return Math.floor(n * this.next());
  }

  pick<T>(from: readonly T[]) {
    return from[this.below(from.length)]!;
  }
}
