// Copyright 2026 the heartbeat authors. MIT license.

/** The arguments of the command line: what they are, what they mean, and what is wrong with them. */

import { parseArgs } from "@std/cli/parse-args";
import { MAX_DELAY_MS } from "./_timers.ts";
import config from "./deno.json" with { type: "json" };

/** Printed by `--version`. */
export const VERSION = `heartbeat ${config.version}\n`;

/** Printed by `--help`. */
export const HELP =
  `heartbeat ${config.version}: know when async work hangs, not just when it fails

Usage:
  heartbeat [OPTIONS]                     the demo: a worker, its heartbeats, and their monitor
  heartbeat [OPTIONS] -- COMMAND [ARG…]   run a command, end it when it prints nothing for too long
  heartbeat [OPTIONS] -                   pass standard input on, fail when nothing comes for too long;
                                          the producer is not ended, so where you can, use
                                          heartbeat -- PRODUCER | consumer

Options:
  --timeout DURATION    the longest silence (demo: 3s, otherwise: 10m); 0 or none: no limit
  --runtime DURATION    the longest run (demo: 10s, otherwise: none); 0 or none: no limit
  --retries N           restart what went silent, at most N times (0); a command
                        that failed is not restarted
  --interval DURATION   demo: the time between two heartbeats (1s)
  --work DURATION       demo: the time that one result takes (500ms)
  --hang-after N        demo: hang after N results, once
  --cpu                 demo: in a thread, and hang in a busy loop (needs --allow-read)
  --quiet               demo: only alarms and the summary; otherwise: no notices, only errors
  --json                one JSON object a line: the demo's lines, or the notices on standard error
  --help, --version     print this, or the version

  What is ended for its silence, its runtime or by a signal has 5s to stop, then
  it is killed. SIGHUP, SIGUSR1 and SIGUSR2 are passed on to the command, which
  decides what they mean: heartbeat goes on until it ends. A DURATION is 250ms, 3s, 1.5m, 1h, 1m30s or 2d.

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

/** What the command line does. */
export type Mode = "demo" | "command" | "pipe";

/** The arguments, checked. Durations are in milliseconds, `Infinity` for no limit. */
export interface Settings {
  mode: Mode;
  /** The command and its arguments; empty in the other modes. */
  command: string[];
  timeout: number;
  runtime: number;
  retries: number;
  interval: number;
  work: number;
  hangAfter: number;
  cpu: boolean;
  quiet: boolean;
  json: boolean;
}

/** The arguments are wrong; the message says how, in one line. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message.replaceAll(/[\r\n]/g, " "));
  }
}

/** The options that take a value. */
const VALUED = [
  "timeout",
  "runtime",
  "retries",
  "interval",
  "work",
  "hang-after",
] as const;
const SWITCHES = ["cpu", "quiet", "json", "help", "version"] as const;
const OPTIONS = [...VALUED, ...SWITCHES].map((flag) => `--${flag}`);

/** The options that only the demo takes. */
const DEMO_ONLY = new Set<string>(["interval", "work", "hang-after", "cpu"]);

/** What `parseArgs()` makes of the options. */
type Flags =
  & Record<typeof SWITCHES[number], boolean>
  & Partial<Record<typeof VALUED[number], string>>;

/**
 * Reads the arguments.
 *
 * @throws {UsageError} If they are wrong.
 */
export function parseArguments(args: string[]): Settings | "help" | "version" {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  const command = end < 0 ? undefined : args.slice(end + 1);
  const { _: words, ...flags } = parseArgs(normalizeOptions(own), {
    string: [...VALUED, "_"],
    boolean: SWITCHES,
  });
  if (flags.help) return "help";
  if (flags.version) return "version";
  const mode = findMode(words as string[], command);
  checkFlags(flags, mode);
  return toSettings(flags, mode, command ?? []);
}

/**
 * Checks the form of each option and gives every value the form `--flag=value`.
 * Without that, `parseArgs()` would take `-5s` for an option, `--timeout=` for
 * another one, and `--_` for its list of words, and ignore the value of a switch.
 */
function normalizeOptions(args: string[]): string[] {
  const rest = [...args];
  const options: string[] = [];
  for (let arg; (arg = rest.shift()) !== undefined;) {
    if (arg === "-h") arg = "--help";
    const at = arg.indexOf("=");
    const isAttached = at >= 0;
    const option = isAttached ? arg.slice(0, at) : arg;
    const value = isAttached ? arg.slice(at + 1) : rest[0] ?? "";
    const valued = VALUED.find((flag) => option === `--${flag}`);
    if (!valued) {
      checkSwitch(arg, option, value, isAttached);
      options.push(arg);
      continue;
    }
    if (!isAttached) rest.shift();
    if (value === "") parseValue(valued, value);
    options.push(`${option}=${value}`);
  }
  return options;
}

/** Refuses unknown options, and a switch with a value. Words are accepted. */
function checkSwitch(
  arg: string,
  option: string,
  value: string,
  isAttached: boolean,
) {
  if (!arg.startsWith("-") || arg === "-") return;
  if (!OPTIONS.includes(option)) {
    throw new UsageError(
      `unknown option '${arg}': the options are ${OPTIONS.join(", ")}`,
    );
  }
  if (isAttached || value === "true" || value === "false") {
    throw new UsageError(
      `invalid value '${value}' for ${option}: it takes no value`,
    );
  }
}

function findMode(words: string[], command: string[] | undefined): Mode {
  const isPipe = words[0] === "-" && words.length === 1 && !command;
  if (words.length > 0 && !isPipe) {
    const suggestion = ["heartbeat", "--", ...words, ...command ?? []];
    throw new UsageError(
      `unexpected argument '${words[0]}': a command is given after --, as in ${
        suggestion.join(" ")
      }`,
    );
  }
  if (command && !command[0]) {
    throw new UsageError(
      "missing command after --: give one, as in heartbeat -- make test",
    );
  }
  if (command) return "command";
  return isPipe ? "pipe" : "demo";
}

/** Refuses options of another mode. */
function checkFlags(flags: Flags, mode: Mode) {
  for (const flag of [...VALUED, ...SWITCHES]) {
    const value = flags[flag];
    const isAccepted = flag === "retries"
      ? mode !== "pipe"
      : mode === "demo" || !DEMO_ONLY.has(flag);
    if (isAccepted || value === undefined || value === false) continue;
    const shown = value === true ? `--${flag}` : `--${flag} '${value}'`;
    const modes = flag === "retries" ? "the demo and -- COMMAND" : "the demo";
    throw new UsageError(
      `${shown} is not for this use: it goes with ${modes} only`,
    );
  }
}

function toSettings(flags: Flags, mode: Mode, command: string[]): Settings {
  const [timeout, runtime] = mode === "demo" ? ["3s", "10s"] : ["10m", "none"];
  const { "hang-after": hangAfter, cpu, quiet, json } = flags;
  return {
    mode,
    command,
    timeout: parseValue("timeout", flags.timeout ?? timeout),
    runtime: parseValue("runtime", flags.runtime ?? runtime),
    retries: parseValue("retries", flags.retries ?? "0"),
    interval: parseValue("interval", flags.interval ?? "1s"),
    work: parseValue("work", flags.work ?? "500ms"),
    hangAfter: hangAfter === undefined
      ? Infinity
      : parseValue("hang-after", hangAfter),
    cpu,
    quiet,
    json,
  };
}

function parseValue(flag: typeof VALUED[number], text: string): number {
  if (flag === "retries" || flag === "hang-after") {
    return parseCount(flag, text);
  }
  return parseDuration(flag, text, flag === "timeout" || flag === "runtime");
}

/**
 * Reads a whole number.
 *
 * @throws {UsageError} If it is none.
 */
export function parseCount(flag: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(
    `invalid value '${text}' for --${flag}: it takes a whole number, 0 or more`,
  );
}

/** The units of a duration, in the order in which they are written. */
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

const NUMBER = String.raw`(\d+\.?\d*|\.\d+)`;

/** A number without a unit. */
const BARE_NUMBER = RegExp(`^${NUMBER}$`);

/** Numbers with units: each unit at most once, the largest one first. */
const DURATION = RegExp(
  `^(?=.)${
    Object.keys(UNITS).map((unit) => `(?:${NUMBER}${unit})?`).join("")
  }$`,
);

/**
 * Reads a duration.
 *
 * @param flag The option that it is for.
 * @param text The duration.
 * @param isLimit Whether `0` and `none` are accepted, for no limit.
 * @returns In milliseconds; `Infinity` for no limit.
 * @throws {UsageError} If it is none.
 */
export function parseDuration(
  flag: string,
  text: string,
  isLimit: boolean,
): number {
  const value = toMilliseconds(text);
  if (value > 0 && value <= MAX_DELAY_MS) return value;
  if (value === 0 && isLimit) return Infinity;
  const invalid = `invalid value '${text}' for --${flag}`;
  if (
    BARE_NUMBER.test(text) && value !== 0 && Number(text) <= MAX_DELAY_MS
  ) throw new UsageError(`${invalid}: ${text}s or ${text}ms?`);
  throw new UsageError(
    `${invalid}: it takes 250ms, 3s, 1.5m, 1h, 1m30s or 2d, up to 596h${
      isLimit ? ", and 0 or none for no limit" : ", more than 0"
    }`,
  );
}

/** A duration in milliseconds; `NaN` if it is none, such as a bare number other than 0. */
function toMilliseconds(text: string): number {
  if (text === "none") return 0;
  if (BARE_NUMBER.test(text)) return Number(text) === 0 ? 0 : NaN;
  const numbers = DURATION.exec(text)?.slice(1);
  if (!numbers) return NaN;
  return Object.values(UNITS)
    .reduce((sum, unit, i) => sum + unit * Number(numbers[i] ?? 0), 0);
}
