// Copyright 2026 the heartbeat authors. MIT license.

/** The notices about what is guarded: its silences, its stalls, and its restarts. */

import type { Settings } from "./_cli_args.ts";
import type { GuardObserver } from "./_cli_observers.ts";
import { type CliOutput, formatDuration } from "./_cli_output.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
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

type Words = typeof WORDS[keyof typeof WORDS];

function findWords({ mode, grep, alive }: Settings): Words {
  const words = WORDS[mode === "pipe" ? "pipe" : "command"];
  if (alive) return { ...words, noun: "sign of life" };
  return grep ? { ...words, noun: "matching line" } : words;
}

/**
 * Reports when what is guarded goes silent, at half of the timeout, and when it
 * comes back. A command that is started again after a stall ends that silence by
 * its first output.
 */
export class NoticeReporter implements GuardObserver {
  #settings: Settings;
  #output: CliOutput;
  #words: Words;
  /** When the silence that was reported began. */
  #silentSince: number | undefined;

  constructor(settings: Settings, output: CliOutput) {
    this.#settings = settings;
    this.#output = output;
    this.#words = findWords(settings);
  }

  /**
   * Give this to whatever watches. Only progress ends a silence: it also ends when
   * a command ends, which is no output.
   */
  readonly onSilence = ({ type, elapsed }: SilenceEvent<unknown>) => {
    if (type === "recovered") return;
    this.#silentSince = Date.now() - elapsed;
    const { timeout } = this.#settings;
    const silence = timeout / 2;
    const { noun, warning } = this.#words;
    const text = `no ${noun} for ${formatDuration(silence)}, ${warning} at ${
      formatDuration(timeout)
    }`;
    this.#output.notify("silent", text, { silence, timeout });
  };

  onProgress() {
    if (this.#silentSince === undefined) return;
    const silence = Date.now() - this.#silentSince;
    this.#silentSince = undefined;
    const text = `${this.#words.noun} again after ${formatDuration(silence)}`;
    this.#output.notify("resumed", text, { silence });
  }

  onEvent(event: SupervisorEvent) {
    const { type } = event;
    if (type === "stalled") {
      this.#reportStall(event.elapsed);
    } else if (type === "restarting") {
      this.#reportRestart(event);
    } else if (type === "unstopped") {
      this.#output.notify(type, "it did not end: it is left behind");
    }
  }

  #reportRestart(
    { attempt, delay }: Pick<SupervisorEvent, "attempt"> & { delay: number },
  ) {
    const { maxRestarts, within, backoff } = this.#settings.restart;
    const isCounted = maxRestarts < Infinity && within === Infinity;
    const count = isCounted ? `${attempt} of ${maxRestarts}` : `${attempt}`;
    const when = backoff ? ` in ${formatDuration(delay)}` : "";
    this.#output.notify("restarting", `starting it again${when} (${count})`, {
      attempt,
      retries: maxRestarts,
      delay,
    });
  }

  #reportStall(elapsed: number) {
    const { mode, timeout, command: [command] } = this.#settings;
    const subject = mode === "pipe" ? "standard input" : `'${command}'`;
    const { noun, outcome } = this.#words;
    const silence = noun === "matching line"
      ? "had no matching line"
      : "was silent";
    const text = `${subject} ${silence} for ${
      formatDuration(timeout)
    }: ${outcome}`;
    this.#output.notify("stalled", text, { silence: elapsed, timeout });
  }
}
