// Copyright 2026 the heartbeat authors. MIT license.

import { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
import type { SupervisorEvent } from "./_supervisor_types.ts";
import type {
  TelemetryAttributes,
  TelemetryCounter,
  TelemetryHistogram,
  TelemetryMeter,
  TelemetryUpDownCounter,
} from "./_telemetry_types.ts";

/** What happens to a worker of a fleet, as far as it is measured here. */
export interface InstrumentedFleetEvent {
  /** What it is; other types are ignored. */
  type: string;
  /** The name of the worker. */
  worker?: string | undefined;
  /** How long a worker was silent that came back, in milliseconds. */
  outage?: number;
  /**
   * Why a worker is down: `"failed"` if it said so, which is no stall. Or why nobody
   * is reported: `"share"` if too many are silent.
   */
  reason?: string;
}

/** Whether a worker is up. */
const STATES = ["up", "down"] as const;
type WorkerState = typeof STATES[number];
/** Why nobody is reported. */
const BLINDNESS = ["connection", "share"] as const;

/** Buckets of silences, in seconds. */
const SILENCE_BUCKETS = [0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600];
/** Buckets of the GenAI conventions for the time to a chunk, in seconds. */
const CHUNK_BUCKETS = [
  ...[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28],
  ...[2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
];

/** Gaps that are measured, too. */
class MeteredGaps extends HeartbeatGaps {
  #onGap: (gap: number) => void;
  #onFirst: (gap: number) => void;

  constructor(onGap: (gap: number) => void, onFirst: (gap: number) => void) {
    super();
    this.#onGap = onGap;
    this.#onFirst = onFirst;
  }

  override record(gap: number) {
    super.record(gap);
    this.#onGap(gap);
  }

  override recordFirst(gap: number) {
    super.recordFirst(gap);
    this.#onFirst(gap);
  }
}

/** The instruments, and what is recorded with them. */
export class HeartbeatMeters {
  /** The gaps of streams. */
  readonly gaps: HeartbeatGaps;
  #attributes: TelemetryAttributes;
  #stalls: TelemetryCounter;
  #failures: TelemetryCounter;
  #restarts: TelemetryCounter;
  #silence: TelemetryHistogram;
  #workersByState: TelemetryUpDownCounter;
  #blind: TelemetryUpDownCounter;
  /** The workers of the fleet, and whether each is up. */
  #workers = new Map<string, WorkerState>();
  /** Why nobody of the fleet is reported now, if that is so. */
  #blindness: typeof BLINDNESS[number] | undefined;
  /** Why the last attempt was given up. */
  #cause: "stall" | "failure" = "failure";

  constructor(meter: TelemetryMeter, attributes: TelemetryAttributes) {
    this.#attributes = attributes;
    this.#stalls = meter.createCounter("heartbeat.stalls", {
      description: "Silences that passed their limit",
      unit: "{stall}",
    });
    this.#failures = meter.createCounter("heartbeat.failures", {
      description: "Workers of the fleet that said that they failed",
      unit: "{failure}",
    });
    this.#restarts = meter.createCounter("heartbeat.restarts", {
      description: "Attempts that a supervisor started again",
      unit: "{restart}",
    });
    this.#silence = createHistogram(
      meter,
      "heartbeat.silence",
      "Long silences",
      SILENCE_BUCKETS,
    );
    // Not gauges: with delta temporality, one is exported only if it was recorded
    // since the last export. OTEL_DENO does not read observable ones for its last.
    this.#workersByState = meter.createUpDownCounter("heartbeat.workers", {
      description: "Workers of the fleet by state",
      unit: "{worker}",
    });
    this.#blind = meter.createUpDownCounter("heartbeat.blind", {
      description: "Whether nobody of the fleet is reported, by the reason",
      unit: "1",
    });
    this.gaps = this.#createGaps(meter);
  }

  #createGaps(meter: TelemetryMeter): HeartbeatGaps {
    const create = (name: string, description: string) =>
      createHistogram(
        meter,
        `gen_ai.client.operation.${name}`,
        description,
        CHUNK_BUCKETS,
      );
    const first = create("time_to_first_chunk", "Time to the first chunk");
    const next = create("time_per_output_chunk", "Time between two chunks");
    return new MeteredGaps(
      (gap) => next.record(gap / 1000, this.#attributes),
      (gap) => first.record(gap / 1000, this.#attributes),
    );
  }

  #with(more: TelemetryAttributes): TelemetryAttributes {
    return { ...this.#attributes, ...more };
  }

  onStall(limit: string, elapsed: number) {
    this.#stalls.add(1, this.#with({ "heartbeat.limit": limit }));
    this.#silence.record(elapsed / 1000, this.#attributes);
  }

  onSilence({ type, elapsed }: Pick<SilenceEvent, "type" | "elapsed">) {
    // one that goes on is recorded when it ends, or as a stall
    if (type !== "recovered") return;
    this.#silence.record(elapsed / 1000, this.#attributes);
  }

  onSupervisorEvent(event: SupervisorEvent) {
    if (event.type === "stalled") {
      this.#cause = "stall";
      this.onStall(event.limit, event.elapsed);
    } else if (event.type === "failed") {
      this.#cause = "failure";
    } else if (event.type === "restarting") {
      this.#restarts.add(1, this.#with({ "heartbeat.cause": this.#cause }));
    }
  }

  onFleetEvent(event: InstrumentedFleetEvent) {
    const { type, worker, reason } = event;
    if (type === "blind") {
      this.#setBlindness(reason === "share" ? "share" : "connection");
    } else if (type === "sees") {
      this.#setBlindness(undefined);
    } else if (worker !== undefined) {
      this.#onWorkerEvent(worker, event);
    }
  }

  #onWorkerEvent(
    worker: string,
    { type, outage, reason }: InstrumentedFleetEvent,
  ) {
    if (type === "up" || type === "recovered") this.#setState(worker, "up");
    if (type === "forgotten" || type === "left") this.#removeWorker(worker);
    if (type === "down") {
      this.#setState(worker, "down");
      if (reason === "failed") this.#failures.add(1, this.#attributes);
      else this.#stalls.add(1, this.#with({ "heartbeat.limit": "silence" }));
    }
    if (type === "recovered" && outage !== undefined) {
      this.#silence.record(outage / 1000, this.#attributes);
    }
  }

  #setState(worker: string, state: WorkerState) {
    const before = this.#workers.get(worker);
    this.#workers.set(worker, state);
    this.#recordChange(before, state);
  }

  /** A worker is watched no longer. */
  #removeWorker(worker: string) {
    const before = this.#workers.get(worker);
    this.#workers.delete(worker);
    this.#recordChange(before, undefined);
  }

  /** A worker was in a state and is in another one; in none while it is not watched. */
  #recordChange(
    before: WorkerState | undefined,
    after: WorkerState | undefined,
  ) {
    for (const each of STATES) {
      this.#addWorkers(each, Number(each === after) - Number(each === before));
    }
    // it is 0 from the first worker on
    this.#setBlindness(this.#blindness);
  }

  #addWorkers(state: WorkerState, count: number) {
    this.#workersByState.add(count, this.#with({ "heartbeat.state": state }));
  }

  #setBlindness(blindness: typeof BLINDNESS[number] | undefined) {
    const before = this.#blindness;
    this.#blindness = blindness;
    for (const each of BLINDNESS) {
      const change = Number(each === blindness) - Number(each === before);
      this.#blind.add(change, this.#with({ "heartbeat.reason": each }));
    }
  }

  /** The fleet is no longer watched: nobody is up or down any more. */
  stop() {
    const states = [...this.#workers.values()];
    this.#workers.clear();
    for (const each of STATES) {
      this.#addWorkers(each, -states.filter((state) => state === each).length);
    }
    this.#setBlindness(undefined);
  }
}

function createHistogram(
  meter: TelemetryMeter,
  name: string,
  description: string,
  buckets: number[],
): TelemetryHistogram {
  const advice = { explicitBucketBoundaries: buckets };
  return meter.createHistogram(name, { description, unit: "s", advice });
}
