// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The number of the last heartbeat, as a fleet keeps it: its `seq`; NaN if it has
 * none; or, if it was not decoded, the number of its payload. A payload is a number
 * less than any `seq` that is taken, in steps of 2, as there are no odd numbers there.
 *
 * @module
 */

/** Payload 0. */
const UNDECODED = -(2 ** 53);
const STEP = 2;

/** The number of a heartbeat; NaN if it has none. */
export function toSeq(seq: unknown): number {
  return typeof seq === "number" && seq > UNDECODED ? seq : NaN;
}

/** What is kept of a heartbeat whose payload has this number. */
export function fromPayload(payload: number): number {
  return UNDECODED - STEP * payload;
}

/** The number of the payload of a heartbeat that was not decoded. */
export function toPayload(kept: number): number | undefined {
  return kept <= UNDECODED ? (UNDECODED - kept) / STEP : undefined;
}

/** What a heartbeat says, without what it does not have. */
export function contentsOf(seq: number, detail: unknown) {
  return {
    ...(!Number.isNaN(seq) && { seq }),
    ...(detail !== undefined && { detail }),
  };
}
