// Copyright 2026 the heartbeat authors. MIT license.

/** Guards a pipe: passes standard input on, and fails when it is silent. */

import {
  forwardOutput,
  type GuardContext,
  openGrep,
  openObservers,
  runGuarded,
} from "./_cli_guard.ts";
import { LineMatcher } from "./_cli_grep.ts";
import { InputSource } from "./_cli_input.ts";
import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import type { HeartbeatMonitor } from "./monitor.ts";

/** Passes standard input on, and fails when it is silent; resolves to the exit code. */
export async function guardPipe(
  context: GuardContext,
  Monitor: typeof HeartbeatMonitor,
): Promise<number> {
  const { settings, output, shutdown: { signal } } = context;
  const { timeout } = settings;
  const isMatch = await openGrep(settings, output);
  const { observers, onSilence, gaps } = await openObservers(context);
  const run = async () => {
    const matcher = isMatch && new LineMatcher(isMatch);
    const others = new WeakSet<Uint8Array>();
    const source = new InputSource(Deno.stdin, (bytes) => {
      if (matcher?.test(bytes) === false) others.add(bytes);
    });
    const monitor = new Monitor<Uint8Array<ArrayBuffer>>({
      timeout,
      isHeartbeat(bytes) {
        const isSign = !others.has(bytes);
        if (isSign) observers.onProgress();
        return isSign;
      },
      onSilence,
      observe: gaps,
    });
    const input = source.readable.pipeThrough(monitor);
    observers.onStarted();
    try {
      await forwardOutput(input, async (bytes) => {
        observers.onChunk(bytes);
        await output.forward("stdout", bytes);
        source.release(bytes);
      }, signal);
      return 0;
    } catch (error) {
      if (!(error instanceof HeartbeatTimeoutError)) throw error;
      const { limit, elapsed, count } = error;
      observers.onEvent({
        type: "stalled",
        time: Date.now(),
        attempt: 1,
        limit,
        elapsed,
        timeout,
        count,
      });
      return 124;
    }
  };
  return await runGuarded(context, observers, run);
}
