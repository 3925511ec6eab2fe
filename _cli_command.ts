// Copyright 2026 the heartbeat authors. MIT license.

/** Guards a command: runs it, and ends it when it is silent. */

import { AliveProbe, checkAliveSource } from "./_cli_alive.ts";
import type { Settings } from "./_cli_args.ts";
import { LineFilter, type LineTest } from "./_cli_grep.ts";
import {
  forwardOutput,
  type GuardContext,
  openGrep,
  openObservers,
  runGuarded,
} from "./_cli_guard.ts";
import type { GuardObservers } from "./_cli_observers.ts";
import { type CliOutput, OutputError } from "./_cli_output.ts";
import { failAtEnd, isRestarted } from "./_cli_restart.ts";
import type { Interruption, Shutdown } from "./_cli_shutdown.ts";
import { CommandError } from "./_command_error.ts";
import { EXIT_WAIT, type ExitWaitOption } from "./_command_run.ts";
import type { CommandOutput } from "./_command_types.ts";
import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import { ON_START, type ProcessTreeHook } from "./_process_tree.ts";
import { RestartLimitError } from "./_restart_policy.ts";
import {
  IN_TERMINAL,
  type TerminalOption,
  type TerminalSize,
} from "./_terminal_process.ts";
import { sleep } from "./_timers.ts";
import type { Heartbeat } from "./_worker_types.ts";
import type { startCommand, StartCommandOptions } from "./command.ts";
import type { supervise } from "./supervisor.ts";

/** How long what is to end may take (ms) before it is killed. */
export const KILL_AFTER_MS = 5_000;

/** The parts of the library that run a command. */
export interface CommandModules {
  supervise: typeof supervise;
  startCommand: typeof startCommand;
}

/** Runs a command, and ends it when it is silent; resolves to the exit code. */
export async function guardCommand(
  context: GuardContext,
  { supervise, startCommand }: CommandModules,
): Promise<number> {
  const { settings, output, shutdown } = context;
  const { command: [command = ""], timeout, restart } = settings;
  if (settings.tty && Deno.build.os !== "linux") {
    throw new Error("--tty works on Linux only, by 'script' of util-linux");
  }
  const probe = await openProbe(settings, output);
  const isMatch = await openGrep(settings, output);
  const { observers, onSilence, gaps } = await openObservers(context);
  const forward = ({ from, bytes }: CommandOutput) => {
    observers.onChunk(bytes);
    return output.forward(from, bytes);
  };
  const parts = { settings, shutdown, observers, probe, isMatch, forward };
  const run = async () => {
    const { results, heartbeats, finished } = supervise(
      (attempt) => start(startCommand, parts, attempt.signal),
      {
        timeout,
        maxRestarts: restart.maxRestarts,
        within: restart.within,
        backoff: restart.backoff && { ...restart.backoff, jitter: 0 },
        // long enough for a command that has to be killed
        stopTimeout: 2 * KILL_AFTER_MS,
        shouldRestart: (cause) => decideRestart(cause, context),
        onEvent: (event) => observers.onEvent(event),
        onSilence,
        observe: gaps,
        signal: shutdown.signal,
      },
    );
    forwardHeartbeats(heartbeats, observers);
    try {
      await forwardOutput(results, (chunk: CommandOutput) => {
        observers.onProgress();
        return forward(chunk);
      }, shutdown.killNow);
      return 0;
    } catch (error) {
      return await toExitCode(error, command, output);
    } finally {
      // nothing of it may outlive this process
      await finished;
    }
  };
  return await runGuarded(context, observers, run);
}

/** Whether the command is started again; reports an end that is no stall. */
function decideRestart(
  cause: unknown,
  { settings, output, shutdown }: GuardContext,
): boolean {
  const { restart, command: [command] } = settings;
  // without its terminal, what goes on would be out of reach
  if (shutdown.isHungUp || !isRestarted(cause, restart)) return false;
  if (cause instanceof CommandError) {
    const { code, signal } = cause;
    const how = signal ? `by ${signal}` : `with exit code ${code}`;
    const type = code === 0 ? "ended" : "failed";
    output.notify(type, `'${command}' ended ${how}`, { code });
  }
  return true;
}

/** Looks for signs of life of a silent command, if that is wanted. */
async function openProbe({ alive, timeout }: Settings, output: CliOutput) {
  if (!alive) return;
  await checkAliveSource(alive);
  const onFailure = (message: string) => void output.warn(message);
  return new AliveProbe(alive, { timeout, onFailure });
}

