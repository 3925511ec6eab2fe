// Copyright 2026 the heartbeat authors. MIT license.

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
  it is killed. A DURATION is 250ms, 3s, 1.5m, 1h, 1m30s or 2d.

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

/** What the user said, checked. */
export interface Settings {
  mode: "demo" | "command" | "pipe";
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

/** Something is wrong with what the user said: it says what, in one line. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message.replaceAll(/[\r\n]/g, " "));
  }
}

/** The output cannot be written. */
export class OutputError extends Error {}

/** The units of a duration, in the order in which they are written. */
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

const NUMBER = String.raw`(\d+\.?\d*|\.\d+)`;

/** A number without a unit. */
const BARE = RegExp(`^${NUMBER}$`);

/** Numbers with units: each unit at most once, the largest one first. */
const DURATION = RegExp(
  `^(?=.)${
    Object.keys(UNITS).map((unit) => `(?:${NUMBER}${unit})?`).join("")
  }$`,
);

/** Reads a duration; `limit` says that there may be none. */
export function parseDuration(
  flag: string,
  text: string,
  limit: boolean,
): number {
  const value = toMilliseconds(text);
  if (value > 0 && value <= MAX_DELAY_MS) return value;
  if (value === 0 && limit) return Infinity;
  const invalid = `invalid value '${text}' for --${flag}`;
  if (BARE.test(text) && value !== 0 && Number(text) <= MAX_DELAY_MS) {
    throw new UsageError(`${invalid}: ${text}s or ${text}ms?`);
  }
  throw new UsageError(
    `${invalid}: it takes 250ms, 3s, 1.5m, 1h, 1m30s or 2d, up to 596h${
      limit ? ", and 0 or none for no limit" : ", more than 0"
    }`,
  );
}

/** A duration in milliseconds, `NaN` if it is none: a bare number has no unit, unless it is 0. */
function toMilliseconds(text: string): number {
  if (text === "none" || (BARE.test(text) && Number(text) === 0)) return 0;
  const numbers = DURATION.exec(text)?.slice(1);
  if (!numbers) return NaN;
  return Object.values(UNITS)
    .reduce((sum, unit, i) => sum + unit * Number(numbers[i] ?? 0), 0);
}

/** Reads a whole number. */
export function parseCount(flag: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(
    `invalid value '${text}' for --${flag}: it takes a whole number, 0 or more`,
  );
}

/** Reads the value of an option. */
function parseValue(flag: typeof VALUED[number], text: string): number {
  if (flag === "retries" || flag === "hang-after") {
    return parseCount(flag, text);
  }
  return parseDuration(flag, text, flag === "timeout" || flag === "runtime");
}

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

/** The options that are for the demo only. */
const DEMO = new Set<string>(["interval", "work", "hang-after", "cpu"]);

export function parse(args: string[]): Settings | "help" | "version" {
  const cut = args.indexOf("--");
  const rest = args.slice(0, cut < 0 ? args.length : cut);
  const own: string[] = [];
  for (let arg; (arg = rest.shift()) !== undefined;) {
    if (arg === "-h") arg = "--help";
    // parseArgs() takes -5s for an option, --timeout= for another one, a value of
    // a switch silently, and --_ for its list of words
    const at = arg.indexOf("=");
    const flag = at < 0 ? arg : arg.slice(0, at);
    const value = at < 0 ? rest[0] ?? "" : arg.slice(at + 1);
    const valued = VALUED.find((name) => flag === `--${name}`);
    if (valued) {
      if (at < 0) rest.shift();
      if (value === "") parseValue(valued, value);
      own.push(`${flag}=${value}`);
      continue;
    }
    const dashed = arg.startsWith("-") && arg !== "-";
    if (dashed && !OPTIONS.includes(flag)) {
      throw new UsageError(
        `unknown option '${arg}': the options are ${OPTIONS.join(", ")}`,
      );
    }
    if (dashed && (at >= 0 || value === "true" || value === "false")) {
      throw new UsageError(
        `invalid value '${value}' for ${flag}: it takes no value`,
      );
    }
    own.push(arg);
  }
  const flags = parseArgs(own, {
    string: [...VALUED, "_"],
    boolean: SWITCHES,
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
  for (const flag of [...VALUED, ...SWITCHES]) {
    const value = flags[flag];
    const goes = flag === "retries"
      ? mode !== "pipe"
      : mode === "demo" || !DEMO.has(flag);
    if (goes || value === undefined || value === false) continue;
    throw new UsageError(
      `--${flag}${
        value === true ? "" : ` '${value}'`
      } is not for this use: it goes with ${
        flag === "retries" ? "the demo and -- COMMAND" : "the demo"
      } only`,
    );
  }
  const demo = mode === "demo";
  return {
    mode,
    command,
    timeout: parseValue("timeout", flags.timeout ?? (demo ? "3s" : "10m")),
    runtime: parseValue("runtime", flags.runtime ?? (demo ? "10s" : "none")),
    retries: parseValue("retries", flags.retries ?? "0"),
    interval: parseValue("interval", flags.interval ?? "1s"),
    work: parseValue("work", flags.work ?? "500ms"),
    hangAfter: flags["hang-after"] === undefined
      ? Infinity
      : parseValue("hang-after", flags["hang-after"]),
    cpu: flags.cpu,
    quiet: flags.quiet,
    json: flags.json,
  };
}

export function format(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const unit = ms < 60_000 ? "s" : ms < 3_600_000 ? "m" : "h";
  return `${+(ms / UNITS[unit]).toFixed(1)}${unit}`;
}

export async function write(
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

export function count(n: number, what: string) {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

export const encoder = new TextEncoder();

/** Whether the last line on stderr, as its reader sees it, is not complete. */
let midLine = false;

let told = Promise.resolve();

/** Writes a line to stderr, after what was written before it. */
export function tell(line: string): Promise<void> {
  return told = told.then(() => {
    const text = `${midLine ? "\n" : ""}${line}\n`;
    midLine = false;
    return write(Deno.stderr, encoder.encode(text));
  }).catch(() => {});
}

/** Passes bytes on. */
export async function pass(from: "stdout" | "stderr", bytes: Uint8Array) {
  if (from === "stderr") await told;
  await write(Deno[from], bytes);
  // a terminal shows both in the same lines
  const isShared = from === "stderr" ||
    (Deno.stdout.isTerminal() && Deno.stderr.isTerminal());
  if (isShared) midLine = bytes.at(-1) !== 10;
}

/** Says on stderr what happens to what is guarded. */
export function notify(
  { json, quiet }: Partial<Settings>,
  type: string,
  text: string,
  more: object = {},
) {
  if (quiet && !["stalled", "deadline", "error"].includes(type)) return told;
  return tell(
    json
      ? JSON.stringify({ type, time: Date.now(), ...more })
      : `heartbeat: ${text}`,
  );
}
