// Copyright 2026 the heartbeat authors. MIT license.

import { SpanStatusCode } from "npm:@opentelemetry/api@1.9.0";
import { HeartbeatTimeoutError } from "./_heartbeat_timeout_error.ts";
import type { SupervisorEvent } from "./_supervisor_types.ts";
import type {
  TelemetryAttributes,
  TelemetrySpan,
  TelemetryTracer,
} from "./_telemetry_types.ts";

/**
 * A span for each attempt of one supervisor.
 *
 * | event | the span of the attempt |
 * | --- | --- |
 * | `started` | begins |
 * | `stalled`, `failed` | has the exception, and ends with an error |
 * | `ended` | ends well, if it has not ended |
 * | others | |
 */
export class AttemptSpans {
  #tracer: TelemetryTracer;
  #attributes: TelemetryAttributes;
  #span: TelemetrySpan | undefined;

  constructor(tracer: TelemetryTracer, attributes: TelemetryAttributes) {
    this.#tracer = tracer;
    this.#attributes = attributes;
  }

  onEvent(event: SupervisorEvent) {
    switch (event.type) {
      case "started":
        return this.#start(event);
      case "stalled":
        return this.#fail(
          event,
          new HeartbeatTimeoutError({ ...event, source: event.last?.worker }),
        );
      case "failed":
        return this.#fail(event, event.error);
      case "ended":
        this.#span?.end(event.time);
        this.#span = undefined;
    }
  }

  #start({ attempt, time }: SupervisorEvent) {
    this.#span = this.#tracer.startSpan("heartbeat.attempt", {
      startTime: time,
      attributes: { ...this.#attributes, "heartbeat.attempt": attempt },
    });
  }

  #fail({ time }: SupervisorEvent, error: { name: string; message: string }) {
    const { name, message } = error;
    this.#span?.recordException({ name, message }, time);
    this.#span?.setStatus({ code: SpanStatusCode.ERROR, message });
    this.#span?.end(time);
    this.#span = undefined;
  }
}
