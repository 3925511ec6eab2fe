// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- what it says is for the user
import { parseArgs, type ParseOptions } from "@std/cli/parse-args";
import { connect } from "npm:@nats-io/transport-node@3.4.0";

/** Reads the options, all of which take a value or are switches; ends with a word on what is wrong. */
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

/** Says what is wrong, and ends. */
export function fail(problem: string): never {
  console.error(problem);
  Deno.exit(2);
}

/** What `make` makes; ends with a word where it refuses an option. */
export function orFail<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    return fail((error as Error).message);
  }
}

/** Says what went wrong on the way, and ends. */
export function failLate(problem: string): never {
  console.error(problem);
  Deno.exit(1);
}

// The client leaves the socket of a refused connection without a listener: a reset
// of it would end the program before the client has said what is wrong.
addEventListener("error", (event) => {
  if (event.error?.code === "ECONNRESET") event.preventDefault();
});

/**
 * Connects, as the user that the environment names in NATS_USER and
 * NATS_PASSWORD; never gives up once connected, unless it is refused.
 */
export async function connectTo(servers: string, name: string) {
  const [user, pass] = ["NATS_USER", "NATS_PASSWORD"].map(Deno.env.get);
  try {
    return await connect({
      servers,
      name,
      ...(user !== undefined && { user }),
      ...(pass !== undefined && { pass }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 100,
      pingInterval: 1_000,
      maxPingOut: 1,
    });
  } catch (error) {
    return fail(`cannot connect to ${servers}: ${(error as Error).message}`);
  }
}
