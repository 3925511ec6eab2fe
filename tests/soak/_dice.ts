// Copyright 2026 the heartbeat authors. MIT license.

import { Random } from "../_random.ts";

/** What nothing in a soak takes, in milliseconds. */
export const LONG_MS = 60_000;

const { setTimeout: startTimer } = globalThis;

/** An error that was put in on purpose. */
export class Fault extends Error {
  override readonly name = "Fault";
}

/** Every random decision of a soak, and what all of its lives share. */
export class Dice extends Random {
  /** No new hang begins, and no new life. */
  isOver = false;
  /** How many wait in `sleep()`. */
  asleep = 0;

  /** Throws, at times. */
  fault(where: string, share = 0.03) {
    if (this.chance(share)) throw new Fault(where);
  }

  /** A limit: at times a long one, whose timer is seen if it is left behind. */
  limit(ms: number) {
    return this.chance(0.2) ? 100 * LONG_MS : ms;
  }

  /** Waits by a timer that is not counted among those of the library. */
  async sleep(ms: number) {
    this.asleep++;
    await new Promise<void>((resolve) => void startTimer(resolve, ms));
    this.asleep--;
  }

  /** Waits until nobody sleeps. */
  async waitForSleepers() {
    while (this.asleep > 0) {
      await new Promise<void>((resolve) => void startTimer(resolve, 20));
    }
  }

  /** Hangs for a while, or until the abort, unless it ignores that. */
  async hang(signal: AbortSignal) {
    const ends = [this.sleep(3_000)];
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    if (!this.chance(0.1)) ends.push(promise);
    if (signal.aborted || this.isOver) return;
    signal.addEventListener("abort", onAbort, { once: true });
    await Promise.race(ends);
    signal.removeEventListener("abort", onAbort);
  }
}
