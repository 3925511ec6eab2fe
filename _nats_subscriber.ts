// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { parseHeartbeat } from "./_heartbeat_payload.ts";
import type {
  MalformedMessage,
  NatsConnection,
  NatsMessage,
  NatsSubscription,
} from "./_nats_types.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** Options of {@linkcode HeartbeatSubscriber}, checked and with their defaults. */
export interface HeartbeatSubscriberOptions {
  queue: string | undefined;
  onMalformed: (message: MalformedMessage) => void;
}

/**
 * Receives heartbeats, and hands them on in batches. Unread heartbeats do not
 * pile up: the latest one of each worker waits.
 *
 * | phase | a heartbeat | the reader pulls | the microtask | the subscription ends | the reader cancels |
 * | --- | --- | --- | --- | --- | --- |
 * | `idle` | waits | → `waiting`, or `scheduled` if one waits | | → `ended` | → `ended` |
 * | `waiting` | → `scheduled` | | | → `ended` | → `ended` |
 * | `scheduled` | joins the batch | | delivers the batch, → `idle` | → `ended` | → `ended` |
 * | `ended` | | | | | |
 *
 * If the subscription ends without an error, what waits is delivered first.
 */
export class HeartbeatSubscriber {
  /** The batches. */
  readonly readable: ReadableStream<Heartbeat[]>;
  readonly #onMalformed: (message: MalformedMessage) => void;
  readonly #unread = new Map<string, Heartbeat>();
  #phase: "idle" | "waiting" | "scheduled" | "ended" = "idle";
  #malformedCount = 0;
  #controller!: ReadableStreamDefaultController<Heartbeat[]>;
  #subscription!: NatsSubscription;

  constructor(
    connection: NatsConnection,
    subject: string,
    { queue, onMalformed }: HeartbeatSubscriberOptions,
  ) {
    this.#onMalformed = onMalformed;
    this.readable = new ReadableStream<Heartbeat[]>({
      start: (controller) => {
        this.#controller = controller;
        this.#subscription = connection.subscribe(subject, {
          ...(queue !== undefined && { queue }),
          callback: (error, message) => {
            // `closed` reports the error, too
            if (!error) this.#onMessage(message);
          },
        });
        const onClosed = (error: unknown) => this.#onClosed(error);
        this.#subscription.closed.then(onClosed, onClosed);
      },
      pull: () => this.#onPull(),
      cancel: () => this.#unsubscribe(),
    }, { highWaterMark: 0 });
  }

  #onMessage({ subject, data }: NatsMessage) {
    if (this.#phase === "ended") return;
    let beat: Heartbeat;
    try {
      beat = parseHeartbeat(data);
    } catch (error) {
      const { message: problem } = error as Error;
      return this.#reportMalformed({ subject, data, problem });
    }
    this.#unread.set(beat.worker, beat);
    if (this.#phase === "waiting") this.#schedule();
  }

  #reportMalformed(message: Omit<MalformedMessage, "count">) {
    try {
      this.#onMalformed({ count: ++this.#malformedCount, ...message });
    } catch (error) {
      this.#unsubscribe();
      // whatever it threw, even undefined
      this.#controller.error(error);
    }
  }

  #onPull() {
    if (this.#phase !== "idle") return;
    this.#phase = "waiting";
    if (this.#unread.size > 0) this.#schedule();
  }

  /** Delivers in a microtask: by then all that came in one piece is there. */
  #schedule() {
    this.#phase = "scheduled";
    queueMicrotask(() => {
      if (this.#phase !== "scheduled") return;
      // before enqueue(), which pulls at once if another read waits
      this.#phase = "idle";
      this.#deliver();
    });
  }

  #deliver() {
    const batch = [...this.#unread.values()];
    this.#unread.clear();
    this.#controller.enqueue(batch);
  }

  #onClosed(error: unknown) {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    if (error) return this.#controller.error(error);
    if (this.#unread.size > 0) this.#deliver();
    this.#controller.close();
  }

  #unsubscribe() {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#subscription.unsubscribe();
  }
}
