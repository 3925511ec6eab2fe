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

import { delay } from "@std/async/delay";
import { parseArgs } from "@std/cli/parse-args";
import { CommandError, type CommandOutput, startCommand } from "./command.ts";
import config from "./deno.json" with { type: "json" };
import { LONGEST_DELAY } from "./_check.ts";
import { HeartbeatMonitor, HeartbeatTimeoutError, watch } from "./monitor.ts";
import { startWorker } from "./worker.ts";

const HELP =
  `heartbeat ${config.version}: know when async work hangs, not just when it fails

Usage:
  heartbeat [OPTIONS]                     the demo: a worker, its heartbeats, and their monitor
  heartbeat [OPTIONS] -- COMMAND [ARG…]   run a command, end it when it prints nothing for too long
  heartbeat [OPTIONS] -                   pass standard input on, fail when nothing comes for too long

Options:
  --timeout DURATION    the longest silence (demo: 3s, otherwise: 10m); 0 or none: no limit
  --runtime DURATION    the longest run (demo: 10s, otherwise: none); 0 or none: no limit
  --retries N           restart a command that went silent, at most N times (0);
                        one that failed is not restarted
  --interval DURATION   demo: the time between two heartbeats (1s)
  --work DURATION       demo: the time that one result takes (500ms)
  --hang-after N        demo: hang after N results
  --quiet               demo: only alarms and the summary; otherwise: no notices, only errors
  --json                one JSON object a line: the demo's lines, or the notices on standard error
  --help, --version     print this, or the version

  What is ended for its silence, its runtime or by a signal has 5s to stop, then
  it is killed. A DURATION is 250ms, 3s, 1.5m, 1h, or a plain number of milliseconds.

Exit codes:
  0        the input ended, the demo ended; otherwise the command's own code
  2        bad usage
  124      ended for its silence or its runtime
  125      heartbeat itself failed
  126      the command cannot be run
  127      the command was not found
  128 + n  ended by signal n, such as 130 for SIGINT (a second one ends at once)
           and 141 for SIGPIPE (nobody reads the output any more)
`;

/** The signals that shut down, by their numbers. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;
const SIGPIPE = 13;

/** What the user said, checked. */
interface Settings {
  mode: "demo" | "command" | "pipe";
  command: string[];
  timeout: number;
  runtime: number;
  retries: number;
  interval: number;
  work: number;
  hangAfter: number;
  quiet: boolean;
  json: boolean;
}

/** Something is wrong with what the user said. */
class UsageError extends Error {}

/** How long what is to end may take (ms) before it is killed. */
const KILL_AFTER = 5_000;

/** The output cannot be written. */
class OutputError extends Error {}

/** The reason of an abort by a signal that came. */
interface Interruption {
  signal: keyof typeof SIGNALS;
}

const UNITS: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

function parseDuration(flag: string, text: string, limit: boolean): number {
  const [, figure, unit = "ms"] = /^(\d+\.?\d*|\.\d+)(ms|s|m|h)?$/.exec(text) ??
    [];
  const value = text === "none" ? 0 : Number(figure) * UNITS[unit]!;
  if (value > 0 && value <= LONGEST_DELAY) return value;
  if (value === 0 && limit) return Infinity;
  throw new UsageError(
    `invalid value '${text}' for --${flag}: it takes 250ms, 3s, 1.5m, 1h or plain milliseconds, up to 596h${
      limit ? ", and 0 or none for no limit" : ", more than 0"
    }`,
  );
}

function parseCount(flag: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(
    `invalid value '${text}' for --${flag}: it takes a whole number, 0 or more`,
  );
}

const VALUED = [
  "timeout",
  "runtime",
  "retries",
  "interval",
  "work",
  "hang-after",
] as const;
const SWITCHES = ["quiet", "json", "help", "version"] as const;
const OPTIONS = [...VALUED, ...SWITCHES].map((flag) => `--${flag}`);

/** Which modes an option is for; those not named are for all. */
const ONLY: Record<string, Settings["mode"]> = {
  interval: "demo",
  work: "demo",
  "hang-after": "demo",
  retries: "command",
};

