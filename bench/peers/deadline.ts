// Copyright 2026 the heartbeat authors. MIT license.

import * as async from "@std/async/deadline";
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
  const { timeout, first = timeout, isPing } = options;
  const reader = (isPing ? withoutPings(source, isPing) : source).getReader();
  try {
    for (let ms = first;; ms = timeout) {
      const { done, value } = await async.deadline(reader.read(), ms);
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export const deadline: Peer = {
  name: "`deadline`, per read",
  version: "@std/async 1",
  file: "deadline.ts",
  guard,
  async *guardIterable(iterable, ms) {
    const iterator = iterable[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await async.deadline(iterator.next(), ms);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      iterator.return?.(); // waiting for it would be waiting for a read
    }
  },
  guardPromise: async.deadline,
  async guardRequest(url, ms) {
    const aborter = new AbortController();
    try {
      return await async.deadline(fetch(url, aborter), ms);
    } catch (error) {
      aborter.abort(error);
      throw error;
    }
  },
  notes: {
    [PINGS]: { yes: FILTERED },
    "Covers connect and headers": {
      yes: "if the caller aborts the request in a `catch`",
    },
    "The source is cancelled on a stall": {
      yes: "by the `finally` of the caller's own loop",
    },
  },
};
