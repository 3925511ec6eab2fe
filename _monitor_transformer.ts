// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import { LockWatch } from "./_lock_watch.ts";
import {
  type HeartbeatMonitorOptions,
  readMonitorOptions,
} from "./_monitor_options.ts";
import { SilenceClock, type Stall } from "./_silence_clock.ts";

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
  #isHeartbeat: ((chunk: T) => boolean) | undefined;
  #name: string | undefined;
  #count = 0;
  #last: T | undefined;

  constructor(options: HeartbeatMonitorOptions<T>) {
    const { timeout, firstTimeout, isHeartbeat, name } = readMonitorOptions(
      options,
    );
    this.#isHeartbeat = isHeartbeat;
    this.#name = name;
    this.#clock = new SilenceClock({
      timeout,
      firstTimeout,
      isSelective: isHeartbeat !== undefined,
      isAttached: () => this.#lock!.isLocked,
      onDetached: () => this.#lock!.look(),
      onStall: (stall) => this.#onStall(stall),
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
      this.#clock.onChunkForwarded(this.#takeHeartbeat(chunk));
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

  /** Whether a chunk is a heartbeat; it is counted then. */
  #takeHeartbeat(chunk: T): boolean {
    const isHeartbeat = this.#isHeartbeat;
    if (isHeartbeat !== undefined && !isHeartbeat(chunk)) return false;
    this.#last = chunk;
    if (this.#count++ === 0) this.#clock.onProgress();
    return true;
  }

  #onStall({ timeout, elapsed }: Stall) {
    const count = this.#count;
    const last = this.#last;
    const source = this.#name;
    this.#controller.error(
      new HeartbeatTimeoutError({ timeout, elapsed, count, last, source }),
    );
  }

  /** No timer is left. */
  #end() {
    this.#clock.stop();
    this.#lock?.stop();
  }
}
