// Copyright 2026 the heartbeat authors. MIT license.

/** A terminal whose whole window is drawn again and again, and that reports keys. */

import type { CliOutput } from "./_cli_output.ts";
import type { TableSize } from "./_fleet_table_text.ts";

/** Without the main screen, the cursor and line breaks of its own. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
/** Before a line: after one of full width, it would clear the last cell. */
const CLEAR_LINE = "\x1b[2K";

/** The key of Ctrl-C where it is no signal while keys are read one by one: on Windows. */
const CTRL_C = "\x03";

/** Whether Ctrl-C and Ctrl-Z stay signals while keys are read one by one. */
const CAN_SIGNAL = Deno.build.os !== "windows";

/** A process's side of its terminal, such as `Deno`. */
export interface TerminalStreams {
  /** What keys come from. */
  readonly stdin: {
    isTerminal(): boolean;
    setRaw(isRaw: boolean, options?: { cbreak: boolean }): void;
    read(bytes: Uint8Array): Promise<number | null>;
  };
  /** The size of the window. */
  consoleSize(): { columns: number; rows: number };
  /** Calls a function at each signal. */
  addSignalListener(signal: JobSignal, onSignal: () => void): void;
  /** Undoes that. */
  removeSignalListener(signal: JobSignal, onSignal: () => void): void;
}

/** The signals of a shell that stops a command (Ctrl-Z), and lets it go on (`fg`). */
export type JobSignal = "SIGTSTP" | "SIGCONT";

/** What happens when a key is pressed. */
export interface KeyHandlers {
  /** `q`. */
  onQuit: () => void;
  /** Ctrl-C, where it is no signal. */
  onInterrupt: () => void;
  /** Stops this process, after Ctrl-Z; `undefined` if it may not do that. */
  stopProcess: (() => void) | undefined;
}

/** What stops this process, if it may: nobody is asked. */
export function findStopper(): (() => void) | undefined {
  const { state } = Deno.permissions.querySync({ name: "run" });
  if (state !== "granted" || !CAN_SIGNAL) return undefined;
  return () => Deno.kill(Deno.pid, "SIGSTOP");
}

/**
 * The window of a terminal, between `open()` and `close()`.
 *
 * | phase | `open()` | `draw()` | a key | Ctrl-Z | the process goes on | `close()` |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `new` | → `open` | | | | | → `closed` |
 * | `open` | | writes | calls its handler | restores the terminal, → `stopped` | takes it again | restores it, → `closed` |
 * | `stopped` | | | | | takes it again, → `open` | → `closed` |
 * | `closed` | | | | | | |
 *
 * A process that is stopped otherwise (SIGSTOP) leaves the window as it is. The
 * shell changes how keys are read meanwhile.
 */
export class Terminal {
  readonly #output: Pick<CliOutput, "print">;
  readonly #keys: KeyHandlers;
  readonly #streams: TerminalStreams;
  #phase: "new" | "open" | "stopped" | "closed" = "new";
  /** Resolves when all has been written. */
  #written: Promise<void> = Promise.resolve();

  constructor(
    output: Pick<CliOutput, "print">,
    keys: KeyHandlers,
    streams: TerminalStreams = Deno,
  ) {
    this.#output = output;
    this.#keys = keys;
    this.#streams = streams;
  }

  /** Whether keys can be read. */
  get hasKeys(): boolean {
    return this.#streams.stdin.isTerminal();
  }

  /** The size of the window now. */
  get size(): TableSize {
    return this.#streams.consoleSize();
  }

  /** Takes the window, and begins to read keys. */
  async open() {
    if (this.#phase !== "new") return;
    this.#phase = "open";
    for (const [signal, listener] of this.#listeners) {
      this.#streams.addSignalListener(signal, listener);
    }
    await this.#take();
    if (this.hasKeys) this.#readKeys();
  }

  /**
   * Draws the window anew; resolves when that is written.
   *
   * @throws {OutputError} If it cannot be written.
   */
  async draw(lines: string[]) {
    if (this.#phase !== "open") return;
    const text = lines.map((line) => CLEAR_LINE + line).join("\r\n");
    await this.#write(HOME + text);
  }

  /** Gives the terminal back as it was; resolves when that is written, or cannot be. */
  async close() {
    const phase = this.#phase;
    this.#phase = "closed";
    if (phase === "new" || phase === "closed") return;
    for (const [signal, listener] of this.#listeners) {
      this.#streams.removeSignalListener(signal, listener);
    }
    if (phase === "open") await this.#giveBack();
    else await this.#written.catch(() => {});
  }

  /** The signals that are listened to. */
  get #listeners(): [JobSignal, () => void][] {
    if (!CAN_SIGNAL) return [];
    return this.#keys.stopProcess
      ? [["SIGTSTP", this.#onStop], ["SIGCONT", this.#onContinue]]
      : [["SIGCONT", this.#onContinue]];
  }

  readonly #onStop = async () => {
    if (this.#phase !== "open") return;
    this.#phase = "stopped";
    await this.#giveBack();
    // it may go on or end meanwhile
    if (this.#phase === "stopped") this.#keys.stopProcess!();
  };

  readonly #onContinue = () => {
    if (this.#phase === "closed") return;
    this.#phase = "open";
    // what cannot be written here cannot be drawn either, and that is reported
    this.#take().catch(() => {});
  };

  async #take() {
    if (this.hasKeys) this.#streams.stdin.setRaw(true, { cbreak: CAN_SIGNAL });
    await this.#write(ENTER);
  }

  /** Never rejects: a terminal that is gone cannot be given back. */
  async #giveBack() {
    try {
      if (this.hasKeys) this.#streams.stdin.setRaw(false);
    } catch {
      // the window may still be there
    }
    await this.#write(LEAVE).catch(() => {});
  }

  /** Writes after what was written before, even if that failed. */
  #write(text: string): Promise<void> {
    return this.#written = this.#written
      .catch(() => {})
      .then(() => this.#output.print(text));
  }

  async #readKeys() {
    const bytes = new Uint8Array(64);
    try {
      while (this.#phase !== "closed") {
        const length = await this.#streams.stdin.read(bytes);
        if (length === null) return;
        this.#onKeys(new TextDecoder().decode(bytes.subarray(0, length)));
      }
    } catch {
      // the terminal is gone: a signal says so
    }
  }

  #onKeys(text: string) {
    if (this.#phase !== "open") return;
    if (text.includes(CTRL_C)) this.#keys.onInterrupt();
    else if (/^q$/i.test(text)) this.#keys.onQuit();
  }
}
