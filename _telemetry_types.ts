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

/** The part of a `Gauge` that is used. */
export interface TelemetryGauge {
  /** Records a value, which holds until the next one. */
  record(value: number, attributes?: TelemetryAttributes): void;
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
  /** Makes a gauge. */
  createGauge(
    name: string,
    options?: TelemetryMetricOptions,
  ): TelemetryGauge;
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
