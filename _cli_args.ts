// Copyright 2026 the heartbeat authors. MIT license.

/** The arguments of the command line: what they mean, and what is wrong with them. */

import { parseArgs } from "@std/cli/parse-args";
import { type AliveSource, parseAliveSource } from "./_cli_alive.ts";
import { type CheckTarget, parseCheckTarget } from "./_cli_check.ts";
import { checkConflicts } from "./_cli_conflicts.ts";
import { parsePattern } from "./_cli_grep.ts";
import { type NetworkSettings, readNetwork } from "./_cli_network.ts";
import {
  checkFlags,
  type Flags,
  type Mode,
  normalizeOptions,
  SWITCH_NAMES,
  VALUED_NAMES,
} from "./_cli_options.ts";
import { type PingSettings, readPing } from "./_cli_ping.ts";
import { readRestart, type RestartSettings } from "./_cli_restart.ts";
import {
  type Address,
  parseAddress,
  parseCount,
  parseDuration,
  UsageError,
} from "./_cli_values.ts";

/** The arguments, checked. Durations are in milliseconds, `Infinity` for no limit. */
export interface Settings {
  mode: Mode;
  /** The command and its arguments; empty in the other modes. */
  command: string[];
  /** What is checked; `undefined` in the other modes. */
  target: CheckTarget | undefined;
  timeout: number;
  runtime: number;
  /** When a command, or the demo, is started again. */
  restart: RestartSettings;
  interval: number;
  work: number;
  hangAfter: number;
  cpu: boolean;
  quiet: boolean;
  json: boolean;
  stats: boolean;
  summary: boolean;
  /** The file of the notices, if they are not written on standard error. */
  notices: string | undefined;
  /** Whether the fleet is shown once. */
  once: boolean;
  /** Whether the command gets a terminal. */
  tty: boolean;
  /** What the lines contain that are signs of life, if not all are. */
  grep: RegExp | undefined;
  /** What shows that a silent command is alive, if anything does. */
  alive: AliveSource | undefined;
  /** Where the health is served, if it is. */
  health: Address | undefined;
  /** What is pinged, if anything is. */
  ping: PingSettings | undefined;
  /** Where heartbeats are published or watched, if they are. */
  network: NetworkSettings | undefined;
}

/**
 * Reads the arguments.
 *
 * @throws {UsageError} If they are wrong.
 */
export function parseArguments(args: string[]): Settings | "help" | "version" {
  const end = args.indexOf("--");
  try {
    return parse(args, end);
  } catch (error) {
    if (!(error instanceof UsageError) || !isCheck(args, end)) throw error;
    // the exit code 2 of a probe is reserved
    throw new UsageError(error.message, 125);
  }
}

/** Whether `check` is among the words, and no value of an option. */
function isCheck(args: string[], end: number) {
  return (end < 0 ? args : args.slice(0, end)).some((arg, i, own) =>
    arg === "check" && !VALUED_NAMES.some((flag) => own[i - 1] === `--${flag}`)
  );
}

function parse(args: string[], end: number): Settings | "help" | "version" {
  const own = end < 0 ? args : args.slice(0, end);
  const command = end < 0 ? undefined : args.slice(end + 1);
  const { _: words, ...flags } = parseArgs(normalizeOptions(own), {
    string: [...VALUED_NAMES, "_"],
    boolean: SWITCH_NAMES,
  }) as Flags & { _: string[] };
  if (flags.help) return "help";
  if (flags.version) return "version";
  const mode = findMode(words, command);
  const target = mode === "check"
    ? parseCheckTarget(words.slice(1))
    : undefined;
  checkFlags(flags, mode);
  const settings = {
    ...toSettings(flags, mode, command ?? []),
    target,
  };
  checkConflicts(flags, settings);
  return settings;
}

function findMode(words: string[], command: string[] | undefined): Mode {
  const isWord = (word: string) =>
    words[0] === word && words.length === 1 && !command;
  if (isWord("fleet")) return "fleet";
  if (words[0] === "check" && !command) return "check";
  const isPipe = isWord("-");
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

/** The longest silence, where none is given. */
const TIMEOUTS: Record<Mode, string> = {
  demo: "3s",
  command: "10m",
  pipe: "10m",
  fleet: "3s",
  check: "5s",
};

function toSettings(
  flags: Flags,
  mode: Mode,
  command: string[],
): Omit<Settings, "target"> {
  const runtime = mode === "demo" ? "10s" : "none";
  const { "hang-after": hangAfter } = flags;
  return {
    mode,
    command,
    timeout: parseDuration("timeout", flags.timeout ?? TIMEOUTS[mode], true),
    runtime: parseDuration("runtime", flags.runtime ?? runtime, true),
    restart: readRestart(flags),
    interval: parseDuration("interval", flags.interval ?? "1s", false),
    work: parseDuration("work", flags.work ?? "500ms", false),
    hangAfter: hangAfter === undefined
      ? Infinity
      : parseCount("hang-after", hangAfter),
    cpu: flags.cpu === true,
    quiet: flags.quiet === true,
    json: flags.json === true,
    stats: flags.stats === true,
    summary: flags.summary === true,
    notices: flags.notices,
    once: flags.once === true,
    tty: flags.tty === true,
    grep: flags.grep === undefined ? undefined : parsePattern(flags.grep),
    alive: flags["alive-if"] === undefined
      ? undefined
      : parseAliveSource(flags["alive-if"]),
    health: flags.health === undefined ? undefined : parseAddress(flags.health),
    ping: readPing(flags),
    network: readNetwork(flags, mode === "fleet"),
  };
}
