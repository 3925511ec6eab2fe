// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The command line: a demo of the pattern, a guard for commands and a guard
 * for pipes. `--help` shows the options and the exit codes.
 *
 * ```sh
 * deno run jsr:@heartbeat/heartbeat/main --hang-after 3
 * deno run --allow-run jsr:@heartbeat/heartbeat/main --timeout 30s -- make test
 * producer | deno run jsr:@heartbeat/heartbeat/main --timeout 10s -
 * ```
 *
 * @module
 */

import { parseArguments, type Settings } from "./_cli_args.ts";
import {
  type DemoInput,
  DemoReport,
  produceItems,
  STOP_TIMEOUT_MS,
} from "./_cli_demo.ts";
import {
  forwardOutput,
  GuardStats,
  reportEvent,
  SilenceReporter,
  toExitCode,
} from "./_cli_guard.ts";
import { forwardHeartbeats, HealthService } from "./_cli_health.ts";
import { HELP, VERSION } from "./_cli_help.ts";
import type { NetworkSettings } from "./_cli_network.ts";
import { CliOutput, formatDuration, reportFailure } from "./_cli_output.ts";
import { type Interruption, Shutdown } from "./_cli_shutdown.ts";
import { ON_START, type ProcessTreeHook } from "./_process_tree.ts";
import { startCommand, type StartCommandOptions } from "./command.ts";
import { HeartbeatMonitor, HeartbeatTimeoutError } from "./monitor.ts";
import {
  type AttemptContext,
  RestartLimitError,
  supervise,
} from "./supervisor.ts";
import { serveThread, startThread } from "./thread.ts";
import { startWorker, type WorkerStreams } from "./worker.ts";

/** How long what is to end may take (ms) before it is killed. */
const KILL_AFTER_MS = 5_000;

/** Runs a command, and ends it when it is silent. */
async function guardCommand(
  settings: Settings,
  output: CliOutput,
  shutdown: Shutdown,
): Promise<number> {
  const { command: [command = ""], timeout, retries, network } = settings;
  const silence = new SilenceReporter(settings, output, "command");
  const stats = new GuardStats();
  const beacon = await startBeacon(network, output);
  const health = await serveHealth(settings, command, output);
  const { results, heartbeats, finished } = supervise(
    () => startGuarded(settings, shutdown),
    {
      timeout,
      maxRestarts: retries,
      within: Infinity,
      stopTimeout: 2 * KILL_AFTER_MS,
      shouldRestart: (cause) => cause instanceof HeartbeatTimeoutError,
      onEvent(event) {
        health?.onEvent(event);
        reportEvent(event, settings, output, silence, stats);
      },
      onSilence: silence.onSilence,
      ...(settings.stats && { observe: stats.gaps }),
      signal: shutdown.signal,
    },
  );
  forwardHeartbeats(heartbeats, health, beacon);
  const onChunk = (bytes: Uint8Array) => {
    stats.onChunk();
    beacon?.onChunk(bytes);
  };
  let code = 0;
  try {
    await forwardOutput(results, output, silence, onChunk, shutdown.killNow);
  } catch (error) {
    code = await toExitCode(error, command, output);
  } finally {
    // nothing of it may outlive this process
    await finished;
    if (settings.stats) await stats.report(output);
  }
  await beacon?.end(shutdown.exitCode, code);
  return code;
}

/** Publishes the heartbeats of a command, if there is a network. */
async function startBeacon(
  network: NetworkSettings | undefined,
  output: CliOutput,
) {
  if (!network) return;
  // imported where it is used: the others need none of it
  const { Beacon } = await import("./_cli_beacon.ts");
  const beacon = new Beacon(network, output);
  beacon.connect();
  return beacon;
}

/** Serves the health of what is guarded, if that is wanted. */
async function serveHealth(
  { health: address, timeout }: Settings,
  name: string,
  output: CliOutput,
): Promise<HealthService | undefined> {
  if (!address) return;
  const modules = {
    ...await import("./fleet.ts"),
    ...await import("./health.ts"),
  };
  const service = new HealthService(modules, address, name, timeout);
  await service.announce(output);
  return service;
}

/** Starts the command once. */
function startGuarded(settings: Settings, shutdown: Shutdown) {
  const { command: [command = "", ...args], timeout } = settings;
  const { signal } = shutdown;
  const ended = Promise.withResolvers<void>();
  const options: StartCommandOptions & ProcessTreeHook = {
    [ON_START]: (tree) => shutdown.onCommandStarted(tree, ended.promise),
    args,
    stdin: "inherit",
    // not the attempt's own signal: this one also kills an attempt that was given up already
    signal,
    killAfter: KILL_AFTER_MS,
    killSignal: (reason) =>
      (reason as Partial<Interruption> | undefined)?.signal ?? "SIGTERM",
    interval: Math.max(Math.min(timeout / 20, 1_000), 1),
  };
  const worker = startCommand(command, options);
  worker.finished.then(ended.resolve);
  return worker;
}

