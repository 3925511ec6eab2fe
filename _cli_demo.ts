// Copyright 2026 the heartbeat authors. MIT license.

/** The demo: the work that it runs, and the lines that it prints. `main.ts` wires them. */

import { BeatTrace } from "./_beat_trace.ts";
import type { Settings } from "./_cli_args.ts";
import { LiveLine } from "./_cli_live_line.ts";
import { type CliOutput, formatCount, formatDuration } from "./_cli_output.ts";
import { isDumbTerminal } from "./_cli_permissions.ts";
import { escapeText } from "./_escape_text.ts";
import { sleep } from "./_timers.ts";
import type { Heartbeat, WorkContext } from "./_worker_types.ts";
import type { SupervisorEvent } from "./supervisor.ts";

/** How long a hung attempt may take to stop (ms): it never does. */
export const STOP_TIMEOUT_MS = 1_500;

/** What the demo's work is to do. */
export interface DemoInput {
  /** Milliseconds for an item. */
  work: number;
  /** The item to start with. */
  from: number;
  /** The last item before it hangs. */
  hangAfter: number;
  /** Whether it hangs in a busy loop. */
  cpu: boolean;
}

/** The demo's work: items, one by one. */
export async function* produceItems(
  { signal, beat }: WorkContext,
  { work, from, hangAfter, cpu }: DemoInput,
): AsyncGenerator<number> {
  for (let item = from;; item++) {
    beat({ item });
    while (item > hangAfter) if (!cpu) await new Promise(() => {});
    await sleep(work, signal);
    signal.throwIfAborted();
    yield item;
  }
}

type StalledEvent = Extract<SupervisorEvent, { type: "stalled" }>;

/** The first word of a line. */
type LineType =
  | "start"
  | "result"
  | "heartbeat"
  | "alarm"
  | "restart"
  | "unstopped"
  | "end";

/** The ANSI style of that word. */
const STYLES: Record<LineType, number> = {
  start: 1,
  result: 32,
  heartbeat: 36,
  alarm: 31,
  restart: 33,
  unstopped: 33,
  end: 1,
};

/** The moving trace: how many cells it has, and how many for an interval. */
const TRACE_CELLS = 48;
const CELLS_PER_INTERVAL = 6;
/** The cells before it, as of a line. */
const TRACE_INDENT = 9;

/** What a {@linkcode DemoReport} knows of its terminal. */
export interface DemoTerminal {
  /** The width of its window. */
  getColumns: () => number;
}

/** The terminal that standard output is, unless that, `NO_COLOR` or `TERM` says otherwise. */
export function findTerminal(): DemoTerminal | undefined {
  const isPlain = !Deno.stdout.isTerminal() || Deno.noColor || isDumbTerminal();
  if (isPlain) return undefined;
  return { getColumns: () => Deno.consoleSize().columns };
}

/**
 * Prints what happens in the demo, and counts it. In a terminal, the words have
 * colours, and a trace of the heartbeats moves below the lines.
 */
export class DemoReport {
  #settings: Settings;
  #terminal: DemoTerminal | undefined;
  #trace: BeatTrace;
  #line: LiveLine;
  #startTime = performance.now();
  #counts = { results: 0, heartbeats: 0, alarms: 0, restarts: 0 };
  /** When the last heartbeat came. */
  #lastBeat = Date.now();

  /** @param terminal The terminal, if colours and movement are wanted. */
  constructor(
    settings: Settings,
    output: Pick<CliOutput, "print">,
    terminal: DemoTerminal | undefined,
  ) {
    this.#settings = settings;
    if (!settings.json) this.#terminal = terminal;
    const cellMs = settings.interval / CELLS_PER_INTERVAL;
    this.#trace = new BeatTrace({ length: TRACE_CELLS, cellMs });
    this.#line = new LiveLine(output, () => this.#drawTrace());
  }

  /** Resolves when all lines have been printed; rejects if one cannot be. */
  get printed(): Promise<void> {
    return this.#line.written;
  }

