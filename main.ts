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
import { runCheck } from "./_cli_check.ts";
import { guardCommand, KILL_AFTER_MS } from "./_cli_command.ts";
import {
  type DemoInput,
  DemoReport,
  findTerminal,
  produceItems,
  STOP_TIMEOUT_MS,
} from "./_cli_demo.ts";
import type { GuardContext } from "./_cli_guard.ts";
import { openHealth } from "./_cli_health.ts";
import { HELP, VERSION } from "./_cli_help.ts";
import { openNotices } from "./_cli_notice_file.ts";
import { CliOutput, formatDuration, reportFailure } from "./_cli_output.ts";
import { guardPipe } from "./_cli_pipe.ts";
import { Shutdown } from "./_cli_shutdown.ts";
import { startCommand } from "./command.ts";
import { HeartbeatMonitor, HeartbeatTimeoutError } from "./monitor.ts";
import {
  type AttemptContext,
  RestartLimitError,
  supervise,
} from "./supervisor.ts";
import { serveThread, startThread } from "./thread.ts";
import { startWorker, type WorkerStreams } from "./worker.ts";

/** Imports what serves the health: without `--health` nothing needs it. */
async function loadHealth() {
  return { ...await import("./fleet.ts"), ...await import("./health.ts") };
}

/** Watches the heartbeats that others publish. */
async function guardFleet(
  { settings, output, shutdown }: GuardContext,
): Promise<number> {
  // imported where they are used: the others need none of it
  const { runFleet } = await import("./_cli_fleet.ts");
  return runFleet(settings, output, shutdown, {
    ...await import("./group.ts"),
    ...await import("./nats.ts"),
    ...await import("./store.ts"),
  });
}

/** Shows the pattern: a worker, its heartbeats and their monitor. */
async function runDemo(
  { settings, output, shutdown: { signal } }: GuardContext,
): Promise<number> {
  const { timeout, interval, restart: { maxRestarts } } = settings;
  const report = new DemoReport(settings, output, findTerminal());
  const health = await openHealth(settings, "demo", output, loadHealth);
  await report.onStart();
  const { results, heartbeats } = supervise<number>(
    (attempt) => startItems(settings, attempt),
    {
      name: "demo",
      timeout,
      maxRestarts,
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
    if (!(cause instanceof HeartbeatTimeoutError)) {
      await report.stop();
      throw cause;
    }
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
  // unread output is waited for only as long as it takes to kill a command
  const grace = KILL_AFTER_MS + 1_000;
  const shutdown = new Shutdown({
    runtime,
    hasCommand: mode === "command",
    grace: {
      // the demo that hangs shows its alarm
      expired: mode === "demo" ? Infinity : grace,
      interrupted: grace,
    },
    onDeadline() {
      if (mode === "demo") return;
      const text = `ended after its runtime of ${formatDuration(runtime)}`;
      output.notify("deadline", text, { runtime });
    },
  });
  shutdown.listen();
  const context = { settings, output, shutdown, loadHealth };
  const modes = {
    demo: () => runDemo(context),
    command: () => guardCommand(context, { supervise, startCommand }),
    pipe: () => guardPipe(context, HeartbeatMonitor),
    fleet: () => guardFleet(context),
    check: () => runCheck(settings, output),
  };
  const code = await Promise.race([modes[mode](), shutdown.waitForKill()]);
  const isOver = mode === "demo" && shutdown.phase === "expired";
  return isOver ? code : shutdown.toExitCode(code);
}

async function main(args: string[]): Promise<number> {
  const output = new CliOutput();
  try {
    const parsed = parseArguments(args);
    if (typeof parsed !== "string") {
      output.format = parsed;
      const { notices } = parsed;
      if (notices !== undefined) output.useFile(await openNotices(notices));
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
