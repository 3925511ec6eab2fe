// Copyright 2026 the heartbeat authors. MIT license.

/** Attributes of a measurement or a span. */
export type TelemetryAttributes = Record<string, string | number | boolean>;

/** How an instrument is described. */
export interface TelemetryMetricOptions {
  /** What it measures. */
  description?: string;
  /** Its unit, as in UCUM. */
  unit?: string;
  /** Where the buckets of a histogram end. */
  advice?: { explicitBucketBoundaries?: number[] };
}

/** The part of a `Counter` of `@opentelemetry/api` that is used. */
export interface TelemetryCounter {
  /** Adds to the counter. */
  add(value: number, attributes?: TelemetryAttributes): void;
}

/** The part of a `Histogram` that is used. */
export interface TelemetryHistogram {
  /** Records a value. */
  record(value: number, attributes?: TelemetryAttributes): void;
}

/** The part of an `UpDownCounter` that is used. */
export interface TelemetryUpDownCounter {
  /** Adds to the counter, or takes from it. */
  add(value: number, attributes?: TelemetryAttributes): void;
}

/** The part of a `Meter` of `@opentelemetry/api` that is used. */
export interface TelemetryMeter {
  /** Makes a counter. */
  createCounter(
    name: string,
    options?: TelemetryMetricOptions,
  ): TelemetryCounter;
  /** Makes a histogram. */
  createHistogram(
    name: string,
    options?: TelemetryMetricOptions,
  ): TelemetryHistogram;
  /** Makes a counter that may go down. */
  createUpDownCounter(
    name: string,
    options?: TelemetryMetricOptions,
  ): TelemetryUpDownCounter;
}

/** The part of a `Span` that is used. Times are in milliseconds since the epoch. */
export interface TelemetrySpan {
  /** Adds an exception. */
  recordException(
    exception: { name: string; message: string },
    time?: number,
  ): void;
  /** Says how it went. */
  setStatus(status: { code: number; message?: string }): unknown;
  /** Ends the span. */
  end(time?: number): void;
}

/** The part of a `Tracer` of `@opentelemetry/api` that is used. */
export interface TelemetryTracer {
  /** Starts a span. */
  startSpan(
    name: string,
    options?: { startTime?: number; attributes?: TelemetryAttributes },
  ): TelemetrySpan;
}