/** Passes standard input on, and fails when it is silent. */
async function guardPipe(
  settings: Settings,
  output: CliOutput,
  { signal }: Shutdown,
): Promise<number> {
  const { timeout } = settings;
  const silence = new SilenceReporter(settings, output, "pipe");
  const stats = new GuardStats();
  try {
    const input = Deno.stdin.readable.pipeThrough(
      new HeartbeatMonitor<Uint8Array>({
        timeout,
        onSilence: silence.onSilence,
        ...(settings.stats && { observe: stats.gaps }),
      }),
    );
    await forwardOutput(input, output, silence, stats.onChunk, signal);
    return 0;
  } catch (error) {
    if (!(error instanceof HeartbeatTimeoutError)) throw error;
    stats.onStall();
    await silence.reportStall("standard input", error.elapsed);
    return 124;
  } finally {
    if (settings.stats) await stats.report(output);
  }
}

/** Watches the heartbeats that others publish. */
async function guardFleet(
  settings: Settings,
  output: CliOutput,
  shutdown: Shutdown,
): Promise<number> {
  // imported where they are used: the others need none of it
  const { runFleet } = await import("./_cli_fleet.ts");
  const { watchFleet } = await import("./nats.ts");
  return runFleet(settings, output, shutdown, watchFleet);
}

/** Shows the pattern: a worker, its heartbeats and their monitor. */
async function runDemo(
  settings: Settings,
  output: CliOutput,
  { signal }: Shutdown,
): Promise<number> {
  const { timeout, interval, retries } = settings;
  const isColored = Deno.stdout.isTerminal() && !Deno.noColor;
  const report = new DemoReport(settings, output, isColored);
  const health = await serveHealth(settings, "demo", output);
  await report.onStart();
  const { results, heartbeats } = supervise<number>(
    (attempt) => startItems(settings, attempt),
    {
      name: "demo",
      timeout,
      maxRestarts: retries,
      within: Infinity,
      stopTimeout: STOP_TIMEOUT_MS,
      shouldRestart: (cause) => cause instanceof HeartbeatTimeoutError,
      interval,
      signal,
      onEvent: (event) => {
        health?.onEvent(event);
        report.onEvent(
          event,
          (stall) => new HeartbeatTimeoutError(stall).message,
        );
      },
    },
  );
  const reported = (async () => {
    for await (const beat of heartbeats) {
      health?.onHeartbeat(beat);
      await report.onHeartbeat(beat);
    }
  })().catch(() => {});
  try {
    for await (const item of results) await report.onResult(item);
    await reported;
  } catch (error) {
    // output that cannot be written, first of all
    await report.printed;
    const cause = error instanceof RestartLimitError ? error.cause : error;
    if (!(cause instanceof HeartbeatTimeoutError)) throw cause;
    await report.onEnd();
    return 124;
  }
  await report.onEnd();
  return 0;
}

/** Starts the demo's work, here or in a thread. */
function startItems(
  { work, cpu, hangAfter, interval }: Settings,
  { attempt, signal, delivered }: AttemptContext,
): WorkerStreams<number> {
  const input: DemoInput = {
    work,
    cpu,
    from: delivered + 1,
    // only the first attempt hangs
    hangAfter: attempt === 1 ? hangAfter : Infinity,
  };
  const options = { name: "demo", interval, signal };
  return cpu
    // this module again: see its end
    ? startThread(import.meta.url, { ...options, input })
    : startWorker((context) => produceItems(context, input), options);
}

async function run(settings: Settings, output: CliOutput): Promise<number> {
  const { mode, runtime } = settings;
  const shutdown = new Shutdown({
    runtime,
    hasCommand: mode === "command",
    // unread output is waited for only as long as it takes to kill a command
    grace: mode === "demo" ? Infinity : KILL_AFTER_MS + 1_000,
  });
  shutdown.listen();
  const modes = {
    demo: runDemo,
    command: guardCommand,
    pipe: guardPipe,
    fleet: guardFleet,
  };
  const code = await Promise.race([
    modes[mode](settings, output, shutdown),
    shutdown.waitForKill(),
  ]);
  if (shutdown.exitCode !== undefined) return shutdown.exitCode;
  if (mode === "demo" || shutdown.phase !== "expired") return code;
  const text = `ended after its runtime of ${formatDuration(runtime)}`;
  await output.notify("deadline", text, { runtime });
  return 124;
}

async function main(args: string[]): Promise<number> {
  const output = new CliOutput();
  try {
    const parsed = parseArguments(args);
    if (typeof parsed !== "string") {
      output.format = parsed;
      return await run(parsed, output);
    }
    await output.print(parsed === "help" ? HELP : VERSION);
    return 0;
  } catch (error) {
    return await reportFailure(error, output);
  }
}

if ("WorkerGlobalScope" in globalThis) {
  // the thread of `--cpu`, started above
  serveThread<number, DemoInput>(function demo({ input, ...context }) {
    return produceItems(context, input);
  });
} else if (import.meta.main) Deno.exit(await main(Deno.args));
