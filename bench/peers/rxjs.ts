// Copyright 2026 the heartbeat authors. MIT license.

import {
  filter,
  firstValueFrom,
  from,
  identity,
  Observable,
  timeout,
} from "npm:rxjs@7.8.2";
import { fromFetch } from "npm:rxjs@7.8.2/fetch";
import { eachValueFrom } from "npm:rxjs-for-await@1.0.0";
import {
  type Chunks,
  FILTERED,
  type GuardOptions,
  type Peer,
  PINGS,
  type Source,
} from "./peer.ts";

/** Cancels its source at once when unsubscribed; `from(source)` waits for the next chunk. */
export function observe<T>(source: ReadableStream<T>) {
  return new Observable<T>((subscriber) => {
    const reader = source.getReader();
    (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return subscriber.complete();
        subscriber.next(value);
      }
    })().catch((error) => subscriber.error(error));
    return () => void reader.cancel().catch(() => {});
  });
}

export function guard(source: Source, options: GuardOptions): Chunks {
  const { timeout: each, first, fallback, isPing } = options;
  const counted = isPing
    ? filter((chunk: Uint8Array) => !isPing(chunk))
    : identity<Observable<Uint8Array>>;
  return eachValueFrom(
    observe<Uint8Array>(source).pipe(
      counted,
      timeout({
        each,
        ...first !== undefined && { first },
        ...fallback && { with: () => observe(fallback) },
      }),
    ),
  );
}

export const rxjs: Peer = {
  name: "RxJS `timeout`",
  version: "rxjs 7.8.2 with rxjs-for-await 1.0.0",
  file: "rxjs.ts",
  guard,
  guardIterable: (iterable, each) =>
    eachValueFrom(from(iterable).pipe(timeout({ each }))),
  guardPromise: (promise, each) =>
    firstValueFrom(from(promise).pipe(timeout({ each }))),
  guardRequest: (url, each) =>
    firstValueFrom(fromFetch(url).pipe(timeout({ each }))),
  alternative: {
    name: "`from(stream)` instead of an `Observable` of your own",
    guard: (source, { timeout: each }) =>
      eachValueFrom(
        from(source as AsyncIterable<Uint8Array>).pipe(timeout({ each })),
      ),
  },
  notes: {
    [PINGS]: { yes: FILTERED },
    "The error carries the last item": {
      no: "documented as `info.lastValue`, which is always `null` " +
        "([rxjs 7324](https://github.com/ReactiveX/rxjs/issues/7324))",
    },
  },
};
