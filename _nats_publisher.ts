// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { isSubjectPart } from "./_nats_subject.ts";
import type {
  DroppedHeartbeat,
  NatsConnection,
  NatsStatus,
} from "./_nats_types.ts";
import { checkString, throwInvalid } from "./_validate.ts";
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
 * | phase | a heartbeat | `disconnect` | `reconnect` | not permitted | the stream ends |
 * | --- | --- | --- | --- | --- | --- |
 * | `connected` | is sent, unless the client is closing | → `disconnected` | | errors, → `ended` | says goodbye, → `ended` |
 * | `disconnected` | is dropped | | → `connected` | errors, → `ended` | → `ended` |
 * | `ended` | | | | | |
 *
 * The client refuses a heartbeat that is larger than the broker accepts. That must not
 * stop the work: the heartbeat is sent without its detail, or dropped if it is refused
 * again.
 */
export class HeartbeatPublisher {
  /** The stream to write the heartbeats to. */
  readonly writable: WritableStream<Heartbeat>;
  readonly #connection: NatsConnection;
  readonly #subject: string;
  readonly #onDropped: (dropped: DroppedHeartbeat) => void;
  readonly #dropCounts = { detail: 0, heartbeat: 0 };
  readonly #statuses: AsyncIterable<NatsStatus>;
  #phase: "connected" | "disconnected" | "ended" = "connected";
  #controller!: WritableStreamDefaultController;
  /** The last heartbeat that was given to the client. */
  #last: Heartbeat | undefined;
  /** The last name that was checked: a worker has one. */
  #checkedWorker: string | undefined;

  constructor(
    connection: NatsConnection,
    subject: string,
    onDropped: (dropped: DroppedHeartbeat) => void,
  ) {
    this.#connection = connection;
    this.#subject = subject;
    this.#onDropped = onDropped;
    this.#statuses = connection.status();
    this.writable = new WritableStream<Heartbeat>({
      start: (controller) => {
        this.#controller = controller;
        this.#readStatuses().catch(() => {});
      },
      write: (beat) => {
        try {
          this.#onHeartbeat(beat);
        } catch (error) {
          this.#onEnd("failed");
          throw error;
        }
      },
      close: () => this.#onEnd("done"),
      abort: () => this.#onEnd("failed"),
    });
  }

  async #readStatuses() {
    for await (const status of this.#statuses) this.#onStatus(status);
  }

  #onStatus({ type, error }: NatsStatus) {
    if (this.#phase === "ended") return;
    if (type === "disconnect") this.#phase = "disconnected";
    else if (type === "reconnect") this.#phase = "connected";
    else if (
      error?.name === "PermissionViolationError" &&
      error.operation === "publish" && error.subject === this.#subject
    ) {
      this.#stop();
      this.#controller.error(error);
    }
  }

  #canSend() {
    return this.#phase === "connected" && !this.#connection.isClosed() &&
      !this.#connection.isDraining();
  }

  #onHeartbeat(beat: Heartbeat) {
    if (!this.#canSend()) return;
    if (beat.worker !== this.#checkedWorker) {
      checkWorker(beat.worker, this.#subject);
      this.#checkedWorker = beat.worker;
    }
    this.#send(beat);
    this.#last = beat;
  }

  /** Sends a heartbeat, or what the client accepts of it. */
  #send(beat: Heartbeat) {
    const refusal = this.#publish(beat);
    if (!refusal) return;
    const { detail, ...rest } = beat;
    const isSent = detail !== undefined && !this.#publish(rest);
    this.#report(isSent ? "detail" : "heartbeat", beat, refusal.error);
  }

  /** Returns why it was not sent, if it was not. */
  #publish(beat: Heartbeat): { error: unknown } | undefined {
    let payload: string;
    try {
      payload = JSON.stringify(beat);
    } catch (error) {
      // too long for a string, or nested too deeply; all else is a mistake in the work
      if (error instanceof RangeError) return { error };
      throw error;
    }
    try {
      this.#connection.publish(this.#subject, payload);
    } catch (error) {
      return { error };
    }
  }

  #report(
    dropped: "detail" | "heartbeat",
    { worker, seq }: Heartbeat,
    error: unknown,
  ) {
    const problem = error instanceof Error ? error.message : String(error);
    const count = ++this.#dropCounts[dropped];
    this.#onDropped({ dropped, count, worker, seq, problem });
  }

  /** Sends a last heartbeat, so that watchers need not wait for a timeout. */
  #onEnd(ended: "done" | "failed") {
    const last = this.#last;
    const isHeard = last !== undefined && this.#canSend();
    this.#stop();
    if (!isHeard) return;
    const { worker, seq, detail } = last;
    // `ended` comes last: a watcher need not parse to find it
    this.#send({ worker, seq: seq + 1, time: Date.now(), detail, ended });
  }

  #stop() {
    this.#phase = "ended";
    // the iterator of the official client can be stopped while it waits
    (this.#statuses as { stop?(): void }).stop?.();
  }
}
