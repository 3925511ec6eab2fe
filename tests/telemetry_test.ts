// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  AggregationTemporalityPreference,
  OTLPMetricExporter,
} from "npm:@opentelemetry/exporter-metrics-otlp-http@0.201.1";
import { OTLPTraceExporter } from "npm:@opentelemetry/exporter-trace-otlp-http@0.201.1";
import {
  MeterProvider,
  PeriodicExportingMetricReader,
} from "npm:@opentelemetry/sdk-metrics@2.0.1";
import {
  BasicTracerProvider,
  SimpleSpanProcessor,
} from "npm:@opentelemetry/sdk-trace-base@2.0.1";
import { HeartbeatMonitor, HeartbeatTimeoutError } from "../monitor.ts";
import { supervise } from "../supervisor.ts";
import { instrument, type InstrumentOptions } from "../telemetry.ts";
import { startWorker } from "../worker.ts";
import { NPM_FLAGS } from "./_help.ts";
import { describeSpan, namesOf, startReceiver } from "./_otlp.ts";

/** What the SDK for Node.js does, with its own exporters. */
function startSdk(
  url: string,
  temporalityPreference = AggregationTemporalityPreference.CUMULATIVE,
) {
  const meters = new MeterProvider({
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter({
          url: `${url}/v1/metrics`,
          temporalityPreference,
        }),
        exportIntervalMillis: 3_600_000,
      }),
    ],
  });
  const traces = new BasicTracerProvider({
    spanProcessors: [
      new SimpleSpanProcessor(
        new OTLPTraceExporter({ url: `${url}/v1/traces` }),
      ),
    ],
  });
  const options: InstrumentOptions = {
    meter: meters.getMeter("test"),
    tracer: traces.getTracer("test"),
    attributes: { "heartbeat.source": "crawl" },
  };
  return {
    options,
    flush: () => meters.forceFlush(),
    async [Symbol.asyncDispose]() {
      await meters.shutdown();
      await traces.shutdown();
    },
  };
}

const SOURCE = "heartbeat.source=crawl";
/** The exporters keep their sockets for a while. */
const node = { sanitizeResources: false, sanitizeOps: false };

Deno.test(
  "instrument measures the attempts of a supervisor, and makes a span of each",
  node,
  async () => {
    await using receiver = startReceiver();
    {
      await using sdk = startSdk(receiver.url);
      const { onEvent, onSilence } = instrument(sdk.options);
      const { results } = supervise(
        ({ attempt, signal }) =>
          startWorker(async function* () {
            if (attempt === 1) throw new Error("connection lost");
            if (attempt === 2) await new Promise(() => {});
            yield attempt;
          }, { signal }),
        {
          ...{ timeout: 10_000, firstTimeout: 200, stopTimeout: 1 },
          backoff: { min: 1, max: 1 },
          ...{ onEvent, onSilence },
        },
      );
      assertEquals(await Array.fromAsync(results), [3]);
    }
    const { pointsOf, spans, metrics } = receiver;
    assertEquals(pointsOf("heartbeat.stalls"), [
      [`heartbeat.limit=first,${SOURCE}`, 1],
    ]);
    assertEquals(pointsOf("heartbeat.restarts").sort(), [
      [`heartbeat.cause=failure,${SOURCE}`, 1],
      [`heartbeat.cause=stall,${SOURCE}`, 1],
    ]);
    const [[attributes, count, sum]] = pointsOf("heartbeat.silence") as [
      [string, number, number],
    ];
    assertEquals([attributes, count], [SOURCE, 1]);
    assert(sum >= 0.2 && metrics.get("heartbeat.silence")?.unit === "s");
    assertEquals(spans.map(describeSpan), [
      [
        ...["heartbeat.attempt", `heartbeat.attempt=1,${SOURCE}`, 2],
        "exception.message=connection lost,exception.type=Error",
      ],
      [
        ...["heartbeat.attempt", `heartbeat.attempt=2,${SOURCE}`, 2],
        "exception.message=No heartbeat from 'worker'",
      ],
      ["heartbeat.attempt", `heartbeat.attempt=3,${SOURCE}`, 0],
    ]);
  },
);

