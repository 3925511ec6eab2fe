// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { SilenceClock } from "./_silence_clock.ts";
import { type Timer, unrefTimer } from "./_timers.ts";

/** How often (ms) a `writable` that was put aside is asked whether it is locked. */
const LOCK_POLL_MS = 1_000;

/**
 * Attaches a clock when a producer locks a `writable`. No event reports a lock,
 * so this looks after the turn in which somebody was given the `writable`, and
 * from then on once a second. It keeps neither the clock nor the process alive.
 */
export class LockWatch<T> {
  #writable: WritableStream<T>;
  #clock: SilenceClock;
  #timer: Timer | undefined;

  constructor(writable: WritableStream<T>, clock: SilenceClock) {
    this.#writable = writable;
    this.#clock = clock;
  }

  /** Whether a producer has the lock. */
  get isLocked(): boolean {
    return this.#writable.locked;
  }

  /** Somebody is given the `writable`. Whoever locks it does so before the next microtask. */
  onAccess() {
    if (this.#clock.isEnded || this.isLocked) return;
    const since = Date.now();
    queueMicrotask(() => this.look(since));
  }

  /** Attaches the clock if the `writable` is locked, and looks again later if not. */
  look(since = Date.now()) {
    if (this.#clock.isEnded) return;
    if (this.isLocked) {
      this.stop();
      return this.#clock.attach(since);
    }
    const isPlanned = this.#timer !== undefined || this.#clock.isTimed;
    if (isPlanned || !this.#clock.isNeeded) return;
    if (this.#hasEnded()) return this.#clock.stop();
    const weak = new WeakRef(this);
    this.#timer = setTimeout(
      () => weak.deref()?.poll(),
      Math.min(this.#clock.timeout, LOCK_POLL_MS),
    );
    unrefTimer(this.#timer);
  }

  /** No timer is left. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  poll() {
    this.#timer = undefined;
    this.look();
  }

  /** Where `Transformer.cancel` is not supported, nothing else shows that the stream was cancelled. */
  #hasEnded(): boolean {
    const writer = this.#writable.getWriter();
    const { desiredSize } = writer;
    writer.releaseLock();
    return desiredSize === null;
  }
}
