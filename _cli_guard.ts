// Copyright 2026 the heartbeat authors. MIT license.

/** What guarding a command and guarding a pipe have in common. */

import type { Settings } from "./_cli_args.ts";
import {
  type CliOutput,
  formatCount,
  formatDuration,
  OutputError,
} from "./_cli_output.ts";
import { CommandError } from "./_command_error.ts";
import { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
import { RestartLimitError } from "./_restart_policy.ts";
import type { CommandOutput } from "./command.ts";
import type { SupervisorEvent } from "./supervisor.ts";

/** How each mode speaks of the silence, and of what follows it. */
const WORDS = {
  command: {
    noun: "output",
    warning: "it will be ended",
    outcome: "ended",
  },
  // the producer of a pipe is another process, which nobody ends
  pipe: {
    noun: "input",
    warning: "heartbeat will give up",
    outcome: "gave up, its producer was not ended",
  },
};

/**
 * Reports when what is guarded goes silent, at half of the timeout, and when it
 * comes back. A command that is started again after a stall ends that silence by
 * its first output.
 */
export class SilenceReporter {
  #settings: Settings;
  #output: CliOutput;
  #words: typeof WORDS[keyof typeof WORDS];
  /** When the silence that was reported began. */
  #silentSince: number | undefined;

  constructor(
    settings: Settings,
    output: CliOutput,
    mode: keyof typeof WORDS,
  ) {
    this.#settings = settings;
    this.#output = output;
    this.#words = WORDS[mode];
  }

  /** Give this to whatever watches. */
  readonly onSilence = ({ type, elapsed }: SilenceEvent<unknown>) => {
    if (type === "recovered") {
      this.onOutput();
      return;
    }
    this.#silentSince = Date.now() - elapsed;
    const { timeout } = this.#settings;
    const silence = timeout / 2;
    const { noun, warning } = this.#words;
    const text = `no ${noun} for ${formatDuration(silence)}, ${warning} at ${
      formatDuration(timeout)
    }`;
    this.#output.notify("silent", text, { silence, timeout });
  };

  /** There was output; resolves when that has been reported. */
  async onOutput() {
    if (this.#silentSince === undefined) return;
    const silence = Date.now() - this.#silentSince;
    this.#silentSince = undefined;
    const text = `${this.#words.noun} again after ${formatDuration(silence)}`;
    await this.#output.notify("resumed", text, { silence });
  }

  /** Reports that the silence was too long. */
  async reportStall(subject: string, elapsed: number) {
    const { timeout } = this.#settings;
    const text = `${subject} was silent for ${
      formatDuration(timeout)
    }: ${this.#words.outcome}`;
    await this.#output.notify("stalled", text, { silence: elapsed, timeout });
  }
}

/** What `--stats` prints at the end. */
export class GuardStats {
  /** The silences between two signs of life. */
  readonly gaps = new HeartbeatGaps();
  #chunks = 0;
  #stalls = 0;

  /** A chunk is passed on. */
  readonly onChunk = () => void this.#chunks++;

  /** A silence was too long. How long it would have been is not known. */
  onStall() {
    this.#stalls++;
  }

  /** Prints what is known; resolves when that is written. */
  async report(output: CliOutput) {
    const { longest, longestAt } = this.gaps;
    // the silences that were cut short would be missing from it
    const suggested = this.#stalls > 0 ? undefined : this.gaps.suggestTimeout();
    const parts = [formatCount(this.#chunks, "chunk")];
    if (this.#stalls > 0) {
      parts.push(`silent for too long ${formatCount(this.#stalls, "time")}`);
    }
    if (longestAt === undefined) {
      parts.push("no silence between two of them");
    } else {
      const end = new Date(longestAt).toTimeString().slice(0, 8);
      parts.push(`longest silence ${formatDuration(longest)}, until ${end}`);
    }
    if (suggested !== undefined) {
      parts.push(`suggested: --timeout ${formatTimeout(suggested)}`);
    }
    await output.notify("stats", parts.join("; "), {
      chunks: this.#chunks,
      stalls: this.#stalls,
      longest,
      longestAt,
      suggestedTimeout: suggested,
    });
  }
}

/** A duration as an argument, never less than it is. */
function formatTimeout(ms: number): string {
  return ms < 1_000 ? `${ms}ms` : `${Math.ceil(ms / 1_000)}s`;
}

/** Passes chunks on to this process's own output until they end, or `stop` aborts. */
export async function forwardOutput(
  chunks: ReadableStream<CommandOutput | Uint8Array>,
  output: CliOutput,
  silence: SilenceReporter,
  onChunk: (bytes: Uint8Array) => void,
  stop: AbortSignal,
) {
  const reader = chunks.getReader();
  function cancel() {
    reader.cancel(stop.reason).catch(() => {});
  }
  if (stop.aborted) cancel();
  stop.addEventListener("abort", cancel, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const { from, bytes } = value instanceof Uint8Array
        ? { from: "stdout" as const, bytes: value }
        : value;
      onChunk(bytes);
      await silence.onOutput();
      await output.forward(from, bytes);
    }
  } finally {
    stop.removeEventListener("abort", cancel);
    cancel();
  }
}

/** Why a command could not be started, and the exit code for that. */
export function describeStartFailure(error: unknown, command: string) {
  if (error instanceof Deno.errors.NotFound) {
    return { code: 127, message: `cannot find the command '${command}'` };
  }
  const { message } = error as Error;
  if (error instanceof Deno.errors.NotCapable) {
    return {
      code: 125,
      message: `cannot run a command without --allow-run: ${message}`,
    };
  }
  return {
    code: 126,
    message: `cannot run the command '${command}': ${message}`,
  };
}

/** Reports what the supervisor decided. */
export function reportEvent(
  event: SupervisorEvent,
  { command: [command = ""], retries }: Settings,
  output: CliOutput,
  silence: SilenceReporter,
  stats: GuardStats,
) {
  const { type } = event;
  if (type === "stalled") {
    stats.onStall();
    silence.reportStall(`'${command}'`, event.elapsed);
  } else if (type === "restarting") {
    const { attempt, delay } = event;
    const text = `starting it again (${attempt} of ${retries})`;
    output.notify(type, text, { attempt, retries, delay });
  } else if (type === "unstopped") {
    output.notify(type, "it did not end: it is left behind");
  }
}

/** The exit code for what ended a guarded command; reports what could not be run. */
export async function toExitCode(
  error: unknown,
  command: string,
  output: CliOutput,
): Promise<number> {
  if (error instanceof OutputError) throw error;
  if (error instanceof CommandError) return error.code;
  if (
    error instanceof RestartLimitError ||
    error instanceof HeartbeatTimeoutError
  ) return 124;
  const failure = describeStartFailure(error, command);
  await output.notify("error", failure.message, failure);
  return failure.code;
}
