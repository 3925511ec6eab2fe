// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { ConnectionEvent } from "./_nats_types.ts";
import type { StoredFleetEvent } from "./_store_types.ts";

/**
 * One stream of the events of a fleet and of the connection that feeds it.
 *
 * | phase | the reader pulls | an event of the fleet | an event of the connection | the fleet's stream ends | the reader cancels |
 * | --- | --- | --- | --- | --- | --- |
 * | `idle` | delivers what is unread, else → `waiting` and reads on | is delivered | is unread; it cancels out one that is unread | → `ended` | → `ended` |
 * | `waiting` | | is delivered, → `idle` | is delivered, → `idle` | → `ended` | → `ended` |
 * | `ended` | | | | | |
 *
 * An unread `blind` and the `sees` that follows it cancel out, for together they say
 * nothing; so do `sees` and `blind`. The fleet collapses its own unread events, so it is
 * read only on demand.
 */
export class ConnectionEvents {
  /** The events. */
  readonly readable: ReadableStream<StoredFleetEvent | ConnectionEvent>;
  readonly #fleetEvents: ReadableStreamDefaultReader<StoredFleetEvent>;
  readonly #onEnd: () => void;
  #phase: "idle" | "waiting" | "ended" = "idle";
  #unread: ConnectionEvent | undefined;
  #read: Promise<void> | undefined;
  #controller!: ReadableStreamDefaultController<
    StoredFleetEvent | ConnectionEvent
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

  /** Adds an event of the connection. */
  add(event: ConnectionEvent) {
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
      if (!done) return this.#deliver(value);
      this.#end();
      this.#controller.close();
    } catch (error) {
      if (this.#phase === "ended") return;
      this.#end();
      this.#controller.error(error);
    }
  }

  #deliver(event: StoredFleetEvent | ConnectionEvent) {
    // before enqueue(), which pulls at once if another read waits
    this.#phase = "idle";
    this.#controller.enqueue(event);
  }

  #end() {
    this.#phase = "ended";
    this.#onEnd();
  }
}
