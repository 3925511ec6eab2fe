// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { CommandOutput } from "./_command_types.ts";

type Pipe = ReadableStream<Uint8Array<ArrayBuffer>>;

/** What the owner of a {@linkcode MergedOutput} does. */
export interface MergedOutputHandlers {
  /** A chunk waits, or both pipes have ended. */
  onChange(): void;
  /** A pipe has failed. */
  onError(error: unknown): void;
}

/**
 * The two pipes of a command, in the order in which their chunks arrive. One
 * chunk of each may wait; a pipe is read again once the chunk after it is asked
 * for, so the command is held back by a slow consumer.
 */
export class MergedOutput {
  readonly #handlers: MergedOutputHandlers;
  readonly #open = new Set<ReadableStreamDefaultReader>();
  readonly #waiting: { chunk: CommandOutput; release: () => void }[] = [];
  #release = () => {};

  /**
   * @param pipes The command's pipes.
   * @param handlers What to do when something arrives.
   */
  constructor(
    pipes: { stdout: Pipe; stderr: Pipe },
    handlers: MergedOutputHandlers,
  ) {
    this.#handlers = handlers;
    this.#read("stdout", pipes.stdout);
    this.#read("stderr", pipes.stderr);
  }

  /** Whether there is or may be more. A pipe whose chunk waits is open. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  /** The next chunk, `undefined` if none waits. The one before it counts as consumed. */
  take(): CommandOutput | undefined {
    this.#release();
    const first = this.#waiting.shift();
    this.#release = first?.release ?? (() => {});
    return first?.chunk;
  }

  /** Drops what waits, and closes the pipes. */
  close() {
    for (const reader of this.#open) reader.cancel().catch(() => {});
    this.#open.clear();
    this.#release();
    for (const { release } of this.#waiting.splice(0)) release();
  }

  async #read(from: CommandOutput["from"], pipe: Pipe) {
    const reader = pipe.getReader();
    this.#open.add(reader);
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        await this.#offer({ from, bytes: value });
      }
      this.#open.delete(reader);
      this.#handlers.onChange();
    } catch (error) {
      this.#handlers.onError(error);
    }
  }

  /** Resolves once the chunk was consumed. */
  #offer(chunk: CommandOutput) {
    return new Promise<void>((release) => {
      this.#waiting.push({ chunk, release });
      this.#handlers.onChange();
    });
  }
}
