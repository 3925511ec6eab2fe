// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * A `fetch` that does not hang: {@linkcode guardFetch} makes one for any client
 * that takes a `fetch` function.
 *
 * ```ts ignore
 * import OpenAI from "openai";
 * import { guardFetch } from "@heartbeat/heartbeat/fetch";
 *
 * const client = new OpenAI({ fetch: guardFetch({ timeout: 120_000 }) });
 * ```
 *
 * @module
 */

import type { ServerSentEvent } from "./_event_stream.ts";
import { type FetchArguments, readArguments } from "./_fetch_arguments.ts";
import {
  type FetchGaps,
  type FetchSilenceEvent,
  GuardedRequest,
} from "./_guarded_request.ts";
import { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import type { TimeoutLimit } from "./_heartbeat_timeout_error.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
import {
  checkDuration,
  checkFunction,
  checkOptions,
  checkSilenceReport,
  throwInvalid,
} from "./_validate.ts";

export { HeartbeatGaps };
export type {
  FetchGaps,
  FetchSilenceEvent,
  ServerSentEvent,
  SilenceEvent,
  TimeoutLimit,
};

/** Options of {@linkcode guardFetch}. All durations are positive numbers of milliseconds; `Infinity` turns a limit off. */
export interface GuardFetchOptions {
  /**
   * The silence of the line: how long no byte may arrive while the body is read.
   * Bytes of any kind count, keep-alive pings included.
   */
  timeout: number;
  /**
   * From the call to the response's headers: DNS, connect, TLS, the upload of the
   * request's body, and the time in which the server thinks before it answers.
   *
   * @default {timeout}
   */
  firstTimeout?: number | undefined;
  /**
   * The silence of the work: how long no progress may arrive while the body is
   * read. In `text/event-stream`, progress is an event that has data and is not
   * named `ping`. In any other body it is any byte. `isProgress` decides
   * otherwise. Of an event of more than 1,048,576 characters, each such part is
   * progress, whatever `isProgress` says: it is not kept as a whole.
   *
   * @default {Infinity}
   */
  progressTimeout?: number | undefined;
  /**
   * From the call to the end of the body. Nothing moves it.
   *
   * @default {Infinity}
   */
  totalTimeout?: number | undefined;
  /**
   * Says what is progress. It gets each event of a `text/event-stream`, and each
   * chunk of bytes of any other body. It must not change or keep the bytes. What
   * it throws errors the body. It needs `progressTimeout`.
   */
  isProgress?: ((part: ServerSentEvent | Uint8Array) => boolean) | undefined;
  /**
   * Called when a silence passes `warnAfter`, and once more when it ends; not if
   * it ends as a stall. What it throws ends the request. With limits of
   * `Infinity` and a `warnAfter`, silences are reported and nothing is ended.
   */
  onSilence?: ((event: FetchSilenceEvent) => void) | undefined;
  /**
   * After how much silence `onSilence` is called, in milliseconds: a positive
   * number, `Infinity` for never.
   *
   * @default {half of each limit}
   */
  warnAfter?: number | undefined;
  /**
   * Records how long the silences are, for the `gaps` of the function: which
   * limits should I give? It costs two looks at the wall clock per chunk.
   *
   * @default {false}
   */
  observe?: boolean | undefined;
  /**
   * Sends the requests.
   *
   * @default {globalThis.fetch}
   */
  fetch?: typeof fetch | undefined;
}

/** What {@linkcode guardFetch} returns. */
export type GuardedFetch = typeof fetch & {
  /** The silences of all requests so far, if `observe` is set. */
  readonly gaps: FetchGaps | undefined;
};

/**
 * Makes a `fetch` whose requests end in an error when they hang. *Pings prove
 * the line, tokens prove the work*: both have a limit of their own.
 *
 * What it promises:
 *
 * 1. Before the headers the returned promise rejects with the error. After them
 *    the body errors with it. In both cases the connection is closed. A limit
 *    that was passed is a {@linkcode HeartbeatTimeoutError}, whose `limit` says
 *    which (`"first"`, `"silence"`, `"progress"`) and whose `source` is the URL
 *    without its query and credentials; `totalTimeout` is a `TimeoutError`, as of
 *    `AbortSignal.timeout()`.
 * 2. An abort by the caller comes through with the caller's own reason. The
 *    caller's controller is never aborted.
 * 3. The response is the response: `url`, `redirected`, `type`, `status`,
 *    `headers`, `clone()` and `instanceof Response`. The body's bytes pass
 *    unchanged and with backpressure. A slow consumer is not silence, and for a
 *    body that nobody reads only `totalTimeout` counts. Such a body does not
 *    keep the process alive. Once it was dropped, its memory is freed and its
 *    connection closed, whether or not some of it was read.
 * 4. A response without a body, an HTTP error, a redirect, an aborted signal,
 *    `data:` and `blob:` URLs behave as with plain `fetch`.
 * 5. Each limit gets a fresh window after an absence of this process (a blocked
 *    event loop, a suspended process, sleep), as in `HeartbeatMonitor`.
 *
 * The upload of a request's body counts towards `firstTimeout`, because the
 * platform does not report its progress.
 *
 * Node.js (undici) and Bun also end a request by themselves after 300 s without
 * a byte, before the headers and in the body; Bun does so up to a minute later.
 * To wait longer, give a `fetch` that passes an undici `Agent` with another
 * `headersTimeout` and `bodyTimeout` as the `dispatcher`, or Bun's
 * `timeout: false`.
 *
 * @param options The limits.
 * @returns A function to be used in the place of `fetch`.
 * @throws {TypeError} If an option is of the wrong kind.
 * @throws {RangeError} If a limit is `NaN`, zero or negative.
 *
 * @example A body that goes silent
 * ```ts
 * import { HeartbeatTimeoutError } from "@heartbeat/heartbeat";
 * import { guardFetch } from "@heartbeat/heartbeat/fetch";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * // in real life there is no need for this: globalThis.fetch is the default
 * const silent = () => Promise.resolve(new Response(new ReadableStream()));
 * const fetch = guardFetch({ timeout: 100, fetch: silent });
 *
 * const response = await fetch("https://api.example.com/v1/chat?key=secret");
 * const error = await assertRejects(() => response.text(), HeartbeatTimeoutError);
 * assertEquals(error.limit, "silence");
 * assertEquals(error.source, "https://api.example.com/v1/chat");
 * ```
 *
 * @example Pings that hide a dead stream
 * ```ts
 * import { guardFetch, type ServerSentEvent } from "@heartbeat/heartbeat/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * const fetch = guardFetch({
 *   firstTimeout: 60_000, // until the headers
 *   timeout: 30_000, // the connection: any byte, pings included
 *   progressTimeout: 120_000, // the work: events with data
 *   totalTimeout: 600_000, // everything
 * });
 *
 * const response = await fetch("data:text/event-stream,data:%20Hello%0A%0A");
 * assertEquals(await response.text(), "data: Hello\n\n");
 * ```
 */
export function guardFetch(options: GuardFetchOptions): GuardedFetch {
  const { send, limits } = readOptions(options);
  function guardedFetch(...args: FetchArguments): Promise<Response> {
    try {
      const { url, signal, withSignal } = readArguments(args);
      const request = new GuardedRequest(limits, () => describeUrl(url));
      return request.start(
        (guard) => (send ?? globalThis.fetch)(...withSignal(guard)),
        signal,
      );
    } catch (error) {
      // of a getter of the arguments
      return Promise.reject(error);
    }
  }
  return Object.assign(guardedFetch as typeof fetch, { gaps: limits.gaps });
}

function readOptions(options: GuardFetchOptions) {
  const action = "guard fetch";
  checkOptions(action, options);
  const {
    timeout,
    firstTimeout = timeout,
    progressTimeout = Infinity,
    totalTimeout = Infinity,
    isProgress = hasContent,
    onSilence,
    warnAfter,
    observe = false,
    fetch: send,
  } = options;
  const durations = { timeout, firstTimeout, progressTimeout, totalTimeout };
  for (const [name, value] of Object.entries(durations)) {
    checkDuration(action, name, value);
  }
  checkFunction(action, "isProgress", isProgress);
  if (options.isProgress !== undefined && progressTimeout === Infinity) {
    const accepted = "finite where 'isProgress' is given";
    throwInvalid(
      RangeError,
      action,
      "progressTimeout",
      accepted,
      progressTimeout,
    );
  }
  checkSilenceReport(action, onSilence, warnAfter);
  if (typeof observe !== "boolean") {
    throwInvalid(TypeError, action, "observe", "a boolean", observe);
  }
  if (send !== undefined) checkFunction(action, "fetch", send);
  const gaps = observe ? createGaps() : undefined;
  return {
    send,
    limits: { ...durations, isProgress, onSilence, warnAfter, gaps },
  };
}

function createGaps(): FetchGaps {
  return {
    first: new HeartbeatGaps(),
    silence: new HeartbeatGaps(),
    progress: new HeartbeatGaps(),
  };
}

/** Whether a part is progress, unless the user decides otherwise. */
function hasContent(part: ServerSentEvent | Uint8Array): boolean {
  if (part instanceof Uint8Array) return true;
  return part.data !== "" && part.event !== "ping";
}

/** The URL of a request, without what may be secret: credentials, query, fragment. */
function describeUrl(text: string): string | undefined {
  try {
    const url = new URL(text, globalThis.location?.href);
    if (url.protocol === "data:") return "data:";
    return `${url.protocol}//${url.host}${url.pathname}`;
  } catch {
    // the request fails by itself
    return undefined;
  }
}
