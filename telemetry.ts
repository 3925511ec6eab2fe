// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Silences, stalls and restarts as OpenTelemetry metrics and traces:
 * {@linkcode instrument} makes handlers for what the other modules report. It
 * needs the API of OpenTelemetry only: without an SDK (`OTEL_DENO=true`, or one for
 * Node.js) everything goes nowhere, and costs next to nothing.
 *
 * @module
 */

import { metrics, trace } from "npm:@opentelemetry/api@1.9.0";
import { AttemptSpans } from "./_attempt_spans.ts";
import type { HeartbeatGaps } from "./_heartbeat_gaps.ts";
import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import {
  HeartbeatMeters,
  type InstrumentedFleetEvent,
} from "./_heartbeat_meters.ts";
import type { SilenceEvent } from "./_monitor_options.ts";
import type { SupervisorEvent } from "./_supervisor_types.ts";
import type {
  TelemetryAttributes,
  TelemetryMeter,
  TelemetryTracer,
} from "./_telemetry_types.ts";
import { checkOptions, throwInvalid } from "./_validate.ts";

export type { InstrumentedFleetEvent };
export type * from "./_telemetry_types.ts";

/** Options of {@linkcode instrument}. */
export interface InstrumentOptions {
  /**
   * Makes the instruments.
   *
   * @default {metrics.getMeter("heartbeat")}
   */
  meter?: TelemetryMeter | undefined;
  /**
   * Makes the spans.
   *
   * @default {trace.getTracer("heartbeat")}
   */
  tracer?: TelemetryTracer | undefined;
  /**
   * Attributes of everything, such as who is watched: strings, finite numbers and
   * booleans. Few values each: every combination is a time series.
   */
  attributes?: TelemetryAttributes | undefined;
}

/** Handlers for what the other modules report. They can be taken out of the object. */
export interface Instruments {
  /**
   * For `onEvent` of `supervise()`: `heartbeat.stalls`, `heartbeat.silence`,
   * `heartbeat.restarts`, and a span `heartbeat.attempt` for each attempt. One
   * `instrument()` for each supervisor, since its events do not say whose they are.
   */
  readonly onEvent: (event: SupervisorEvent) => void;
  /** For `onSilence` of a monitor, `watch()`, `guardFetch()` or a watchdog: `heartbeat.silence`. */
  readonly onSilence: (event: Pick<SilenceEvent, "type" | "elapsed">) => void;
  /**
   * For each event of a fleet: `heartbeat.workers` by state, `heartbeat.blind`,
   * `heartbeat.stalls`, `heartbeat.failures`, and `heartbeat.silence`. One `instrument()` for each
   * fleet, with other `attributes`, or their workers are counted together.
   */
  readonly onFleetEvent: (event: InstrumentedFleetEvent) => void;
  /** For an error that ends a stream or a promise: if it is a stall, it is in `heartbeat.stalls`. */
  readonly onError: (error: unknown) => void;
  /**
   * For `observe` of a monitor or `watch()`: the gaps, and the metrics
   * `gen_ai.client.operation.time_to_first_chunk` and
   * `gen_ai.client.operation.time_per_output_chunk`. They are those of the GenAI
   * conventions (1.41), which want the `attributes` `gen_ai.operation.name` and
   * `gen_ai.provider.name`, such as `"chat"` and `"openai"`.
   */
  readonly gaps: HeartbeatGaps;
  /** Sets `heartbeat.workers` and `heartbeat.blind` to 0. Call it when the fleet is no longer watched. */
  readonly stop: () => void;
}

/**
 * Makes handlers that measure what they are called with.
 *
 * | instrument | kind, unit | what |
 * | --- | --- | --- |
 * | `heartbeat.stalls` | counter | stalls, by `heartbeat.limit` |
 * | `heartbeat.failures` | counter | workers of a fleet that said that they failed |
 * | `heartbeat.restarts` | counter | restarts of a supervisor, by `heartbeat.cause` (`stall` or `failure`) |
 * | `heartbeat.workers` | up-down counter | workers of a fleet, by `heartbeat.state` (`up` or `down`) |
 * | `heartbeat.blind` | up-down counter | 1 while nobody of a fleet is reported, by `heartbeat.reason` (`connection` or `share`) |
 * | `heartbeat.silence` | histogram, s | long silences: those that ended, and those that were stalls |
 * | `gen_ai.client.operation.time_to_first_chunk` | histogram, s | the first silence of a stream |
 * | `gen_ai.client.operation.time_per_output_chunk` | histogram, s | the silences between its chunks |
 * | `heartbeat.attempt` | span | an attempt of a supervisor; a stall or a failure is its exception |
 *
 * @param options Where it goes, by default to the global providers.
 * @returns The handlers.
 * @throws {TypeError} If `options` is not an object, or an option or an attribute of the wrong kind.
 *
 * @example Measure a supervisor
 * ```ts
 * import { startWorker, supervise } from "@heartbeat/heartbeat";
 * import { instrument } from "@heartbeat/heartbeat/telemetry";
 * import { assertEquals } from "@std/assert";
 *
 * const { onEvent, onSilence } = instrument({ attributes: { "heartbeat.source": "crawl" } });
 * const { results } = supervise(({ signal }) => startWorker(() => [1, 2], { signal }), {
 *   timeout: 3_000,
 *   onEvent,
 *   onSilence,
 * });
 *
 * assertEquals(await Array.fromAsync(results), [1, 2]);
 * ```
 */
export function instrument(options: InstrumentOptions = {}): Instruments {
  checkOptions("instrument", options);
  const {
    meter = metrics.getMeter("heartbeat"),
    tracer = trace.getTracer("heartbeat"),
    attributes = {},
  } = options;
  if (typeof meter?.createCounter !== "function") {
    refuse("meter", "a meter of OpenTelemetry", meter);
  }
  if (typeof tracer?.startSpan !== "function") {
    refuse("tracer", "a tracer of OpenTelemetry", tracer);
  }
  checkAttributes(attributes);
  const meters = new HeartbeatMeters(meter, attributes);
  const spans = new AttemptSpans(tracer, attributes);
  return {
    onEvent(event) {
      spans.onEvent(event);
      meters.onSupervisorEvent(event);
    },
    onSilence: (event) => meters.onSilence(event),
    onFleetEvent: (event) => meters.onFleetEvent(event),
    onError(error) {
      if (error instanceof HeartbeatTimeoutError) {
        meters.onStall(error.limit, error.elapsed);
      }
    },
    gaps: meters.gaps,
    stop: () => meters.stop(),
  };
}

function checkAttributes(attributes: TelemetryAttributes) {
  checkOptions("instrument", attributes, "attributes");
  for (const [key, value] of Object.entries(attributes)) {
    const isValid = ["string", "boolean"].includes(typeof value) ||
      Number.isFinite(value);
    if (isValid) continue;
    const accepted = "a string, a finite number or a boolean";
    refuse(`attributes.${key}`, accepted, value);
  }
}

function refuse(option: string, accepted: string, value: unknown): never {
  throwInvalid(TypeError, "instrument", option, accepted, value);
}
