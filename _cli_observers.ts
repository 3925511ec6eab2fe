// Copyright 2026 the heartbeat authors. MIT license.

/** Who follows what is guarded: notices, figures, and the services that are informed. */

import type { Heartbeat } from "./_worker_types.ts";
import type { SupervisorEvent } from "./supervisor.ts";

/** How a run ended. */
export interface RunEnd {
  /** The exit code of the command line. */
  readonly code: number;
  /** Whether it ended as it was meant to, or was asked to end. */
  readonly isPlanned: boolean;
  /** Aborts when nothing may be waited for any more. */
  readonly killNow: AbortSignal;
}

/** Follows what is guarded. It never delays it and never fails it. */
export interface GuardObserver {
  /** The run begins; the command was not started yet. */
  start?(): void;
  /** A command was started, or the input is read. */
  onStarted?(): void;
  /** Some output is passed on. */
  onChunk?(bytes: Uint8Array): void;
  /** There was a sign of life. */
  onProgress?(): void;
  /** A heartbeat of the command; at most one an interval. */
  onHeartbeat?(beat: Heartbeat): void;
  /** A decision of the supervisor, or the stall of a pipe. */
  onEvent?(event: SupervisorEvent): void;
  /** The run is over; resolves when that was reported. */
  end?(end: RunEnd): void | Promise<void>;
}

/** Several observers as one. */
export class GuardObservers implements Required<GuardObserver> {
  readonly #observers: readonly GuardObserver[];

  /** @param observers In the order in which they are called; `undefined` for none. */
  constructor(observers: readonly (GuardObserver | undefined)[]) {
    this.#observers = observers.filter((observer) => observer !== undefined);
  }

  start() {
    for (const observer of this.#observers) observer.start?.();
  }

  onStarted() {
    for (const observer of this.#observers) observer.onStarted?.();
  }

  onChunk(bytes: Uint8Array) {
    for (const observer of this.#observers) observer.onChunk?.(bytes);
  }

  onProgress() {
    for (const observer of this.#observers) observer.onProgress?.();
  }

  onHeartbeat(beat: Heartbeat) {
    for (const observer of this.#observers) observer.onHeartbeat?.(beat);
  }

  onEvent(event: SupervisorEvent) {
    for (const observer of this.#observers) observer.onEvent?.(event);
  }

  async end(end: RunEnd) {
    await Promise.all(this.#observers.map((observer) => observer.end?.(end)));
  }
}
