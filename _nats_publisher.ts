// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { isSubjectPart } from "./_nats_subject.ts";
import { checkString, throwInvalid } from "./_validate.ts";
import type { NatsConnection } from "./_nats_types.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** Throws unless a watcher can recognize the worker by the subject. */
function checkWorker(worker: string, subject: string) {
  const action = "publish heartbeats";
  checkString(action, "worker", worker);
  if (isSubjectPart(worker) || `.${subject}`.endsWith(`.${worker}`)) return;
  const accepted =
    "a part of a subject without white space, dots and wildcards, " +
    `or the end of ${JSON.stringify(subject)}`;
  throwInvalid(RangeError, action, "worker", accepted, worker);
}

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
  /** The last name that was checked: a worker has one. */
  #checkedWorker: string | undefined;
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
      if (beat.worker !== this.#checkedWorker) {
        checkWorker(beat.worker, this.#subject);
        this.#checkedWorker = beat.worker;
      }
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
