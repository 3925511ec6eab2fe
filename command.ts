// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Child processes as workers: {@linkcode startCommand} runs a command, its
 * output is the results, and every chunk of it is a sign of life.
 *
 * Runs on Deno, and on Node and Bun through `node:child_process`. Deno needs the
 * `run` permission. It allows signals to a process group only with the permission
 * to run all commands (`--allow-run`): with `--allow-run=make`, only the command
 * itself is ended, not what it started.
 *
 * @module
 */

import { CommandError, type CommandErrorOptions } from "./_command_error.ts";
import { CommandRun, EXIT_WAIT, type ExitWaitOption } from "./_command_run.ts";
import type {
  CommandOutput,
  CommandSignal,
  ProcessRuntime,
} from "./_command_types.ts";
import { openDenoRuntime } from "./_deno_process.ts";
import { isNode, openNodeRuntime } from "./_node_process.ts";
import {
  ON_START,
  ProcessTree,
  type ProcessTreeHook,
} from "./_process_tree.ts";
import {
  IN_TERMINAL,
  openTerminalRuntime,
  type TerminalOption,
} from "./_terminal_process.ts";
import {
  checkDuration,
  checkOptions,
  checkSignal,
  checkStream,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import { startWorker, type WorkContext, type WorkerStreams } from "./worker.ts";

export { CommandError };
export type { CommandErrorOptions, CommandOutput, CommandSignal };

/** Options of {@linkcode startCommand}. */
export interface StartCommandOptions {
  /**
   * The arguments.
   *
   * @default {[]}
   */
  args?: readonly string[] | undefined;
  /** The working directory; by default that of this process. */
  cwd?: string | URL | undefined;
  /** Environment variables, besides those of this process. */
  env?: Record<string, string> | undefined;
  /**
   * What the command reads: the input of this process, nothing, or a stream.
   *
   * @default {"null"}
   */
  stdin?: "inherit" | "null" | ReadableStream<Uint8Array> | undefined;
  /**
   * Asks the command to end. What it still prints is delivered, then both
   * streams close, whatever its exit code is.
   */
  signal?: AbortSignal | undefined;
  /**
   * The signal that asks the command to end, or a function that chooses it by
   * the reason of the abort or the stall. If it throws, or there is no such
   * signal, SIGTERM is sent, and an abort errors the streams.
   *
   * @default {"SIGTERM"}
   */
  killSignal?: CommandSignal | ((reason: unknown) => CommandSignal) | undefined;
  /**
   * How long the command's processes may take to end after they were asked,
   * before they are killed, in milliseconds: a positive number, `Infinity` for
   * never.
   *
   * @default {5000}
   */
  killAfter?: number | undefined;
  /**
   * The name that the heartbeats carry.
   *
   * @default {command}
   */
  name?: string | undefined;
  /**
   * The time between two heartbeats, in milliseconds: a positive number. The
   * next heartbeat stands for all output since the last one.
   *
   * @default {1000}
   */
  interval?: number | undefined;
}

/** Checks the arguments of {@linkcode startCommand}, and adds the defaults. */
function checkSettings(command: string | URL, options: StartCommandOptions) {
  const action = "start command";
  if (!(command instanceof URL)) checkString(action, "command", command);
  checkOptions(action, options);
  const { args = [], cwd, env, stdin = "null", killSignal = "SIGTERM" } =
    options;
  const { killAfter = 5000, signal } = options;
  if (!Array.isArray(args) || !args.every((arg) => typeof arg === "string")) {
    throwInvalid(TypeError, action, "args", "an array of strings", args);
  }
  if (cwd !== undefined && !(cwd instanceof URL)) {
    checkString(action, "cwd", cwd);
  }
  if (
    env !== undefined && (typeof env !== "object" || env === null ||
      !Object.values(env).every((value) => typeof value === "string"))
  ) throwInvalid(TypeError, action, "env", "an object of strings", env);
  if (stdin !== "inherit" && stdin !== "null") {
    const accepted = `"inherit", "null" or an unlocked ReadableStream`;
    checkStream(action, "stdin", stdin, accepted);
  }
  if (typeof killSignal !== "function") {
    checkString(action, "killSignal", killSignal);
  }
  checkDuration(action, "killAfter", killAfter);
  checkSignal(action, signal);
  const { name = String(command), interval } = options;
  const {
    [ON_START]: onStart,
    [IN_TERMINAL]: terminal,
    [EXIT_WAIT]: exitWait,
  } = options as ProcessTreeHook & TerminalOption & ExitWaitOption;
  return {
    ...{ command, args, cwd, env, stdin, killSignal, killAfter, signal },
    ...{ name, interval, onStart, terminal, exitWait },
  };
}

/** Opens the processes of this runtime, which is done once it is known that it has some. */
function findRuntime(): () => ProcessRuntime | Promise<ProcessRuntime> {
  if (typeof Deno !== "undefined" && Deno.Command) return openDenoRuntime;
  if (isNode()) return openNodeRuntime;
  throw new TypeError(
    "Cannot start command as this runtime has neither Deno.Command nor node:child_process",
  );
}

async function startRun(
  runtime: ProcessRuntime,
  settings: ReturnType<typeof checkSettings>,
  stopped: AbortSignal,
  beat: () => void,
) {
  const { command, args, cwd, env, stdin, onStart } = settings;
  const { signal, killSignal, killAfter, exitWait, terminal } = settings;
  const { spawn } = terminal ? openTerminalRuntime(runtime, terminal) : runtime;
  const isPiped = typeof stdin !== "string";
  // before the command runs, as the stream may be locked by now
  const input = isPiped ? stdin.getReader() : undefined;
  try {
    const process = await spawn(command, {
      args: [...args],
      cwd,
      env,
      stdin: isPiped ? "piped" : stdin,
    });
    // an end is a sign of life, too: what the command has left may keep the output open
    process.exited.then(beat);
    const tree = new ProcessTree(process, runtime.system);
    onStart?.(tree, beat);
    return new CommandRun(process, tree, {
      command: String(command),
      ...{ input, signal, stopped, killSignal, killAfter, exitWait },
    });
  } catch (error) {
    input?.releaseLock();
    throw error;
  }
}

/**
 * Runs a command as a worker. Its output is the results, in the order of
 * arrival and with backpressure to the command; every chunk is a sign of life.
 *
 * How it ends:
 *
 * | what ends it | `results` | the process tree |
 * | --- | --- | --- |
 * | exit code 0 | close, after all output | is left alone |
 * | another exit code, or a signal | error with a {@linkcode CommandError}, after all output | is left alone |
 * | it cannot be started | error with the runtime's own error: `Deno.errors.NotFound` on Deno, with the `code` `"ENOENT"` on Node and Bun | |
 * | `stdin` errors | error with it, at once | is asked to end, and killed after `killAfter` |
 * | `signal` aborts | close, after all output, at most `killAfter` + 1 s later | is asked to end, and killed after `killAfter` |
 * | `heartbeats` is cancelled (a stall) | error with that reason, at once | is asked to end, and killed after `killAfter` |
 * | `results` is cancelled | closed | is asked to end, and killed after `killAfter` |
 * | asked a second time, for another reason, such as by a stall after an abort | as above | is killed at once |
 *
 * The tree is the command's process group, in a session of its own, and on Linux
 * the other groups of that session, such as those of `timeout` and of job control.
 * It has no terminal, so it cannot ask for a password. On Windows, where a process cannot be
 * asked to end, `taskkill` ends it. `finished` resolves when all of it has
 * ended; it stays pending if the command cannot be killed, because it runs as
 * another user. A group that was seen empty is never signalled again, because its
 * id may belong to another process by then.
 *
 * Zombies count as ended: in a container whose first process reaps no orphans,
 * a stop takes no longer than elsewhere. They are found by `sh` and `cat` on
 * Linux, by `ps` elsewhere. Without these, with the permission for some commands
 * only, or in a PID namespace that has not mounted its own `/proc`, they look alive
 * until `killAfter` has passed, and other groups of the session are not found.
 *
 * A process that left the session (`setsid`) is not ended, and may keep the output
 * open. After an abort, once the tree has ended, its output is read for half a
 * second more, or 1 MiB; the time that a slow consumer takes is not counted. A
 * background process that keeps the output open after the command ended by
 * itself is waited for `killAfter` milliseconds without output, and then left
 * alone.
 *
 * @param command The command: a path, or a name that is looked up.
 * @param options Arguments, environment, and how to end it.
 * @returns The worker's streams.
 * @throws {TypeError} If an option is of the wrong kind, or this runtime cannot
 * run commands.
 * @throws {RangeError} If `killAfter` or `interval` is `NaN`, zero or negative.
 *
 * @example Usage
 * ```ts
 * import { watch } from "@heartbeat/heartbeat";
 * import { startCommand } from "@heartbeat/heartbeat/command";
 * import { assertEquals } from "@std/assert";
 *
 * const command = startCommand(Deno.execPath(), { args: ["eval", "console.log('alive')"] });
 * let text = "";
 * for await (const { bytes } of watch(command, { timeout: 60_000 })) {
 *   text += new TextDecoder().decode(bytes);
 * }
 *
 * assertEquals(text, "alive\n");
 * ```
 */
export function startCommand(
  command: string | URL,
  options: StartCommandOptions = {},
): WorkerStreams<CommandOutput> {
  const settings = checkSettings(command, options);
  const { signal, name, interval } = settings;
  const openRuntime = findRuntime();
  let run: CommandRun | undefined;

  async function* work({ signal: stopped, beat }: WorkContext) {
    const runtime = await openRuntime();
    if (signal?.aborted || stopped.aborted) return;
    run = await startRun(runtime, settings, stopped, () => beat());
    yield* run.deliver();
  }

  const { results, heartbeats, finished } = startWorker(work, {
    name,
    interval,
  });
  const waitForTree = () => run?.waitForTree();
  return { results, heartbeats, finished: finished.then(waitForTree) };
}
