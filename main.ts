// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The command line: a demo of the pattern, a guard for commands and a guard
 * for pipes. `--help` tells the options and the exit codes.
 *
 * ```sh
 * deno run jsr:@heartbeat/heartbeat/main --hang-after 3
 * deno run --allow-run jsr:@heartbeat/heartbeat/main --timeout 30s -- make test
 * producer | deno run jsr:@heartbeat/heartbeat/main --timeout 10s -
 * ```
 *
 * @module
 */

import {
  encoder,
  format,
  HELP,
  notify,
  OutputError,
  parse,
  pass,
  type Settings,
  tell,
  UsageError,
  VERSION,
  write,
} from "./_cli.ts";
import { demo } from "./_demo.ts";
import { CommandError, type CommandOutput, startCommand } from "./command.ts";
import { HeartbeatMonitor, HeartbeatTimeoutError } from "./monitor.ts";
import {
  RestartLimitError,
  supervise,
  type SupervisorEvent,
} from "./supervisor.ts";

/** The signals that shut down, by their numbers. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;
const SIGPIPE = 13;

/** How long what is to end may take (ms) before it is killed. */
const KILL_AFTER = 5_000;

/** The reason of an abort by a signal that came. */
interface Interruption {
  signal: keyof typeof SIGNALS;
}

/** Says when output goes silent, at half of the timeout, and when it comes back. */
function createNotice(settings: Settings) {
  const { timeout, mode } = settings;
  const half = timeout / 2;
  // the producer of a pipe is another process, which nobody ends
  const [what, then] = mode === "pipe"
    ? ["input", "heartbeat will give up"]
    : ["output", "it will be ended"];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let since = 0;
  function stop() {
    clearTimeout(timer);
  }
  function tellSilence() {
    since = Date.now() - half;
    const times = `${format(half)}, ${then} at ${format(timeout)}`;
    notify(settings, "silent", `no ${what} for ${times}`, {
      silence: half,
      timeout,
    });
  }
  return {
    stop,
    start() {
      stop();
      if (half < Infinity) timer = setTimeout(tellSilence, half);
    },
    async resume() {
      stop();
      if (!since) return;
      const silence = Date.now() - since;
      since = 0;
      const text = `${what} again after ${format(silence)}`;
      await notify(settings, "resumed", text, { silence });
    },
  };
}

/** Passes the output on until `stop` aborts. */
async function passOn(
  output: ReadableStream<CommandOutput | Uint8Array>,
  notice: ReturnType<typeof createNotice>,
  stop: AbortSignal,
) {
  const reader = output.getReader();
  function leave() {
    reader.cancel(stop.reason).catch(() => {});
  }
  if (stop.aborted) leave();
  stop.addEventListener("abort", leave, { once: true });
  notice.start();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      await notice.resume();
      if (value instanceof Uint8Array) await pass("stdout", value);
      else await pass(value.from, value.bytes);
      notice.start();
    }
  } finally {
    notice.stop();
    stop.removeEventListener("abort", leave);
    leave();
  }
}

/** Tells of a stall, and what follows. */
function tellStall(
  settings: Settings,
  what: string,
  then: string,
  { elapsed, timeout }: { elapsed: number; timeout: number },
) {
  const text = `${what} was silent for ${format(timeout)}: ${then}`;
  return notify(settings, "stalled", text, { silence: elapsed, timeout });
}

async function guardCommand(
  settings: Settings,
  signal: AbortSignal,
  hurry: AbortSignal,
): Promise<number> {
  const { command: [command = "", ...args], timeout, retries } = settings;
  const notice = createNotice(settings);
  function onEvent(event: SupervisorEvent) {
    if (event.type === "started") {
      notice.start();
    } else if (event.type === "stalled") {
      notice.stop();
      tellStall(settings, `'${command}'`, "ended", event);
    } else if (event.type === "restarting") {
      const { attempt, delay } = event;
      const text = `starting it again (${attempt} of ${retries})`;
      notify(settings, event.type, text, { attempt, retries, delay });
    } else if (event.type === "unstopped") {
      notify(settings, event.type, "it did not end: it is left behind");
    }
  }
  const { results, finished } = supervise(() =>
    // the signal is not that of the attempt: it hurries one up that was given up
    startCommand(command, {
      args,
      stdin: "inherit",
      signal,
      killAfter: KILL_AFTER,
      killSignal: (reason) =>
        (reason as Partial<Interruption>)?.signal ?? "SIGTERM",
      interval: Math.max(Math.min(timeout / 20, 1_000), 1),
    }), {
    timeout,
    maxRestarts: retries,
    within: Infinity,
    stopTimeout: 2 * KILL_AFTER,
    shouldRestart: (cause) => cause instanceof HeartbeatTimeoutError,
    onEvent,
    signal,
  });
  try {
    await passOn(results, notice, hurry);
    return 0;
  } catch (error) {
    if (error instanceof OutputError) throw error;
    if (error instanceof CommandError) return error.code;
    if (
      error instanceof RestartLimitError ||
      error instanceof HeartbeatTimeoutError
    ) return 124;
    const failure = cannotRun(command, error);
    await notify(settings, "error", failure.message, failure);
    return failure.code;
  } finally {
    // nothing of it may outlive this process
    await finished;
  }
}

