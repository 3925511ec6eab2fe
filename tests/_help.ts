import type { FakeTime } from "@std/testing/time";

/** Lets time pass in steps, with the microtasks run between and after them. */
export async function pass(time: FakeTime, ms: number, step = 50) {
  for (let rest = ms; rest > 0; rest -= step) {
    await time.tickAsync(Math.min(step, rest));
  }
  await time.runMicrotasks();
}

/** A source that is fed by hand, and tells how it was cancelled. */
export function byHand<T>() {
  const source = {} as {
    stream: ReadableStream<T>;
    controller: ReadableStreamDefaultController<T>;
    cancelled?: unknown;
  };
  source.stream = new ReadableStream<T>({
    start: (controller) => void (source.controller = controller),
    cancel: (reason) => void (source.cancelled = reason),
  });
  return source;
}
