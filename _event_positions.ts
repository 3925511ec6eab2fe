// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Up to which position of a store all events were taken by the reader. The order of
 * the positions is not that of the events: one that had to be written again has a
 * higher position than one that comes after it. So no position is acknowledged that
 * an event has passed which still waits.
 */
export class EventPositions {
  /** No event that is written from now on has this position, or a lower one. */
  #highest: number;
  /** The highest position of an event that was taken. */
  #taken: number;
  /** By event that was not taken: its position is higher than this. */
  readonly #waiting = new Map<object, number>();

  /**
   * @param acknowledged The position up to which all were taken.
   * @param highest The highest position that is known.
   */
  constructor(acknowledged: number, highest: number) {
    this.#taken = acknowledged;
    this.#highest = Math.max(acknowledged, highest);
  }

  /** An event is going to be written. */
  begin(event: object) {
    this.#waiting.set(event, this.#highest);
  }

  /** It has a position, which may be an old one. The reader may have taken it already. */
  place(event: object, position: number) {
    this.#highest = Math.max(this.#highest, position);
    if (this.#waiting.has(event)) this.#waiting.set(event, position - 1);
    else this.take(event, position);
  }

  /** The reader will never get it. */
  drop(event: object) {
    this.#waiting.delete(event);
  }

  /** The reader has taken it. */
  take(event: object, position: number | undefined) {
    this.#waiting.delete(event);
    this.#taken = Math.max(this.#taken, position ?? 0);
  }

  /** All events up to this position were taken. */
  get allTaken(): number {
    let position = this.#taken;
    for (const above of this.#waiting.values()) {
      position = Math.min(position, above);
    }
    return position;
  }
}