Deno.test(
  "instrument measures the workers of a fleet by state",
  node,
  async () => {
    await using receiver = startReceiver();
    {
      await using sdk = startSdk(receiver.url);
      const { onFleetEvent } = instrument(sdk.options);
      for (const worker of ["a", "b", "c", "d"]) {
        onFleetEvent({ type: "up", worker });
      }
      onFleetEvent({ type: "down", worker: "a" });
      onFleetEvent({ type: "down", worker: "b" });
      onFleetEvent({ type: "recovered", worker: "b", outage: 4_000 });
      onFleetEvent({ type: "forgotten", worker: "c" });
      onFleetEvent({ type: "left", worker: "d" });
      onFleetEvent({ type: "down", worker: "f", reason: "failed" });
      onFleetEvent({ type: "left", worker: "f" });
      onFleetEvent({ type: "refused", worker: "e" });
      onFleetEvent({ type: "blind", reason: "share" });
    }
    const { pointsOf } = receiver;
    assertEquals(pointsOf("heartbeat.blind").sort(), [
      [`heartbeat.reason=connection,${SOURCE}`, 0],
      [`heartbeat.reason=share,${SOURCE}`, 1],
    ]);
    assertEquals(pointsOf("heartbeat.workers").sort(), [
      [`${SOURCE},heartbeat.state=down`, 1],
      [`${SOURCE},heartbeat.state=up`, 1],
    ]);
    assertEquals(pointsOf("heartbeat.stalls"), [
      [`heartbeat.limit=silence,${SOURCE}`, 2],
    ]);
    assertEquals(pointsOf("heartbeat.failures"), [[SOURCE, 1]]);
    assertEquals(pointsOf("heartbeat.silence"), [[SOURCE, 1, 4]]);
  },
);

Deno.test(
  "instrument has no worker of a fleet that is no longer watched",
  node,
  async () => {
    await using receiver = startReceiver();
    {
      await using sdk = startSdk(receiver.url);
      const { onFleetEvent, stop } = instrument(sdk.options);
      onFleetEvent({ type: "up", worker: "a" });
      onFleetEvent({ type: "down", worker: "b" });
      onFleetEvent({ type: "blind", reason: "connection" });
      stop();
      onFleetEvent({ type: "up", worker: "a" });
      onFleetEvent({ type: "up", worker: "a" });
      onFleetEvent({ type: "left", worker: "nobody" });
    }
    const { pointsOf } = receiver;
    assertEquals(pointsOf("heartbeat.workers").sort(), [
      [`${SOURCE},heartbeat.state=down`, 0],
      [`${SOURCE},heartbeat.state=up`, 1],
    ]);
    assertEquals(pointsOf("heartbeat.blind").map(([, value]) => value), [0, 0]);
  },
);

Deno.test(
  "instrument says who is down in each export, with any temporality",
  node,
  async () => {
    const { DELTA, CUMULATIVE, LOWMEMORY } = AggregationTemporalityPreference;
    for (const preference of [DELTA, CUMULATIVE, LOWMEMORY]) {
      await using receiver = startReceiver();
      await using sdk = startSdk(receiver.url, preference);
      const { onFleetEvent } = instrument(sdk.options);
      onFleetEvent({ type: "up", worker: "a" });
      onFleetEvent({ type: "down", worker: "a" });
      onFleetEvent({ type: "blind", reason: "share" });
      for (let i = 0; i < 3; i++) {
        await sdk.flush();
        assertEquals(receiver.pointsOf("heartbeat.workers").sort(), [
          [`${SOURCE},heartbeat.state=down`, 1],
          [`${SOURCE},heartbeat.state=up`, 0],
        ]);
        assertEquals(receiver.pointsOf("heartbeat.blind").sort(), [
          [`heartbeat.reason=connection,${SOURCE}`, 0],
          [`heartbeat.reason=share,${SOURCE}`, 1],
        ]);
        receiver.metrics.clear();
      }
    }
  },
);

Deno.test(
  "instrument says that nobody is left when the last worker has left",
  node,
  async () => {
    await using receiver = startReceiver();
    {
      await using sdk = startSdk(receiver.url);
      const { onFleetEvent } = instrument(sdk.options);
      onFleetEvent({ type: "blind", reason: "connection" });
      onFleetEvent({ type: "up", worker: "a" });
      onFleetEvent({ type: "sees" });
      onFleetEvent({ type: "left", worker: "a" });
    }
    assertEquals(receiver.pointsOf("heartbeat.workers").sort(), [
      [`${SOURCE},heartbeat.state=down`, 0],
      [`${SOURCE},heartbeat.state=up`, 0],
    ]);
    assertEquals(receiver.pointsOf("heartbeat.blind").sort(), [
      [`heartbeat.reason=connection,${SOURCE}`, 0],
      [`heartbeat.reason=share,${SOURCE}`, 0],
    ]);
  },
);

