// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Child processes as workers: {@linkcode startCommand} runs a command, its
 * output is the results, and every chunk of it is a sign of life.
 *
 * Needs Deno and its `run` permission. Deno permits to signal a process group
 * only with the permission to run all commands (`--allow-run`): with
 * `--allow-run=make` only the command itself is asked to end and killed, not
 * what it started.
 *
 * @module
 */

import { openDenoProcesses } from "./_deno_process.ts";
import {
  ON_START,
  ProcessTree,
  type ProcessTreeHook,
} from "./_process_tree.ts";
import { startTimer } from "./_timers.ts";
import {
  checkDuration,
  checkOptions,
  checkSignal,
  checkStream,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import { startWorker, type WorkerStreams } from "./worker.ts";

/** A chunk of a command's output. */
export interface CommandOutput {
  /** Where the command wrote it. */
  from: "stdout" | "stderr";
  /** What it wrote. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** What is known when a {@linkcode CommandError} is made. */
export interface CommandErrorOptions extends ErrorOptions {
  /** The exit code; 128 + n if a signal n ended it. */
  code: number;
  /** The signal that ended it, if one did. */
  signal?: Deno.Signal | null | undefined;
}

/**
 * A command ended by itself with an exit code other than 0, or by a signal.
 *
 * @example Usage
 * ```ts
 * import { CommandError } from "@heartbeat/heartbeat/command";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new CommandError("make", { code: 2 });
 *
 * assertEquals(error.message, "Command 'make' ended with exit code 2");
 * assertEquals(error.signal, null);
 * ```
 */
export class CommandError extends Error {
  /** The name of the error, `"CommandError"`. */
  override readonly name = "CommandError";
  /** The exit code; 128 + n if a signal n ended the command. */
  readonly code: number;
  /** The signal that ended the command, `null` if none did. */
  readonly signal: Deno.Signal | null;

  /**
   * Constructs a new instance.
   *
   * @param command The command that was run.
   * @param options How it ended.
   */
  constructor(command: string, options: CommandErrorOptions) {
    const { code, signal = null } = options;
    super(
      `Command '${command}' ended ${
        signal ? `by ${signal}` : `with exit code ${code}`
      }`,
      options,
    );
    this.code = code;
    this.signal = signal;
  }
}

/** Options of {@linkcode startCommand}. */
export interface StartCommandOptions {
  /**
   * The arguments.
   *
   * @default {[]}
   */
  args?: readonly string[] | undefined;
  /** The working directory; this process's own where it is not given. */
  cwd?: string | URL | undefined;
  /** Environment variables, besides those of this process. */
  env?: Record<string, string> | undefined;
  /**
   * What the command reads: this process's own input, nothing, or a stream.
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
  killSignal?: Deno.Signal | ((reason: unknown) => Deno.Signal) | undefined;
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
   * The time between two heartbeats, in milliseconds: a positive number. Output
   * is told by the next heartbeat.
   *
   * @default {1000}
   */
  interval?: number | undefined;
}

/** After an abort and the end of the tree, an escaped process may hold the output for this long (ms) … */
const DRAIN_MS = 500;
/** … and may print this many bytes, which are more than a pipe holds. */
const DRAIN_BYTES = 2 ** 20;
/** What one wait may count of those milliseconds: the process may have been stopped meanwhile. */
const MAX_DRAIN_STEP_MS = 100;

/** Feeds a command; throws what the input throws. */
async function feed(
  input: ReadableStreamDefaultReader<Uint8Array>,
  output: WritableStreamDefaultWriter<Uint8Array>,
) {
  try {
    for (;;) {
      const { done, value } = await input.read();
      if (done) break;
      try {
        await output.write(value);
      } catch (error) {
        // what is no bytes; anything else says that the command has stopped reading
        if (error instanceof TypeError) throw error;
        break;
      }
    }
  } finally {
    input.cancel().catch(() => {});
    output.close().catch(() => {});
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
 * | it cannot be started | error with Deno's own error, such as `Deno.errors.NotFound` | |
 * | `stdin` errors | error with it, at once | is asked to end, and killed after `killAfter` |
 * | `signal` aborts | close, after all output, at most `killAfter` + 1 s later | is asked to end, and killed after `killAfter` |
 * | `heartbeats` is cancelled (a stall) | error with that reason, at once | is asked to end, and killed after `killAfter` |
 * | `results` is cancelled | closed | is asked to end, and killed after `killAfter` |
 * | asked a second time, for another reason, such as by a stall after an abort | as above | is killed at once |
 *
 * The tree is the command's process group, in a session of its own: it has no
 * terminal, so it cannot ask for a password. On Windows, where no process can be
 * asked, it is ended by `taskkill`. `finished` resolves when all of it has
 * ended; it stays pending if the command cannot be killed, because it runs as
 * another user. A group that was seen empty is never signalled again, since its
 * id may belong to somebody else by then.
 *
 * Zombies count as ended: in a container whose first process reaps no orphans,
 * a stop takes no longer than elsewhere. They are found by `sh` and `cat` on
 * Linux, by `ps` elsewhere. Without these, or with the permission for some
 * commands only, they look alive until `killAfter` has passed.
 *
 * A process that left the group (`setsid`) is not ended, and may keep the output
 * open. After an abort, once the tree has ended, its output is read for half a
 * second more, or 1 MiB; the time that a slow consumer takes is not counted. A
 * background process that keeps the output open after the command ended by
 * itself is waited for `killAfter` milliseconds without output, and then left
 * alone.
 *
 * @param command The command: a path, or a name that is looked up.
 * @param options Arguments, surroundings, and how to end it.
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
  const action = "start command";
  if (!(command instanceof URL)) checkString(action, "command", command);
  checkOptions(action, options);
  const {
    args = [],
    cwd,
    env,
    stdin = "null",
    signal,
    killSignal = "SIGTERM",
    killAfter = 5000,
    name = String(command),
    interval,
  } = options;
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

  if (typeof Deno === "undefined" || !Deno.Command) {
    throw new TypeError(
      "Cannot start command as this runtime has no Deno.Command",
    );
  }
  const onStart = (options as ProcessTreeHook)[ON_START];
  let tree: ProcessTree | undefined;
  let termination: Promise<void> | undefined;

  async function waitForTree() {
    if (!termination) return;
    await termination;
    await tree?.leaderEnded;
  }

  async function* run(stopped: AbortSignal): AsyncGenerator<CommandOutput> {
    if (signal?.aborted) return;
    const child = new Deno.Command(command, {
      args: [...args],
      ...(cwd !== undefined && { cwd }),
      ...(env !== undefined && { env }),
      stdin: typeof stdin === "string" ? stdin : "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();

    tree = new ProcessTree({
      pid: child.pid,
      exited: child.status,
      kill: (signal) => child.kill(signal as Deno.Signal),
    }, openDenoProcesses());
    onStart?.(tree);
    let ending: Promise<void> | undefined;
    let asked: unknown;
    let failure: { error: unknown } | undefined;
    let exited = false;
    let drain: { ms: number; bytes: number } | undefined;
    let open = 0;
    let wake = () => {};
    const waiting: { chunk: CommandOutput; taken: () => void }[] = [];

    function terminate(signal: Deno.Signal) {
      ending = tree!.terminate(signal, killAfter);
      ending.then(() => {
        drain = { ms: DRAIN_MS, bytes: DRAIN_BYTES };
        wake();
      });
    }
    function end(reason: unknown) {
      if (ending) {
        if (reason !== asked) tree!.killNow();
        return;
      }
      asked = reason;
      try {
        terminate(
          typeof killSignal === "function" ? killSignal(reason) : killSignal,
        );
      } catch (error) {
        failure ??= { error };
        terminate("SIGTERM");
      }
    }
    function onAbort(event: Event) {
      end((event.target as AbortSignal).reason);
      wake();
    }
    async function pump(
      from: CommandOutput["from"],
      reader: ReadableStreamDefaultReader,
    ) {
      open++;
      for (;;) {
        const { done, value: bytes } = await reader.read();
        if (done) break;
        await new Promise<void>((taken) => {
          waiting.push({ chunk: { from, bytes }, taken });
          wake();
        });
      }
      open--;
      wake();
    }
    function fail(error: unknown) {
      failure ??= { error };
      end(error);
      wake();
    }

    const readers = [
      child.stdout.getReader(),
      child.stderr.getReader(),
    ] as const;
    const input = typeof stdin === "string" ? undefined : stdin.getReader();
    child.status.then(() => {
      exited = true;
      wake();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
    stopped.addEventListener("abort", onAbort, { once: true });
    pump("stdout", readers[0]).catch(fail);
    pump("stderr", readers[1]).catch(fail);
    if (input) feed(input, child.stdin.getWriter()).catch(fail);

    try {
      for (;;) {
        if (stopped.aborted || failure) break;
        const first = waiting.shift();
        if (first) {
          yield first.chunk;
          first.taken();
          if (drain && (drain.bytes -= first.chunk.bytes.length) <= 0) break;
          continue;
        }
        if (open === 0 && (exited || drain) || drain && drain.ms <= 0) break;
        const limit = drain
          ? Math.min(drain.ms, MAX_DRAIN_STEP_MS)
          : exited && !ending && open > 0
          ? killAfter
          : Infinity;
        const start = performance.now();
        const isLeft = await new Promise<boolean>((resolve) => {
          const cancelTimer = startTimer(() => resolve(true), limit);
          wake = () => {
            cancelTimer();
            resolve(false);
          };
        });
        if (drain && limit !== Infinity) {
          drain.ms -= Math.min(performance.now() - start, limit);
        } else if (isLeft) break;
      }
      if (failure) throw failure.error;
      if (!stopped.aborted && !ending) {
        const status = await child.status;
        if (!ending && !status.success) {
          throw new CommandError(String(command), status);
        }
      }
    } finally {
      for (const { taken } of waiting) taken();
      for (const reader of readers) reader.cancel().catch(() => {});
      input?.cancel().catch(() => {});
      const removeListener = () =>
        signal?.removeEventListener("abort", onAbort);
      // until then an abort kills the tree at once
      if (ending) termination = ending.then(removeListener);
      else removeListener();
    }
  }

  const { results, heartbeats, finished } = startWorker(
    ({ signal: stopped }) => run(stopped),
    { name, interval },
  );
  return { results, heartbeats, finished: finished.then(waitForTree) };
}
