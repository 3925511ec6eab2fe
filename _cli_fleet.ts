// Copyright 2026 the heartbeat authors. MIT license.

/** The watcher of a fleet: what it shows, and the command for each event. `main.ts` wires it. */

import type { Settings } from "./_cli_args.ts";
import { EventCommand } from "./_cli_event_command.ts";
import {
  createFleetView,
  type FleetView,
  type FleetViewContext,
  isLive,
} from "./_cli_fleet_views.ts";
import {
  describeLoss,
  ErrorStreak,
  type GroupModules,
  joinGroup,
} from "./_cli_group.ts";
import {
  type CliConnection,
  connectToServer,
  parseServer,
} from "./_cli_nats.ts";
import type { NetworkSettings } from "./_cli_network.ts";
import { type CliOutput, formatDuration, OutputError } from "./_cli_output.ts";
import { requirePermission } from "./_cli_permissions.ts";
import type { Shutdown } from "./_cli_shutdown.ts";
import type { BoardEvent } from "./_fleet_board.ts";
import type { SubscribeHeartbeatsOptions } from "./_nats_types.ts";
import { startTimer } from "./_timers.ts";
import type { FleetEvent } from "./fleet.ts";
import type { watchFleet } from "./nats.ts";

/** A worker that is down for so long (ms) is forgotten: names come from a network. */
const FORGET_AFTER_MS = 3_600_000;

/** `--once` ends after so many timeouts: by then, whoever is silent is down. */
const ONCE_TIMEOUTS = 1.25;

/** Why a worker is down. */
function describeDown(
  { reason, time, lastSeen, detail }: Extract<FleetEvent, { type: "down" }>,
): string {
  if (reason === "failed") {
    // what a guarded command says at its end
    const { code } = Object(detail) as { code?: unknown };
    return typeof code === "number" ? `failed with exit code ${code}` : reason;
  }
  return lastSeen === undefined
    ? "expected, and not heard"
    : `silent for ${formatDuration(time - lastSeen)}`;
}

/** An event as text, without its type and time. */
function describe(event: FleetEvent, size: number): string {
  switch (event.type) {
    case "blind":
      return event.reason === "share"
        ? `${event.silent} of ${event.watched} are silent at once, so nobody is reported`
        : "nobody can be heard, so nobody is reported";
    case "sees":
      return "the fleet can be heard again";
    case "refused":
      return `${event.worker}  (${event.reason}: ${event.count} so far)`;
    case "recovered":
      return `${event.worker}  (after ${Math.round(event.outage / 100) / 10}s)`;
    case "left":
      return `${event.worker}  (as planned)`;
    case "down":
      return `${event.worker}  (${describeDown(event)})`;
    default:
      return `${event.worker}  (${size} known)`;
  }
}

/** Shows the events, and runs the command for each. */
class FleetReport {
  readonly #context: Omit<FleetViewContext, "fleet">;
  readonly #command: EventCommand | undefined;
  /** Whether what goes to standard error would come into the table. */
  readonly #isShared: boolean;
  /** Resolves when there is a fleet to show. */
  readonly #view = Promise.withResolvers<FleetView>();
  readonly #errors = new ErrorStreak();
  #isCutOff = false;

