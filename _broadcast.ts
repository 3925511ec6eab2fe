// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** Options of a {@linkcode Broadcast}. */
export interface BroadcastOptions {
  /** How many texts may wait for a client that does not read. */
  maxWaiting: number;
  /** Called when the last client has left. */
  onEmpty?: () => void;
}

/**
 * The same texts for any number of clients, each with a stream of its own. Nobody
 * is waited for: a client that does not read is disconnected, and may come back.
 */
export class Broadcast {
  readonly #options: BroadcastOptions;
  readonly #clients = new Set<ReadableStreamDefaultController<string>>();
  #phase: "open" | "closed" = "open";

  /** @param options When a client is too slow. */
  constructor(options: BroadcastOptions) {
    this.#options = options;
  }

  /** How many clients are connected. */
  get size(): number {
    return this.#clients.size;
  }

  /** Whether there may be more to send. */
  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** A stream for a new client, which begins with texts of its own. */
  connect(first: Iterable<string>): ReadableStream<string> {
    let client!: ReadableStreamDefaultController<string>;
    return new ReadableStream({
      start: (controller) => {
        client = controller;
        this.#clients.add(client);
        for (const text of first) this.#enqueue(client, text);
        if (!this.isOpen) this.close();
      },
      cancel: () => this.#remove(client),
    }, { highWaterMark: this.#options.maxWaiting });
  }

  /** Sends a text to all clients. */
  send(text: string) {
    for (const client of this.#clients) this.#enqueue(client, text);
  }

  /** Disconnects all clients. Later ones get the texts of their own only. */
  close() {
    this.#phase = "closed";
    for (const client of this.#clients) this.#disconnect(client);
  }

  #enqueue(client: ReadableStreamDefaultController<string>, text: string) {
    // it may have been disconnected by the text before
    if (!this.#clients.has(client)) return;
    if (client.desiredSize! > 0) return client.enqueue(text);
    this.#disconnect(client);
  }

  #disconnect(client: ReadableStreamDefaultController<string>) {
    client.close();
    this.#remove(client);
  }

  #remove(client: ReadableStreamDefaultController<string>) {
    this.#clients.delete(client);
    if (this.#clients.size === 0) this.#options.onEmpty?.();
  }
}
