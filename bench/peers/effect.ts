// Copyright 2026 the heartbeat authors. MIT license.

import { Effect, Stream } from "npm:effect@4.1.0";
import {
  type Chunks,
  FILTERED,
  type GuardOptions,
  type Peer,
  PINGS,
  type Source,
} from "./peer.ts";

function stream(source: Source): Stream.Stream<Uint8Array, unknown> {
  return Stream.fromReadableStream({
    evaluate: () => source,
    onError: (error) => error,
  });
}

function fail() {
  return Stream.fail(new Error("Silence"));
}

export function guard(source: Source, options: GuardOptions): Chunks {
  const { timeout: duration, fallback, isPing } = options;
  const chunks = stream(source);
  const counted = isPing
    ? Stream.filter(chunks, (chunk) => !isPing(chunk))
    : chunks;
  return Stream.toAsyncIterable(Stream.timeoutOrElse(counted, {
    duration,
    orElse: () => fallback ? stream(fallback) : fail(),
  }));
}

export const effect: Peer = {
  name: "Effect `timeoutOrElse`",
  version: "effect 4.1.0",
  file: "effect.ts",
  guard,
  guardIterable: (iterable, duration) =>
    Stream.toAsyncIterable(
      Stream.timeoutOrElse(
        Stream.fromAsyncIterable(iterable, (error) => error),
        { duration, orElse: fail },
      ),
    ),
  guardPromise: (promise, timeout) =>
    Effect.runPromise(Effect.timeout(Effect.promise(() => promise), timeout)),
  guardRequest: (url, timeout) =>
    Effect.runPromise(
      Effect.timeout(
        Effect.promise((signal) => fetch(url, { signal })),
        timeout,
      ),
    ),
  notes: { [PINGS]: { yes: FILTERED } },
  alternative: {
    name: "`Stream.timeout`",
    guard: (source, { timeout }) =>
      Stream.toAsyncIterable(Stream.timeout(stream(source), timeout)),
  },
};
