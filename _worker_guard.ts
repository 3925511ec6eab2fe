// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import {
  type HeartbeatMonitorOptions,
  readMonitorOptions,
} from "./_monitor_options.ts";
import { isResultBeat } from "./_result_beats.ts";
import { SilenceClock, type Stall } from "./_silence_clock.ts";
import type { Heartbeat } from "./_worker_types.ts";

/**
 * Guards one worker, for who reads both of its streams: a result is a sign of
 * life as a heartbeat is. It knows no streams.
 *
 * | event | is life | ends the first window | is in `count` and `last` |
 * | --- | --- | --- | --- |
 * | the first heartbeat, which every worker sends at its start | yes | no | yes |
 * | a later heartbeat | yes | yes | yes |
 * | a heartbeat of a supervisor that waits to restart | yes | no | yes |
 * | a heartbeat that `isHeartbeat` refuses | no | no | no |
 * | a result | yes | yes | no |
 * | the heartbeat that follows a result and only says that results were made | no | yes | yes |
 */
export class WorkerGuard {
  #clock: SilenceClock;
  #isHeartbeat: ((beat: Heartbeat) => boolean) | undefined;
  #name: string | undefined;
  #count = 0;
  #last: Heartbeat | undefined;
  /** Whether a result came since the last heartbeat. */
  #hasResult = false;
  #onStall: (error: HeartbeatTimeoutError<Heartbeat>) => void;

  /**
   * @param options The limits, which heartbeats count, and the name of the worker.
   * @param onStall Called once, when the worker is silent for too long.
   */
  constructor(
    options: HeartbeatMonitorOptions<Heartbeat>,
    onStall: (error: HeartbeatTimeoutError<Heartbeat>) => void,
  ) {
    const { timeout, firstTimeout, isHeartbeat, name } = readMonitorOptions(
      options,
    );
    this.#isHeartbeat = isHeartbeat;
    this.#name = name;
    this.#onStall = onStall;
    this.#clock = new SilenceClock({
      timeout,
      firstTimeout,
      onStall: (stall) => this.#report(stall),
    });
  }

  /** The silence of the worker begins. */
  start() {
    this.#clock.attach();
  }

  /** Ends the guard; no timer is left. */
  stop() {
    this.#clock.stop();
  }

  /** The worker sent a heartbeat. Throws what `isHeartbeat` throws. */
  onHeartbeat(beat: Heartbeat) {
    const isHeartbeat = this.#isHeartbeat;
    if (isHeartbeat !== undefined && !isHeartbeat(beat)) return;
    this.#last = beat;
    const isKnown = this.#hasResult && isResultBeat(beat);
    this.#hasResult = false;
    if (!isKnown) this.#clock.beat();
    if (this.#count++ > 0 && beat.restarting === undefined) {
      this.#clock.onProgress();
    }
  }

  /** The worker delivered a result. */
  onResult() {
    this.#hasResult = true;
    this.#clock.beat();
    this.#clock.onProgress();
  }

  #report({ timeout, elapsed }: Stall) {
    const last = this.#last;
    const source = this.#name ?? last?.worker;
    const count = this.#count;
    this.#onStall(
      new HeartbeatTimeoutError({ timeout, elapsed, count, last, source }),
    );
  }
}
