// Copyright 2026 the heartbeat authors. MIT license.

/** The watcher of a fleet: its lines, and the command for each event. `main.ts` wires it. */

import type { Settings } from "./_cli_args.ts";
import { type GroupModules, joinGroup } from "./_cli_group.ts";
import {
  type CliConnection,
  connectToServer,
  parseServer,
} from "./_cli_nats.ts";
import type { NetworkSettings } from "./_cli_network.ts";
import type { CliOutput } from "./_cli_output.ts";
import type { Shutdown } from "./_cli_shutdown.ts";
import { escapeText } from "./_escape_text.ts";
import type {
  ConnectionEvent,
  SubscribeHeartbeatsOptions,
} from "./_nats_types.ts";
import type { FleetEvent } from "./fleet.ts";
import type { watchFleet } from "./nats.ts";

/** A worker that is down for so long (ms) is forgotten: names come from a network. */
const FORGET_AFTER_MS = 3_600_000;

/** How long a command for an event may take (ms) before it is killed. */
const EXEC_MS = 60_000;

/** How many events may wait for their command; the others have none. */
const MAX_WAITING = 1_000;

/** What `--quiet` leaves. */
const ALARMS = ["down", "blind", "refused"];

/** One event, as it is printed. */
interface Line {
  type: string;
  time: number;
  worker?: string;
}

/** Runs a command for each event, one after the other. */
export class EventCommand {
  #command: string;
  #output: CliOutput;
  #last = Promise.resolve();
  #waiting = 0;
  #dropped = 0;

  constructor(command: string, output: CliOutput) {
    this.#command = command;
    this.#output = output;
  }

  /** Runs the command for an event, when it is its turn. */
  run(event: Line) {
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

  async #runNow(event: Line) {
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
        stderr: "inherit",
        signal: AbortSignal.timeout(EXEC_MS),
      });
      const { success, code } = await command.spawn().status;
      if (!success) await this.#report(`it ended with exit code ${code}`);
    } catch (error) {
      await this.#report((error as Error).message);
    }
  }

  #report(message: string) {
    return this.#output.notify("error", `--exec failed: ${message}`, {
      message,
    });
  }

  async #reportDropped() {
    if (this.#dropped === 0) return;
    const message = `${this.#dropped} events came too fast for it`;
    this.#dropped = 0;
    await this.#report(message);
  }
}

/** An event as text, without its type and time. */
function describe(event: FleetEvent | ConnectionEvent, size: number): string {
  switch (event.type) {
    case "blind":
      return "nobody can be heard, so nobody is reported";
    case "sees":
      return "the fleet can be heard again";
    case "refused":
      return `${event.worker}  (${event.reason}: ${event.count} so far)`;
    case "recovered":
      return `${event.worker}  (after ${Math.round(event.outage / 100) / 10}s)`;
    default:
      return `${event.worker}  (${size} known)`;
  }
}

/** Prints the events, and runs the command for each. */
class FleetReport {
  #settings: Settings;
  #output: CliOutput;
  #command: EventCommand | undefined;
  #isBlind = false;
  #problems = 0;

  constructor(settings: Settings, output: CliOutput) {
    this.#settings = settings;
    this.#output = output;
    const { exec } = settings.network!;
    if (exec !== undefined) this.#command = new EventCommand(exec, output);
  }

  /** Prints a line; resolves when it is written. */
  async print(line: Line, text: string) {
    const { json, quiet } = this.#settings;
    if (quiet && !ALARMS.includes(line.type)) return;
    const time = new Date(line.time).toTimeString().slice(0, 8);
    const shown = json
      ? JSON.stringify(line)
      : `${time}  ${line.type.padEnd(9)}  ${text}`;
    await this.#output.print(`${escapeText(shown)}\n`);
  }

  async onEvent(event: FleetEvent | ConnectionEvent, size: number) {
    if (event.type === "blind" || event.type === "sees") {
      this.#isBlind = event.type === "blind";
    }
    this.#command?.run(event);
    await this.print(event, describe(event, size));
  }

  /** A message that is no heartbeat, or has too large a detail: at powers of ten only. */
  onOddMessage(
    type: "malformed" | "dropped",
    from: string,
    { count, problem }: { count: number; problem: string },
  ) {
    if (!/^10*$/.test(`${count}`)) return;
    const line = { type, time: Date.now(), from, count, problem };
    this.print(line, `${from}: ${problem} (${count} so far)`).catch(() => {});
  }

  /** This watcher has another share of the partitions. */
  readonly onShare = (held: number, partitions: number) => {
    const line = { type: "share", time: Date.now(), held, partitions };
    this.print(line, `${held} of ${partitions} partitions`).catch(() => {});
  };

  /** The memory cannot be reached: at powers of ten only, and not while nothing can be. */
  readonly onError = (error: unknown) => {
    if (this.#isBlind || !/^10*$/.test(`${++this.#problems}`)) return;
    const { message } = error as Error;
    const text = `cannot reach the group's memory: ${message}`;
    this.#output.notify("error", text, { message });
  };
}

/** The public modules that the watcher needs. */
export interface FleetModules extends GroupModules {
  watchFleet: typeof watchFleet;
}

async function connect(network: NetworkSettings): Promise<CliConnection> {
  try {
    return await connectToServer(network, "heartbeat fleet", false);
  } catch (error) {
    const { server } = parseServer(network.url);
    throw new Error(`cannot connect to ${server}: ${(error as Error).message}`);
  }
}

/** Starts watching, alone or as a member of a group. */
async function startWatching(
  { timeout, network }: Settings,
  connection: CliConnection,
  report: FleetReport,
  modules: FleetModules,
) {
  const { subject, group } = network!;
  const limits = { timeout, forgetAfter: FORGET_AFTER_MS };
  const listener: SubscribeHeartbeatsOptions = {
    onMalformed: (message) =>
      report.onOddMessage("malformed", message.subject, message),
    onDropped: (dropped) =>
      report.onOddMessage("dropped", dropped.worker, dropped),
  };
  if (group === undefined) {
    const watched = modules.watchFleet(connection, subject, {
      ...limits,
      ...listener,
    });
    return { ...watched, leave: () => Promise.resolve() };
  }
  const { fleet, leave } = await joinGroup(
    connection,
    group,
    modules,
    limits,
    report,
  );
  const blindAfter = timeout / 4;
  const options = { ...listener, fleet, blindAfter };
  return { ...modules.watchFleet(connection, subject, options), leave };
}

/** Watches until the run is ended, or nothing can be heard any more. */
export async function runFleet(
  settings: Settings,
  output: CliOutput,
  { signal }: Shutdown,
  modules: FleetModules,
): Promise<number> {
  const { url, subject, group } = settings.network!;
  const { server } = parseServer(url);
  const connection = await connect(settings.network!);
  const report = new FleetReport(settings, output);
  const { events, fleet, leave } = await startWatching(
    settings,
    connection,
    report,
    modules,
  );
  const reader = events.getReader();
  signal.addEventListener("abort", () => {
    reader.cancel().catch(() => {});
  });
  const watching = {
    type: "watching",
    time: Date.now(),
    server,
    subject,
    group,
  };
  const inGroup = group === undefined ? "" : `, in group ${group}`;
  await report.print(watching, `${subject} on ${server}${inGroup}`);
  while (!signal.aborted) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Error(`lost ${server} for good: ${error.message}`);
    });
    if (done) break;
    await report.onEvent(value, fleet.size);
  }
  await leave();
  await connection.close();
  return 0;
}
