// Copyright 2026 the heartbeat authors. MIT license.

/** The arguments for NATS: where heartbeats are published, or watched. */

import { parseServer } from "./_cli_nats.ts";
import { parseShare, parseSubject, UsageError } from "./_cli_values.ts";

/** How to reach a NATS server, and what for. */
export interface NetworkSettings {
  /** The address of the server. It can contain credentials. */
  url: string;
  /** The name to publish as; empty for the fleet. */
  name: string;
  /** Where to publish, before the name; or what to watch. */
  subject: string;
  /** A shell command for each event. */
  exec: string | undefined;
  /** The group of watchers to join. */
  group: string | undefined;
  /** The share of silent workers above which nobody is reported. */
  blindAbove: number;
  /** The file with credentials. */
  creds: string | undefined;
  /** The files of TLS. */
  tls: {
    ca: string | undefined;
    cert: string | undefined;
    key: string | undefined;
  };
}

/** The options for NATS, as they were given. */
interface NetworkFlags {
  nats?: string;
  name?: string;
  subject?: string;
  exec?: string;
  group?: string;
  "blind-above"?: string;
  creds?: string;
  "tls-ca"?: string;
  "tls-cert"?: string;
  "tls-key"?: string;
}

/** The options that need `--nats`. */
const DEPENDENT = [
  "name",
  "subject",
  "exec",
  "group",
  "creds",
  "tls-ca",
  "tls-cert",
  "tls-key",
] as const;

/**
 * Reads the options for NATS.
 *
 * @returns `undefined` if there are none.
 * @throws {UsageError} If they are wrong, or one of them is missing.
 */
export function readNetwork(
  flags: NetworkFlags,
  isFleet: boolean,
): NetworkSettings | undefined {
  const { nats: url, name } = flags;
  if (url === undefined) {
    const given = DEPENDENT.find((flag) => flags[flag] !== undefined);
    if (!isFleet && given === undefined) return;
    const needs = isFleet ? "fleet" : `--${given}`;
    throw new UsageError(
      `missing --nats URL: ${needs} needs a server, as in --nats localhost:4222`,
    );
  }
  checkUrl(url);
  if (!isFleet && name === undefined) {
    throw new UsageError(
      "missing --name NAME: heartbeats are published under a name, as in --name alpha",
    );
  }
  const { group, subject = isFleet ? "heartbeats.>" : "heartbeats" } = flags;
  return {
    url,
    name: isFleet ? "" : parseSubject("name", name!, "part"),
    subject: parseSubject("subject", subject, isFleet ? "pattern" : "prefix"),
    exec: flags.exec,
    group: group === undefined
      ? undefined
      : parseSubject("group", group, "bucket"),
    blindAbove: parseShare("blind-above", flags["blind-above"] ?? "0.5"),
    creds: flags.creds,
    tls: {
      ca: flags["tls-ca"],
      cert: flags["tls-cert"],
      key: flags["tls-key"],
    },
  };
}

function checkUrl(url: string) {
  try {
    parseServer(url);
  } catch {
    // the value can contain a password, so it is not shown
    throw new UsageError(
      "invalid value for --nats: it takes a URL such as localhost:4222 or tls://host:4222",
    );
  }
}
