// Copyright 2026 the heartbeat authors. MIT license.

import { setImmediate } from "node:timers";
import type { FakeTime } from "@std/testing/time";

/**
 * Flags for child processes, so that they resolve packages as this one does. The
 * lock keeps them from installing other versions under the tests that run.
 */
export const NPM_FLAGS =
  /^npm:|\/node_modules\//.test(import.meta.resolve("@std/assert"))
    ? [
      "--import-map=import_map.npm.json",
      "--node-modules-dir=auto",
      "--lock=deno.lock",
      "--frozen",
    ]
    : [];

/** Advances the time in steps and runs the microtasks between and after them. */
export async function advance(time: FakeTime, ms: number, step = 50) {
  for (let rest = ms; rest > 0; rest -= step) {
    await runMicrotasks();
    time.tick(Math.min(step, rest));
  }
  await runMicrotasks();
}

/** A turn of the real event loop, before which all microtasks have run. */
function runMicrotasks() {
  return new Promise<void>((resolve) => void setImmediate(resolve));
}

/** A stream whose controller the test holds, with the reason of its cancellation. */
export function createSource<T>() {
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

export function randomBytes(size: number) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

/** Whether a process is running; a zombie (ended but not reaped) is not. */
export async function isRunning(pid: number) {
  const args = ["-o", "stat=", "-p", String(pid)];
  const stat = Deno.build.os === "linux"
    ? await Deno.readTextFile(`/proc/${pid}/stat`)
      .then((line) => line.slice(line.lastIndexOf(")") + 2), () => "")
    : new TextDecoder().decode(
      (await new Deno.Command("ps", { args }).output()).stdout,
    );
  return /^[^Z\s]/.test(stat);
}

/** A generator of pseudo-random numbers; the same seed gives the same numbers. */
export function mulberry32(seed: number) {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

/** Wraps a global that FakeTime fakes, and keeps it wrapped although FakeTime sets it again at every step. */
export function replaceGlobal<K extends "Date" | "setTimeout">(
  key: K,
  wrap: (fake: typeof globalThis[K]) => typeof globalThis[K],
) {
  const fake = globalThis[key];
  const wrapped = wrap(fake);
  let current = fake;
  const property = { configurable: true, enumerable: true };
  Object.defineProperty(globalThis, key, {
    ...property,
    get: () => current === fake ? wrapped : current,
    set: (value) => current = value,
  });
  return {
    [Symbol.dispose]: () => {
      const value = current;
      Object.defineProperty(globalThis, key, {
        ...property,
        writable: true,
        value,
      });
    },
  };
}

/** Makes `Date.now()` run ahead of the fake timers, as it does when timers are late. */
export function skewClock(time: FakeTime) {
  const clock = { ahead: 0 };
  const replaced = replaceGlobal("Date", (FakeDate) =>
    new Proxy(FakeDate, {
      get: (target, key) =>
        key === "now" ? () => time.now + clock.ahead : Reflect.get(target, key),
    }));
  return Object.assign(clock, replaced);
}

/** Blocks the event loop of this thread, without any load on the CPU. */
export function blockLoop(ms: number) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A signal with the set of those that listen to its `abort`. */
export function countListeners() {
  const aborter = new AbortController();
  const { signal } = aborter;
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener(...args: Parameters<typeof addEventListener>) {
      if (args[0] === "abort") listeners.add(args[1]);
      addEventListener.apply(signal, args);
    },
    removeEventListener(...args: Parameters<typeof removeEventListener>) {
      if (args[0] === "abort") listeners.delete(args[1]);
      removeEventListener.apply(signal, args);
    },
  });
  return { aborter, signal, listeners };
}

/** What was read from a stream. */
export interface Collected<T> {
  chunks: T[];
  /** `"closed"`, or the error. */
  end?: unknown;
  cancel(reason: unknown): Promise<void>;
}

/** Reads a stream to its end in the background and collects its chunks. */
export function readAll<T>(stream: ReadableStream<T>): Collected<T> {
  const reader = stream.getReader();
  const seen: Collected<T> = {
    chunks: [],
    cancel: (reason) => reader.cancel(reason),
  };
  (async () => {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        seen.chunks.push(value);
      }
      seen.end = "closed";
    } catch (error) {
      seen.end = error;
    }
  })();
  return seen;
}

/** Waits until the condition holds, for up to a minute: the machine may be busy. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  what = String(condition),
) {
  const end = performance.now() + 60_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
