// Copyright 2026 the heartbeat authors. MIT license.

/** The arguments of the command line: what they are, what they mean, and what is wrong with them. */

import { parseArgs } from "@std/cli/parse-args";
import { type NetworkSettings, readNetwork } from "./_cli_network.ts";
import {
  type Address,
  parseAddress,
  parseCount,
  parseDuration,
  UsageError,
} from "./_cli_values.ts";

/** What the command line does. */
export type Mode = "demo" | "command" | "pipe" | "fleet";

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
  stats: boolean;
  /** Where the health is served, if it is. */
  health: Address | undefined;
  /** Where heartbeats are published or watched, if they are. */
  network: NetworkSettings | undefined;
}

/** How a mode is called where an option is refused. */
const MODE_NAMES: Record<Mode, string> = {
  demo: "the demo",
  command: "-- COMMAND",
  pipe: "-",
  fleet: "fleet",
};

const ALL: readonly Mode[] = ["demo", "command", "pipe", "fleet"];
const LOCAL: readonly Mode[] = ["demo", "command", "pipe"];
const NETWORK: readonly Mode[] = ["command", "fleet"];
const GUARDS: readonly Mode[] = ["command", "pipe"];
const DEMO: readonly Mode[] = ["demo"];

/** The options with a value, and the modes that take them. */
const VALUED = {
  timeout: ALL,
  runtime: LOCAL,
  retries: ["demo", "command"],
  interval: DEMO,
  work: DEMO,
  "hang-after": DEMO,
  health: ["demo", "command"],
  nats: NETWORK,
  name: ["command"],
  subject: NETWORK,
  exec: ["fleet"],
  creds: NETWORK,
  "tls-ca": NETWORK,
  "tls-cert": NETWORK,
  "tls-key": NETWORK,
} satisfies Record<string, readonly Mode[]>;

/** The options without a value. */
const SWITCHES = {
  cpu: DEMO,
  quiet: ALL,
  json: ALL,
  stats: GUARDS,
  help: ALL,
  version: ALL,
} satisfies Record<string, readonly Mode[]>;

type Valued = keyof typeof VALUED;
type Flags = Partial<Record<Valued, string> & Record<string, unknown>>;

const VALUED_NAMES = Object.keys(VALUED) as Valued[];
const SWITCH_NAMES = Object.keys(SWITCHES);
const OPTIONS = [...VALUED_NAMES, ...SWITCH_NAMES].map((flag) => `--${flag}`);

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
    string: [...VALUED_NAMES, "_"],
    boolean: SWITCH_NAMES,
  }) as Flags & { _: string[] };
  if (flags.help) return "help";
  if (flags.version) return "version";
  const mode = findMode(words, command);
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
    const valued = VALUED_NAMES.find((flag) => option === `--${flag}`);
    if (!valued) {
      checkSwitch(arg, option, value, isAttached);
      options.push(arg);
      continue;
    }
    if (!isAttached) rest.shift();
    if (value === "") refuseEmpty(valued);
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
  const isWord = (word: string) =>
    words[0] === word && words.length === 1 && !command;
  if (isWord("fleet")) return "fleet";
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

/** Refuses options of another mode. */
function checkFlags(flags: Flags, mode: Mode) {
  const options: [string, readonly Mode[]][] = Object.entries({
    ...VALUED,
    ...SWITCHES,
  });
  for (const [flag, modes] of options) {
    const value = flags[flag];
    if (modes.includes(mode) || value === undefined || value === false) {
      continue;
    }
    const isHidden = value === true || flag === "nats"; // it can contain a password
    const shown = isHidden ? `--${flag}` : `--${flag} '${value}'`;
    const names = modes.map((mode) => MODE_NAMES[mode]).join(" and ");
    throw new UsageError(
      `${shown} is not for this use: it goes with ${names} only`,
    );
  }
}

function toSettings(flags: Flags, mode: Mode, command: string[]): Settings {
  const timeout = mode === "demo" || mode === "fleet" ? "3s" : "10m";
  const runtime = mode === "demo" ? "10s" : "none";
  const { "hang-after": hangAfter } = flags;
  return {
    mode,
    command,
    timeout: parseDuration("timeout", flags.timeout ?? timeout, true),
    runtime: parseDuration("runtime", flags.runtime ?? runtime, true),
    retries: parseCount("retries", flags.retries ?? "0"),
    interval: parseDuration("interval", flags.interval ?? "1s", false),
    work: parseDuration("work", flags.work ?? "500ms", false),
    hangAfter: hangAfter === undefined
      ? Infinity
      : parseCount("hang-after", hangAfter),
    cpu: flags.cpu === true,
    quiet: flags.quiet === true,
    json: flags.json === true,
    stats: flags.stats === true,
    health: flags.health === undefined ? undefined : parseAddress(flags.health),
    network: readNetwork(flags, mode === "fleet"),
  };
}

/** Refuses a value that is missing, as for a wrong one. */
function refuseEmpty(flag: Valued): never {
  if (flag === "retries" || flag === "hang-after") parseCount(flag, "");
  const isLimit = flag === "timeout" || flag === "runtime";
  if (isLimit || flag === "interval" || flag === "work") {
    parseDuration(flag, "", isLimit);
  }
  throw new UsageError(`invalid value '' for --${flag}: it must not be empty`);
}
