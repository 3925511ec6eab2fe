// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { type GuardObserver, GuardObservers } from "../_cli_observers.ts";

Deno.test("GuardObservers calls each method of each observer, in their order", async () => {
  const calls: unknown[] = [];
  const create = (name: string): Required<GuardObserver> => ({
    start: () => void calls.push([name, "start"]),
    onStarted: () => void calls.push([name, "started"]),
    onChunk: (bytes) => void calls.push([name, bytes]),
    onProgress: () => void calls.push([name, "progress"]),
    onHeartbeat: (beat) => void calls.push([name, beat]),
    onEvent: (event) => void calls.push([name, event]),
    end: async (end) => {
      await Promise.resolve();
      calls.push([name, end]);
    },
  });
  const observers = new GuardObservers([
    create("a"),
    undefined,
    {},
    create("b"),
  ]);
  const bytes = new Uint8Array(1);
  const beat = { worker: "make", seq: 1, time: 0 };
  const event = { type: "ended" as const, time: 0, attempt: 1 };
  const { signal: killNow } = new AbortController();
  const end = { code: 0, isPlanned: true, killNow };
  observers.start();
  observers.onStarted();
  observers.onChunk(bytes);
  observers.onProgress();
  observers.onHeartbeat(beat);
  observers.onEvent(event);
  await observers.end(end);
  const expected = ["start", "started", bytes, "progress", beat, event, end];
  assertEquals(
    calls,
    expected.flatMap((call) => [["a", call], ["b", call]]),
  );
});
