// Copyright 2026 the heartbeat authors. MIT license.

/** The health of what is guarded, over HTTP. */

import type { Settings } from "./_cli_args.ts";
import type { GuardObserver } from "./_cli_observers.ts";
import type { CliOutput } from "./_cli_output.ts";
import { type Address, isLoopback } from "./_cli_values.ts";
import type { Heartbeat } from "./_worker_types.ts";
import type { FleetMonitor } from "./fleet.ts";
import type { createHealthHandler } from "./health.ts";
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

/** Serves the health of one worker. */
export class HealthService implements GuardObserver {
  #name: string;
  #hostname: string;
  #fleet: FleetMonitor;
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
    this.#name = name;
    this.#hostname = address.hostname.toLowerCase();
    this.#fleet = new FleetMonitor({ timeout });
    this.#fleet.expect([name]);
    this.#handler = createHealthHandler(this.#fleet, {
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

  /** A heartbeat of the worker. Those of a supervisor that waits are none. */
  onHeartbeat({ seq, detail, restarting }: Heartbeat) {
    if (restarting === undefined) this.#fleet.beat(this.#name, seq, detail);
  }

  /** Counts restarts. */
  onEvent(event: SupervisorEvent) {
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
