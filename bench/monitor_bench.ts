// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The cost per chunk of a stream through a monitor, compared with what users
 * would use instead.
 *
 * @module
 */

import { deadline } from "@std/async/deadline";
import pTimeout from "npm:p-timeout@8.0.0";
import { timeout } from "npm:rxjs@7.8.2";
import { HeartbeatMonitor, watch } from "../monitor.ts";
import {
  candidate,
  compare,
  drain,
  judgeRatio,
  type Outcome,
  type Run,
} from "./_measure.ts";
import { observe } from "./peers/rxjs.ts";

const TIMEOUT = 30_000;
/** `deadline()` leaves a timer per chunk behind: short ones, so that they end before the others run. */
const DEADLINE = 250;
/** The share of the chunks for a slow candidate. */
const SLOW = 0.1;

type Source = ReadableStream<number>;

function createSource(length: number): Source {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      if (next < length) controller.enqueue(next++);
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

/** A run that passes the chunks of a new source. */
function passing(pass: (source: Source) => Promise<number>): Run {
  return (length) => pass(createSource(length));
}

/** Drains through what `create` returns. */
function piped(create: () => TransformStream<number, number>) {
  return passing((source) => drain(source.pipeThrough(create())));
}

/** Drains with our own `Observable`, which is faster than RxJS's `from(source)`. */
async function observed(source: Source) {
  let count = 0;
  await observe(source).pipe(timeout({ each: TIMEOUT }))
    .forEach(() => void count++);
  return count;
}

/** A transform stream with the queues of the monitor. */
function transform(transformer: Transformer<number, number>) {
  const [writable, readable] = [{ highWaterMark: 4 }, { highWaterMark: 0 }];
  return new TransformStream(transformer, writable, readable);
}

function createNaiveMonitor() {
  let timer: ReturnType<typeof setTimeout>;
  function start(controller: TransformStreamDefaultController<number>) {
    timer = setTimeout(() => controller.error(new Error("silence")), TIMEOUT);
  }
  return transform({
    start,
    transform(chunk, controller) {
      clearTimeout(timer);
      start(controller);
      controller.enqueue(chunk);
    },
    flush: () => clearTimeout(timer),
    cancel: () => clearTimeout(timer),
  });
}

const baseline = candidate(
  "one-line `transform()`",
  piped(() => transform({ transform: (chunk, c) => c.enqueue(chunk) })),
);
const monitor = candidate(
  "**`HeartbeatMonitor`**",
  piped(() => new HeartbeatMonitor({ timeout: TIMEOUT })),
);
const naive = candidate(
  "naive monitor: a timer per chunk",
  piped(createNaiveMonitor),
  SLOW,
);
const identity = candidate(
  "identity `TransformStream`",
  piped(() => new TransformStream()),
);
const watched = candidate(
  "**`watch(stream)`**",
  passing((source) => drain(watch(source, { timeout: TIMEOUT }))),
);
const candidates = [
  candidate("bare source", passing(drain)),
  identity,
  watched,
  baseline,
  monitor,
  candidate(
    "`HeartbeatMonitor` with `isHeartbeat`",
    piped(() =>
      new HeartbeatMonitor({ timeout: TIMEOUT, isHeartbeat: () => true })
    ),
  ),
  naive,
  candidate("RxJS `timeout({ each })`", passing(observed), SLOW),
  candidate(
    "`p-timeout` per read",
    passing((source) =>
      drain(source, (it) => pTimeout(it, { milliseconds: TIMEOUT }))
    ),
    SLOW,
  ),
  candidate(
    "`@std/async/deadline` per read",
    passing((source) => drain(source, (it) => deadline(it, DEADLINE))),
    SLOW,
    DEADLINE,
  ),
];

/** Runs the bench. */
export async function run(): Promise<Outcome> {
  return {
    rows: await compare("chunk", baseline, candidates),
    targets: [
      judgeRatio(monitor, baseline, 1.1),
      judgeRatio(monitor, naive, 0.35),
      judgeRatio(watched, identity, 1),
    ],
  };
}
