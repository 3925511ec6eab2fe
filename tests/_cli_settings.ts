// Copyright 2026 the heartbeat authors. MIT license.

import type { Settings } from "../_cli_args.ts";

/** The settings of the demo where nothing is given. */
export const DEFAULTS: Settings = {
  mode: "demo",
  command: [],
  target: undefined,
  timeout: 3_000,
  runtime: 10_000,
  retries: 0,
  interval: 1_000,
  work: 500,
  hangAfter: Infinity,
  cpu: false,
  quiet: false,
  json: false,
  stats: false,
  once: false,
  tty: false,
  grep: undefined,
  alive: undefined,
  health: undefined,
  ping: undefined,
  network: undefined,
};

/** Those of a guard. */
export const GUARD_DEFAULTS: Settings = {
  ...DEFAULTS,
  timeout: 600_000,
  runtime: Infinity,
};

/** Options that stand together. */
export interface Given {
  modes: readonly Settings["mode"][];
  args: string[];
}

const GUARDS = ["command", "pipe"] as const;
const COMMAND = ["command"] as const;
const PING = "https://hc.example/secret";

/** What is right, and what it means. */
export const RIGHT: (Given & { settings: Partial<Settings> })[] = [
  {
    modes: GUARDS,
    args: ["--ping", PING],
    settings: { ping: { url: PING, every: 60_000, isPlain: false } },
  },
  {
    modes: GUARDS,
    args: ["--ping-plain", `--ping=${PING}`, "--ping-every=5m"],
    settings: { ping: { url: PING, every: 300_000, isPlain: true } },
  },
  { modes: GUARDS, args: ["--grep", "^\\d+%"], settings: { grep: /^\d+%/ } },
  { modes: COMMAND, args: ["--tty"], settings: { tty: true } },
  {
    modes: COMMAND,
    args: ["--alive-if", "cpu"],
    settings: { alive: { type: "cpu" } },
  },
  {
    modes: COMMAND,
    args: ["--alive-if=./cpu"],
    settings: { alive: { type: "file", path: "./cpu" } },
  },
];

/** What is wrong, and what the error contains. */
export const WRONG: (Given & { message: string })[] = [
  ...["hc.example/secret", "file:///secret", "secret"].map((url) => ({
    modes: GUARDS,
    args: [`--ping=${url}`],
    message: "invalid value for --ping: it must be a URL, as in https://",
  })),
  ...[["--ping-every", "1m"], ["--ping-plain"]].map((args) => ({
    modes: GUARDS,
    args,
    message: `missing --ping URL: ${args[0]} needs it, as in --ping https://`,
  })),
  {
    modes: ["demo", "fleet"],
    args: [`--ping=${PING}`],
    message: "--ping is not for this use: it goes with -- COMMAND and - only",
  },
  ...["(", "[", "a**"].map((pattern) => ({
    modes: GUARDS,
    args: [`--grep=${pattern}`],
    message:
      `invalid value '${pattern}' for --grep: it takes a regular expression of JavaScript: `,
  })),
  {
    modes: COMMAND,
    args: ["--alive-if="],
    message: "invalid value '' for --alive-if: it must not be empty",
  },
  {
    modes: ["demo", "pipe", "fleet"],
    args: ["--tty"],
    message: "--tty is not for this use: it goes with -- COMMAND only",
  },
  {
    modes: GUARDS,
    args: [`--ping=${PING}`, "--ping-every=0"],
    message: "invalid value '0' for --ping-every: it takes 250ms",
  },
];

/** The options for NATS. */
export const NETWORK_OPTIONS =
  "nats name subject exec group blind-above creds tls-ca tls-cert tls-key"
    .split(" ");

/** The options without a value. */
export const SWITCHES = "cpu once tty quiet json stats ping-plain help version"
  .split(" ");

/** All options, in the order in which they are listed. */
export const OPTIONS = [
  ..."timeout runtime retries grep alive-if".split(" "),
  ..."interval work hang-after health".split(" "),
  ..."ping ping-every".split(" "),
  ...NETWORK_OPTIONS,
  ...SWITCHES,
];
