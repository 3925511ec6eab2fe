// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Threads as workers: {@linkcode startThread} runs work in a Web Worker, whose
 * module calls {@linkcode serveThread} with that work.
 *
 * A loop that burns the CPU blocks its own event loop, and every monitor in it.
 * In a thread of its own it can be found and terminated.
 *
 * Deno, Bun and browsers have Web Workers; Node.js does not.
 *
 * @module
 */

import { ThreadHost } from "./_thread_host.ts";
import type { StartMessage } from "./_thread_messages.ts";
import {
  type ThreadScope,
  ThreadServer,
  type ThreadWork,
} from "./_thread_server.ts";
import {
  checkDuration,
  checkFunction,
  checkOptions,
  checkSignal,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import type {
  StartWorkerOptions,
  WorkContext,
  WorkerStreams,
} from "./worker.ts";

/** Options of {@linkcode startThread}. */
export interface StartThreadOptions extends StartWorkerOptions {
  /** What the work gets as `context.input`: anything that can be cloned. */
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
 * The argument of the work in a thread.
 *
 * @typeParam I The type of the input.
 */
export interface ThreadContext<I = unknown> extends WorkContext {
  /** A clone of the option `input` of {@linkcode startThread}. */
  readonly input: I;
}

/**
 * Runs work in this thread. Call it once, at the top level of the module that you
 * pass to {@linkcode startThread}.
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
 * const { results, finished } = startThread(squares, { input: { count: 3 } });
 *
 * assertEquals(await Array.fromAsync(results), [1, 4, 9]);
 * await finished; // the thread has ended
 * ```
 */
export function serveThread<R, I = unknown>(
  work: (
    context: ThreadContext<I>,
  ) => AsyncIterable<R> | Iterable<R | PromiseLike<R>>,
): void {
  const action = "serve thread";
  checkFunction(action, "work", work);
  const scope = globalThis as unknown as ThreadScope;
  if (typeof scope.postMessage !== "function") {
    const accepted = "a function, as it is in a Web Worker";
    const option = "globalThis.postMessage";
    throwInvalid(TypeError, action, option, accepted, scope.postMessage);
  }
  new ThreadServer(work as ThreadWork<R>, scope).listen();
}

/**
 * Runs work in a Web Worker. A loop that burns the CPU there is silent; the
 * monitor in this thread finds it, and the loop ends because its thread is
 * terminated.
 *
 * The streams behave as those of `startWorker()`, with the same backpressure and
 * the same table of endings. Results, details and errors are cloned. An error
 * keeps its name, message, stack, cause, data and, in an `AggregateError`, its
 * errors. It keeps its class if that is one of the language's. Besides:
 *
 * | what ends it | `results` | `heartbeats` | the thread |
 * | --- | --- | --- | --- |
 * | the module cannot be loaded, or throws while loading | error with that | error with the same | is terminated |
 * | an error outside of the work, such as in a timer | error with that | error with the same | is terminated |
 * | a result or a detail that cannot be cloned | error with a `DataCloneError` | error with the same | is terminated when the work has ended |
 * | a message that looks like one of this library, but breaks its protocol | error with a `TypeError` | error with the same | is terminated |
 * | `signal` aborts, or a stream is cancelled, before the module calls `serveThread()` | as in that table | as in that table | is terminated at once |
 * | the work does not end within `stopTimeout` after `signal` aborted | close | close | is terminated |
 * | … after one of the streams was cancelled | as in that table | as in that table | is terminated |
 *
 * `finished` resolves in all these cases, unless `stopTimeout` is `Infinity`. A
 * thread that closes itself, or whose module does not call `serveThread()`, is
 * only silent, so a monitor reports a stall.
 *
 * Deno 2.9 does not stop the loop of a terminated thread
 * ([denoland/deno#35657](https://github.com/denoland/deno/pull/35657)): its
 * messages are dropped, but it burns its core until the process ends, and keeps
 * the process from ending by itself. Call `Deno.exit()` when you are done, or run
 * such work with `startCommand()`.
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
 *     yield "started";
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
  checkStartOptions(specifier, options);
  const { stopTimeout = 1_000, signal, name } = options;
  return new ThreadHost<R>({
    createStart: () => createStartMessage(options),
    createThread: () =>
      new Worker(specifier, { type: "module", name: name ?? "" }),
    stopTimeout,
    signal,
  }).start();
}

function checkStartOptions(
  specifier: string | URL,
  options: StartThreadOptions,
) {
  const action = "start thread";
  checkOptions(action, options);
  const { stopTimeout = 1_000, signal, name, interval = 1_000 } = options;
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
    const accepted = "the Web Worker of Deno, Bun or a browser";
    const option = "globalThis.Worker";
    throwInvalid(TypeError, action, option, accepted, globalThis.Worker);
  }
}

/** Clones the input as it is now; throws if it cannot be cloned. */
function createStartMessage(options: StartThreadOptions): StartMessage {
  const { name, interval = 1_000 } = options;
  const { input, lastDetail } = structuredClone({
    input: options.input,
    lastDetail: options.lastDetail,
  });
  return { heartbeat: "start", name, interval, input, lastDetail };
}
