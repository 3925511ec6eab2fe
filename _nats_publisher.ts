// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { NatsConnection } from "./_nats_types.ts";
import type { Heartbeat } from "./_worker_types.ts";

/**
 * Publishes heartbeats to one subject.
 *
 * | phase | a heartbeat | `disconnect` | `reconnect` | the stream ends |
 * | --- | --- | --- | --- | --- |
 * | `connected` | is sent, unless the client is closing | → `disconnected` | | → `ended` |
 * | `disconnected` | is dropped | | → `connected` | → `ended` |
 * | `ended` | | | | |
 */
export class HeartbeatPublisher {
  /** The stream to write the heartbeats to. */
  readonly writable: WritableStream<Heartbeat>;
  readonly #connection: NatsConnection;
  readonly #subject: string;
  readonly #statuses: AsyncIterable<{ type: string }>;
  #phase: "connected" | "disconnected" | "ended" = "connected";

  constructor(connection: NatsConnection, subject: string) {
    this.#connection = connection;
    this.#subject = subject;
    this.#statuses = connection.status();
    this.writable = new WritableStream<Heartbeat>({
      start: () => void this.#readStatuses().catch(() => {}),
      write: (beat) => this.#onHeartbeat(beat),
      close: () => this.#onEnd(),
      abort: () => this.#onEnd(),
    });
  }

  async #readStatuses() {
    for await (const { type } of this.#statuses) this.#onStatus(type);
  }

  #onStatus(type: string) {
    if (this.#phase === "ended") return;
    if (type === "disconnect") this.#phase = "disconnected";
    else if (type === "reconnect") this.#phase = "connected";
  }

  #onHeartbeat(beat: Heartbeat) {
    if (
      this.#phase !== "connected" || this.#connection.isClosed() ||
      this.#connection.isDraining()
    ) return;
    try {
      this.#connection.publish(this.#subject, JSON.stringify(beat));
    } catch (error) {
      this.#onEnd();
      throw error;
    }
  }

  #onEnd() {
    this.#phase = "ended";
    // the iterator of the official client can be stopped while it waits
    (this.#statuses as { stop?(): void }).stop?.();
  }
}
