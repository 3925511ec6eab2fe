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

/** The key of Ctrl-C, which is no signal while keys are read one by one. */
const CTRL_C = "\x03";

/** A process's side of its terminal, such as `Deno`. */
export interface TerminalStreams {
  /** What keys come from. */
  readonly stdin: {
    isTerminal(): boolean;
    setRaw(isRaw: boolean): void;
    read(bytes: Uint8Array): Promise<number | null>;
  };
  /** The size of the window. */
  consoleSize(): { columns: number; rows: number };
}

/** What happens when a key is pressed. */
export interface KeyHandlers {
  /** `q`. */
  onQuit: () => void;
  /** Ctrl-C. */
  onInterrupt: () => void;
}

/**
 * The window of a terminal, between `open()` and `close()`.
 *
 * | phase | `open()` | `draw()` | a key | `close()` |
 * | --- | --- | --- | --- | --- |
 * | `new` | → `open` | | | → `closed` |
 * | `open` | | writes | calls its handler | restores the terminal, → `closed` |
 * | `closed` | | | | |
 */
export class Terminal {
  readonly #output: Pick<CliOutput, "print">;
  readonly #keys: KeyHandlers;
  readonly #streams: TerminalStreams;
  #phase: "new" | "open" | "closed" = "new";
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
    if (this.hasKeys) {
      this.#streams.stdin.setRaw(true);
      this.#readKeys();
    }
    await this.#write(ENTER);
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
    const wasOpen = this.#phase === "open";
    this.#phase = "closed";
    if (!wasOpen) return;
    if (this.hasKeys) this.#streams.stdin.setRaw(false);
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
      while (this.#phase === "open") {
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
