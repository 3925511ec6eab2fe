// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import { HeartbeatRecord } from "./_heartbeat_record.ts";
import { LockWatch } from "./_lock_watch.ts";
import {
  type HeartbeatMonitorOptions,
  readMonitorOptions,
} from "./_monitor_options.ts";
import { SilenceClock } from "./_silence_clock.ts";

/**
 * What happens inside of a {@linkcode HeartbeatMonitor}: it passes the chunks,
 * reports them to the clock, and errors the stream at a stall.
 *
 * A chunk goes this way: `size()` is called when it is written, so that the clock
 * stands still while the chunk waits; `transform()` when the consumer asks for it,
 * so that the clock goes on.
 */
export class MonitorTransformer<T> implements Transformer<T, T> {
  #clock: SilenceClock;
  #lock: LockWatch<T> | undefined;
  #controller!: TransformStreamDefaultController<T>;
  #record: HeartbeatRecord<T>;
  /** The gaps, if they are observed. */
  readonly gaps: HeartbeatGaps | undefined;

  constructor(options: HeartbeatMonitorOptions<T>) {
    const { isHeartbeat, name, onSilence, gaps, ...limits } =
      readMonitorOptions(options);
    this.gaps = gaps;
    const record = new HeartbeatRecord(isHeartbeat);
    this.#record = record;
    this.#clock = new SilenceClock({
      ...limits,
      isSelective: isHeartbeat !== undefined,
      isAttached: () => this.#lock!.isLocked,
      onDetached: () => this.#lock!.look(),
      onStall: (stall) =>
        this.#controller.error(record.createError(stall, name)),
      onGap: gaps && ((gap) => gaps.record(gap)),
      onFirstGap: gaps && ((gap) => gaps.recordFirst(gap)),
      onSilence: onSilence &&
        ((report) => this.#call(() => onSilence(record.createEvent(report)))),
    });
  }

  /** Watches the writable side for its producer. */
  watch(writable: WritableStream<T>) {
    this.#lock = new LockWatch(writable, this.#clock);
  }

  /** The writable side is looked at, perhaps to be locked. */
  onAccess() {
    // the constructor of the stream may look at it itself
    this.#lock?.onAccess();
  }

  start(controller: TransformStreamDefaultController<T>) {
    this.#controller = controller;
  }

  /** A chunk arrived. */
  size(): number {
    this.#clock.onChunkArrived();
    return 1;
  }

  transform(chunk: T) {
    this.#controller.enqueue(chunk);
    try {
      const isHeartbeat = this.#record.take(chunk);
      this.#clock.onChunkForwarded(isHeartbeat);
      if (isHeartbeat) this.#clock.onProgress();
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  flush() {
    this.#end();
  }

  cancel() {
    this.#end();
  }

  /** Calls what is the user's; the stream errors with what it throws. */
  #call(callback: () => void) {
    try {
      callback();
    } catch (error) {
      this.#end();
      this.#controller.error(error);
    }
  }

  /** No timer is left. */
  #end() {
    this.#clock.stop();
    this.#lock?.stop();
  }
}
