// Copyright 2026 the heartbeat authors. MIT license.

/** What guarding a command and guarding a pipe have in common. */

import type { Settings } from "./_cli_args.ts";
import { type LineTest, openLineTest } from "./_cli_grep.ts";
import { type HealthModules, openHealth } from "./_cli_health.ts";
import { NoticeReporter } from "./_cli_notices.ts";
import { type GuardObserver, GuardObservers } from "./_cli_observers.ts";
import { type CliOutput, toFailureCode } from "./_cli_output.ts";
import { Pinger } from "./_cli_ping.ts";
import type { Shutdown } from "./_cli_shutdown.ts";
import { GuardStats } from "./_cli_stats.ts";
import { openSystemd } from "./_cli_systemd.ts";
import type { SilenceEvent } from "./_monitor_options.ts";

/** What every guard is given. */
export interface GuardContext {
  settings: Settings;
  output: CliOutput;
  shutdown: Shutdown;
  /** Imports what serves the health. */
  loadHealth: () => Promise<HealthModules>;
}

/** Opens all that follows a run. */
export async function openObservers(
  { settings, output, shutdown, loadHealth }: GuardContext,
) {
  const { command: [name = ""], ping } = settings;
  const onFailure = (message: string) => void output.warn(message);
  const notices = new NoticeReporter(settings, output);
  const stats = settings.stats || settings.summary
    ? new GuardStats(settings, output)
    : undefined;
  const observers = new GuardObservers([
    notices,
    stats,
    await openBeacon(settings, output),
    await openHealth(settings, name, output, loadHealth),
    ping && new Pinger({ ...ping, onFailure }),
    openSystemd({ onFailure }),
  ]);
  const onSilence = (event: SilenceEvent<unknown>) => {
    // what is ended already is not warned
    if (!shutdown.signal.aborted) notices.onSilence(event);
  };
  return { observers, onSilence, gaps: stats?.gaps };
}

/** Opens the test of the lines that are signs of life, if not all output is. */
export async function openGrep(
  { grep }: Settings,
  output: CliOutput,
): Promise<LineTest | undefined> {
  if (!grep) return;
  const reported = new Set<string>();
  return await openLineTest(grep, (message) => {
    if (!reported.has(message)) output.warn(message);
    reported.add(message);
  });
}

/** Publishes the heartbeats of a command, if there is a network. */
async function openBeacon(
  { network }: Settings,
  output: CliOutput,
): Promise<GuardObserver | undefined> {
  if (!network) return;
  // imported where it is used: the others need none of it
  const { Beacon } = await import("./_cli_beacon.ts");
  return new Beacon(network, output);
}

/** Runs what is guarded, and reports its beginning and its end. */
export async function runGuarded(
  { output, shutdown }: GuardContext,
  observers: GuardObservers,
  run: () => Promise<number>,
): Promise<number> {
  const { killNow } = shutdown;
  let code = 0;
  observers.start();
  try {
    code = await run();
    return code;
  } catch (error) {
    code = toFailureCode(error);
    throw error;
  } finally {
    const isPlanned = code === 0 || shutdown.phase === "interrupted";
    await observers.end({
      // a signal or the deadline may come while the reports are on their way
      code: shutdown.settle(code),
      isPlanned,
      killNow,
    });
    await output.flush();
  }
}

/** Passes chunks on until they end, or `stop` aborts. */
export async function forwardOutput<T>(
  chunks: ReadableStream<T>,
  forward: (chunk: T) => Promise<void>,
  stop: AbortSignal,
) {
  const reader = chunks.getReader();
  function cancel() {
    reader.cancel(stop.reason).catch(() => {});
  }
  if (stop.aborted) cancel();
  stop.addEventListener("abort", cancel, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      await forward(value);
    }
  } finally {
    stop.removeEventListener("abort", cancel);
    cancel();
  }
}
