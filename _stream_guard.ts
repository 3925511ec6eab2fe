// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { isByteStream } from "./_byte_stream.ts";
import type { SilenceClock } from "./_silence_clock.ts";

/** One limit on the silence of a stream. */
export interface StreamLimit<T> {
  /** Measures the silence; its owner reports the stall. */
  clock: SilenceClock;
  /** Says which chunks are signs of life; all, if it is not given. */
  isHeartbeat?: ((chunk: T) => boolean) | undefined;
}

/** What a {@linkcode StreamGuard} is given. */
export interface StreamGuardOptions<T> {
  /** The stream to read. It is locked. */
  source: ReadableStream<T>;
  /** Whether it is a byte stream; by default it is asked, which costs a lot. */
  isBytes?: boolean;
  /** What is measured. */
  limits: StreamLimit<T>[];
  /** Called for each chunk: the consumer waits for it, or has it. */
  onTurn?: (turn: "producer" | "consumer") => void;
  /** Called once: the stream has closed, errored, or been cancelled. */
  onEnd?: () => void;
}

/**
 * Passes a stream on, and measures its silence: only while a read of the
 * consumer waits is it the producer's turn.
 *
 * There is no queue: a chunk goes straight to the read that waits for it, so a
 * stall drops none. A byte stream stays one.
 *
 * | phase | consumer pulls | chunk arrives | source ends | source errors | `fail()` | consumer cancels |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `open` | the clocks run; read | the clocks stand still; enqueue | → `ended`: close | → `ended`: error | → `ended`: error, cancel the source | → `ended`: cancel the source |
 * | `ended` | | | | | | |
 */
export class StreamGuard<T> {
  /** What the consumer reads. */
  readonly readable: ReadableStream<T>;
  #phase: "open" | "ended" = "open";
  #reader: ReadableStreamDefaultReader<T>;
  #controller!:
    | ReadableStreamDefaultController<T>
    | ReadableByteStreamController;
  /** The limits, and whether the last chunk was a sign of life to each. */
  #limits: (StreamLimit<T> & { isAlive: boolean })[];
  #onTurn: ((turn: "producer" | "consumer") => void) | undefined;
  #onEnd: () => void;
  #isStarted = false;
  /** Whether a chunk is being waited for. */
  #isReading = false;
  // made once, because they are used for each chunk
  #onRead = (result: ReadableStreamReadResult<T>) => this.#takeResult(result);
  #onReadError = (error: unknown) => this.#end("error", error);

  constructor(options: StreamGuardOptions<T>) {
    const { source, limits, isBytes, onTurn, onEnd = () => {} } = options;
    this.#limits = limits.map((limit) => ({ ...limit, isAlive: true }));
    this.#onTurn = onTurn;
    this.#onEnd = onEnd;
    const type = isBytes ?? isByteStream(source) ? "bytes" : undefined;
    this.#reader = source.getReader();
    this.readable = new ReadableStream({
      type,
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#onPull(),
      cancel: (reason) => this.#onCancel(reason),
    } as UnderlyingDefaultSource<T>, { highWaterMark: 0 });
  }

  /** Errors the stream, and cancels its source with the same error. */
  fail(error: unknown) {
    this.#end("error", error);
    // does nothing if it has ended
    this.#reader.cancel(error).catch(() => {});
  }

  /** No promise is returned, as waiting for it would cost as much as the clocks do. */
  #onPull() {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#onTurn?.("producer");
    if (this.#isStarted) this.#resumeClocks();
    else this.#startClocks();
    this.#reader.read().then(this.#onRead, this.#onReadError);
  }

  #startClocks() {
    this.#isStarted = true;
    for (const { clock } of this.#limits) clock.attach();
  }

  #resumeClocks() {
    const limits = this.#limits;
    for (let i = 0; i < limits.length; i++) {
      const { clock, isAlive } = limits[i]!;
      clock.onChunkForwarded(isAlive);
      if (isAlive) clock.onProgress();
    }
  }

  /** A method, for the compiler does not know that a callback may end it. */
  #hasEnded() {
    return this.#phase === "ended";
  }

  #takeResult({ done, value }: ReadableStreamReadResult<T>) {
    this.#isReading = false;
    if (this.#hasEnded()) return;
    if (done) return this.#end("close");
    try {
      this.#stopClocksFor(value);
    } catch (error) {
      return this.fail(error);
    }
    // what looked at the chunk may have aborted or cancelled
    if (this.#hasEnded()) return;
    this.#onTurn?.("consumer");
    this.#controller.enqueue(value as T & ArrayBufferView<ArrayBuffer>);
  }

  #stopClocksFor(chunk: T) {
    const limits = this.#limits;
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i]!;
      limit.clock.onChunkArrived();
      limit.isAlive = limit.isHeartbeat === undefined ||
        limit.isHeartbeat(chunk);
    }
  }

  #end(how: "close" | "error", error?: unknown) {
    if (this.#phase === "ended") return;
    this.#release();
    if (how === "error") return this.#controller.error(error);
    const { byobRequest } = this.#controller as ReadableByteStreamController;
    this.#controller.close();
    // a read into the consumer's own buffer waits for an answer
    byobRequest?.respond(0);
  }

  #onCancel(reason: unknown) {
    this.#release();
    return this.#reader.cancel(reason);
  }

  #release() {
    this.#phase = "ended";
    for (const { clock } of this.#limits) clock.stop();
    this.#onEnd();
  }
}
