// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { deserializeError, serializeError } from "./_error_transfer.ts";
import { StreamPair } from "./_stream_pair.ts";
import {
  type HostMessage,
  readThreadMessage,
  type StartMessage,
  type StopMessage,
  type ThreadEvent,
  throwUnexpected,
} from "./_thread_messages.ts";
import { type CancelTimer, startTimer } from "./_timers.ts";
import type { WorkerStreams } from "./_worker_types.ts";

/** What a {@linkcode ThreadHost} is given, checked. */
export interface ThreadHostOptions {
  /** Starts the thread. */
  createThread: () => Worker;
  /** Makes the message that the thread gets first; throws if it cannot be cloned. */
  createStart: () => StartMessage;
  /** How long the work may take to end after it was stopped, in milliseconds. */
  stopTimeout: number;
  /** Stops the work. */
  signal: AbortSignal | undefined;
}

/**
 * Where a thread is in its life.
 *
 * - `loading`: its module is loaded; it does not listen yet.
 * - `running`: the work runs.
 * - `stopping`: the work was stopped, or its streams have ended. It has
 *   `stopTimeout` to end.
 * - `ended`: the thread is terminated, and both streams have ended.
 */
type Phase = "loading" | "running" | "stopping" | "ended";

/**
 * The host's side of a thread: two streams, and the thread that feeds them.
 *
 * | phase | `ready` | `result`, `beat` | `end` | `finished` | `signal` aborts | consumer cancels a stream | `stopTimeout` has passed | the thread fails, or breaks the protocol |
 * | --- | --- | --- | --- | --- | --- | --- | --- | --- |
 * | `loading` | → `running`: post what waits | deliver | end the streams, → `stopping` | → `ended` | → `ended`: close the streams | → `ended` | | → `ended`: error the streams |
 * | `running` | breaks the protocol | deliver | end the streams, → `stopping` | → `ended` | → `stopping`: post it | → `stopping`: post it | | → `ended`: error the streams |
 * | `stopping` | breaks the protocol | deliver | end the streams | → `ended` | post it | post it | → `ended`: close the streams | → `ended`: error the streams |
 * | `ended` | | | | | | | | |
 *
 * To deliver to streams that have ended, or to end them again, does nothing.
 */
export class ThreadHost<R> {
  #phase: Phase = "loading";
  #options: ThreadHostOptions;
  #pair: StreamPair<R>;
  #thread: Worker | undefined;
  /** What waits for the thread to listen: a message to a module that still awaits is lost. */
  #unposted: HostMessage[] = [];
  /** Resolves the pending pull, if a result was asked for and has not come. */
  #onResult: (() => void) | undefined;
  #cancelTimer: CancelTimer = () => {};
  #onAbort = () => this.#onStop("signal", this.#options.signal!.reason);

  constructor(options: ThreadHostOptions) {
    this.#options = options;
    this.#pair = new StreamPair<R>({
      onPull: () => this.#onPull(),
      onCancel: (reason, stream) => this.#onStop(stream, reason),
    });
  }

  /** Starts the thread, unless the signal has aborted. */
  start(): WorkerStreams<R> {
    const { createThread, createStart, signal } = this.#options;
    if (signal?.aborted) {
      this.#end();
      return this.#pair.streams;
    }
    this.#unposted.push(createStart());
    this.#thread = createThread();
    this.#listen(this.#thread);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    return this.#pair.streams;
  }

  #listen(thread: Worker) {
    thread.addEventListener("message", ({ data }) => this.#onMessage(data));
    thread.addEventListener("messageerror", () => {
      const message = "A message of the thread cannot be read";
      this.#fail(new DOMException(message, "DataCloneError"));
    });
    thread.addEventListener("error", (event) => {
      // without this, the error would end the host, too
      event.preventDefault();
      this.#fail(toError(event));
    });
  }

  #onPull(): Promise<void> {
    this.#post({ heartbeat: "pull" });
    return new Promise((resolve) => this.#onResult = resolve);
  }

  #onMessage(message: unknown) {
    if (this.#phase === "ended") return;
    try {
      const event = readThreadMessage(message);
      if (event) this.#onEvent(event);
    } catch (error) {
      this.#fail(error);
    }
  }

  #onEvent(event: ThreadEvent) {
    switch (event.type) {
      case "ready":
        return this.#onReady();
      case "beat":
        return this.#pair.beat(event.beat);
      case "result":
        return this.#deliver(event.value as R);
      case "end":
        return this.#onStreamsEnded(event);
      case "finished":
        return this.#onFinished();
    }
  }

  #onReady() {
    if (this.#phase !== "loading") {
      throwUnexpected("a second 'ready': the thread serves work twice");
    }
    this.#phase = "running";
    const messages = this.#unposted;
    this.#unposted = [];
    for (const message of messages) this.#post(message);
  }

  #deliver(result: R) {
    // an answer that was on its way when the streams ended
    if (!this.#pair.isOpen) return;
    const resolve = this.#onResult;
    if (!resolve) throwUnexpected("a result that was not asked for");
    this.#onResult = undefined;
    this.#pair.enqueue(result);
    resolve();
  }

  #onStreamsEnded({ result, failure }: ThreadEvent & { type: "end" }) {
    if (result) this.#pair.enqueue(result.value as R);
    if (failure) this.#pair.error(failure.error);
    else this.#pair.close();
    this.#startStopping();
  }

  #onFinished() {
    if (this.#pair.isOpen) {
      throwUnexpected("'finished' before the end of the streams");
    }
    this.#end();
  }

  /** The signal aborted, or the consumer cancelled a stream. */
  #onStop(by: StopMessage["by"], reason: unknown) {
    // the work was not called yet
    if (this.#phase === "loading") return this.#end();
    this.#post({ heartbeat: "stop", by, reason: serializeError(reason) });
    this.#startStopping();
  }

  #startStopping() {
    if (this.#phase === "stopping" || this.#phase === "ended") return;
    this.#phase = "stopping";
    const { stopTimeout } = this.#options;
    this.#cancelTimer = startTimer(() => this.#end(), stopTimeout);
  }

  #fail(error: unknown) {
    this.#pair.error(error);
    this.#end();
  }

  /** Terminates the thread; closes the streams, if they have not ended. */
  #end() {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#cancelTimer();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#thread?.terminate();
    this.#pair.close();
    this.#pair.finish();
  }

  #post(message: HostMessage) {
    if (this.#phase === "loading") this.#unposted.push(message);
    else if (this.#phase !== "ended") this.#thread!.postMessage(message);
  }
}

/** Makes the error again that ended a thread: an `ErrorEvent` holds only its text. */
function toError({ error, message }: ErrorEvent): unknown {
  if (error) return error;
  const [, name = "Error", text = message] =
    /^(?:Uncaught )?(?:\(in promise\) )?(\w*Error): ([^]*)$/.exec(message) ??
      [];
  return deserializeError({
    error: { name, message: text },
    isDOMException: false,
    data: {},
  });
}
