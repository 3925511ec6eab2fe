// Copyright 2026 the heartbeat authors. MIT license.

import timeOut from "npm:p-timeout@8.0.0";
import {
  type Chunks,
  FILTERED,
  type GuardOptions,
  type Peer,
  PINGS,
  type Source,
  withoutPings,
} from "./peer.ts";

export async function* guard(source: Source, options: GuardOptions): Chunks {
  const { timeout, first = timeout, fallback, isPing } = options;
  let reader = (isPing ? withoutPings(source, isPing) : source).getReader();
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
  guardRequest(url, milliseconds) {
    const aborter = new AbortController();
    const response = Object.assign(fetch(url, aborter), {
      cancel: () => aborter.abort(),
    });
    return timeOut(response, { milliseconds });
  },
  notes: {
    [PINGS]: { yes: FILTERED },
    "Covers connect and headers": {
      yes:
        "if the caller gives the promise a `cancel()` that aborts the request",
    },
    "The source is cancelled on a stall": {
      yes: "by the `cancel()` that the caller adds to the promise of each read",
    },
  },
};
