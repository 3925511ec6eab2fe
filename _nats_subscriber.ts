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
 * | phase | a heartbeat | the reader pulls | the microtask | the subscription ends | the connection is closed |
 * | --- | --- | --- | --- | --- | --- |
 * | `idle` | waits | → `waiting`, or `scheduled` if one waits | | → `closing` | |
 * | `waiting` | → `scheduled` | | | → `closing` | |
 * | `scheduled` | joins the batch | | delivers the batch, → `idle` | → `closing` | |
 * | `closing` | | | | | → `ended`: an error, or what waits and a close |
 * | `ended` | | | | | |
 *
 * From every phase, a subscription that ends with an error, a reader that cancels
 * and an `onMalformed` that throws lead to `ended`.
 */
export class HeartbeatSubscriber {
  /** The batches. */
  readonly readable: ReadableStream<Heartbeat[]>;
  readonly #onMalformed: (message: MalformedMessage) => void;
  readonly #unread = new Map<string, Heartbeat>();
  #phase: "idle" | "waiting" | "scheduled" | "closing" | "ended" = "idle";
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
        const onEnd = (error: unknown) =>
          this.#onSubscriptionEnd(connection, error);
        this.#subscription.closed.then(onEnd, onEnd);
      },
      pull: () => this.#onPull(),
      cancel: () => this.#unsubscribe(),
    }, { highWaterMark: 0 });
  }

  #onMessage({ subject, data }: NatsMessage) {
    if (this.#phase === "closing" || this.#phase === "ended") return;
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

  /**
   * The client ends all subscriptions without an error when it gives up to
   * reconnect: only the connection can say whether it was closed on purpose.
   */
  #onSubscriptionEnd(connection: NatsConnection, error: unknown) {
    if (this.#phase === "ended") return;
    if (error) return this.#end(error);
    this.#phase = "closing";
    const onClosed = (error: unknown) => this.#onConnectionClosed(error);
    Promise.resolve(connection.closed?.()).then(onClosed, onClosed);
  }

  #onConnectionClosed(error: unknown) {
    if (this.#phase === "closing") this.#end(error);
  }

  #end(error: unknown) {
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
