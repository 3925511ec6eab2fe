// Copyright 2026 the heartbeat authors. MIT license.
// deno-lint-ignore-file no-console -- it ends a program with a word

import { escapeText } from "@heartbeat/heartbeat/nats";
import { parseArgs, type ParseOptions } from "@std/cli/parse-args";

/** Prints what is wrong, in one line, and ends: 2 for bad usage, 1 for anything later. */
export function fail(problem: string, code = 2): never {
  console.error(escapeText(problem));
  Deno.exit(code);
}

/** What `make` returns. Ends the program if it throws, as for a bad option. */
export function orFail<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    return fail((error as Error).message);
  }
}

/** Reads the options: those with a value, by their defaults, and the switches. */
export function readOptions<T extends string, S extends string>(
  defaults: Record<T, string>,
  switches: S[] = [],
): Record<T, string> & Record<S, boolean> {
  const names = Object.keys(defaults);
  return parseArgs(Deno.args, {
    string: names,
    boolean: switches,
    default: defaults,
    unknown(arg: string) {
      const known = [...names, ...switches].map((name) => `--${name}`);
      return fail(`unknown option '${arg}': they are ${known.join(", ")}`);
    },
  } as ParseOptions) as never;
}

function failFor(name: string, text: string, accepted: string): never {
  return fail(`invalid value '${text}' for --${name}: ${accepted}`);
}

/** A positive whole number. */
export function parseCount(name: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  return failFor(name, text, "a positive whole number");
}

/** A port; 0 is any that is free. */
export function parsePort(name: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  return failFor(name, text, "a port from 0 to 65535");
}

/** A URL of HTTP. */
export function parseUrl(name: string, text: string): URL {
  const url = URL.parse(text);
  if (/^https?:$/.test(url?.protocol ?? "")) return url!;
  return failFor(name, text, "a URL such as http://127.0.0.1:8099/");
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration, in milliseconds. */
export function parseDuration(name: string, text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const duration = Number(value) * UNITS[unit as keyof typeof UNITS];
  if (duration > 0) return duration;
  return failFor(name, text, "a duration such as 250ms, 3s or 1h");
}
