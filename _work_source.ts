// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { Work } from "./_worker_types.ts";

/** Where the results of work come from. */
export interface WorkSource<R> {
  /** Runs a unit. A synchronous iterator answers synchronously. */
  next(): IteratorResult<R> | PromiseLike<IteratorResult<R>>;
  /** Asks the work to end. It may be called while `next()` is pending. */
  close(reason: unknown): unknown;
}

/** Whether a value is a promise or looks like one. */
export function isThenable<T>(
  value: T | PromiseLike<T>,
): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null)?.then === "function";
}

/** Throws unless `result` is what an iterator has to return. */
export function checkIteratorResult(result: unknown) {
  if (typeof result === "object" && result !== null) return;
  if (typeof result === "function") return;
  throw new TypeError(
    `Cannot take a result as the iterator returned no object: it returned ${
      String(result)
    }`,
  );
}

/**
 * Opens what the work returned.
 *
 * @throws {TypeError} If it is not an iterable.
 */
export function openSource<R>(
  iterable: Awaited<ReturnType<Work<R>>>,
): WorkSource<R> {
  if (iterable instanceof ReadableStream) return openStream(iterable);
  const object = Object(iterable);
  if (typeof object[Symbol.asyncIterator] === "function") {
    const iterator: AsyncIterator<R> = object[Symbol.asyncIterator]();
    return {
      next: () => iterator.next(),
      close: () => iterator.return?.(),
    };
  }
  if (typeof object[Symbol.iterator] === "function") {
    return openSyncIterator<R>(object[Symbol.iterator]());
  }
  throw new TypeError(
    `Cannot start worker as 'work' must return an iterable or an async iterable: it returned ${
      String(iterable)
    }`,
  );
}

/** A stream is read directly: its iterator does not cancel it while a read is pending. */
function openStream<R>(stream: ReadableStream<R>): WorkSource<R> {
  const reader = stream.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<R>>,
    close: (reason) => reader.cancel(reason),
  };
}

function openSyncIterator<R>(
  iterator: Iterator<R | PromiseLike<R>>,
): WorkSource<R> {
  return {
    next() {
      const result = iterator.next();
      checkIteratorResult(result);
      const { done, value } = result;
      try {
        if (!isThenable(value)) return result as IteratorResult<R>;
      } catch (error) {
        // a getter named `then` threw
        if (!done) closeQuietly(iterator);
        throw error;
      }
      return awaitValue(iterator, done, value);
    },
    close: () => iterator.return?.(),
  };
}

/** Waits for a promise among the results, and ends the iterator if it rejects. */
async function awaitValue<R>(
  iterator: Iterator<R | PromiseLike<R>>,
  done: boolean | undefined,
  value: PromiseLike<R>,
) {
  try {
    return { done, value: await value } as IteratorResult<R>;
  } catch (error) {
    if (!done) closeQuietly(iterator);
    throw error;
  }
}

/** Ends an iterator after an error, which matters more than what `return()` throws. */
function closeQuietly(iterator: Iterator<unknown>) {
  try {
    iterator.return?.();
  } catch {
    // the first error is the one to report
  }
}