  /** The first line: what is going to happen. */
  onStart(): Promise<void> {
    if (this.#terminal && !this.#settings.quiet) this.#line.start();
    const { work, interval, timeout, runtime } = this.#settings;
    const pace = `a result every ${formatDuration(work)}, a heartbeat every ${
      formatDuration(interval)
    }`;
    const limit = timeout === Infinity
      ? "no alarm"
      : `an alarm after ${formatDuration(timeout)} without one`;
    const data = { work, interval, timeout, runtime };
    return this.#print("start", `${pace}, ${limit}`, data);
  }

  onResult(item: number): Promise<void> {
    this.#counts.results++;
    return this.#print("result", String(item), { value: item });
  }

  onHeartbeat(beat: Heartbeat): Promise<void> {
    this.#counts.heartbeats++;
    if (beat.restarting === undefined) {
      this.#lastBeat = Date.now();
      this.#trace.beat(this.#lastBeat);
    }
    return this.#print("heartbeat", String(beat.seq), beat);
  }

  /** An event of the supervisor; `describe` gives the text of a stall. */
  onEvent(
    event: SupervisorEvent,
    describe: (stall: StalledEvent) => string,
  ): Promise<void> | undefined {
    switch (event.type) {
      case "stalled": {
        this.#counts.alarms++;
        const { elapsed: silence, timeout, count, last } = event;
        const place = last?.detail === undefined
          ? ""
          : `; last seen at ${JSON.stringify(last.detail)}`;
        const data = { silence, timeout, count, last };
        return this.#print("alarm", describe(event) + place, data);
      }
      case "restarting": {
        this.#counts.restarts++;
        const { attempt, delay } = event;
        const text =
          `${attempt} of ${this.#settings.restart.maxRestarts}, once it has stopped, or in ${
            formatDuration(STOP_TIMEOUT_MS)
          }`;
        return this.#print("restart", text, { attempt, delay });
      }
      case "unstopped":
        return this.#print(
          "unstopped",
          "it did not stop: it is left behind",
          {},
        );
    }
  }

  /** Nothing moves any more; resolves when that is so. */
  stop(): Promise<void> {
    return this.#line.stop();
  }

  /** The last line: the summary. */
  onEnd(): Promise<void> {
    // what fails here fails the summary, too
    this.#line.stop().catch(() => {});
    const { results, heartbeats, alarms, restarts } = this.#counts;
    const parts = [
      formatCount(results, "result"),
      formatCount(heartbeats, "heartbeat"),
      alarms ? formatCount(alarms, "alarm") : "no alarm",
    ];
    if (restarts) parts.push(formatCount(restarts, "restart"));
    return this.#print("end", parts.join(", "), this.#counts);
  }

  /** Prints a line after those before it. */
  #print(type: LineType, text: string, data: object): Promise<void> {
    const { quiet, json } = this.#settings;
    if (quiet && type !== "alarm" && type !== "end") return this.printed;
    const elapsed = Math.round(performance.now() - this.#startTime);
    const line = json
      ? escapeText(JSON.stringify({ type, elapsed, ...data }))
      : this.#formatLine(type, elapsed, escapeText(text));
    return this.#line.print(`${line}\n`);
  }

  #formatLine(type: LineType, elapsed: number, text: string): string {
    const name = type.padEnd(9);
    const styled = this.#terminal ? paint(name, STYLES[type]) : name;
    return `${formatElapsed(elapsed)}  ${styled}  ${text}`;
  }

  /** The heartbeats until now: red in a silence that is a stall soon. */
  #drawTrace(): string {
    const now = Date.now();
    const isSilent = now - this.#lastBeat > this.#settings.timeout / 2;
    const room = this.#terminal!.getColumns() - TRACE_INDENT - 1;
    const trace = this.#trace.draw(now, Math.max(room, 0));
    const style = STYLES[isSilent ? "alarm" : "heartbeat"];
    const elapsed = performance.now() - this.#startTime;
    return `${formatElapsed(elapsed)}  ${paint(trace, style)}`;
  }
}

/** The time since the start. */
function formatElapsed(ms: number): string {
  return `${(ms / 1_000).toFixed(1).padStart(6)}s`;
}

function paint(text: string, style: number): string {
  return `\x1b[${style}m${text}\x1b[0m`;
}
