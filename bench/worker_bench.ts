// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The cost per unit of a generator that runs as a worker, compared with the plain
 * `ReadableStream` that users would put around it. The heartbeats are read only
 * by `watch()` and `supervise()`.
 *
 * @module
 */

import { watch } from "../monitor.ts";
import { supervise } from "../supervisor.ts";
import { startWorker } from "../worker.ts";
import {
  candidate,
  compare,
  drain,
  judgeRatio,
  type Outcome,
} from "./_measure.ts";

const TIMEOUT = 30_000;

async function* generate(length: number) {
  for (let next = 0; next < length; next++) yield next;
}

function* generateSync(length: number) {
  for (let next = 0; next < length; next++) yield next;
}

function createPlain(it: AsyncGenerator<number>) {
  return new ReadableStream<number>({
    async pull(controller) {
      const { done, value } = await it.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => void it.return(reason),
  });
}

function createPlainSync(it: Generator<number>) {
  return new ReadableStream<number>({
    pull(controller) {
      const { done, value } = it.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => void it.return(reason),
  });
}

const plain = candidate(
  "plain `ReadableStream`",
  (length) => drain(createPlain(generate(length))),
);
const worker = candidate(
  "**`startWorker`**",
  (length) => drain(startWorker(() => generate(length)).results),
);
const fromAsync = [
  candidate(
    "`ReadableStream.from(generator)`",
    (length) => drain(ReadableStream.from(generate(length))),
  ),
  plain,
  worker,
  candidate(
    "`watch(startWorker)`",
    (length) =>
      drain(watch(startWorker(() => generate(length)), { timeout: TIMEOUT })),
  ),
  candidate("`supervise(startWorker)`", (length) =>
    drain(
      supervise(
        ({ signal }) => startWorker(() => generate(length), { signal }),
        { timeout: TIMEOUT },
      ).results,
    )),
];

const plainSync = candidate(
  "plain `ReadableStream`",
  (length) => drain(createPlainSync(generateSync(length))),
);
const fromSync = [
  candidate(
    "`ReadableStream.from(generator)`",
    (length) => drain(ReadableStream.from(generateSync(length))),
  ),
  plainSync,
  candidate(
    "**`startWorker`**",
    (length) => drain(startWorker(() => generateSync(length)).results),
  ),
];

/** Runs the bench. */
export async function run(): Promise<Outcome> {
  return {
    rows: [
      ...await compare("unit", plain, fromAsync),
      ...await compare("unit, sync", plainSync, fromSync),
    ],
    targets: [judgeRatio(worker, plain, 1.3)],
  };
}
