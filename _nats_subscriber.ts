// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { parseHeartbeat } from "./_heartbeat_payload.ts";
import type { LazyBeats } from "./_lazy_beats.ts";
import { createNameReader, isNameOf } from "./_nats_subject.ts";
import type {
  DroppedHeartbeat,
  MalformedMessage,
  NatsConnection,
  NatsMessage,
  NatsSubscription,
} from "./_nats_types.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** Options of {@linkcode HeartbeatSubscriber}, checked and with their defaults. */
export interface HeartbeatSubscriberOptions {
  queue: string | undefined;
  workerOf: ((subject: string) => string) | undefined;
  maxDetailSize: number;
  onDropped: (dropped: DroppedHeartbeat) => void;
  onMalformed: (message: MalformedMessage) => void;
  /** Takes the heartbeats in place of the reader; only if the name comes from the subject. */
  lazyBeats?: LazyBeats | undefined;
}

/**
 * Creates the parser for the messages of a subscription. The name comes from the
 * subject, which the server guards; anyone can write any name into a payload. The
 * parser throws what is wrong with a message.
 */
function createParser(
  pattern: string,
  workerOf: ((subject: string) => string) | undefined,
): (message: NatsMessage) => Heartbeat {
  if (workerOf) {
    return ({ subject, data }) => {
      const worker = workerOf(subject);
      if (typeof worker !== "string" || worker === "") {
        throw new TypeError("'workerOf' gave no name");
      }
      return { ...parseHeartbeat(data), worker };
    };
  }
  const readName = createNameReader(pattern);
  if (!readName) return ({ data }) => parseHeartbeat(data);
  return ({ subject, data }) => {
    const beat = parseHeartbeat(data);
    const worker = readName(subject);
    // an equal name stays: a part of the subject would keep the whole subject alive
    if (beat.worker === worker) return beat;
    if (!isNameOf(beat.worker, worker)) {
      const name = JSON.stringify(worker);
      throw new Error(`'worker' is not the one of the subject: ${name}`);
    }
    beat.worker = worker;
    return beat;
  };
}

/**
 * Heartbeats that nobody has read yet. They do not pile up: the latest one of each
 * worker waits; and its last goodbye with the heartbeat before that, because a
 * goodbye counts if it directly follows a heartbeat.
 */
class UnreadHeartbeats {
  #latest = new Map<string, Heartbeat>();
  #goodbyes = new Map<string, Heartbeat[]>();

  get isEmpty(): boolean {
    return this.#latest.size === 0 && this.#goodbyes.size === 0;
  }

  add(beat: Heartbeat) {
    const { worker } = beat;
    if (beat.ended === undefined) return this.#latest.set(worker, beat);
    const before = this.#latest.get(worker) ??
      this.#goodbyes.get(worker)?.at(-1);
    this.#latest.delete(worker);
    this.#goodbyes.set(worker, before ? [before, beat] : [beat]);
  }

  /** Takes all. */
  take(): Heartbeat[] {
    const batch = [...this.#latest.values()];
    this.#latest.clear();
    if (this.#goodbyes.size === 0) return batch;
    const goodbyes = [...this.#goodbyes.values()].flat();
    this.#goodbyes.clear();
    return [...goodbyes, ...batch];
  }
}

/**
 * Receives heartbeats, and hands them on in batches.
 *
 * | phase | a heartbeat | the reader pulls | the microtask | the subscription ends | the connection is closed |
 * | --- | --- | --- | --- | --- | --- |
 * | `idle` | waits | → `waiting`, or `scheduled` if one waits | | → `closing` | |
 * | `waiting` | → `scheduled` | | | → `closing` | |
 * | `scheduled` | joins the batch | | delivers the batch, → `idle` | → `closing` | |
 * | `closing` | | | | | → `ended`: an error, or what waits and a close |
 * | `ended` | | | | | |
 *
 * Three events lead from every phase to `ended` at once: the subscription ends with an
 * error, the reader cancels, a callback throws.
 */
export class HeartbeatSubscriber {
  /** The batches. */
  readonly readable: ReadableStream<Heartbeat[]>;
  readonly #parse: (message: NatsMessage) => Heartbeat;
  readonly #options: HeartbeatSubscriberOptions;
  readonly #unread = new UnreadHeartbeats();
  #phase: "idle" | "waiting" | "scheduled" | "closing" | "ended" = "idle";
  #malformedCount = 0;
  #droppedCount = 0;
  #controller!: ReadableStreamDefaultController<Heartbeat[]>;
  #subscription!: NatsSubscription;

  constructor(
    connection: NatsConnection,
    subject: string,
    options: HeartbeatSubscriberOptions,
  ) {
    const { queue, workerOf } = options;
    this.#parse = createParser(subject, workerOf);
    this.#options = options;
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

  #hasEnded() {
    return this.#phase === "closing" || this.#phase === "ended";
  }

  #onMessage(message: NatsMessage) {
    if (this.#hasEnded()) return;
    const { lazyBeats } = this.#options;
    if (lazyBeats?.takesUnparsed(message)) return;
    let beat: Heartbeat;
    try {
      beat = this.#parse(message);
    } catch (error) {
      return this.#onMalformed(message, error);
    }
    this.#boundDetail(beat, message.data.length);
    if (this.#hasEnded()) return;
    if (lazyBeats) return lazyBeats.take(beat, message);
    this.#unread.add(beat);
    if (this.#phase === "waiting") this.#schedule();
  }

  #onMalformed({ subject, data }: NatsMessage, error: unknown) {
    const problem = error instanceof Error ? error.message : String(error);
    const count = ++this.#malformedCount;
    this.#call(() =>
      this.#options.onMalformed({ count, subject, data, problem })
    );
  }

  /** Drops the detail of a heartbeat if it came in too large a payload. */
  #boundDetail(beat: Heartbeat, size: number) {
    const { maxDetailSize, onDropped } = this.#options;
    if (size <= maxDetailSize || beat.detail === undefined) return;
    delete beat.detail;
    const { worker, seq } = beat;
    const problem = `its payload has ${size} bytes, more than ${maxDetailSize}`;
    const count = ++this.#droppedCount;
    this.#call(() =>
      onDropped({ dropped: "detail", count, worker, seq, problem })
    );
  }

  /** Calls the user; what that throws errors the stream, even `undefined`. */
  #call(callback: () => void) {
    try {
      callback();
    } catch (error) {
      this.#unsubscribe();
      this.#controller.error(error);
    }
  }

  #onPull() {
    if (this.#phase !== "idle") return;
    this.#phase = "waiting";
    if (!this.#unread.isEmpty) this.#schedule();
  }

  /** Delivers in a microtask: by then everything that came in one piece has arrived. */
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
    this.#controller.enqueue(this.#unread.take());
  }

  /**
   * The client ends all subscriptions without an error when it gives up
   * reconnecting: only the connection says whether it was closed on purpose.
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
    if (!this.#unread.isEmpty) this.#deliver();
    this.#controller.close();
  }

  #unsubscribe() {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#subscription.unsubscribe();
  }
}
