// Copyright 2026 the heartbeat authors. MIT license.

/** The command of `--exec`, which is run for each event of a fleet. */

import { boundAnswer } from "./_bounded_answer.ts";
import { escapeText } from "./_escape_text.ts";
import { waitAtMost } from "./_timers.ts";
import type { BoardEvent } from "./_fleet_board.ts";

/** How long a command for an event may take (ms) before it is killed. */
const EXEC_MS = 60_000;

/** How long the commands may take (ms) once the watcher ends. */
const END_MS = 10_000;

/** How many events may wait for their command; the others have none. */
const MAX_WAITING = 1_000;

/** Options of an {@linkcode EventCommand}. */
export interface EventCommandOptions {
  /** Where its output goes. */
  stderr: "inherit" | "null";
  /** Reports what went wrong, as text and why; resolves when that is done. */
  report: (text: string, message: string) => Promise<void>;
}

/** Runs a command for each event, one after the other. */
export class EventCommand {
  #command: string;
  #options: EventCommandOptions;
  #last = Promise.resolve();
  #waiting = 0;
  #dropped = 0;

  constructor(command: string, options: EventCommandOptions) {
    this.#command = command;
    this.#options = options;
  }

  /** Resolves when the command has run for all events so far, or takes too long. */
  end(): Promise<void> {
    return waitAtMost(this.#last, END_MS);
  }

  /** Resolves when the command has run for all events so far, or the signal aborts. */
  async settle(signal: AbortSignal): Promise<void> {
    const limits = { from: "command", timeout: Infinity, signal };
    await boundAnswer(this.#last, limits).catch(() => {});
  }

  /** Runs the command for an event, when it is its turn. */
  run(event: BoardEvent) {
    if (this.#waiting >= MAX_WAITING) {
      this.#dropped++;
      return;
    }
    this.#waiting++;
    this.#last = this.#last.then(async () => {
      await this.#runNow(event);
      this.#waiting--;
      if (this.#waiting === 0) await this.#reportDropped();
    });
  }

  async #runNow(event: BoardEvent) {
    try {
      const command = new Deno.Command("sh", {
        // its output must not come between the lines of events
        args: ["-c", `exec 1>&2\n${this.#command}`],
        env: {
          HEARTBEAT_TYPE: event.type,
          HEARTBEAT_WORKER: event.worker ?? "",
          HEARTBEAT_EVENT: escapeText(JSON.stringify(event)),
        },
        stdin: "null",
        stdout: "null",
        stderr: this.#options.stderr,
        signal: AbortSignal.timeout(EXEC_MS),
      });
      const { success, code } = await command.spawn().status;
      if (!success) await this.#report(`it ended with exit code ${code}`);
    } catch (error) {
      await this.#report((error as Error).message);
    }
  }

  #report(message: string) {
    return this.#options.report(`--exec failed: ${message}`, message);
  }

  async #reportDropped() {
    if (this.#dropped === 0) return;
    const message = `${this.#dropped} events came too fast for it`;
    this.#dropped = 0;
    await this.#report(message);
  }
}
