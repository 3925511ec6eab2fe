// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import type { FakeTime } from "@std/testing/time";
import {
  type AttemptContext,
  supervise,
  type SuperviseOptions,
  type SupervisorEvent,
} from "../supervisor.ts";
import { type Heartbeat, startWorker, type WorkerStreams } from "../worker.ts";
import { countListeners, createSource, readAll } from "./_help.ts";

export const TIMEOUT = 1000;
export const LOST = new Error("lost");
export const REASON = new Error("that is enough");
/** Every delay is 100 ms. */
export const STEADY = { min: 100, factor: 1, jitter: 0 };
/** Hangs, and ignores the abort. */
export const FOREVER = new Promise<never>(() => {});

/** Hangs until the signal aborts. */
export function hang(signal: AbortSignal) {
  return new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason))
  );
}

export const wait = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Supervises with a timeout of 1000 ms and 100 ms before each restart, and records all that can be seen. */
export function observe<R>(
  start: (context: AttemptContext) => WorkerStreams<R>,
  { onEvent, ...options }: Partial<SuperviseOptions> = {},
) {
  const { aborter, signal, listeners } = countListeners();
  const seen = {
    aborter,
    listeners,
    /** As they come out of JSON. */
    events: [] as SupervisorEvent[],
    contexts: [] as AttemptContext[],
    finished: false,
    types: () => seen.events.map((event) => event.type).join(" "),
    /** The delay of each restart. */
    delays: () =>
      seen.events.flatMap((event) =>
        event.type === "restarting" ? [event.delay] : []
      ),
  };
  const worker = supervise((context) => {
    seen.contexts.push(context);
    return start(context);
  }, {
    timeout: TIMEOUT,
    backoff: STEADY,
    signal,
    onEvent: (event) => {
      seen.events.push(JSON.parse(JSON.stringify(event)));
      onEvent?.(event);
    },
    ...options,
  });
  worker.finished.then(() => seen.finished = true);
  const results = readAll(worker.results);
  const heartbeats = readAll(worker.heartbeats);
  const ends = () => [results.end, heartbeats.end];
  return Object.assign(seen, { results, heartbeats, ends });
}

/** Asserts that nothing is left of a supervisor that has ended. */
export function assertClean(
  time: FakeTime,
  seen: { finished: boolean; listeners: Set<unknown> },
) {
  assertEquals(time.next(), false, "a timer was left");
  assertEquals(seen.listeners.size, 0, "a listener was left");
  assert(seen.finished, "'finished' is pending");
}

/** A worker whose streams the test controls. */
export function createManualWorker<R = number>() {
  const results = createSource<R>();
  const heartbeats = createSource<Heartbeat>();
  let seq = 0;
  let finish!: () => void;
  const finished = new Promise<void>((resolve) => finish = resolve);
  return {
    worker: {
      results: results.stream,
      heartbeats: heartbeats.stream,
      finished,
    },
    results,
    heartbeats,
    finish,
    beat: (detail?: unknown) =>
      heartbeats.controller.enqueue({
        worker: "manual",
        seq: ++seq,
        time: Date.now(),
        ...(detail !== undefined && { detail }),
      }),
    /** Adds a result; false if the stream has ended. */
    tryEnqueue(result: R) {
      try {
        results.controller.enqueue(result);
        return true;
      } catch {
        return false;
      }
    },
    close() {
      results.controller.close();
      heartbeats.controller.close();
      finish();
    },
  };
}

/** Starts work that throws at once. */
export const failing = ({ signal }: AttemptContext) =>
  startWorker<number>(() => {
    throw LOST;
  }, { signal });

/** Starts work that hangs until its signal aborts. */
export const hanging = ({ signal }: AttemptContext) =>
  startWorker(async function* ({ signal }) {
    yield await hang(signal);
  }, { signal });

/** Replaces `Math.random()`. */
export function withRandom(value: number) {
  const { random } = Math;
  Math.random = () => value;
  return { [Symbol.dispose]: () => void (Math.random = random) };
}
