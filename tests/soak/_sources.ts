// Copyright 2026 the heartbeat authors. MIT license.

import {
  startWorker,
  type WorkContext,
  type WorkerStreams,
} from "../../worker.ts";
import { type Dice, Fault } from "./_dice.ts";

/** Work that stalls and fails at random. */
export async function* generate(dice: Dice, { signal, beat }: WorkContext) {
  try {
    for (let n = dice.below(20); n > 0 && !signal.aborted; n--) {
      if (dice.chance(0.3)) beat({ n });
      if (dice.chance(0.05)) await dice.hang(signal);
      dice.fault("work");
      if (dice.chance(0.5)) await dice.sleep(dice.below(50));
      yield n;
    }
  } finally {
    dice.fault("finally");
  }
}

/** An iterator by hand, sync or not, with faults in all its methods. */
function iterate(dice: Dice): Iterable<number> & AsyncIterable<number> {
  let n = dice.below(20);
  const sync = dice.chance(0.5);
  const step = () => {
    dice.fault("next");
    return n-- > 0 ? { value: n, done: false } : { value: 0, done: true };
  };
  const end = () => {
    dice.fault("return", 0.2);
    return { value: 0, done: true };
  };
  const iterator = {
    next: () => sync ? step() : dice.sleep(dice.below(30)).then(step),
    return: () => sync ? end() : dice.sleep(dice.below(30)).then(end),
  };
  return {
    [sync ? Symbol.iterator : Symbol.asyncIterator]: () => iterator,
  } as never;
}

/** A stream with faults in all its methods. */
export function createFaultyStream(dice: Dice): ReadableStream<number> {
  let n = dice.below(20);
  return new ReadableStream({
    async pull(controller) {
      dice.fault("pull");
      await dice.sleep(dice.chance(0.03) ? 1_000 : dice.below(30));
      if (n-- <= 0) controller.close();
      else controller.enqueue(n);
    },
    cancel: () => dice.fault("cancel", 0.2),
  });
}

/** A worker over one of the kinds of work. */
export function startAny(
  dice: Dice,
  signal: AbortSignal,
): WorkerStreams<unknown> {
  const generator = (context: WorkContext) => generate(dice, context);
  const work = dice.pick<(context: WorkContext) => AsyncIterable<number>>([
    generator,
    generator,
    () => iterate(dice),
    () => createFaultyStream(dice),
    () => {
      throw new Fault("work");
    },
  ]);
  return startWorker<unknown>(work, { signal, interval: 50 });
}

/** The script of a thread; its `input` says when it fails and hangs. */
export const THREAD = `data:text/javascript,${
  encodeURIComponent(`
    import { serveThread } from "${import.meta.resolve("../../thread.ts")}";
    serveThread(async function* ({ input, signal, beat }) {
      try {
        for (let n = 1; n <= input.length; n++) {
          beat(n);
          if (n === input.faultAt) throw new Error("Fault");
          if (n === input.hangAt) {
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          }
          yield n;
        }
      } finally {
        if (input.badEnd) throw new Error("Fault");
      }
    });`)
}`;
