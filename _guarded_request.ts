// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { isByteBody } from "./_byte_stream.ts";
import {
  createProgressReader,
  isEventStream,
  type ServerSentEvent,
} from "./_event_stream.ts";
import type { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import { HeartbeatRecord } from "./_heartbeat_record.ts";
import type { TimeoutLimit } from "./_heartbeat_timeout_error.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
import { ResponseWithBody } from "./_response_body.ts";
import { SilenceClock } from "./_silence_clock.ts";
import { StreamGuard, type StreamLimit } from "./_stream_guard.ts";
import { OwnedTimer } from "./_timers.ts";
import { formatValue, throwInvalid } from "./_validate.ts";

/** The limits of a {@linkcode GuardedRequest}, checked. All are in milliseconds. */
export interface RequestLimits {
  /** From the call to the headers. */
  firstTimeout: number;
  /** The silence of the line: no bytes arrive. */
  timeout: number;
  /** The silence of the work: bytes may arrive, but no progress. */
  progressTimeout: number;
  /** Everything. */
  totalTimeout: number;
  /** What counts as progress. */
  isProgress: (part: ServerSentEvent | Uint8Array) => boolean;
  /** Called when a silence is long, and when it ends. */
  onSilence: ((event: FetchSilenceEvent) => void) | undefined;
  /** After how much silence `onSilence` is called; half of each limit by default. */
  warnAfter: number | undefined;
  /** Where the silences are recorded, if they are observed. */
  gaps: FetchGaps | undefined;
}

/** How long the silences of a guarded `fetch` were, for each of its limits. */
export interface FetchGaps {
  /** From the calls to the headers. */
  readonly first: HeartbeatGaps;
  /** The silences of the line. */
  readonly silence: HeartbeatGaps;
  /** The silences of the work, if there is a `progressTimeout`. */
  readonly progress: HeartbeatGaps;
}

/** A long silence of a guarded `fetch`, or its end. */
export interface FetchSilenceEvent extends SilenceEvent<ServerSentEvent> {
  /** Which limit it approaches. */
  limit: TimeoutLimit;
  /** The URL, without its query and credentials. */
  source: string | undefined;
}

type Send = (signal: AbortSignal) => Promise<Response>;
type Body = ReadableStream<Uint8Array<ArrayBuffer>>;

/**
 * A response with one of these has no body, and none can be made with one. That
 * of Chromium has an empty stream all the same.
 */
const EMPTY_STATUSES = [101, 103, 204, 205, 304];

/** Closes the connection of a request whose response nobody holds any more. */
const dropped = new FinalizationRegistry<() => void>((close) => close());

/** Throws unless it is a response that can be guarded: that of `node-fetch` has a stream of Node.js. */
function checkResponse(response: Response) {
  const body = response?.body;
  if (body === null || typeof body?.getReader === "function") return;
  const given = response
    ? `has the body ${formatValue(body)}`
    : `gives ${response}`;
  throwInvalid(
    TypeError,
    "guard fetch",
    "fetch",
    "a function that gives a Response whose body is a ReadableStream or null",
    response,
    `one that ${given}`,
  );
}

/** Made once: a closure of a request would keep it. */
const onTotalTimeout = (request: GuardedRequest) => request.onTotalTimeout();

/**
 * One request under guard.
 *
 * | phase | headers arrive | no body, or one that is locked or used, or it ends | a read waits | a chunk arrives | a limit passes | the caller aborts |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `connecting` | → `unread`: resolve with the guarded response | → `ended`: resolve | | | → `ended`: reject, abort the request | → `ended`: reject with its reason, abort the request |
 * | `unread` | | → `ended` | → `reading` | | → `ended`: error the body, abort the request | → `ended`: error the body with its reason, abort the request |
 * | `reading` | | → `ended` | | → `unread` | as `unread` | as `unread` |
 * | `ended` | cancel the body | | | | | |
 *
 * In `unread`, no timer keeps the process or the response.
 * The request has a signal of its own. The caller's signal is followed, and
 * nothing of the caller is ever aborted.
 */
export class GuardedRequest {
  #phase: "connecting" | "unread" | "reading" | "ended" = "connecting";
  #limits: RequestLimits;
  #describeSource: () => string | undefined;
  #aborter = new AbortController();
  /** The silence until the headers, and then that of the line. */
  #clock: SilenceClock;
  /** What arrived on the line. */
  #record = new HeartbeatRecord<ServerSentEvent>();
  /** When the request was sent, by the wall clock. */
  #startedAt = Date.now();
  /** The same, by a clock that nobody sets. */
  #startMark = performance.now();
  #guard: StreamGuard<Uint8Array<ArrayBuffer>> | undefined;
  #reject!: (reason: unknown) => void;
  #totalTimer: OwnedTimer<GuardedRequest> | undefined;
  /** Removes the listener on the caller's signal, if there is one. */
  #unfollow: (() => void) | undefined;

  /**
   * @param limits The limits.
   * @param describeSource Says who is watched, for the error.
   */
  constructor(limits: RequestLimits, describeSource: () => string | undefined) {
    this.#limits = limits;
    this.#describeSource = describeSource;
    this.#clock = this.#createClock("silence", limits.timeout, this.#record);
  }

  /**
   * Sends the request.
   *
   * @param send Sends it with the given signal.
   * @param signal The caller's signal.
   * @returns The response, with a guarded body.
   */
  start(
    send: Send,
    signal: AbortSignal | null | undefined,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      // it is sent all the same, since that cancels the body of the request
      if (signal?.aborted) this.#fail(signal.reason);
      else this.#begin(signal);
      this.#send(send)
        .then((response) => this.#onResponse(response, resolve))
        // of the request, or of a `fetch` that gives no response
        .catch((error) => this.#fail(error));
    });
  }

  #begin(signal: AbortSignal | null | undefined) {
    if (signal) this.#follow(signal);
    this.#clock.attach();
    if (!this.#isTotalLate) this.#startTotal();
  }

  /** Without an async function, which costs a promise more. */
  #send(send: Send): Promise<Response> {
    try {
      return Promise.resolve(send(this.#aborter.signal));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Follows the caller's signal, weakly: an unread response must not stay with it. */
  #follow(signal: AbortSignal) {
    const weak = new WeakRef(this);
    function onAbort() {
      const request = weak.deref();
      if (request) request.#fail(signal.reason);
    }
    signal.addEventListener("abort", onAbort, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", onAbort);
  }

  #onResponse(response: Response, resolve: (response: Response) => void) {
    // the silence is over; if it was reported, `onSilence` is called, and may end all
    this.#clock.beat();
    if (this.#phase === "ended") {
      return void response.body?.cancel(this.#aborter.signal.reason)
        .catch(() => {});
    }
    this.#pauseClock();
    this.#limits.gaps?.first.record(Math.max(Date.now() - this.#startedAt, 0));
    resolve(this.#guardResponse(response));
  }

  /** Nothing counts until the body is read, but for `totalTimeout`. */
  #pauseClock() {
    // there is a timer anyway: the body uses it again
    if (this.#limits.totalTimeout < Infinity) this.#clock.suspend();
    else this.#clock.detach();
    this.#clock.onProgress();
  }

  /**
   * Whether the timer of `totalTimeout` is started only when that of the clock
   * fires. A timer costs much, and most requests end before that.
   */
  get #isTotalLate() {
    const { timeout, firstTimeout, totalTimeout } = this.#limits;
    return timeout < totalTimeout && timeout === firstTimeout;
  }

  /**
   * Starts the timer of `totalTimeout`.
   *
   * @param least How much time has passed at least, in milliseconds.
   */
  #startTotal(least = 0) {
    if (this.#totalTimer) return;
    const elapsed = Math.max(performance.now() - this.#startMark, least);
    const rest = Math.max(this.#limits.totalTimeout - elapsed, 0);
    this.#totalTimer = new OwnedTimer(this, onTotalTimeout, rest);
    if (this.#phase === "unread") this.#totalTimer.letGo(this);
  }

  /** The consumer waits for a chunk, or has it: it may never ask for another one. */
  #onTurn(turn: "producer" | "consumer") {
    this.#phase = turn === "producer" ? "reading" : "unread";
    if (turn === "producer") this.#totalTimer?.keep(this);
    else this.#totalTimer?.letGo(this);
  }

  #guardResponse(response: Response): Response {
    // first: Bun forgets the content type of a `data:` or `blob:` URL when the
    // body is touched before the headers
    void response?.headers;
    checkResponse(response);
    const { body, status } = response;
    const isEmpty = body === null || EMPTY_STATUSES.includes(status);
    // a body that somebody else has read or reads is theirs
    if (isEmpty || body.locked || response.bodyUsed) {
      this.#release();
      return response;
    }
    const stream = this.#guardBody(response, body);
    const throwIfFailed = () => this.#aborter.signal.throwIfAborted();
    const guarded = new ResponseWithBody(response, { stream, throwIfFailed });
    this.#phase = "unread";
    this.#totalTimer?.letGo(this);
    this.#closeOnceDropped();
    return guarded;
  }

  /** The platform does not close a connection whose body has a reader, as this one has. */
  #closeOnceDropped() {
    const aborter = this.#aborter;
    const unfollow = this.#unfollow;
    // it must not keep this request
    const close = () => {
      unfollow?.();
      aborter.abort();
    };
    dropped.register(this, close, this);
  }

  #guardBody(response: Response, source: Body): Body {
    const limits = [this.#createLineLimit()];
    if (this.#limits.progressTimeout < Infinity) {
      limits.push(this.#createProgressLimit(isEventStream(response)));
    }
    this.#guard = new StreamGuard({
      source,
      limits,
      isBytes: isByteBody(response, source),
      onTurn: (turn) => this.#onTurn(turn),
      onEnd: () => this.#release(),
    });
    return this.#guard.readable;
  }

  /** The line is alive as long as bytes of any kind arrive. */
  #createLineLimit(): StreamLimit<Uint8Array> {
    // each chunk counts, and the condition is always true
    const isHeartbeat = () => ++this.#record.count > 0;
    return { clock: this.#clock, isHeartbeat };
  }

  /** The work is alive as long as progress arrives. */
  #createProgressLimit(isEventStream: boolean): StreamLimit<Uint8Array> {
    const { progressTimeout, isProgress } = this.#limits;
    const record = new HeartbeatRecord<ServerSentEvent>(isProgress);
    const clock = this.#createClock("progress", progressTimeout, record);
    if (!isEventStream) {
      return { clock, isHeartbeat: (chunk) => isProgress(chunk) };
    }
    const isHeartbeat = createProgressReader((event) => record.take(event));
    return { clock, isHeartbeat };
  }

  #createClock(
    name: "silence" | "progress",
    timeout: number,
    record: HeartbeatRecord<ServerSentEvent>,
  ): SilenceClock {
    const { firstTimeout, onSilence, warnAfter, gaps } = this.#limits;
    const isProgress = name === "progress";
    const describeSource = this.#describeSource;
    return new SilenceClock({
      timeout,
      firstTimeout: isProgress ? timeout : firstTimeout,
      isSelective: isProgress,
      letsGo: true,
      warnAfter,
      onGap: gaps && ((gap) => gaps[name].record(gap)),
      onFirstGap: gaps &&
        ((gap) => gaps[this.#nameLimit(name)].recordFirst(gap)),
      onTimer: isProgress ? undefined : (delay) => this.#startTotal(delay),
      onStall: (stall) =>
        this.#fail(
          record.createError(stall, describeSource(), this.#nameLimit(name)),
        ),
      onSilence: onSilence && ((report) => {
        try {
          const source = describeSource();
          const limit = this.#nameLimit(name);
          onSilence({ ...record.createEvent(report), limit, source });
        } catch (error) {
          this.#fail(error);
        }
      }),
    });
  }

  #nameLimit(name: "silence" | "progress"): TimeoutLimit {
    return this.#phase === "connecting" ? "first" : name;
  }

  /** The time of `totalTimeout` is over. */
  onTotalTimeout() {
    const message =
      `The request took longer than ${this.#limits.totalTimeout} ms`;
    this.#fail(new DOMException(message, "TimeoutError"));
  }

  /** Rejects the promise, or errors the body, and closes the connection. */
  #fail(reason: unknown) {
    const phase = this.#phase;
    this.#release();
    if (phase === "ended") return;
    // does nothing after the headers
    this.#reject(reason);
    // first, so that the body errors with the reason itself
    this.#guard?.fail(reason);
    this.#aborter.abort(reason);
  }

  #release() {
    this.#phase = "ended";
    this.#clock.stop();
    this.#totalTimer?.cancel();
    this.#unfollow?.();
    dropped.unregister(this);
  }
}
