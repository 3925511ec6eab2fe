// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { deserializeError, serializeError } from "./_error_transfer.ts";
import type {
  HostMessage,
  StartMessage,
  StopMessage,
  ThreadMessage,
} from "./_thread_messages.ts";
import { isThenable, openSource } from "./_work_source.ts";
import { WorkerRun } from "./_worker_run.ts";
import type { Heartbeat, Work, WorkContext } from "./_worker_types.ts";

/** The part of a thread's global scope that is used. */
export interface ThreadScope {
  /** Posts a message to the host. */
  postMessage(message: ThreadMessage): void;
  /** Listens to the host's messages. */
  addEventListener(
    type: "message",
    listener: (event: MessageEvent<HostMessage | undefined>) => void,
  ): void;
}

/** Work with an input. */
export type ThreadWork<R> = (
  context: WorkContext & { readonly input: unknown },
) => ReturnType<Work<R>>;

/**
 * The thread's side: it runs the work as `startWorker()` does, and posts what
 * comes of it.
 *
 * | the host posts | effect |
 * | --- | --- |
 * | `start` | runs the work; posts its heartbeats, then the end, then that it has finished |
 * | `pull` | posts the next result |
 * | `stop` | aborts the work's signal, or cancels a stream, as the host's consumer did |
 */
export class ThreadServer<R> {
  #work: ThreadWork<R>;
  #scope: ThreadScope;
  #aborter = new AbortController();
  #pacer = new Pacer();
  #results!: ReadableStreamDefaultReader<R>;
  #heartbeats!: ReadableStreamDefaultReader<Heartbeat>;
  /** Set by a result or a detail that cannot be cloned. */
  #failure: { error: unknown } | undefined;

  constructor(work: ThreadWork<R>, scope: ThreadScope) {
    this.#work = work;
    this.#scope = scope;
  }

  /** Listens to the host. */
  listen() {
    this.#scope.addEventListener(
      "message",
      ({ data }) => this.#onMessage(data),
    );
    this.#scope.postMessage({ heartbeat: "ready" });
  }

  #onMessage(message: HostMessage | undefined) {
    switch (message?.heartbeat) {
      case "start":
        return this.#start(message);
      case "pull":
        return this.#sendResult();
      case "stop":
        return this.#stop(message);
    }
  }

  async #start(message: StartMessage) {
    const { input, interval, lastDetail } = message;
    const name = message.name ?? (this.#work.name || "worker");
    // at once, for work that blocks its thread from the start
    const first: Heartbeat = { worker: name, seq: 1, time: Date.now() };
    if (lastDetail !== undefined) first.detail = lastDetail;
    this.#scope.postMessage({ heartbeat: "beat", beat: first });

    const { results, heartbeats, finished } = new WorkerRun<R>(
      (context) => this.#pacer.pace(this.#work({ ...context, input })),
      { name, interval, lastDetail, signal: this.#aborter.signal },
    ).start();
    this.#results = results.getReader();
    this.#heartbeats = heartbeats.getReader();
    await this.#forwardHeartbeats();
    await this.#sendEnd();
    await finished;
    this.#scope.postMessage({ heartbeat: "finished" });
  }

  async #forwardHeartbeats() {
    try {
      for (;;) {
        const { done, value: beat } = await this.#heartbeats.read();
        if (done) return;
        // the first one was posted before the work was called
        if (beat.seq > 1) this.#scope.postMessage({ heartbeat: "beat", beat });
      }
    } catch (error) {
      // of the work, or of a detail that cannot be cloned
      this.#failure ??= { error };
      this.#heartbeats.cancel(error).catch(() => {});
    }
  }

  async #sendResult() {
    try {
      const { done, value } = await this.#results.read();
      if (!done) this.#scope.postMessage({ heartbeat: "result", value });
    } catch (error) {
      // of the work, or of a result that cannot be cloned
      this.#failure ??= { error };
      this.#results.cancel(error).catch(() => {});
    } finally {
      this.#pacer.onSent();
    }
  }

  /** Both streams have ended: posts the result that waits, if any, and how they ended. */
  async #sendEnd() {
    let result: { value: R } | undefined;
    try {
      for (;;) {
        const { done, value } = await this.#results.read();
        if (done) break;
        result = { value };
      }
    } catch (error) {
      this.#failure ??= { error };
    }
    const error = this.#failure && serializeError(this.#failure.error);
    try {
      this.#scope.postMessage({ heartbeat: "end", result, error });
    } catch (error) {
      // a result that cannot be cloned
      this.#scope.postMessage({
        heartbeat: "end",
        error: serializeError(error),
      });
    }
  }

  #stop({ by, reason: serialized }: StopMessage) {
    const reason = deserializeError(serialized);
    if (by === "signal") return this.#aborter.abort(reason);
    const reader = by === "results" ? this.#results : this.#heartbeats;
    reader.cancel(reason).catch(() => {});
  }
}

/** Starts no unit before the result of the last one was sent: it can block the thread. */
class Pacer {
  #isUnsent = false;
  #resolve = () => {};

  /** Wraps what the work returned. A stream runs ahead on its own. */
  pace<R>(units: ReturnType<Work<R>>): ReturnType<Work<R>> {
    if (units instanceof ReadableStream) return units;
    if (isThenable(units)) {
      return Promise.resolve(units)
        .then((units) => this.pace(units) as Awaited<ReturnType<Work<R>>>);
    }
    const source = openSource(units);
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (this.#isUnsent) {
            await new Promise<void>((resolve) => this.#resolve = resolve);
          }
          const result = await source.next();
          this.#isUnsent = true;
          return result;
        },
        return: async () => {
          await source.close(undefined);
          return { done: true, value: undefined };
        },
      }),
    };
  }

  /** The result was sent, or cannot be. */
  onSent() {
    this.#isUnsent = false;
    this.#resolve();
  }
}
