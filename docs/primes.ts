// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The work of a thread: the prime numbers below a limit.
 * `threads_and_commands.md` explains it.
 *
 * @module
 */

import { serveThread } from "@heartbeat/heartbeat/thread";

serveThread<number, { below: number }>(function* ({ input }) {
  for (let n = 2; n < input.below; n++) {
    if (isPrime(n)) yield n;
  }
});

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) {
    if (n % divisor === 0) return false;
  }
  return true;
}
