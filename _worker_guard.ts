// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { HeartbeatRecord } from "./_heartbeat_record.ts";
import {
  type HeartbeatMonitorOptions,
  readMonitorOptions,
} from "./_monitor_options.ts";
import { isResultBeat } from "./_result_beats.ts";
import { SilenceClock } from "./_silence_clock.ts";
import type { Heartbeat } from "./_worker_types.ts";

/**
 * Guards one worker for an owner that reads both of its streams. A result is a sign
 * of life, as a heartbeat is. It knows no streams.
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
  #record: HeartbeatRecord<Heartbeat>;
  /** Whether a result came since the last heartbeat. */
  #hasResult = false;

  /**
   * @param options The limits, which heartbeats count, and the name of the worker.
   * @param onFailure Called once, with a `HeartbeatTimeoutError` when the worker is
   * silent for too long, or with what `onSilence` threw.
   */
  constructor(
    options: HeartbeatMonitorOptions<Heartbeat>,
    onFailure: (error: unknown) => void,
  ) {
    const { isHeartbeat, name, onSilence, gaps, ...limits } =
      readMonitorOptions(options);
    const record = new HeartbeatRecord(isHeartbeat);
    this.#record = record;
    this.#clock = new SilenceClock({
      ...limits,
      onStall: (stall) =>
        onFailure(record.createError(stall, name ?? record.last?.worker)),
      onGap: gaps && ((gap) => gaps.record(gap)),
      onFirstGap: gaps && ((gap) => gaps.recordFirst(gap)),
      onSilence: onSilence && ((report) => {
        try {
          onSilence(record.createEvent(report));
        } catch (error) {
          this.stop();
          onFailure(error);
        }
      }),
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
    if (!this.#record.take(beat)) return;
    const isKnown = this.#hasResult && isResultBeat(beat);
    this.#hasResult = false;
    if (!isKnown) this.#clock.beat();
    if (this.#record.count > 1 && beat.restarting === undefined) {
      this.#clock.onProgress();
    }
  }

  /** The worker delivered a result. */
  onResult() {
    this.#hasResult = true;
    this.#clock.beat();
    this.#clock.onProgress();
  }
}
