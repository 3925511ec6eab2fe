// Copyright 2026 the heartbeat authors. MIT license.

import type { Settings } from "../_cli_args.ts";

/** The settings of the demo where nothing is given. */
export const DEFAULTS: Settings = {
  mode: "demo",
  command: [],
  target: undefined,
  timeout: 3_000,
  runtime: 10_000,
  restart: {
    when: "on-stall",
    maxRestarts: 0,
    within: Infinity,
    backoff: undefined,
  },
  interval: 1_000,
  work: 500,
  hangAfter: Infinity,
  cpu: false,
  quiet: false,
  json: false,
  stats: false,
  summary: false,
  notices: undefined,
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

const RESTARTS: [string[], Partial<Settings["restart"]>][] = [
  [["--restart", "never"], { when: "never", maxRestarts: Infinity }],
  [["--restart=on-stall"], { when: "on-stall", maxRestarts: Infinity }],
  [["--restart=on-failure", "--within", "1h"], {
    when: "on-failure",
    maxRestarts: Infinity,
    within: 3_600_000,
  }],
  [["--backoff", "1s..1m", "--restart=always", "--within=none"], {
    when: "always",
    maxRestarts: Infinity,
    backoff: { min: 1_000, max: 60_000 },
  }],
  [["--restart=always", "--backoff=1m30s"], {
    when: "always",
    maxRestarts: Infinity,
    backoff: { min: 90_000, max: 90_000 },
  }],
];

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
  { modes: GUARDS, args: ["--summary"], settings: { summary: true } },
  {
    modes: GUARDS,
    args: ["--notices", "-x"],
    settings: { notices: "-x" },
  },
  { modes: GUARDS, args: ["--grep", "^\\d+%"], settings: { grep: /^\d+%/ } },
  ...RESTARTS.map(([args, restart]) => ({
    modes: COMMAND,
    args,
    settings: { restart: { ...DEFAULTS.restart, ...restart } },
  })),
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

const WRONG_RESTARTS: [string[], string][] = [
  [
    ["--restart=yes"],
    "invalid value 'yes' for --restart: it takes never, on-stall, on-failure or always",
  ],
  [["--restart="], "invalid value '' for --restart: it must not be empty"],
  [
    ["--within=1h"],
    "missing --restart or --retries: --within needs one of them",
  ],
  [
    ["--backoff", "1s"],
    "missing --restart or --retries: --backoff needs one of them",
  ],
  [
    ["--restart=always", "--within", "1"],
    "invalid value '1' for --within: 1s or 1ms?",
  ],
  [
    ["--restart=always", "--backoff", "1..2s"],
    "invalid value '1' for --backoff: 1s or 1ms?",
  ],
  [
    ["--restart=always", "--backoff=1s..x"],
    "invalid value 'x' for --backoff: it takes 250ms",
  ],
  [
    ["--restart=always", "--backoff=1s.."],
    "invalid value '' for --backoff: it takes 250ms",
  ],
  [
    ["--restart=always", "--backoff=0..1s"],
    "invalid value '0' for --backoff: it takes 250ms",
  ],
  [
    ["--restart=always", "--backoff=1s..2s..3s"],
    "invalid value '1s..2s..3s' for --backoff: it takes MIN..MAX",
  ],
  [
    ["--restart=always", "--backoff=2s..1s"],
    "invalid value '2s..1s' for --backoff: the first delay must not be longer than the last",
  ],
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
    modes: GUARDS,
    args: ["--notices="],
    message: "invalid value '' for --notices: it must not be empty",
  },
  ...WRONG_RESTARTS.map(([args, message]) => ({
    modes: COMMAND,
    args,
    message,
  })),
  {
    modes: ["demo", "pipe"],
    args: ["--restart=always"],
    message:
      "--restart 'always' is not for this use: it goes with -- COMMAND only",
  },
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
export const SWITCHES =
  "cpu once tty quiet json stats summary ping-plain help version"
    .split(" ");

/** All options, in the order in which they are listed. */
export const OPTIONS = [
  ..."timeout runtime retries restart within backoff grep alive-if".split(" "),
  ..."interval work hang-after health".split(" "),
  ..."notices ping ping-every".split(" "),
  ...NETWORK_OPTIONS,
  ...SWITCHES,
];
