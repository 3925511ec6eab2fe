// Copyright 2026 the heartbeat authors. MIT license.

import timeOut from "npm:p-timeout@8.0.0";
import type { Chunks, GuardOptions, Peer, Source } from "./peer.ts";

export async function* guard(source: Source, options: GuardOptions): Chunks {
  const { timeout, first = timeout, fallback } = options;
  let reader = source.getReader();
  try {
    for (let milliseconds = first;; milliseconds = timeout) {
      const read = Object.assign(reader.read(), {
        cancel: reader.cancel.bind(reader), // what it calls on a timeout
      });
      const { done, value } = await timeOut(read, {
        milliseconds,
        ...fallback && {
          fallback() {
            reader = fallback.getReader();
            return reader.read();
          },
        },
      });
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export const pTimeout: Peer = {
  name: "`p-timeout`, per read",
  version: "p-timeout 8.0.0",
  file: "p_timeout.ts",
  guard,
  async *guardIterable(iterable, milliseconds) {
    const iterator = iterable[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await timeOut(iterator.next(), { milliseconds });
        if (next.done) return;
        yield next.value;
      }
    } finally {
      iterator.return?.(); // waiting for it would be waiting for a read
    }
  },
  guardPromise: (promise, milliseconds) => timeOut(promise, { milliseconds }),
  notes: {
    "The source is cancelled on a stall": {
      yes: "by the `cancel()` that the caller adds to the promise of each read",
    },
  },
};
