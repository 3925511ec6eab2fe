// Copyright 2026 the heartbeat authors. MIT license.

/** When a command is started again, and how soon. */

import { parseCount, parseDuration, UsageError } from "./_cli_values.ts";
import { CommandError } from "./_command_error.ts";
import type { CommandOutput } from "./_command_types.ts";
import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";

/** After what a command is started again. */
const CASES = ["never", "on-stall", "on-failure", "always"] as const;

/** The exit code of what SIGHUP has ended. */
const HANGUP_CODE = 129;

/** When a command is started again. Durations are in milliseconds. */
export interface RestartSettings {
  when: typeof CASES[number];
  /** How often it may be; `Infinity` for no limit. */
  maxRestarts: number;
  /** Within which time; `Infinity` for the whole run. */
  within: number;
  /** The delays; `undefined` for those of the library. */
  backoff: { min: number; max: number } | undefined;
}

/** The options for restarts, as they were given. */
interface RestartFlags {
  restart?: string;
  retries?: string;
  within?: string;
  backoff?: string;
}

/**
 * Reads the options for restarts.
 *
 * @throws {UsageError} If they are wrong, or one of them is missing.
 */
export function readRestart(flags: RestartFlags): RestartSettings {
  const { restart, retries, within, backoff } = flags;
  if (restart === undefined && retries === undefined) {
    const given = within !== undefined ? "within" : "backoff";
    if (flags[given] !== undefined) {
      throw new UsageError(
        `missing --restart or --retries: --${given} needs one of them, as in --restart on-failure`,
      );
    }
  }
  const limit = restart === undefined ? 0 : Infinity;
  return {
    when: parseCase(restart ?? "on-stall"),
    maxRestarts: retries === undefined ? limit : parseCount("retries", retries),
    within: parseDuration("within", within ?? "none", true),
    backoff: backoff === undefined ? undefined : parseBackoff(backoff),
  };
}

function parseCase(text: string) {
  const found = CASES.find((each) => each === text);
  if (found) return found;
  throw new UsageError(
    `invalid value '${text}' for --restart: it takes ${
      CASES.slice(0, -1).join(", ")
    } or ${CASES.at(-1)}`,
  );
}

/** Reads `MIN..MAX`, or one delay for all. */
function parseBackoff(text: string) {
  const [first, last = first, ...more] = text.split("..");
  if (more.length > 0) {
    throw new UsageError(
      `invalid value '${text}' for --backoff: it takes MIN..MAX, such as 1s..1m`,
    );
  }
  const min = parseDuration("backoff", first!, false);
  const max = parseDuration("backoff", last!, false);
  if (min <= max) return { min, max };
  throw new UsageError(
    `invalid value '${text}' for --backoff: the first delay must not be longer than the last`,
  );
}

/** Whether a command is started again after what ended it. */
export function isRestarted(
  cause: unknown,
  { when }: Pick<RestartSettings, "when">,
): boolean {
  if (cause instanceof HeartbeatTimeoutError) return when !== "never";
  if (!(cause instanceof CommandError)) return false;
  // its terminal was closed: what goes on would be out of reach
  if (cause.code === HANGUP_CODE) return false;
  if (cause.code === 0) return when === "always";
  return when === "always" || when === "on-failure";
}

/**
 * Makes the normal end of a command a failure, so that its supervisor starts it
 * again, unless `stop` has aborted.
 */
export function failAtEnd(
  results: ReadableStream<CommandOutput>,
  command: string,
  stop: AbortSignal,
): ReadableStream<CommandOutput> {
  const reader = results.getReader();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (!done) return controller.enqueue(value);
      if (stop.aborted) return controller.close();
      controller.error(new CommandError(command, { code: 0 }));
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
