// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { StoredFleetEvent } from "./_store_types.ts";
import type { SightEvent } from "./fleet.ts";

/**
 * One stream of the events of a fleet, and of the sight of whoever feeds it, such as
 * a watcher that has lost its connection.
 *
 * | phase | the reader pulls | an event of the fleet | `add()` | the fleet's stream ends | the reader cancels |
 * | --- | --- | --- | --- | --- | --- |
 * | `idle` | delivers what is unread, else → `waiting` and reads on | is delivered | is unread; it cancels out one that is unread | → `ended` | → `ended` |
 * | `waiting` | | is delivered, → `idle` | is delivered, → `idle` | → `ended` | → `ended` |
 * | `ended` | | | | | |
 *
 * An unread `blind` and the `sees` that follows it cancel out, for together they say
 * nothing; so do `sees` and `blind`. The fleet collapses its own unread events, so it is
 * read only on demand.
 *
 * A fleet may be blind by itself, too. The reader hears `sees` once, when it is over
 * for both: a fleet that is resumed, as it can be heard again, is not blind any more.
 */
export class SightEvents {
  /** The events. */
  readonly readable: ReadableStream<StoredFleetEvent>;
  readonly #fleetEvents: ReadableStreamDefaultReader<StoredFleetEvent>;
  readonly #onEnd: () => void;
  #phase: "idle" | "waiting" | "ended" = "idle";
  #unread: SightEvent | undefined;
  /** What the reader knows: who is blind. */
  #isBlind = false;
  #isFleetBlind = false;
  #read: Promise<void> | undefined;
  #controller!: ReadableStreamDefaultController<
    StoredFleetEvent
  >;

  /**
   * @param fleetEvents The events of the fleet.
   * @param onEnd Called once when the stream ends, however it does.
   */
  constructor(
    fleetEvents: ReadableStream<StoredFleetEvent>,
    onEnd: () => void,
  ) {
    this.#fleetEvents = fleetEvents.getReader();
    this.#onEnd = onEnd;
    this.readable = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#onPull(),
      cancel: (reason) => {
        this.#end();
        return this.#fleetEvents.cancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** Adds an event of the sight. */
  add(event: SightEvent) {
    switch (this.#phase) {
      case "waiting":
        return this.#deliver(event);
      case "idle":
        this.#unread = this.#unread ? undefined : event;
    }
  }

  #onPull() {
    if (this.#phase !== "idle") return;
    this.#phase = "waiting";
    const event = this.#unread;
    this.#unread = undefined;
    if (event) this.#deliver(event);
    else this.#read ??= this.#readFleet();
  }

  async #readFleet() {
    try {
      const { done, value } = await this.#fleetEvents.read();
      this.#read = undefined;
      if (this.#phase === "ended") return;
      if (!done) return this.#onFleetEvent(value);
      this.#end();
      this.#controller.close();
    } catch (error) {
      if (this.#phase === "ended") return;
      this.#end();
      this.#controller.error(error);
    }
  }

  #onFleetEvent(event: StoredFleetEvent) {
    if (this.#isNews(event)) return this.#enqueue(event);
    if (this.#phase === "waiting") this.#read = this.#readFleet();
  }

  #isNews({ type }: StoredFleetEvent): boolean {
    const wasBlind = this.#isFleetBlind;
    if (type === "blind") this.#isFleetBlind = true;
    if (type !== "sees") return true;
    this.#isFleetBlind = false;
    return wasBlind && !this.#isBlind;
  }

  #deliver(event: SightEvent) {
    this.#isBlind = event.type === "blind";
    if (!this.#isBlind) this.#isFleetBlind = false;
    this.#enqueue(event);
  }

  #enqueue(event: StoredFleetEvent) {
    // before enqueue(), which pulls at once if another read waits
    this.#phase = "idle";
    this.#controller.enqueue(event);
  }

  #end() {
    this.#phase = "ended";
    this.#onEnd();
  }
}