/** What is said of a command that could not be started. */
function cannotRun(command: string, error: unknown) {
  if (error instanceof Deno.errors.NotFound) {
    return { code: 127, message: `cannot find the command '${command}'` };
  }
  if (error instanceof Deno.errors.NotCapable) {
    return {
      code: 125,
      message: `cannot run a command without --allow-run: ${error.message}`,
    };
  }
  return {
    code: 126,
    message: `cannot run the command '${command}': ${(error as Error).message}`,
  };
}

async function guardPipe(
  settings: Settings,
  signal: AbortSignal,
): Promise<number> {
  const { timeout } = settings;
  try {
    const input = Deno.stdin.readable.pipeThrough(
      new HeartbeatMonitor({ timeout }),
    );
    await passOn(input, createNotice(settings), signal);
    return 0;
  } catch (error) {
    if (!(error instanceof HeartbeatTimeoutError)) throw error;
    const then = "gave up, its producer was not ended";
    await tellStall(settings, "standard input", then, error);
    return 124;
  }
}

async function run(settings: Settings): Promise<number> {
  const { mode, runtime } = settings;
  const interruption = new AbortController();
  const hurry = new AbortController();
  const deadline = runtime === Infinity
    ? undefined
    : AbortSignal.timeout(runtime);
  const signal = AbortSignal.any([
    interruption.signal,
    ...(deadline ? [deadline] : []),
  ]);
  let interrupted: Interruption | undefined;
  const names = Object.keys(SIGNALS) as Interruption["signal"][];
  for (
    const name of Deno.build.os === "windows" ? ["SIGINT" as const] : names
  ) {
    Deno.addSignalListener(name, () => {
      if (interrupted) hurry.abort(new Error(`a second ${name}`));
      else interruption.abort(interrupted = { signal: name });
    });
  }
  // output that nobody takes is not waited for, longer than it takes to kill a command
  if (mode !== "demo") {
    signal.addEventListener("abort", () => {
      setTimeout(() => hurry.abort(), KILL_AFTER + 1_000);
    }, { once: true });
  }
  const hurried = new Promise<number>((resolve) => {
    hurry.signal.addEventListener("abort", () => setTimeout(resolve, 200, 0), {
      once: true,
    });
  });
  const guards = {
    demo: () => demo(settings, signal),
    command: () => guardCommand(settings, signal, hurry.signal),
    pipe: () => guardPipe(settings, signal),
  };
  const code = await Promise.race([guards[mode](), hurried]);
  if (interrupted) return 128 + SIGNALS[interrupted.signal];
  if (mode !== "demo" && deadline?.aborted) {
    const text = `ended after its runtime of ${format(runtime)}`;
    await notify(settings, "deadline", text, { runtime });
    return 124;
  }
  return code;
}

async function main(args: string[]): Promise<number> {
  const settings: Partial<Settings> = {};
  try {
    const parsed = parse(args);
    if (typeof parsed !== "string") {
      return await run(Object.assign(settings, parsed));
    }
    const text = parsed === "help" ? HELP : VERSION;
    await write(Deno.stdout, encoder.encode(text));
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      await tell(`heartbeat: ${error.message} (see --help)`);
      return 2;
    }
    // as a process is ended whose output nobody reads
    if ((error as Error)?.cause instanceof Deno.errors.BrokenPipe) {
      return 128 + SIGPIPE;
    }
    const message = error instanceof Error ? error.message : String(error);
    await notify(settings, "error", message, { code: 125, message });
    return 125;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
