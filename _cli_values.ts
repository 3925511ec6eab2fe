// Copyright 2026 the heartbeat authors. MIT license.

/** The values of the options: numbers, durations and names. */

import { MAX_DELAY_MS } from "./_timers.ts";

/** The arguments are wrong; the message says how, in one line. */
export class UsageError extends Error {
  /** The exit code. */
  readonly code: number;

  constructor(message: string, code = 2) {
    super(message.replaceAll(/[\r\n]/g, " "));
    this.code = code;
  }
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

/**
 * Reads a share.
 *
 * @returns More than 0, at most 1; 1 for `0` and `none`, which nothing exceeds.
 * @throws {UsageError} If it is none.
 */
export function parseShare(flag: string, text: string): number {
  if (text === "none") return 1;
  const value = BARE_NUMBER.test(text) ? Number(text) : NaN;
  if (value >= 0 && value <= 1) return value || 1;
  throw new UsageError(
    `invalid value '${text}' for --${flag}: it takes a share such as 0.5, up to 1, and 0 or none for no limit`,
  );
}

/** Where a server listens. */
export interface Address {
  hostname: string;
  port: number;
}

/** Whether a host is this machine, for every browser. */
export function isLoopback(hostname: string): boolean {
  return /^((.+\.)?localhost|127(\.\d+){3}|\[?::1\]?)$/.test(hostname);
}

/**
 * Reads `[HOST:]PORT`; the host is this machine itself if it is not given.
 *
 * @throws {UsageError} If it is none.
 */
export function parseAddress(text: string): Address {
  const match = /^(?:(.+):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match && port <= 65_535) {
    const hostname = match[1]?.replace(/^\[(.*)\]$/, "$1") ?? "127.0.0.1";
    return { hostname, port };
  }
  throw new UsageError(
    `invalid value '${text}' for --health: it takes a port, or a host and a port, such as 8080 or 0.0.0.0:8080`,
  );
}

/**
 * Reads a part of a NATS subject, or several.
 *
 * @param flag The option that it is for.
 * @param text The part.
 * @param kind `part` for one, `prefix` for several, `pattern` with wildcards, `bucket`
 * for one that a bucket can be named after.
 * @throws {UsageError} If it is none.
 */
export function parseSubject(
  flag: string,
  text: string,
  kind: keyof typeof SUBJECTS,
): string {
  const [pattern, accepted] = SUBJECTS[kind];
  if (pattern.test(text)) return text;
  throw new UsageError(
    `invalid value '${text}' for --${flag}: it takes ${accepted}`,
  );
}

const SUBJECTS = {
  bucket: [/^[\w-]+$/, "a name of letters, digits, - and _"],
  part: [/^[^\s.*>]+$/, "a name without spaces, dots, * and >"],
  prefix: [
    /^[^\s.*>]+(\.[^\s.*>]+)*$/,
    "parts with dots between, without spaces, * and >",
  ],
  pattern: [
    /^([^\s.*>]+|\*)(\.([^\s.*>]+|\*))*(\.>)?$|^>$/,
    "a subject such as heartbeats.> or heartbeats.*",
  ],
} as const;
