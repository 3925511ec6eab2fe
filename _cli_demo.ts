// Copyright 2026 the heartbeat authors. MIT license.

/** The demo: the work that it runs, and the lines that it prints. `main.ts` wires them. */

import type { Settings } from "./_cli_args.ts";
import { type CliOutput, formatCount, formatDuration } from "./_cli_output.ts";
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

/** Prints what happens in the demo, and counts it. */
export class DemoReport {
  #settings: Settings;
  #output: CliOutput;
  #isColored: boolean;
  #startTime = performance.now();
  #counts = { results: 0, heartbeats: 0, alarms: 0, restarts: 0 };
  #printed = Promise.resolve();

  constructor(settings: Settings, output: CliOutput, isColored: boolean) {
    this.#settings = settings;
    this.#output = output;
    this.#isColored = isColored && !settings.json;
  }

  /** Resolves when all lines have been printed; rejects if one cannot be. */
  get printed(): Promise<void> {
    return this.#printed;
  }

  /** The first line: what is going to happen. */
  onStart(): Promise<void> {
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
          `${attempt} of ${this.#settings.retries}, once it has stopped, or in ${
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

  /** The last line: the summary. */
  onEnd(): Promise<void> {
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
    if (quiet && type !== "alarm" && type !== "end") return this.#printed;
    const elapsed = Math.round(performance.now() - this.#startTime);
    const line = json
      ? escapeText(JSON.stringify({ type, elapsed, ...data }))
      : this.#formatLine(type, elapsed, escapeText(text));
    return this.#printed = this.#printed
      .then(() => this.#output.print(`${line}\n`));
  }

  #formatLine(type: LineType, elapsed: number, text: string): string {
    const seconds = (elapsed / 1_000).toFixed(1).padStart(6);
    const name = type.padEnd(9);
    const styled = this.#isColored
      ? `\x1b[${STYLES[type]}m${name}\x1b[0m`
      : name;
    return `${seconds}s  ${styled}  ${text}`;
  }
}
