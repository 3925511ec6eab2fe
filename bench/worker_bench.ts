/**
 * What it costs per unit to run a generator as a worker, beside the plain
 * `ReadableStream` that users would put around it, in one interleaved run; the
 * heartbeats are not read, unless by what watches over the worker. The first
 * argument is the number of units.
 *
 * @module
 */

import { watch } from "../monitor.ts";
import { supervise } from "../supervisor.ts";
import { startWorker } from "../worker.ts";
import { candidate, compare, drain, printBar } from "./_measure.ts";

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
  "plain `ReadableStream`, sync",
  (length) => drain(createPlainSync(generateSync(length))),
);
const fromSync = [
  candidate(
    "`ReadableStream.from(generator)`, sync",
    (length) => drain(ReadableStream.from(generateSync(length))),
  ),
  plainSync,
  candidate(
    "`startWorker`, sync",
    (length) => drain(startWorker(() => generateSync(length)).results),
  ),
];

await compare("unit", [[plain, fromAsync], [plainSync, fromSync]]);
printBar("worker", worker, plain, 1.3);
