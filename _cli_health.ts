// Copyright 2026 the heartbeat authors. MIT license.

/** The health of what is guarded, over HTTP. */

import type { Beacon } from "./_cli_beacon.ts";
import type { CliOutput } from "./_cli_output.ts";
import type { Address } from "./_cli_values.ts";
import type { Heartbeat } from "./_worker_types.ts";
import type { FleetMonitor } from "./fleet.ts";
import type { createHealthHandler } from "./health.ts";
import type { SupervisorEvent } from "./supervisor.ts";

/** The parts of the library that serve it; they are imported only where it is wanted. */
export interface HealthModules {
  FleetMonitor: typeof FleetMonitor;
  createHealthHandler: typeof createHealthHandler;
}

/** Serves the health of one worker. */
export class HealthService {
  #name: string;
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
    this.#fleet = new FleetMonitor({ timeout });
    this.#fleet.expect([name]);
    this.#handler = createHealthHandler(this.#fleet);
    this.#server = Deno.serve(
      { ...address, onListen() {} },
      this.#handler,
    );
  }

  /** Says where the page is. */
  announce(output: CliOutput): Promise<void> {
    const { hostname, port } = this.#server.addr;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    const url = `http://${host}:${port}/`;
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

/** Passes the heartbeats of a command on, if anybody wants them. */
export async function forwardHeartbeats(
  heartbeats: ReadableStream<Heartbeat>,
  health: HealthService | undefined,
  beacon: Beacon | undefined,
) {
  if (!health) return beacon?.forward(heartbeats);
  const [own, others] = heartbeats.tee();
  beacon?.forward(others);
  try {
    for await (const beat of own) health.onHeartbeat(beat);
  } catch {
    // the results have the error, too
  }
}