  constructor(context: Omit<FleetViewContext, "fleet">) {
    this.#context = context;
    const { settings } = context;
    this.#isShared = isLive(settings) && Deno.stderr.isTerminal();
    const { exec } = settings.network!;
    if (exec === undefined) return;
    this.#command = new EventCommand(exec, {
      stderr: this.#isShared ? "null" : "inherit",
      report: (text, message) => this.#reportProblem(text, message),
    });
  }

  /** The fleet is watched from now on; resolves when that is shown. */
  onStart(fleet: FleetViewContext["fleet"], server: string) {
    const { subject, group } = this.#context.settings.network!;
    this.#view.resolve(createFleetView({ ...this.#context, fleet }));
    const time = Date.now();
    const event = { type: "watching", time, server, subject, group };
    return this.#show(event, this.#context.title);
  }

  /**
   * Something has happened; resolves when that is shown. In a group also when the
   * command has run, or the signal aborts: who is killed before has not read the
   * next event, so another watcher reports this one once more.
   */
  async onEvent(event: FleetEvent, size: number, signal: AbortSignal) {
    if (event.type === "blind" || event.type === "sees") {
      this.#isCutOff = event.type === "blind" && event.reason === "connection";
    }
    this.#command?.run(event);
    await this.#show(event, describe(event, size));
    const { group } = this.#context.settings.network!;
    if (group !== undefined) await this.#command?.settle(signal);
  }

  /** A message that is no heartbeat, or has too large a detail: at powers of ten only. */
  onOddMessage(
    type: "malformed" | "dropped",
    from: string,
    { count, problem }: { count: number; problem: string },
  ) {
    if (!/^10*$/.test(`${count}`)) return;
    const event = { type, time: Date.now(), from, count, problem };
    this.#show(event, `${from}: ${problem} (${count} so far)`).catch(() => {});
  }

  /** This watcher has another share of the partitions. */
  readonly onShare = (held: number, partitions: number) => {
    const event = { type: "share", time: Date.now(), held, partitions };
    this.#show(event, `${held} of ${partitions} partitions of the fleet`).catch(
      () => {},
    );
  };

  /** The memory cannot be reached: not while nothing can be, and not at once. */
  readonly onError = (error: unknown, gap: number) => {
    if (this.#isCutOff) this.#errors.reset();
    else if (this.#errors.onError(gap)) this.#reportMemory(error);
  };

  #reportMemory(error: unknown) {
    const { group } = this.#context.settings.network!;
    const why = describeLoss(error, group!);
    const text = `cannot reach the group's memory: ${why}`;
    this.#reportProblem(text, text);
  }

  /** Nothing is watched any more; resolves to the exit code. */
  async end(): Promise<number> {
    const code = await (await this.#view.promise).end();
    // who has read an event is the only one who knows of it
    await this.#command?.end();
    return code;
  }

  async #show(event: BoardEvent, text: string) {
    await (await this.#view.promise).show(event, text);
  }

  #reportProblem(text: string, message: string): Promise<void> {
    return this.#isShared
      ? this.#show({ type: "error", time: Date.now() }, text)
      : this.#context.output.notify("error", text, { message });
  }
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

async function checkExec() {
  try {
    const descriptor = { name: "run", command: "sh" } as const;
    await requirePermission(descriptor, "--allow-run");
  } catch (error) {
    throw new Error(`cannot run --exec: ${(error as Error).message}`);
  }
}

/** Starts watching, alone or as a member of a group. */
async function startWatching(
  { timeout, network }: Settings,
  connection: CliConnection,
  report: FleetReport,
  modules: FleetModules,
) {
  const { subject, group, blindAbove } = network!;
  const limits = { timeout, forgetAfter: FORGET_AFTER_MS, blindAbove };
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
  shutdown: Shutdown,
  modules: FleetModules,
): Promise<number> {
  const { timeout, once, network } = settings;
  const { url, subject, group } = network!;
  const { server } = parseServer(url);
  if (network!.exec !== undefined) await checkExec();
  const connection = await connect(network!);
  const inGroup = group === undefined ? "" : `, in group ${group}`;
  const end = new AbortController();
  const report = new FleetReport({
    ...{ settings, output, timeout },
    title: `${subject} on ${server}${inGroup}`,
    stop: () => end.abort(),
    interrupt: () => shutdown.onSignal("SIGINT"),
  });
  const { events, fleet, leave } = await startWatching(
    settings,
    connection,
    report,
    modules,
  );
  const reader = events.getReader();
  shutdown.signal.addEventListener("abort", () => end.abort());
  end.signal.addEventListener("abort", () => {
    reader.cancel().catch(() => {});
  });
  if (once) startTimer(() => end.abort(), timeout * ONCE_TIMEOUTS);
  try {
    // the server knows the subject by then; if it is lost, that is an event
    await connection.flush?.().catch(() => {});
    await report.onStart(fleet, server);
    while (!shutdown.signal.aborted) {
      const { done, value } = await reader.read();
      if (done) break;
      await report.onEvent(value, fleet.size, end.signal);
    }
  } catch (error) {
    // the terminal is given back before anything is said
    await report.end();
    if (error instanceof OutputError) throw error;
    throw new Error(`lost ${server} for good: ${(error as Error).message}`);
  }
  const code = await report.end();
  await leave();
  await connection.close();
  return code;
}
