// Copyright 2026 the heartbeat authors. MIT license.

import { Fault } from "./_dice.ts";

const scope = globalThis as unknown as Record<string, unknown>;

/** Adds the timers of `setTimeout` or `setInterval` to the map while they are outstanding. */
function trackTimers(kind: string, timers: Map<number, string>) {
  const [set, clear] = [`set${kind}`, `clear${kind}`].map((name) =>
    scope[name] as (...args: unknown[]) => unknown
  );
  scope[`set${kind}`] = (run: () => void, ...rest: unknown[]) => {
    const timer = set!(() => {
      if (kind === "Timeout") timers.delete(Number(timer));
      run();
    }, ...rest);
    timers.set(Number(timer), String(new Error(kind).stack));
    return timer;
  };
  scope[`clear${kind}`] = (timer: unknown) => {
    timers.delete(Number(timer));
    clear!(timer);
  };
}

function trackThreads(threads: Set<Worker>) {
  scope.Worker = class extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      threads.add(this);
    }
    override terminate() {
      threads.delete(this);
      super.terminate();
    }
  };
}

/** Counts what may be left behind, until it is disposed of. */
export function trackLeftovers() {
  const { setTimeout, clearTimeout, setInterval, clearInterval, Worker } =
    globalThis;
  const timers = new Map<number, string>();
  const threads = new Set<Worker>();
  const unhandled: unknown[] = [];
  trackTimers("Timeout", timers);
  trackTimers("Interval", timers);
  trackThreads(threads);
  function onUnhandled(event: PromiseRejectionEvent) {
    event.preventDefault();
    // onEvent() of a supervisor whose streams have ended: nobody else could get it
    const { reason } = event;
    if (reason instanceof Fault && reason.message === "onEvent") return;
    unhandled.push(reason);
  }
  globalThis.addEventListener("unhandledrejection", onUnhandled);
  return {
    timers,
    threads,
    unhandled,
    [Symbol.dispose]() {
      Object.assign(scope, {
        ...{ setTimeout, clearTimeout, setInterval, clearInterval, Worker },
      });
      globalThis.removeEventListener("unhandledrejection", onUnhandled);
    },
  };
}