/** What each start of the command is given. */
interface StartContext {
  settings: Settings;
  shutdown: Shutdown;
  observers: GuardObservers;
  probe: AliveProbe | undefined;
  /** Looks at the lines, if some are no signs of life. */
  isMatch: LineTest | undefined;
  /** Passes output on that is no sign of life. */
  forward: (chunk: CommandOutput) => Promise<void>;
}

type PrivateOptions =
  & StartCommandOptions
  & ProcessTreeHook
  & TerminalOption
  & ExitWaitOption;

/** Starts the command once. When `givenUp` aborts, it has to stop, and signs of life count no more. */
function start(
  startCommand: CommandModules["startCommand"],
  { settings, shutdown, observers, probe, isMatch, forward }: StartContext,
  givenUp: AbortSignal,
) {
  const { command: [command = "", ...args], timeout } = settings;
  const { signal } = shutdown;
  const ended = Promise.withResolvers<void>();
  const interval = Math.max(Math.min(timeout / 20, 1_000), 1);
  const filter = isMatch && new LineFilter(isMatch);
  const options: PrivateOptions = {
    [ON_START](tree, beat) {
      shutdown.onCommandStarted(tree, ended.promise);
      observers.onStarted();
      const onSign = () => {
        beat();
        filter?.onSign();
      };
      probe?.watch(tree, () => {
        if (givenUp.aborted) return;
        onSign();
        observers.onProgress();
      }, ended.promise);
      beatWhileEnding(signal, onSign, interval, ended.promise);
    },
    [IN_TERMINAL]: settings.tty ? getTerminalSize() : undefined,
    // the wait for what a command has left is no silence of the command
    [EXIT_WAIT]: Math.min(KILL_AFTER_MS, timeout / 2),
    args,
    // 'script' would put the user's terminal into raw mode: no Ctrl-C any more
    stdin: settings.tty && Deno.stdin.isTerminal() ? "null" : "inherit",
    // that of the run, not `givenUp`: a command that was given up is asked to end
    // already, and the end of the run asks it again, which kills it at once
    signal,
    killAfter: KILL_AFTER_MS,
    killSignal: (reason) =>
      (reason as Partial<Interruption> | undefined)?.signal ?? "SIGTERM",
    interval,
  };
  const worker = startCommand(command, options);
  worker.finished.then(ended.resolve);
  const watched = filter ? filter.apply(worker, forward) : worker;
  if (settings.restart.when !== "always") return watched;
  return { ...watched, results: failAtEnd(watched.results, command, signal) };
}

/**
 * Beats from an abort of `stop` until the command has ended: what was asked to end
 * has its time for that, however silent it was before.
 */
function beatWhileEnding(
  stop: AbortSignal,
  beat: () => void,
  interval: number,
  ended: Promise<void>,
) {
  const over = new AbortController();
  async function onStop() {
    while (!over.signal.aborted) {
      beat();
      await sleep(interval / 2, over.signal);
    }
  }
  stop.addEventListener("abort", onStop, { once: true });
  // it may have aborted during the start, which takes a while in a terminal
  if (stop.aborted) onStop();
  ended.then(() => {
    stop.removeEventListener("abort", onStop);
    over.abort();
  });
}

function getTerminalSize(): TerminalSize {
  return Deno.stdout.isTerminal()
    ? Deno.consoleSize()
    : { columns: 80, rows: 24 };
}

async function forwardHeartbeats(
  heartbeats: ReadableStream<Heartbeat>,
  observers: GuardObservers,
) {
  try {
    for await (const beat of heartbeats) observers.onHeartbeat(beat);
  } catch {
    // the results have the error, too
  }
}

/** Why a command could not be started, and the exit code for that. */
export function describeStartFailure(error: unknown, command: string) {
  if (error instanceof Deno.errors.NotFound) {
    return { code: 127, message: `cannot find the command '${command}'` };
  }
  const { message } = error as Error;
  if (error instanceof Deno.errors.NotCapable) {
    return {
      code: 125,
      message: `cannot run a command without --allow-run: ${message}`,
    };
  }
  return {
    code: 126,
    message: `cannot run the command '${command}': ${message}`,
  };
}

/** The exit code for what ended a guarded command; reports what could not be run. */
async function toExitCode(
  error: unknown,
  command: string,
  output: CliOutput,
): Promise<number> {
  if (error instanceof OutputError) throw error;
  if (error instanceof CommandError) return error.code;
  if (error instanceof HeartbeatTimeoutError) return 124;
  if (error instanceof RestartLimitError) {
    return await toExitCode(error.cause, command, output);
  }
  const failure = describeStartFailure(error, command);
  await output.notify("error", failure.message, failure);
  return failure.code;
}
