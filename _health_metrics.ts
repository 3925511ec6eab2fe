// Copyright 2026 the heartbeat authors. MIT license.

import client from "npm:prom-client@15.1.3";
import type { Blindness, CheckedWorker } from "./_health_checks.ts";

/** The bounds of the buckets of silences, in seconds. */
const SILENCE_BUCKETS = [0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1_800];

/** What the metrics are computed from. */
export interface MetricsOptions {
  /** The workers as they are now. */
  getWorkers: () => Iterable<CheckedWorker>;
  /** Why nobody is reported as down now, if that is so. */
  getBlindness: () => Blindness | undefined;
  /** How many heartbeats were refused, if that is known. */
  getRefused: (() => number) | undefined;
  /** Whether each worker gets a time series of its own. */
  hasWorkerLabels: boolean;
}

/** The metrics of a fleet, in the text format of Prometheus. */
export class HealthMetrics {
  #registry = new client.Registry();
  #options: MetricsOptions;
  #workers: client.Gauge;
  #blind: client.Gauge;
  #up: client.Gauge | undefined;
  #stalls: client.Counter;
  #failures: client.Counter;
  #restarts: client.Counter;
  #silence: client.Histogram;
  #lag: client.Gauge;

  /** @param options Where the figures come from. */
  constructor(options: MetricsOptions) {
    this.#options = options;
    const registers = [this.#registry];
    this.#workers = new client.Gauge({
      name: "heartbeat_workers",
      help: "Workers by state.",
      labelNames: ["state"],
      registers,
    });
    this.#blind = new client.Gauge({
      name: "heartbeat_blind",
      help: "Whether nobody is reported as down, by the reason.",
      labelNames: ["reason"],
      registers,
    });
    this.#stalls = createStallCounter(registers);
    this.#failures = new client.Counter({
      name: "heartbeat_failures_total",
      help: "Workers that said that they failed.",
      registers,
    });
    this.#restarts = new client.Counter({
      name: "heartbeat_restarts_total",
      help: "Restarts by supervisors.",
      registers,
    });
    this.#silence = new client.Histogram({
      name: "heartbeat_silence_seconds",
      help: "How long workers were silent that came back.",
      buckets: SILENCE_BUCKETS,
      registers,
    });
    this.#lag = new client.Gauge({
      name: "heartbeat_event_loop_lag_seconds",
      help: "How late a timer of the event loop is.",
      registers,
    });
    if (options.getRefused) addRefusals(registers, options.getRefused);
    if (!options.hasWorkerLabels) return;
    this.#up = new client.Gauge({
      name: "heartbeat_worker_up",
      help: "Whether a worker is up.",
      labelNames: ["worker"],
      registers,
    });
  }

  /**
   * A worker was found silent. Each has its own count: an event of a supervisor names
   * no worker, so nobody can say which stalls both have seen.
   */
  countStall(by: "fleet" | "supervisor") {
    this.#stalls.inc({ seen_by: by });
  }

  /** A worker said that it failed. */
  countFailure() {
    this.#failures.inc();
  }

  /** A supervisor restarts its worker. */
  countRestart() {
    this.#restarts.inc();
  }

  /** A worker came back after a silence, in milliseconds. */
  observeSilence(silence: number) {
    this.#silence.observe(silence / 1_000);
  }

  /** The answer to a scrape. */
  async createResponse(): Promise<Response> {
    this.#countWorkers();
    const blindness = this.#options.getBlindness();
    for (const reason of ["connection", "share", "ended"] as const) {
      this.#blind.set({ reason }, reason === blindness ? 1 : 0);
    }
    this.#lag.set(await measureLag() / 1_000);
    const text = await this.#registry.metrics();
    const headers = { "content-type": this.#registry.contentType };
    return new Response(text, { headers });
  }

  #countWorkers() {
    const counts = { expected: 0, up: 0, down: 0, left: 0 };
    this.#up?.reset();
    for (const { worker, state } of this.#options.getWorkers()) {
      counts[state]++;
      // who has left is no outage
      if (state !== "left") this.#up?.set({ worker }, state === "up" ? 1 : 0);
    }
    for (const [state, count] of Object.entries(counts)) {
      this.#workers.set({ state }, count);
    }
  }
}

function createStallCounter(registers: client.Registry[]): client.Counter {
  const counter = new client.Counter({
    name: "heartbeat_stalls_total",
    help:
      "Workers that fell silent for longer than their timeout, by who saw it; both may see the same stall.",
    labelNames: ["seen_by"],
    registers,
  });
  // a rate needs a first value
  for (const by of ["fleet", "supervisor"]) counter.inc({ seen_by: by }, 0);
  return counter;
}

function addRefusals(registers: client.Registry[], getRefused: () => number) {
  new client.Counter({
    name: "heartbeat_refused_total",
    help:
      "Heartbeats of workers that are not watched, because the fleet is full, or the name not valid.",
    registers,
    collect() {
      this.reset();
      this.inc(getRefused());
    },
  });
}

/** By how many milliseconds the event loop is late now. */
function measureLag(): Promise<number> {
  const start = performance.now();
  return new Promise((resolve) => {
    setTimeout(() => resolve(performance.now() - start), 0);
  });
}
