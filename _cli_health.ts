// Copyright 2026 the heartbeat authors. MIT license.

/** The health of what is guarded, over HTTP. */

import type { Settings } from "./_cli_args.ts";
import type { GuardObserver } from "./_cli_observers.ts";
import type { CliOutput } from "./_cli_output.ts";
import { type Address, isLoopback } from "./_cli_values.ts";
import type { Heartbeat } from "./_worker_types.ts";
import type { FleetMonitor } from "./fleet.ts";
import type {
  CheckedWorker,
  createHealthHandler,
  HealthEvent,
  HealthSource,
} from "./health.ts";
import type { SupervisorEvent } from "./supervisor.ts";

/** The parts of the library that serve it; they are imported only where it is wanted. */
export interface HealthModules {
  FleetMonitor: typeof FleetMonitor;
  createHealthHandler: typeof createHealthHandler;
}

function formatAddress({ hostname, port }: Address): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Serves at an address, or says which one it is that cannot be had. */
function serve(
  address: Address,
  handler: (request: Request) => Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ ...address, onListen() {} }, handler);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const { message } = error as Error;
    throw new Error(
      `cannot serve the health at ${formatAddress(address)}: ${message}`,
    );
  }
}

/**
 * The fleet of one worker. Its supervisor knows of a stall, too, and perhaps earlier:
 * a fleet whose process was just away gives it a fresh timeout.
 */
export class GuardedWorker implements HealthSource {
  readonly #name: string;
  readonly #fleet: FleetMonitor;
  #phase: "running" | "stalled" = "running";

  /**
   * @param Fleet What watches it.
   * @param name Its name.
   * @param timeout After how much silence it is down.
   */
  constructor(Fleet: typeof FleetMonitor, name: string, timeout: number) {
    this.#name = name;
    this.#fleet = new Fleet({ timeout });
    this.#fleet.expect([name]);
  }

  /** What the fleet has seen. */
  get readable(): ReadableStream<HealthEvent> {
    return this.#fleet.readable;
  }

  /** A heartbeat. Those of a supervisor that waits are none of its worker. */
  onHeartbeat({ seq, detail, restarting }: Heartbeat) {
    if (restarting !== undefined) return;
    this.#phase = "running";
    this.#fleet.beat(this.#name, seq, detail);
  }

  /** A decision of the supervisor. */
  onEvent({ type }: SupervisorEvent) {
    if (type === "stalled") this.#phase = "stalled";
  }

  /** The worker, as it is now. */
  *[Symbol.iterator](): Generator<CheckedWorker> {
    for (const worker of this.#fleet) {
      yield this.#phase === "stalled" ? { ...worker, state: "down" } : worker;
    }
  }
}

/** Serves the health of one worker. */
export class HealthService implements GuardObserver {
  #hostname: string;
  #worker: GuardedWorker;
  #handler: ReturnType<typeof createHealthHandler>;
  #server: Deno.HttpServer<Deno.NetAddr>;

  /**
   * @param modules What to serve it with.
   * @param address Where to listen.
   * @param name The name of the worker.
   * @param timeout After how much silence it is down.
   */
  constructor(
    { FleetMonitor, createHealthHandler }: HealthModules,
    address: Address,
    name: string,
    timeout: number,
  ) {
    this.#hostname = address.hostname.toLowerCase();
    this.#worker = new GuardedWorker(FleetMonitor, name, timeout);
    this.#handler = createHealthHandler(this.#worker, {
      authorize: ({ url }) => this.#authorize(new URL(url).hostname),
    });
    this.#server = serve(address, this.#handler);
  }

  /**
   * On loopback, a name of another site is refused: it can be resolved to this
   * machine, and the browser would then let that site read the answers.
   */
  #authorize(hostname: string): true | Response {
    const isMeant = !isLoopback(this.#server.addr.hostname) ||
      isLoopback(hostname) || hostname === this.#hostname;
    return isMeant ? true : new Response(
      `only localhost is answered, not '${hostname}'\n`,
      { status: 403 },
    );
  }

  /** Says where the page is. */
  announce(output: CliOutput): Promise<void> {
    const url = `http://${formatAddress(this.#server.addr)}/`;
    return output.notify("health", `the health is at ${url}`, { url });
  }

  /** A heartbeat of the worker. */
  onHeartbeat(beat: Heartbeat) {
    this.#worker.onHeartbeat(beat);
  }

  /** Knows of a stall, and counts restarts. */
  onEvent(event: SupervisorEvent) {
    this.#worker.onEvent(event);
    this.#handler.onEvent(event);
  }
}

/** Serves the health of what is guarded, if that is wanted. */
export async function openHealth(
  { health: address, timeout }: Settings,
  name: string,
  output: CliOutput,
  load: () => Promise<HealthModules>,
): Promise<HealthService | undefined> {
  if (!address) return;
  const service = new HealthService(await load(), address, name, timeout);
  await service.announce(output);
  return service;
}
