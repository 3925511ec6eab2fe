// Copyright 2026 the heartbeat authors. MIT license.

/** How the watcher of a fleet shows it: as lines, as a live table, or as one table. */

import type { Settings } from "./_cli_args.ts";
import type { CliOutput } from "./_cli_output.ts";
import { isDumbTerminal } from "./_cli_permissions.ts";
import { findStopper, Terminal } from "./_cli_terminal.ts";
import { escapeText } from "./_escape_text.ts";
import { type BoardEvent, FleetBoard } from "./_fleet_board.ts";
import type { FleetBoardOptions } from "./_fleet_board.ts";
import { renderFleet } from "./_fleet_table_text.ts";
import type { TableContent } from "./_fleet_table_text.ts";
import { sleep } from "./_timers.ts";

/** Shows a fleet until it ends. */
export interface FleetView {
  /** Something happened; `text` says so without its type and time. */
  show(event: BoardEvent, text: string): Promise<void>;
  /** The run ends; resolves to its exit code when all is shown. */
  end(): Promise<number>;
}

/** What a view needs to know. */
export interface FleetViewContext extends FleetBoardOptions {
  settings: Settings;
  output: CliOutput;
  /** Ends the run. */
  stop: () => void;
  /** Ends the run as Ctrl-C does. */
  interrupt: () => void;
}

/** What `--quiet` leaves. */
const ALARMS = ["down", "blind", "refused"];

/** The pause (ms) between two looks at the fleet. */
const FRAME_MS = 250;
/** It is at least this many times as long as the look took: a large fleet takes a tenth of a core at most. */
const PAUSE_PER_COST = 10;

/** An event as a line: its time, its type, and what happened. */
function formatEvent({ type, time }: BoardEvent, text: string): string {
  const shown = new Date(time).toTimeString().slice(0, 8);
  return `${shown}  ${type.padEnd(9)}  ${text}`;
}

/** A line for each event. */
class LinesView implements FleetView {
  readonly #context: FleetViewContext;

  constructor(context: FleetViewContext) {
    this.#context = context;
  }

  async show(event: BoardEvent, text: string) {
    const { settings: { json, quiet }, output } = this.#context;
    if (quiet && !ALARMS.includes(event.type)) return;
    const line = json ? JSON.stringify(event) : formatEvent(event, text);
    await output.print(`${escapeText(line)}\n`);
  }

  end() {
    return Promise.resolve(0);
  }
}

/** Looks at the fleet again and again, until the returned function is called. */
function lookRegularly(
  board: FleetBoard,
  onView: (view: TableContent) => Promise<void>,
): () => void {
  const end = new AbortController();
  (async () => {
    while (!end.signal.aborted) {
      const start = performance.now();
      const drawn = onView(board.look(Date.now()));
      const cost = performance.now() - start;
      await drawn;
      await sleep(Math.max(FRAME_MS, cost * PAUSE_PER_COST), end.signal);
    }
  })();
  return () => end.abort();
}

/** A table that is drawn again and again. */
class LiveView implements FleetView {
  readonly #context: FleetViewContext;
  readonly #board: FleetBoard;
  readonly #terminal: Terminal;
  readonly #stopLooking: () => void;
  /** Why nothing can be drawn any more. */
  #failure: unknown;

  constructor(context: FleetViewContext) {
    this.#context = context;
    this.#board = new FleetBoard(context);
    const { stop: onQuit, interrupt: onInterrupt, output } = context;
    this.#terminal = new Terminal(output, {
      onQuit,
      onInterrupt,
      stopProcess: findStopper(),
    });
    this.#terminal.open().catch((error) => this.#onFailure(error));
    this.#stopLooking = lookRegularly(this.#board, (view) => this.#draw(view));
  }

  show(event: BoardEvent, text: string) {
    this.#board.onEvent(event, text, formatEvent(event, text));
    return Promise.resolve();
  }

  async end() {
    this.#stopLooking();
    await this.#terminal.close();
    if (this.#failure !== undefined) throw this.#failure;
    return 0;
  }

  async #draw(view: TableContent) {
    const { hasKeys, size } = this.#terminal;
    const lines = renderFleet(view, size, {
      isColored: !Deno.noColor,
      keys: hasKeys ? "q quits" : "Ctrl-C quits",
    });
    await this.#terminal.draw(lines)
      .catch((error) => this.#onFailure(error));
  }

  /** Ends the run, which then throws the error. */
  #onFailure(error: unknown) {
    this.#failure = error;
    this.#context.stop();
  }
}

/** One table, at the end. */
class OnceView implements FleetView {
  readonly #context: FleetViewContext;
  readonly #board: FleetBoard;
  readonly #stopLooking: () => void;

  constructor(context: FleetViewContext) {
    this.#context = context;
    this.#board = new FleetBoard(context);
    // the trace of each worker needs many looks, though only the last one is shown
    this.#stopLooking = lookRegularly(this.#board, () => Promise.resolve());
  }

  show(event: BoardEvent, text: string) {
    this.#board.onEvent(event, text);
    return Promise.resolve();
  }

  /**
   * Prints the table. Resolves to 0 if somebody is up, nobody is down or still
   * expected, and the watcher is not blind; to 1 otherwise.
   */
  async end() {
    this.#stopLooking();
    const { settings: { json, quiet }, output } = this.#context;
    const view = this.#board.look(Date.now());
    const { counts: { up, down, expected }, workers, blind } = view;
    const lines = json
      ? workers.map((worker) => escapeText(JSON.stringify(worker)))
      : renderOnce(view);
    if (!quiet) await output.print(lines.map((line) => `${line}\n`).join(""));
    const isWell = up > 0 && down + expected === 0 && blind === undefined;
    return isWell ? 0 : 1;
  }
}

/** All rows; as wide as the terminal, if there is one. */
function renderOnce(view: TableContent): string[] {
  const isTerminal = Deno.stdout.isTerminal();
  const columns = isTerminal ? Deno.consoleSize().columns : Infinity;
  const isColored = isTerminal && !Deno.noColor;
  return renderFleet(view, { columns, rows: Infinity }, {
    isColored,
    keys: "",
  });
}

/** Whether the window of a terminal is there to be drawn. */
export function isLive({ json, quiet, once }: Settings): boolean {
  return !json && !quiet && !once && Deno.stdout.isTerminal() &&
    !isDumbTerminal();
}

/** Creates the view for what was asked for. */
export function createFleetView(context: FleetViewContext): FleetView {
  if (context.settings.once) return new OnceView(context);
  return isLive(context.settings)
    ? new LiveView(context)
    : new LinesView(context);
}
