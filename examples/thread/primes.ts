// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The prime numbers below a limit, found in a thread of its own. It is started
 * with `startThread()`, as in the README.
 *
 * @module
 */

import { serveThread } from "@heartbeat/heartbeat/thread";

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) {
    if (n % divisor === 0) return false;
  }
  return true;
}

serveThread<number, { below: number }>(function* ({ input }) {
  for (let n = 2; n < input.below; n++) if (isPrime(n)) yield n;
});
