// Copyright 2026 the heartbeat authors. MIT license.

/** A line of a terminal that moves below those that stay. */

import type { CliOutput } from "./_cli_output.ts";

/** How often (ms) it is drawn. */
const FRAME_MS = 100;

/** To the first cell; what is there is cleared. */
const CLEAR = "\r\x1b[K";

/**
 * Draws a line again and again, below the lines that are printed. The cursor waits
 * in its first cell, so that whatever else is written replaces it.
 *
 * | phase | `start()` | `print()` | a frame | `stop()` |
 * | --- | --- | --- | --- | --- |
 * | `still` | → `moving` | prints | | |
 * | `moving` | | prints above it | draws | clears it, → `still` |
 */
export class LiveLine {
  readonly #output: Pick<CliOutput, "print">;
  readonly #draw: () => string;
  #phase: "still" | "moving" = "still";
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Resolves when all has been written; rejects if something cannot be. */
  #written: Promise<void> = Promise.resolve();

  /**
   * @param output Where it is drawn.
   * @param draw Gives the line as it is now, no wider than the window.
   */
  constructor(output: Pick<CliOutput, "print">, draw: () => string) {
    this.#output = output;
    this.#draw = draw;
  }

  /** Resolves when all has been written; rejects if something cannot be. */
  get written(): Promise<void> {
    return this.#written;
  }

  /** Begins to draw. */
  start() {
    if (this.#phase === "moving") return;
    this.#phase = "moving";
    this.#timer = setInterval(() => {
      this.print("").catch(() => {});
    }, FRAME_MS);
  }

  /** Prints whole lines; resolves when they are written. */
  print(lines: string): Promise<void> {
    return this.#written = this.#written.then(() =>
      this.#output.print(
        this.#phase === "moving" ? `${CLEAR}${lines}${this.#draw()}\r` : lines,
      )
    );
  }

  /** Clears the line, and draws it no more; resolves when that is written. */
  async stop() {
    if (this.#phase === "still") return;
    clearInterval(this.#timer);
    this.#phase = "still";
    await this.print(CLEAR);
  }
}
