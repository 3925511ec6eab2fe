// Copyright 2026 the heartbeat authors. MIT license.

/** The figures of a guarded run, as `--stats` prints them at the end. */

import type { GuardObserver } from "./_cli_observers.ts";
import { type CliOutput, formatCount, formatDuration } from "./_cli_output.ts";
import { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import type { SupervisorEvent } from "./supervisor.ts";

/** What `--stats` prints at the end. */
export class GuardStats implements GuardObserver {
  /** The silences between two signs of life. */
  readonly gaps = new HeartbeatGaps();
  #output: CliOutput;
  #chunks = 0;
  #stalls = 0;

  constructor(output: CliOutput) {
    this.#output = output;
  }

  onChunk() {
    this.#chunks++;
  }

  onEvent({ type }: Pick<SupervisorEvent, "type">) {
    // how long the silence would have been is not known
    if (type === "stalled") this.#stalls++;
  }

  async end() {
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
    await this.#output.notify("stats", parts.join("; "), {
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