Deno.test(
  "instrument measures the silences, the gaps and the stall of a stream",
  node,
  async () => {
    await using receiver = startReceiver();
    {
      await using sdk = startSdk(receiver.url);
      const { gaps, onSilence, onError } = instrument(sdk.options);
      const monitor = new HeartbeatMonitor<number>({
        timeout: 1_000,
        observe: gaps,
      });
      const stream = ReadableStream.from([1, 2, 3]).pipeThrough(monitor);
      assertEquals((await Array.fromAsync(stream)).length, 3);
      assertEquals(gaps.count, 2);
      onSilence({ type: "silent", elapsed: 500 });
      onSilence({ type: "recovered", elapsed: 700 });
      onError(new Error("another"));
      const limit = "first";
      onError(
        new HeartbeatTimeoutError({
          timeout: 1,
          elapsed: 2_000,
          count: 0,
          limit,
        }),
      );
    }
    const { metrics, pointsOf } = receiver;
    const genAi = "gen_ai.client.operation";
    for (const name of ["time_to_first_chunk", "time_per_output_chunk"]) {
      const { unit, histogram } = metrics.get(`${genAi}.${name}`)!;
      const { explicitBounds } = histogram!.dataPoints[0]!;
      // as in the conventions: from 10 ms on, each is twice the one before
      const bounds = Array.from({ length: 14 }, (_, i) => 2 ** i / 100);
      assertEquals([unit, explicitBounds], ["s", bounds]);
    }
    assertEquals(
      pointsOf(`${genAi}.time_to_first_chunk`).map(([, count]) => count),
      [1],
    );
    assertEquals(
      pointsOf(`${genAi}.time_per_output_chunk`).map(([, count]) => count),
      [2],
    );
    assertEquals(pointsOf("heartbeat.silence"), [[SOURCE, 2, 2.7]]);
    assertEquals(pointsOf("heartbeat.stalls"), [
      [`heartbeat.limit=first,${SOURCE}`, 1],
    ]);
  },
);

Deno.test("instrument works with what OTEL_DENO=true has", async () => {
  await using receiver = startReceiver();
  const url = (file: string) => new URL(`../${file}`, import.meta.url).href;
  const code = `
    import { instrument } from "${url("telemetry.ts")}";
    import { supervise } from "${url("supervisor.ts")}";
    import { startWorker } from "${url("worker.ts")}";
    const { onEvent, onFleetEvent } = instrument();
    onFleetEvent({ type: "up", worker: "a" });
    const { results } = supervise(({ attempt }) => startWorker(async function* () {
      if (attempt === 1) await new Promise(() => {});
      yield attempt;
    }), { timeout: 200, backoff: { min: 1, max: 1 }, stopTimeout: 1, onEvent });
    console.log(await Array.fromAsync(results));
  `;
  const { code: status, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", ...NPM_FLAGS, code],
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    },
  }).output();
  assertEquals(status, 0, new TextDecoder().decode(stderr));
  assertEquals(receiver.pointsOf("heartbeat.stalls"), [
    ["heartbeat.limit=silence", 1],
  ]);
  assertEquals(receiver.pointsOf("heartbeat.workers").sort(), [
    ["heartbeat.state=down", 0],
    ["heartbeat.state=up", 1],
  ]);
  const attempts = receiver.spans.filter(({ name }) =>
    name === "heartbeat.attempt"
  );
  assertEquals(attempts.length, 2);
  assertMatch(
    namesOf(attempts[0]!.events?.[0]?.attributes),
    /No heartbeat from 'worker' for \d+ ms/,
  );
});

Deno.test("instrument goes nowhere without an SDK", () => {
  const { onEvent, onSilence, onFleetEvent, onError, gaps } = instrument();
  onEvent({ type: "started", time: 1, attempt: 1 });
  onEvent({
    type: "stalled",
    time: 2,
    attempt: 1,
    limit: "first",
    elapsed: 1,
    timeout: 1,
    count: 0,
  });
  onEvent({ type: "ended", time: 3, attempt: 1 });
  onSilence({ type: "recovered", elapsed: 1 });
  onFleetEvent({ type: "up", worker: "a" });
  onError(new Error("another"));
  gaps.recordFirst(5);
  gaps.record(7);
  assertEquals([gaps.first, gaps.count, gaps.longest], [5, 1, 7]);
});

Deno.test("instrument is all that needs OpenTelemetry: whoever does not import it has none of it", async () => {
  const root = new URL("..", import.meta.url);
  const users: string[] = [];
  for await (const { name } of Deno.readDir(root)) {
    if (!name.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(new URL(name, root));
    if (
      /^import [^;]*"(npm:@opentelemetry|\.\/telemetry\.ts|\.\/_attempt_spans\.ts)/m
        .test(text)
    ) {
      users.push(name);
    }
  }
  assertEquals(users.sort(), ["_attempt_spans.ts", "telemetry.ts"]);
});
