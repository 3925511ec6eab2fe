// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Watches the connection of a watcher: one that cannot hear must not call anybody
 * down. A connection that is lost without a word looks like silent workers, so the
 * round trip to the server is checked all the time.
 *
 * | phase | `disconnect` | no answer for `blindAfter` | an answer in time | a later one | `stop()` |
 * | --- | --- | --- | --- | --- | --- |
 * | `seeing` | → `blind`, reports it | → `blind`, reports it | | | → `stopped` |
 * | `blind` | | | → `seeing`, reports it | sends a check | → `stopped` |
 * | `stopped` | | | | | |
 *
 * A tick, four times in `blindAfter`, sends a check once the last one was answered.
 * Two ticks must pass without an answer, however late they are: if this process was
 * away itself, the answer waits in the socket.
 *
 * @module
 */

import type { NatsConnection, NatsStatus } from "./_nats_types.ts";
import { type CancelTimer, startTimer } from "./_timers.ts";

/** How many ticks there are in the time after which no answer means blind. */
const TICKS = 4;
/** How many ticks must pass without an answer. */
const LEAST_TICKS = 2;

/** Options of {@linkcode ConnectionWatch}. */
export interface ConnectionWatchOptions {
  /** How long an answer may take, in milliseconds. */
  blindAfter: number;
  /** Called when nothing can be heard any longer. */
  onBlind: () => void;
  /** Called when the server answers in time again. */
  onSees: () => void;
}

/** A round trip to the server. */
interface Check {
  sentAt: number;
  /** How many ticks have passed since. */
  ticks: number;
}

/** Watches a connection until it is stopped. */
export class ConnectionWatch {
  readonly #connection: NatsConnection;
  readonly #options: ConnectionWatchOptions;
  readonly #statuses: AsyncIterable<NatsStatus>;
  #phase: "seeing" | "blind" | "stopped" = "seeing";
  /** The check that waits for its answer. */
  #pending: Check | undefined;
  #cancelTick: CancelTimer = () => {};

  constructor(connection: NatsConnection, options: ConnectionWatchOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#statuses = connection.status();
    this.#readStatuses().catch(() => {});
    this.#startTick();
  }

  /** Stops. No timer and no listener is left. */
  stop() {
    this.#phase = "stopped";
    this.#cancelTick();
    // the iterator of the official client can be stopped while it waits
    (this.#statuses as { stop?(): void }).stop?.();
  }

  async #readStatuses() {
    for await (const { type } of this.#statuses) {
      if (type === "disconnect") this.#onDisconnect();
      else if (type === "reconnect") this.#onReconnect();
    }
  }

  #onDisconnect() {
    this.#pending = undefined;
    this.#setBlind();
  }

  #onReconnect() {
    if (this.#phase === "stopped") return;
    if (this.#connection.flush) this.#sendCheck();
    else this.#onAnswer();
  }

  #startTick() {
    const delay = this.#options.blindAfter / TICKS;
    this.#cancelTick = startTimer(() => this.#onTick(), delay);
  }

  #onTick() {
    const pending = this.#pending;
    if (!pending) {
      this.#sendCheck();
    } else {
      pending.ticks++;
      if (this.#isLost(pending)) this.#setBlind();
    }
    this.#startTick();
  }

  #isLost({ sentAt, ticks }: Check): boolean {
    // the clock may have been set back
    if (ticks >= 2 * TICKS) return true;
    const elapsed = Date.now() - sentAt;
    return ticks >= LEAST_TICKS && elapsed >= this.#options.blindAfter;
  }

  #sendCheck() {
    if (!this.#connection.flush) return;
    const check = { sentAt: Date.now(), ticks: 0 };
    this.#pending = check;
    this.#connection.flush().then(
      () => this.#onAnswer(check),
      // it may have been lost with a connection: the next tick sends another one
      () => this.#onLostCheck(check),
    );
  }

  #onLostCheck(check: object) {
    if (this.#pending === check) this.#pending = undefined;
  }

  #onAnswer(check?: Check) {
    if (this.#pending !== check) return;
    this.#pending = undefined;
    if (this.#phase !== "blind") return;
    // where each answer is late, it would be blind and see all the time
    if (check && this.#isLost(check)) return this.#sendCheck();
    this.#phase = "seeing";
    this.#options.onSees();
  }

  #setBlind() {
    if (this.#phase !== "seeing") return;
    this.#phase = "blind";
    this.#options.onBlind();
  }
}