function parse(args: string[]): Settings | "help" | "version" {
  const cut = args.indexOf("--");
  const rest = args.slice(0, cut < 0 ? args.length : cut);
  const own: string[] = [];
  for (let arg; (arg = rest.shift()) !== undefined;) {
    // parseArgs() takes -5s for an option, and a value of a switch silently
    const [flag, value = rest[0]] = arg.split("=", 2);
    if (VALUED.some((name) => arg === `--${name}`) && value) {
      own.push(`${arg}=${rest.shift()}`);
      continue;
    }
    const given = flag !== arg || value === "true" || value === "false";
    if (given && SWITCHES.some((name) => flag === `--${name}`)) {
      throw new UsageError(
        `invalid value '${value}' for ${flag}: it takes no value`,
      );
    }
    own.push(arg);
  }
  const flags = parseArgs(own, {
    string: [...VALUED, "_"],
    boolean: SWITCHES,
    alias: { h: "help" },
    unknown(arg: string, key?: string) {
      if (key === undefined) return;
      throw new UsageError(
        `unknown option '${arg}': the options are ${OPTIONS.join(", ")}`,
      );
    },
  });
  if (flags.help) return "help";
  if (flags.version) return "version";

  const command = cut < 0 ? [] : args.slice(cut + 1);
  const words = flags._;
  const piped = words[0] === "-" && words.length === 1 && cut < 0;
  if (words.length > 0 && !piped) {
    throw new UsageError(
      `unexpected argument '${
        words[0]
      }': a command is given after --, as in heartbeat -- ${
        [...words, ...command].join(" ")
      }`,
    );
  }
  if (cut >= 0 && !command[0]) {
    throw new UsageError(
      "missing command after --: give one, as in heartbeat -- make test",
    );
  }
  const mode = cut >= 0 ? "command" : piped ? "pipe" : "demo";
  for (const [flag, only] of Object.entries(ONLY)) {
    if (flags[flag] !== undefined && only !== mode) {
      throw new UsageError(
        `--${flag} '${flags[flag]}' is not for this use: it goes with ${
          only === "demo" ? "the demo" : "-- COMMAND"
        } only`,
      );
    }
  }
  const demo = mode === "demo";
  return {
    mode,
    command,
    timeout: parseDuration(
      "timeout",
      flags.timeout ?? (demo ? "3s" : "10m"),
      true,
    ),
    runtime: parseDuration(
      "runtime",
      flags.runtime ?? (demo ? "10s" : "none"),
      true,
    ),
    retries: parseCount("retries", flags.retries ?? "0"),
    interval: parseDuration("interval", flags.interval ?? "1s", false),
    work: parseDuration("work", flags.work ?? "500ms", false),
    hangAfter: flags["hang-after"] === undefined
      ? Infinity
      : parseCount("hang-after", flags["hang-after"]),
    quiet: flags.quiet,
    json: flags.json,
  };
}

function format(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const unit = ms < 60_000 ? "s" : ms < 3_600_000 ? "m" : "h";
  return `${+(ms / UNITS[unit]!).toFixed(1)}${unit}`;
}

