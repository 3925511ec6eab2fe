// Copyright 2026 the heartbeat authors. MIT license.

// Has a supervisor, a stream and a fleet measured by the SDK for Node.js, and ends.
// The argument is the URL of an OTLP receiver.

import { metrics } from "npm:@opentelemetry/api@1.9.0";
import { OTLPMetricExporter } from "npm:@opentelemetry/exporter-metrics-otlp-http@0.201.1";
import { OTLPTraceExporter } from "npm:@opentelemetry/exporter-trace-otlp-http@0.201.1";
import {
  MeterProvider,
  PeriodicExportingMetricReader,
} from "npm:@opentelemetry/sdk-metrics@2.0.1";
import { SimpleSpanProcessor } from "npm:@opentelemetry/sdk-trace-base@2.0.1";
import { NodeTracerProvider } from "npm:@opentelemetry/sdk-trace-node@2.0.1";
import { supervise, watch } from "../../mod.ts";
import { FleetMonitor } from "../../fleet.ts";
import { instrument } from "../../telemetry.ts";
import { startWorker } from "../../worker.ts";

const url = process.argv[2];
const traces = new NodeTracerProvider({
  spanProcessors: [
    new SimpleSpanProcessor(new OTLPTraceExporter({ url: `${url}/v1/traces` })),
  ],
});
traces.register();
const meters = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter({ url: `${url}/v1/metrics` }),
      exportIntervalMillis: 3_600_000,
    }),
  ],
});
metrics.setGlobalMeterProvider(meters);

// from the global providers, as in a program that knows of no SDK
const { onEvent, onSilence, onFleetEvent, gaps } = instrument();
const { results } = supervise(
  ({ attempt, signal }) =>
    startWorker(async function* () {
      if (attempt === 1) await new Promise(() => {});
      yield* [1, 2, 3];
    }, { signal }),
  {
    ...{ timeout: 200, backoff: { min: 1, max: 1 }, stopTimeout: 1 },
    ...{ onEvent, onSilence },
  },
);
for await (const _ of watch(results, { timeout: 10_000, observe: gaps }));

const fleet = new FleetMonitor({ timeout: 60_000 });
fleet.beat("alpha", 1);
const reader = fleet.readable.getReader();
onFleetEvent((await reader.read()).value!);
await reader.cancel();

await meters.shutdown();
await traces.shutdown();
