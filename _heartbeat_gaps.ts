// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { checkDuration, checkNumber } from "./_validate.ts";

/** Each power of two is divided into so many buckets, so a value is known to 9 %. */
const BUCKETS_PER_OCTAVE = 8;
/** Gaps of up to 2^34 ms, half a year, have a bucket of their own. */
const BUCKETS = 34 * BUCKETS_PER_OCTAVE;
/** The usual `safety` of {@linkcode HeartbeatGaps.suggestTimeout}. */
const SAFETY = 3;

/**
 * A histogram of the silences between heartbeats, in fixed memory, which suggests a
 * timeout. A gap does not contain time in which a chunk waited for the consumer or
 * in which this process was not there. The silence before the first heartbeat is not
 * a gap, and none before the first progress of a worker is if a `firstTimeout` of its
 * own limits it. A silence that ended as a stall is not recorded.
 *
 * It is filled by a monitor with `observe: true`, or by any number of them that
 * are given the same one, such as `observe: new HeartbeatGaps()`.
 *
 * @example Which timeout?
 * ```ts
 * import { HeartbeatGaps } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const gaps = new HeartbeatGaps();
 * for (const gap of [100, 110, 90, 2500]) gaps.record(gap);
 *
 * assertEquals([gaps.count, gaps.longest], [4, 2500]);
 * assertEquals(gaps.suggestTimeout(), 7500);
 * ```
 */
export class HeartbeatGaps {
  #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #longest = 0;
  #longestAt: number | undefined;
  #first: number | undefined;

  /** How many gaps there were. */
  get count(): number {
    return this.#count;
  }

  /** The longest gap, in milliseconds. */
  get longest(): number {
    return this.#longest;
  }

  /** When the longest gap ended, in milliseconds since the epoch; `undefined` if there were none. */
  get longestAt(): number | undefined {
    return this.#longestAt;
  }

  /**
   * How long the last silence before a first heartbeat was, or before the first
   * progress, in milliseconds; `undefined` if there was none.
   */
  get first(): number | undefined {
    return this.#first;
  }

  /** Half of the gaps were no longer than this, in milliseconds; 0 if there were none. */
  get p50(): number {
    return this.quantile(0.5);
  }

  /** 99 % of the gaps were no longer than this, in milliseconds. */
  get p99(): number {
    return this.quantile(0.99);
  }

  /** 99.9 % of the gaps were no longer than this, in milliseconds. */
  get p999(): number {
    return this.quantile(0.999);
  }

  /**
   * Counts a gap.
   *
   * @param gap Its length in milliseconds.
   * @throws {TypeError} If `gap` is not a number.
   * @throws {RangeError} If `gap` is negative, `NaN` or infinite.
   */
  record(gap: number) {
    checkGap(gap);
    const bucket = Math.ceil(Math.log2(Math.max(gap, 1)) * BUCKETS_PER_OCTAVE);
    this.#counts[Math.min(bucket, BUCKETS - 1)]!++;
    this.#count++;
    if (this.#longestAt !== undefined && gap <= this.#longest) return;
    this.#longest = gap;
    this.#longestAt = Date.now();
  }

  /**
   * Notes the silence before a first heartbeat or the first progress, which is no gap.
   *
   * @param gap Its length in milliseconds.
   * @throws {TypeError} If `gap` is not a number.
   * @throws {RangeError} If `gap` is negative, `NaN` or infinite.
   */
  recordFirst(gap: number) {
    checkGap(gap);
    this.#first = gap;
  }

  /**
   * A share of the gaps was no longer than this.
   *
   * @param share The share, from 0 to 1.
   * @returns Milliseconds, at most 9 % too many; 0 if there were no gaps.
   * @throws {TypeError} If `share` is not a number.
   * @throws {RangeError} If `share` is not from 0 to 1.
   */
  quantile(share: number): number {
    const accepted = "a number from 0 to 1";
    checkNumber(
      "find quantile",
      "share",
      share,
      accepted,
      (share) => share >= 0 && share <= 1,
    );
    let rest = Math.max(Math.ceil(share * this.#count), 1);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      rest -= this.#counts[bucket]!;
      if (rest > 0) continue;
      return Math.min(2 ** (bucket / BUCKETS_PER_OCTAVE), this.#longest);
    }
    return this.#longest;
  }

  /**
   * The timeout for a producer that behaves as it did so far: `safety` times the
   * 99.9th percentile of the gaps, and at least twice the longest gap.
   *
   * @param safety The factor.
   * @returns Whole milliseconds; `undefined` if there were no gaps.
   * @throws {TypeError} If `safety` is not a number.
   * @throws {RangeError} If `safety` is `NaN`, zero or negative.
   */
  suggestTimeout(safety: number = SAFETY): number | undefined {
    checkDuration("suggest timeout", "safety", safety);
    if (this.#count === 0) return;
    return Math.ceil(Math.max(safety * this.p999, 2 * this.#longest, 1));
  }
}

function checkGap(gap: number) {
  const accepted = "a finite number, at least 0";
  const isGap = (gap: number) => gap >= 0 && gap < Infinity;
  checkNumber("record gap", "gap", gap, accepted, isGap);
}