async function write(
  stream: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
) {
  try {
    for (let rest = bytes; rest.length > 0;) {
      rest = rest.subarray(await stream.write(rest));
    }
  } catch (cause) {
    throw new OutputError(
      `cannot write the output: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function count(n: number, what: string) {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

const encoder = new TextEncoder();

/** Whether the cursor of the terminal stands within a line that was passed on. */
let midLine = false;

function tell(line: string) {
  const text = `${midLine ? "\n" : ""}${line}\n`;
  midLine = false;
  return write(Deno.stderr, encoder.encode(text)).catch(() => {});
}

/** Says on stderr what happens to what is guarded. */
function notify(
  { json, quiet }: Partial<Settings>,
  type: string,
  text: string,
  more: object = {},
) {
  if (quiet && !["stalled", "deadline", "error"].includes(type)) return;
  return tell(
    json
      ? JSON.stringify({ type, time: Date.now(), ...more })
      : `heartbeat: ${text}`,
  );
}

async function demo(settings: Settings, signal: AbortSignal): Promise<number> {
  const { timeout, interval, work, hangAfter, quiet, json } = settings;
  const start = performance.now();
  const colour = Deno.stdout.isTerminal() && !Deno.noColor && !json;
  let results = 0;
  let beats = 0;
  let unwritable: { error: unknown } | undefined;

  async function print(
    style: number,
    type: string,
    text: string,
    more: object,
    always = false,
  ) {
    if (quiet && !always) return;
    const elapsed = Math.round(performance.now() - start);
    const line = json
      ? JSON.stringify({ type, elapsed, ...more })
      : `${(elapsed / 1000).toFixed(1).padStart(6)}s  ${
        colour ? `\x1b[${style}m${type.padEnd(9)}\x1b[0m` : type.padEnd(9)
      }  ${text}`;
    try {
      await write(Deno.stdout, encoder.encode(`${line}\n`));
    } catch (error) {
      unwritable = { error };
      throw error;
    }
  }

  await print(
    1,
    "start",
    `a result every ${format(work)}, a heartbeat every ${format(interval)}, ${
      timeout === Infinity
        ? "no alarm"
        : `an alarm after ${format(timeout)} without one`
    }`,
    { work, interval, timeout, runtime: settings.runtime },
  );
  const worker = startWorker(async function* demo({ signal, beat }) {
    for (let item = 1;; item++) {
      beat({ item });
      if (item > hangAfter) await new Promise(() => {});
      await delay(work, { signal });
      yield item;
    }
  }, { interval, signal });

  let stall: HeartbeatTimeoutError | undefined;
  try {
    await Promise.all([
      (async () => {
        for await (const item of worker.results) {
          results++;
          await print(32, "result", String(item), { value: item });
        }
      })(),
      (async () => {
        for await (
          const beat of worker.heartbeats.pipeThrough(
            new HeartbeatMonitor({ timeout }),
          )
        ) {
          beats++;
          await print(36, "heartbeat", `${beat.seq}`, beat);
        }
      })(),
    ]);
  } catch (error) {
    if (unwritable) throw unwritable.error;
    if (!(error instanceof HeartbeatTimeoutError)) throw error;
    stall = error;
    const { elapsed, last } = error;
    const place = last?.detail && `; it hung at ${JSON.stringify(last.detail)}`;
    await print(
      31,
      "alarm",
      `${error.message}${place ?? ""}`,
      { silence: elapsed, timeout, count: error.count, last },
      true,
    );
  }
  await print(
    1,
    "end",
    `${count(results, "result")}, ${count(beats, "heartbeat")}, ${
      stall ? "1 alarm" : "no alarm"
    }`,
    { results, heartbeats: beats, alarms: stall ? 1 : 0 },
    true,
  );
  return stall ? 124 : 0;
}

/** Passes the output on until `stop` aborts, and says when it goes silent and when it comes back. */
async function passOn(
  settings: Settings,
  output: ReadableStream<CommandOutput | Uint8Array>,
  stop: AbortSignal,
) {
  const half = settings.timeout / 2;
  const reader = output.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let silent = 0;
  function listen() {
    if (half === Infinity) return;
    timer = setTimeout(() => {
      silent = Date.now() - half;
      notify(
        settings,
        "silent",
        `no output for ${format(half)}, it will be ended at ${
          format(settings.timeout)
        }`,
        { silence: half, timeout: settings.timeout },
      );
    }, half);
  }
  function leave() {
    reader.cancel(stop.reason).catch(() => {});
  }
  if (stop.aborted) leave();
  stop.addEventListener("abort", leave, { once: true });
  listen();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      if (silent) {
        const silence = Date.now() - silent;
        silent = 0;
        await notify(
          settings,
          "resumed",
          `output again after ${format(silence)}`,
          { silence },
        );
      }
      const { from, bytes } = value instanceof Uint8Array
        ? { from: "stdout" as const, bytes: value }
        : value;
      await write(Deno[from], bytes);
      midLine = Deno[from].isTerminal() && bytes.at(-1) !== 10;
      listen();
    }
  } finally {
    clearTimeout(timer);
    stop.removeEventListener("abort", leave);
    leave();
  }
}

/** Tells of a stall; throws what is none. */
async function tellStall(settings: Settings, what: string, error: unknown) {
  if (!(error instanceof HeartbeatTimeoutError)) throw error;
  const { elapsed: silence, timeout } = error;
  await notify(
    settings,
    "stalled",
    `${what} was silent for ${format(timeout)}: ended`,
    {
      silence,
      timeout,
    },
  );
}

async function guardCommand(
  settings: Settings,
  signal: AbortSignal,
  hurry: AbortSignal,
): Promise<number> {
  const { command: [command = "", ...args], timeout, retries } = settings;
  for (let attempt = 1;; attempt++) {
    const worker = startCommand(command, {
      args,
      stdin: "inherit",
      signal,
      killAfter: KILL_AFTER,
      killSignal: (reason) =>
        (reason as Partial<Interruption>)?.signal ?? "SIGTERM",
      interval: Math.max(Math.min(timeout / 20, 1_000), 1),
    });
    try {
      await passOn(settings, watch(worker, { timeout }), hurry);
      return 0;
    } catch (error) {
      if (error instanceof CommandError) return error.code;
      const failure = cannotRun(command, error);
      if (failure) {
        await notify(settings, "error", failure.message, failure);
        return failure.code;
      }
      await tellStall(settings, `'${command}'`, error);
    } finally {
      // nothing of it may outlive this process
      await worker.finished;
    }
    if (attempt > retries || signal.aborted) return 124;
    await notify(
      settings,
      "restarting",
      `starting it again (${attempt} of ${retries})`,
      {
        attempt,
        retries,
      },
    );
  }
}

/** What is said of a command that could not be started. */
function cannotRun(command: string, error: unknown) {
  if (error instanceof HeartbeatTimeoutError || error instanceof OutputError) {
    return;
  }
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
    await passOn(settings, input, signal);
    return 0;
  } catch (error) {
    await tellStall(settings, "standard input", error);
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
    const text = parsed === "help" ? HELP : `heartbeat ${config.version}\n`;
    await write(Deno.stdout, encoder.encode(text));
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      const message = error.message.replaceAll(/[\r\n]/g, " ");
      await tell(`heartbeat: ${message} (see --help)`);
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
