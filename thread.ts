// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Threads as workers: {@linkcode startThread} runs work in a Web Worker, where
 * {@linkcode serveThread} gives it the thread.
 *
 * A loop that burns the CPU blocks its own event loop, and every monitor in it.
 * In a thread of its own it is seen, and can be terminated.
 *
 * It takes Web Workers, which Deno, Bun and browsers have, and Node.js has not.
 *
 * @module
 */

import { MAX_DELAY_MS } from "./_timers.ts";
import {
  checkDuration,
  checkFunction,
  checkOptions,
  checkSignal,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import { ConflatedStream } from "./_conflated_stream.ts";
import { deserializeError, serializeError } from "./_error_transfer.ts";
import {
  type HostMessage,
  readThreadMessage,
  type Side,
  type ThreadEvent,
  type ThreadMessage,
  throwUnexpected,
} from "./_thread_messages.ts";
import {
  type Heartbeat,
  startWorker,
  type StartWorkerOptions,
  type Work,
  type WorkContext,
  type WorkerStreams,
} from "./worker.ts";

/** Options of {@linkcode startThread}. */
export interface StartThreadOptions extends StartWorkerOptions {
  /** Given to the work as `context.input`: anything that can be cloned. */
  input?: unknown;
  /**
   * How long the work may take to end after it was stopped, before its thread is
   * terminated, in milliseconds: a positive number, `Infinity` for never.
   *
   * @default {1000}
   */
  stopTimeout?: number | undefined;
}

/**
 * What the work in a thread is given.
 *
 * @typeParam I The type of the input.
 */
export interface ThreadContext<I = unknown> extends WorkContext {
  /** A clone of the `input` that {@linkcode startThread} was given. */
  readonly input: I;
}

interface Failure {
  cause: unknown;
}

/** The part of a thread's global scope that is used. */
interface Scope {
  postMessage(message: ThreadMessage): void;
  addEventListener(
    type: "message",
    listener: (event: MessageEvent<HostMessage | undefined>) => void,
  ): void;
}

/**
 * Gives a thread its work. Call it once, at the top level of the module that
 * {@linkcode startThread} is given.
 *
 * @typeParam R The type of a result; results are cloned.
 * @typeParam I The type of the input.
 * @param work The work, as for `startWorker()`, with the `input` in its context.
 * @throws {TypeError} If `work` is not a function, or there is no `postMessage()`,
 * as outside of a thread.
 *
 * @example Usage
 * ```ts
 * import { startThread } from "@heartbeat/heartbeat/thread";
 * import { assertEquals } from "@std/assert";
 *
 * // as a rule a file: new URL("./squares.ts", import.meta.url)
 * const squares = `data:text/javascript,
 *   import { serveThread } from "${import.meta.resolve("@heartbeat/heartbeat/thread")}";
 *   serveThread(function* ({ input }) {
 *     for (let n = 1; n <= input.count; n++) yield n * n;
 *   });`;
 * const { results } = startThread(squares, { input: { count: 3 } });
 *
 * assertEquals(await Array.fromAsync(results), [1, 4, 9]);
 * ```
 */
export function serveThread<R, I = unknown>(
  work: (
    context: ThreadContext<I>,
  ) => AsyncIterable<R> | Iterable<R | PromiseLike<R>>,
): void {
  const action = "serve thread";
  checkFunction(action, "work", work);
  const scope = globalThis as unknown as Scope;
  if (typeof scope.postMessage !== "function") {
    const accepted = "a function, as it is in a Web Worker";
    const option = "globalThis.postMessage";
    throwInvalid(TypeError, action, option, accepted, scope.postMessage);
  }
  const aborter = new AbortController();
  let results: ReadableStreamDefaultReader<R>;
  let heartbeats: ReadableStreamDefaultReader<Heartbeat>;
  let unsent = 0;
  let sent = () => {};

  /** Starts no unit before the result of the last was sent: it may block the thread. */
  function pace(units: ReturnType<Work<R>>): ReturnType<Work<R>> {
    const object = Object(units);
    const open = object[Symbol.asyncIterator] ?? object[Symbol.iterator];
    // a stream runs ahead on its own, and what is no iterable is refused by startWorker()
    if (object instanceof ReadableStream || typeof open !== "function") {
      return units;
    }
    const iterator: AsyncIterator<R> | Iterator<R> = open.call(object);
    return {
      [Symbol.asyncIterator]: () => ({
        async next() {
          if (unsent > 0) await new Promise<void>((resolve) => sent = resolve);
          const { done, value } = await iterator.next();
          try {
            const result = { done, value: await value } as IteratorResult<R>;
            unsent++;
            return result;
          } catch (error) {
            if (!done) iterator.return?.();
            throw error;
          }
        },
        async return() {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      }),
    };
  }

  function end(side: Side, failure?: { cause: unknown }) {
    scope.postMessage({
      heartbeat: "end",
      side,
      ...(failure && { error: serializeError(failure.cause) }),
    });
  }

  async function pull() {
    try {
      const { done, value } = await results.read();
      if (done) return end("results");
      scope.postMessage({ heartbeat: "result", value });
    } catch (cause) {
      end("results", { cause });
      // a result that cannot be cloned
      results.cancel(cause).catch(() => {});
    } finally {
      unsent = 0;
      sent();
    }
  }

  async function beat() {
    try {
      for (;;) {
        const { done, value } = await heartbeats.read();
        if (done) return end("heartbeats");
        if (value.seq > 1) {
          scope.postMessage({ heartbeat: "beat", beat: value });
        }
      }
    } catch (cause) {
      end("heartbeats", { cause });
      // a detail that cannot be cloned
      heartbeats.cancel(cause).catch(() => {});
    }
  }

  scope.addEventListener("message", ({ data: message }) => {
    if (message?.heartbeat === "start") {
      const { input, options } = message;
      const { lastDetail: detail, name = work.name || "worker" } = options;
      // at once, for work that blocks its thread from the start
      const first: Heartbeat = { worker: name, seq: 1, time: Date.now() };
      if (detail !== undefined) first.detail = detail;
      scope.postMessage({ heartbeat: "beat", beat: first });
      const worker = startWorker<R>(
        (context) => pace(work({ ...context, input: input as I })),
        { ...options, name, signal: aborter.signal },
      );
      results = worker.results.getReader();
      heartbeats = worker.heartbeats.getReader();
      beat();
      worker.finished.then(() => scope.postMessage({ heartbeat: "finished" }));
    } else if (message?.heartbeat === "pull") {
      pull();
    } else if (message?.heartbeat === "stop") {
      const reason = deserializeError(message.reason);
      if (message.side === "signal") aborter.abort(reason);
      else {
        const reader = message.side === "results" ? results : heartbeats;
        reader.cancel(reason).catch(() => {});
      }
    }
  });
  scope.postMessage({ heartbeat: "ready" });
}

/** Makes the error again that ended a thread: an `ErrorEvent` tells its text only. */
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

/**
 * Runs work in a Web Worker. A loop that burns the CPU there is silent, as the
 * monitor in this thread sees, and is ended by terminating its thread.
 *
 * The streams behave as those of `startWorker()`, with the same backpressure and
 * the same table of endings; results, details and errors are cloned. An error
 * keeps its name, message, stack, cause and data; its class only if it is one of
 * the language's. Besides:
 *
 * | what ends it | `results` | `heartbeats` | the thread |
 * | --- | --- | --- | --- |
 * | the module cannot be loaded, or throws while loading | error with that | error with that | is gone |
 * | an error outside of the work, in a timer, say | error with that | error with that | is gone |
 * | its module posts what looks like a message of this library, and is none | error with a `TypeError` | error with that | is terminated |
 * | the work does not end within `stopTimeout` after `signal` aborted | close | close | is terminated |
 * | … after one of the streams was cancelled | as in that table | as in that table | is terminated |
 *
 * `finished` resolves however it ends, unless `stopTimeout` is `Infinity`. A thread
 * that closes itself, or whose module serves no work, does not end but is silent:
 * a monitor sees it, as a stall.
 *
 * Deno 2.9 does not end the loop of a thread that is terminated
 * ([denoland/deno#35657](https://github.com/denoland/deno/pull/35657)): nothing of
 * it is heard any more, but it burns its core until the process ends, and keeps
 * the process from ending by itself. Call `Deno.exit()` there when you are done,
 * or run such work by `startCommand()`.
 *
 * @typeParam R The type of a result.
 * @param specifier The URL of the module, which calls {@linkcode serveThread}.
 * @param options The input, the limits, and what `startWorker()` takes.
 * @returns The worker's streams.
 * @throws {TypeError} If `specifier` is not an absolute URL, an option is of the
 * wrong kind, or the runtime has no Web Workers, as Node.js.
 * @throws {RangeError} If `interval` or `stopTimeout` is `NaN`, zero or negative.
 * @throws {DOMException} If `input` or `lastDetail` cannot be cloned.
 *
 * @example End a loop that never ends
 * ```ts
 * import { HeartbeatTimeoutError, watch } from "@heartbeat/heartbeat";
 * import { startThread } from "@heartbeat/heartbeat/thread";
 * import { assertRejects } from "@std/assert";
 *
 * // as a rule a file: new URL("./loop.ts", import.meta.url)
 * const loop = `data:text/javascript,
 *   import { serveThread } from "${import.meta.resolve("@heartbeat/heartbeat/thread")}";
 *   serveThread(function* () {
 *     for (;;);
 *   });`;
 * const thread = startThread(loop, { interval: 100, stopTimeout: 100 });
 *
 * await assertRejects(
 *   () => Array.fromAsync(watch(thread, { timeout: 500, firstTimeout: 20_000 })),
 *   HeartbeatTimeoutError,
 * );
 * await thread.finished;
 * ```
 */
export function startThread<R>(
  specifier: string | URL,
  options: StartThreadOptions = {},
): WorkerStreams<R> {
  const action = "start thread";
  checkOptions(action, options);
  const {
    input,
    stopTimeout = 1_000,
    signal,
    name,
    interval = 1_000,
    lastDetail,
  } = options;
  if (
    !(specifier instanceof URL) &&
    (typeof specifier !== "string" || !URL.canParse(specifier))
  ) {
    throwInvalid(TypeError, action, "specifier", "an absolute URL", specifier);
  }
  checkDuration(action, "stopTimeout", stopTimeout);
  checkDuration(action, "interval", interval);
  checkSignal(action, signal);
  if (name !== undefined) checkString(action, "name", name);
  if (typeof Worker !== "function") {
    throwInvalid(
      TypeError,
      action,
      "globalThis.Worker",
      "the Web Worker of Deno, Bun or a browser",
      globalThis.Worker,
    );
  }

  let toResults!: ReadableStreamDefaultController<R>;
  let thread: Worker | undefined;
  /** What is said before the thread listens: a message that came while its module awaits would be lost. */
  let unsaid: HostMessage[] | undefined = [];
  let failure: Failure | undefined;
  let pulled: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let resultsEnded = false;
  let workEnded = false;
  let finish!: () => void;
  const finished = new Promise<void>((resolve) => finish = resolve);

  function say(message: HostMessage) {
    if (unsaid) unsaid.push(message);
    else thread?.postMessage(message);
  }

  function terminate() {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    thread?.terminate();
    thread = undefined;
    finish();
  }

  function endResults(failure?: Failure) {
    if (resultsEnded) return;
    resultsEnded = true;
    if (failure) toResults.error(failure.cause);
    else toResults.close();
    pulled?.();
    pulled = undefined;
    if (workEnded) end(failure);
  }

  function endHeartbeats(failure?: Failure) {
    if (failure) heartbeats.error(failure.cause);
    else heartbeats.close();
  }

  /** Ends all at once. */
  function end(failure?: Failure) {
    endHeartbeats(failure);
    endResults(failure);
    terminate();
  }

  function stop(side: "signal" | Side, reason: unknown) {
    say({ heartbeat: "stop", side, reason: serializeError(reason) });
    if (stopTimeout === Infinity || workEnded) return;
    timer ??= setTimeout(end, Math.min(stopTimeout, MAX_DELAY_MS));
  }

  function onAbort() {
    stop("signal", signal!.reason);
  }

  function onMessage({ data }: MessageEvent<unknown>) {
    if (!thread) return;
    try {
      const event = readThreadMessage(data);
      if (event) onThreadEvent(event);
    } catch (error) {
      end({ cause: error });
    }
  }

  function onThreadEvent(event: ThreadEvent) {
    if (event.type === "ready") {
      if (!unsaid) throwUnexpected("a second 'ready': it serves work twice");
      // stopped before the start: the work is not called
      if (signal?.aborted || resultsEnded) return end();
      const messages = unsaid;
      unsaid = undefined;
      messages.forEach(say);
    } else if (event.type === "beat") {
      heartbeats.put(event.beat);
    } else if (event.type === "result") {
      if (resultsEnded) return;
      if (!pulled) throwUnexpected("a result that was not asked for");
      toResults.enqueue(event.value as R);
      pulled();
      pulled = undefined;
    } else if (event.type === "end") {
      // one error for both streams, which the thread tells twice
      if (event.failure) failure ??= { cause: event.failure.error };
      const end = event.side === "results" ? endResults : endHeartbeats;
      end(event.failure && failure);
    } else if (event.type === "finished") {
      workEnded = true;
      clearTimeout(timer);
      finish();
      if (resultsEnded) end(failure);
    }
  }

  const results = new ReadableStream<R>({
    start: (controller) => void (toResults = controller),
    pull() {
      say({ heartbeat: "pull" });
      return new Promise((resolve) => pulled = resolve);
    },
    cancel(reason) {
      resultsEnded = true;
      heartbeats.close();
      stop("results", reason);
      if (workEnded) terminate();
    },
  }, { highWaterMark: 0 });
  const heartbeats = new ConflatedStream<Heartbeat>((reason) => {
    stop("heartbeats", reason);
    endResults({
      cause: reason ??
        new DOMException("The heartbeats were cancelled", "AbortError"),
    });
  });

  if (signal?.aborted) {
    end();
    return { results, heartbeats: heartbeats.readable, finished };
  }
  // the input as it is now, and an error if it cannot be cloned
  const given = structuredClone({ input, lastDetail });
  say({
    heartbeat: "start",
    input: given.input,
    options: { name, interval, lastDetail: given.lastDetail },
  });
  thread = new Worker(specifier, { type: "module", name: name ?? "" });
  thread.addEventListener("message", onMessage);
  thread.addEventListener("messageerror", () => {
    const message = "A message of the thread cannot be read";
    end({ cause: new DOMException(message, "DataCloneError") });
  });
  thread.addEventListener("error", (event) => {
    event.preventDefault();
    end({ cause: toError(event) });
  });
  signal?.addEventListener("abort", onAbort, { once: true });
  return { results, heartbeats: heartbeats.readable, finished };
}
