// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { markResultBeat } from "./_result_beats.ts";
import { type CancelTimer, startTimer } from "./_timers.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** What a {@linkcode HeartbeatEmitter} needs from its worker. */
export interface HeartbeatEmitterOptions {
  /** The name that the heartbeats carry. */
  worker: string;
  /** Milliseconds between two heartbeats; `Infinity` for the first one only. */
  interval: number;
  /** The detail of the first heartbeats. */
  detail: unknown;
  /** Whether the worker waits for its consumer, so that it owes no progress. */
  isIdle: () => boolean;
  /** Takes the heartbeats. */
  emit: (heartbeat: Heartbeat) => void;
}

/**
 * Emits one heartbeat at the start, and then at most one an interval: if there
 * was progress since the last tick, or the worker is idle.
 */
export class HeartbeatEmitter {
  #options: HeartbeatEmitterOptions;
  #detail: unknown;
  #hasUnsentDetail = false;
  /** Whether a unit settled since the last tick. */
  #hasSettled = false;
  /** Whether `beat()` was called since the last tick. */
  #hasBeaten = false;
  #seq = 0;
  #cancelTimer: CancelTimer = () => {};

  /** @param options What the heartbeats carry, and where they go. */
  constructor(options: HeartbeatEmitterOptions) {
    this.#options = options;
    this.#detail = options.detail;
  }

  /** Emits the first heartbeat, and starts the timer. */
  start() {
    this.#emit(false);
    this.#arm();
  }

  /** Stops the timer. */
  stop() {
    this.#cancelTimer();
  }

  /** Notes that a unit settled. */
  recordProgress() {
    this.#hasSettled = true;
  }

  /** Notes progress inside a unit, with a detail if one is given. */
  recordDetail(detail: unknown) {
    this.#hasBeaten = true;
    if (detail === undefined) return;
    this.#detail = detail;
    this.#hasUnsentDetail = true;
  }

  /** Emits the last detail now, if no heartbeat has carried it yet. */
  flushDetail() {
    if (this.#hasUnsentDetail) this.#emit(false);
  }

  #arm() {
    this.#cancelTimer = startTimer(
      () => this.#onTick(),
      this.#options.interval,
    );
  }

  #onTick() {
    this.#arm();
    const isIdle = this.#options.isIdle();
    if (this.#hasBeaten || isIdle) this.#emit(false);
    else if (this.#hasSettled) this.#emit(true);
    this.#hasBeaten = this.#hasSettled = false;
  }

  #emit(isOfResults: boolean) {
    const { worker, emit } = this.#options;
    const heartbeat: Heartbeat = { worker, seq: ++this.#seq, time: Date.now() };
    if (this.#detail !== undefined) heartbeat.detail = this.#detail;
    this.#hasUnsentDetail = false;
    if (isOfResults) markResultBeat(heartbeat);
    emit(heartbeat);
  }
}
