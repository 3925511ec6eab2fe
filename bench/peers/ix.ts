// Copyright 2026 the heartbeat authors. MIT license.

import { first, from } from "npm:ix@7.0.0/asynciterable";
import {
  catchError,
  filter,
  timeout,
} from "npm:ix@7.0.0/asynciterable/operators";
import {
  type Chunks,
  FILTERED,
  type GuardOptions,
  type Peer,
  PINGS,
  type Source,
} from "./peer.ts";

/** A source whose `return()` does not wait for a read, as that of `from(source)`, a generator, does. */
function iterate(source: Source): Chunks {
  const reader = source.getReader();
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => reader.read() as Promise<IteratorResult<Uint8Array>>,
      async return() {
        await reader.cancel();
        return { done: true, value: undefined };
      },
    }),
  };
}

export function guard(source: Source, options: GuardOptions): Chunks {
  const { timeout: dueTime, fallback, isPing } = options;
  const chunks = iterate(source);
  const counted = isPing
    ? filter((chunk: Uint8Array) => !isPing(chunk))(chunks)
    : chunks;
  const guarded = timeout<Uint8Array>(dueTime)(counted);
  if (!fallback) return guarded;
  return catchError<Uint8Array, Uint8Array>(() => from(fallback as Chunks))(
    guarded,
  );
}

export const ix: Peer = {
  name: "IxJS `timeout`",
  version: "ix 7.0.0",
  file: "ix.ts",
  guard,
  guardIterable: (iterable, dueTime) =>
    from(iterable).pipe(timeout<Uint8Array>(dueTime)),
  guardPromise: (promise, dueTime) =>
    first(from(promise).pipe(timeout(dueTime))) as typeof promise,
  guardRequest: (url, dueTime) =>
    first(from(fetch(url)).pipe(timeout(dueTime))) as Promise<unknown>,
  notes: { [PINGS]: { yes: FILTERED } },
  alternative: {
    name: "`from(stream)` instead of an iterator of your own",
    guard: (source, { timeout: dueTime }) =>
      from(source as Chunks).pipe(timeout<Uint8Array>(dueTime)),
  },
};
