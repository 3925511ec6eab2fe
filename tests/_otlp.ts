// Copyright 2026 the heartbeat authors. MIT license.

// A receiver of OpenTelemetry's protocol, and what it has received as text.

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: number | string };
}

interface Point {
  attributes?: Attribute[];
  asInt?: number | string;
  asDouble?: number;
  count?: number | string;
  sum?: number;
  explicitBounds?: number[];
}

interface Metric {
  name: string;
  unit?: string;
  sum?: { dataPoints: Point[] };
  gauge?: { dataPoints: Point[] };
  histogram?: { dataPoints: Point[] };
}

interface SpanData {
  name: string;
  attributes: Attribute[];
  status?: { code?: number; message?: string };
  events?: { name: string; attributes: Attribute[] }[];
}

/** An OTLP receiver, for JSON over HTTP. */
export function startReceiver() {
  const metrics = new Map<string, Metric>();
  const spans: SpanData[] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const { resourceMetrics = [], resourceSpans = [] } = await request.json();
      for (const { scopeMetrics } of resourceMetrics) {
        for (const scope of scopeMetrics) {
          for (const metric of scope.metrics) metrics.set(metric.name, metric);
        }
      }
      for (const { scopeSpans } of resourceSpans) {
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
      return Response.json({});
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  /** The points of a metric: what was counted, or how many with which sum. */
  function pointsOf(name: string) {
    const { sum, gauge, histogram } = metrics.get(name) ?? {};
    const points = (sum ?? gauge ?? histogram)?.dataPoints ?? [];
    return points.map(({ attributes, asInt, asDouble, count, sum }) => [
      namesOf(attributes),
      ...(count === undefined ? [Number(asInt ?? asDouble)] : [
        Number(count),
        sum,
      ]),
    ]);
  }
  return {
    ...{ url, metrics, spans, pointsOf },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Attributes as text, by their keys. */
export function namesOf(attributes: Attribute[] = []): string {
  return attributes.map(({ key, value }) =>
    `${key}=${value.stringValue ?? value.intValue}`
  ).sort().join();
}

/** A span as its name, attributes, status code and exceptions. */
export function describeSpan(
  { name, attributes, status, events = [] }: SpanData,
) {
  const exceptions = events.map(({ attributes }) =>
    namesOf(attributes).split(" for ")[0]
  );
  return [name, namesOf(attributes), status?.code ?? 0, ...exceptions];
}
