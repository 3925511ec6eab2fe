// Copyright 2026 the heartbeat authors. MIT license.

/** The figures of a guarded run: what `--stats` and `--summary` print at the end. */

import type { Settings } from "./_cli_args.ts";
import type { GuardObserver, RunEnd } from "./_cli_observers.ts";
import { type CliOutput, formatCount, formatDuration } from "./_cli_output.ts";
import { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import type { SupervisorEvent } from "./supervisor.ts";

/** Counts, and prints one line at the end: the summary, or the silences only. */
export class GuardStats implements GuardObserver {
  /** The silences between two signs of life. */
  readonly gaps = new HeartbeatGaps();
  #isSummary: boolean;
  /** Whether the first silence is still to be counted here. */
  #isFirstMissing: boolean;
  #output: CliOutput;
  #startTime = Date.now();
  #chunks = 0;
  #stalls = 0;
  #starts = 0;
  /** When the last sign of life came, while something runs. */
  #aliveTime: number | undefined;

  constructor(
    { summary, mode }: Pick<Settings, "summary" | "mode">,
    output: CliOutput,
  ) {
    this.#isSummary = summary;
    this.#isFirstMissing = mode === "pipe";
    this.#output = output;
  }

  onStarted() {
    this.#aliveTime = Date.now();
  }

  onChunk() {
    this.#chunks++;
  }

  onProgress() {
    // a monitor does not count the silence before its first chunk
    if (this.#isFirstMissing) this.#onSilenceEnded();
    this.#isFirstMissing = false;
    this.#aliveTime = Date.now();
  }

  onEvent({ type }: Pick<SupervisorEvent, "type">) {
    switch (type) {
      case "started":
        this.#starts++;
        break;
      case "stalled":
        this.#stalls++;
        // how long the silence would have been is not known
        this.#aliveTime = undefined;
        break;
      case "failed":
      case "ended":
        this.#onSilenceEnded();
    }
  }

  /** A silence has ended that is not counted elsewhere: the last one, which no sign of life ends. */
  #onSilenceEnded() {
    if (this.#aliveTime === undefined) return;
    // the clock may have been set back
    this.gaps.record(Math.max(Date.now() - this.#aliveTime, 0));
    this.#aliveTime = undefined;
  }

  async end({ code }: Pick<RunEnd, "code">) {
    this.#onSilenceEnded();
    const { text, data } = this.#describeSilences();
    if (!this.#isSummary) return await this.#output.notify("stats", text, data);
    // the clock may have been set back
    const duration = Math.max(Date.now() - this.#startTime, 0);
    const restarts = Math.max(this.#starts - 1, 0);
    const parts = [
      `exit code ${code} after ${formatDuration(duration)}`,
      ...(restarts > 0 ? [formatCount(restarts, "restart")] : []),
      text,
    ];
    const figures = { code, duration, restarts, ...data };
    await this.#output.notify("summary", parts.join("; "), figures);
  }

  #describeSilences() {
    const { longest, longestAt } = this.gaps;
    // the silences that were cut short would be missing from it
    const suggested = this.#stalls > 0 ? undefined : this.gaps.suggestTimeout();
    const parts = [formatCount(this.#chunks, "chunk")];
    if (this.#stalls > 0) {
      parts.push(`silent for too long ${formatCount(this.#stalls, "time")}`);
    }
    if (longestAt === undefined) {
      parts.push("no silence that has ended");
    } else {
      const end = new Date(longestAt).toTimeString().slice(0, 8);
      parts.push(`longest silence ${formatDuration(longest)}, until ${end}`);
    }
    if (suggested !== undefined) {
      parts.push(`suggested: --timeout ${formatTimeout(suggested)}`);
    }
    const data = {
      chunks: this.#chunks,
      stalls: this.#stalls,
      longest,
      longestAt,
      suggestedTimeout: suggested,
    };
    return { text: parts.join("; "), data };
  }
}

/** A duration as an argument, never less than it is. */
function formatTimeout(ms: number): string {
  return ms < 1_000 ? `${ms}ms` : `${Math.ceil(ms / 1_000)}s`;
}
