// Copyright 2026 the heartbeat authors. MIT license.

/** The options of the command line: their names, their form, and which use takes them. */

import { parseCount, parseDuration, UsageError } from "./_cli_values.ts";

/** What the command line does. */
export type Mode = "demo" | "command" | "pipe" | "fleet" | "check";

/** How a mode is called where an option is refused. */
const MODE_NAMES: Record<Mode, string> = {
  demo: "the demo",
  command: "-- COMMAND",
  pipe: "-",
  fleet: "fleet",
  check: "check",
};

const ALL: readonly Mode[] = ["demo", "command", "pipe", "fleet", "check"];
const RUNS: readonly Mode[] = ["demo", "command", "pipe", "fleet"];
const LOCAL: readonly Mode[] = ["demo", "command", "pipe"];
const RESTARTED: readonly Mode[] = ["demo", "command"];
const NETWORK: readonly Mode[] = ["command", "fleet"];
const COMMAND: readonly Mode[] = ["command"];
const FLEET: readonly Mode[] = ["fleet"];
const GUARDS: readonly Mode[] = ["command", "pipe"];
const DEMO: readonly Mode[] = ["demo"];

/** What a value is: a duration, one that may be none, a whole number, or any text. */
type Kind = "duration" | "limit" | "count" | "text";

/** The options with a value, and the modes that take them. */
const VALUED = {
  timeout: ["limit", ALL],
  runtime: ["limit", LOCAL],
  retries: ["count", RESTARTED],
  restart: ["text", COMMAND],
  within: ["limit", COMMAND],
  backoff: ["text", COMMAND],
  grep: ["text", GUARDS],
  "alive-if": ["text", COMMAND],
  interval: ["duration", DEMO],
  work: ["duration", DEMO],
  "hang-after": ["count", DEMO],
  health: ["text", RESTARTED],
  notices: ["text", GUARDS],
  ping: ["text", GUARDS],
  "ping-every": ["duration", GUARDS],
  nats: ["text", NETWORK],
  name: ["text", COMMAND],
  subject: ["text", NETWORK],
  exec: ["text", FLEET],
  group: ["text", FLEET],
  "blind-above": ["text", FLEET],
  creds: ["text", NETWORK],
  "tls-ca": ["text", NETWORK],
  "tls-cert": ["text", NETWORK],
  "tls-key": ["text", NETWORK],
} satisfies Record<string, [Kind, readonly Mode[]]>;

/** The options without a value. */
const SWITCHES = {
  cpu: DEMO,
  once: FLEET,
  tty: COMMAND,
  quiet: ALL,
  json: RUNS,
  stats: GUARDS,
  summary: GUARDS,
  "ping-plain": GUARDS,
  help: ALL,
  version: ALL,
} satisfies Record<string, readonly Mode[]>;

/** The options whose values contain secrets. */
const SECRETS = ["nats", "ping"];

type Valued = keyof typeof VALUED;

/** The options as they were given: texts, and whether a switch is there. */
export type Flags = Partial<Record<Valued, string> & Record<string, unknown>>;

/** The names of the options with a value. */
export const VALUED_NAMES = Object.keys(VALUED) as Valued[];
/** The names of the options without one. */
export const SWITCH_NAMES = Object.keys(SWITCHES);

const OPTIONS = [...VALUED_NAMES, ...SWITCH_NAMES].map((flag) => `--${flag}`);

/**
 * Checks the form of each option and gives every value the form `--flag=value`.
 * Without that, `parseArgs()` would take `-5s` for an option, `--timeout=` for
 * another one, and `--_` for its list of words, and ignore the value of a switch.
 */
export function normalizeOptions(args: string[]): string[] {
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

/** Refuses options of another mode. */
export function checkFlags(flags: Flags, mode: Mode) {
  const options: [string, readonly Mode[]][] = Object.entries({
    ...Object.fromEntries(
      VALUED_NAMES.map((flag) => [flag, VALUED[flag][1]]),
    ),
    ...SWITCHES,
  });
  for (const [flag, modes] of options) {
    const value = flags[flag];
    if (modes.includes(mode) || value === undefined || value === false) {
      continue;
    }
    const isHidden = value === true || SECRETS.includes(flag);
    const shown = isHidden ? `--${flag}` : `--${flag} '${value}'`;
    const names = modes.map((mode) => MODE_NAMES[mode]).join(" and ");
    throw new UsageError(
      `${shown} is not for this use: it goes with ${names} only`,
    );
  }
}

/** Refuses a value that is missing, as for a wrong one. */
function refuseEmpty(flag: Valued): never {
  const [kind] = VALUED[flag];
  if (kind === "count") parseCount(flag, "");
  if (kind !== "text") parseDuration(flag, "", kind === "limit");
  throw new UsageError(`invalid value '' for --${flag}: it must not be empty`);
}
