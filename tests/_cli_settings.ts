// Copyright 2026 the heartbeat authors. MIT license.

import type { Settings } from "../_cli_args.ts";

/** The settings of the demo where nothing is given. */
export const DEFAULTS: Settings = {
  mode: "demo",
  command: [],
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
  health: undefined,
  network: undefined,
};

/** Those of a guard. */
export const GUARD_DEFAULTS: Settings = {
  ...DEFAULTS,
  timeout: 600_000,
  runtime: Infinity,
};

/** The options for NATS. */
export const NETWORK_OPTIONS =
  "nats name subject exec group creds tls-ca tls-cert tls-key".split(" ");

/** All options, in the order in which they are listed. */
export const OPTIONS = [
  ..."timeout runtime retries interval work hang-after health".split(" "),
  ...NETWORK_OPTIONS,
  ..."cpu quiet json stats help version".split(" "),
];
