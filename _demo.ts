// Copyright 2026 the heartbeat authors. MIT license.

import { delay } from "@std/async/delay";
import { count, encoder, format, type Settings, write } from "./_cli.ts";
import { HeartbeatTimeoutError } from "./monitor.ts";
import {
  RestartLimitError,
  supervise,
  type SupervisorEvent,
} from "./supervisor.ts";
import { startThread } from "./thread.ts";
import { startWorker, type WorkContext } from "./worker.ts";

/** How long a hung attempt may take to stop (ms): it never does. */
const STOP_TIMEOUT = 1_500;

/** What the demo's work is to do. */
export interface DemoInput {
  work: number;
  /** The item to start with. */
  from: number;
  hangAfter: number;
  /** Whether it hangs in a busy loop. */
  cpu: boolean;
}

/** The demo's work: items, one by one. */
export async function* produce(
  { signal, beat }: WorkContext,
  { work, from, hangAfter, cpu }: DemoInput,
): AsyncGenerator<number> {
  for (let item = from;; item++) {
    beat({ item });
    while (item > hangAfter) if (!cpu) await new Promise(() => {});
    await delay(work, { signal });
    yield item;
  }
}

const STYLES = { start: 1, result: 32, heartbeat: 36, alarm: 31, end: 1 };

/** Shows the pattern; resolves to the exit code. */
export async function demo(
  settings: Settings,
  signal: AbortSignal,
): Promise<number> {
  const { timeout, interval, work, hangAfter, cpu, retries, quiet, json } =
    settings;
  const start = performance.now();
  const colour = Deno.stdout.isTerminal() && !Deno.noColor && !json;
  const counts = { results: 0, heartbeats: 0, alarms: 0, restarts: 0 };
  let printed = Promise.resolve();

  function print(
    type: keyof typeof STYLES | "restart" | "unstopped",
    text: string,
    more: object,
  ) {
    if (quiet && type !== "alarm" && type !== "end") return printed;
    const elapsed = Math.round(performance.now() - start);
    const style = type in STYLES ? STYLES[type as keyof typeof STYLES] : 33;
    const name = type.padEnd(9);
    const line = json
      ? JSON.stringify({ type, elapsed, ...more })
      : `${(elapsed / 1000).toFixed(1).padStart(6)}s  ${
        colour ? `\x1b[${style}m${name}\x1b[0m` : name
      }  ${text}`;
    return printed = printed.then(() =>
      write(Deno.stdout, encoder.encode(`${line}\n`))
    );
  }

  function onEvent(event: SupervisorEvent) {
    if (event.type === "stalled") {
      counts.alarms++;
      const { elapsed: silence, timeout, count, last } = event;
      const { message } = new HeartbeatTimeoutError(
        { timeout, elapsed: silence, count },
      );
      const place = last?.detail === undefined
        ? ""
        : `; last seen at ${JSON.stringify(last.detail)}`;
      print("alarm", message + place, { silence, timeout, count, last });
    } else if (event.type === "restarting") {
      counts.restarts++;
      const { attempt, delay } = event;
      const text = `${attempt} of ${retries}, once it has stopped, or in ${
        format(STOP_TIMEOUT)
      }`;
      print("restart", text, { attempt, delay });
    } else if (event.type === "unstopped") {
      print("unstopped", "it did not stop: it is left behind", {});
    }
  }

  await print(
    "start",
    `a result every ${format(work)}, a heartbeat every ${format(interval)}, ${
      timeout === Infinity
        ? "no alarm"
        : `an alarm after ${format(timeout)} without one`
    }`,
    { work, interval, timeout, runtime: settings.runtime },
  );
  const { results, heartbeats } = supervise(
    ({ attempt, signal, delivered }) => {
      const input = {
        work,
        cpu,
        from: delivered + 1,
        // it heals: only the first attempt hangs
        hangAfter: attempt === 1 ? hangAfter : Infinity,
      };
      const options = { name: "demo", interval, signal };
      return cpu
        ? startThread<number>(new URL("./_demo_thread.ts", import.meta.url), {
          ...options,
          input,
        })
        : startWorker((context) => produce(context, input), options);
    },
    {
      name: "demo",
      timeout,
      maxRestarts: retries,
      within: Infinity,
      stopTimeout: STOP_TIMEOUT,
      shouldRestart: (cause) => cause instanceof HeartbeatTimeoutError,
      interval,
      signal,
      onEvent,
    },
  );

  const told = (async () => {
    for await (const beat of heartbeats) {
      counts.heartbeats++;
      await print("heartbeat", String(beat.seq), beat);
    }
  })().catch(() => {});
  let code = 0;
  try {
    for await (const item of results) {
      counts.results++;
      await print("result", String(item), { value: item });
    }
    await told;
  } catch (error) {
    // output that cannot be written, first of all
    await printed;
    const cause = error instanceof RestartLimitError ? error.cause : error;
    if (!(cause instanceof HeartbeatTimeoutError)) throw cause;
    code = 124;
  }
  const { alarms, restarts } = counts;
  await print(
    "end",
    [
      count(counts.results, "result"),
      count(counts.heartbeats, "heartbeat"),
      alarms ? count(alarms, "alarm") : "no alarm",
      ...(restarts ? [count(restarts, "restart")] : []),
    ].join(", "),
    counts,
  );
  return code;
}
