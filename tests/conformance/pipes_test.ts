// Copyright 2026 the heartbeat authors. MIT license.

import { assertThrows } from "@std/assert";
import { HeartbeatMonitor } from "../../monitor.ts";
import {
  type Case,
  createChunkSource,
  createSink,
  ENOUGH,
  LOST,
  plain,
  runCases,
  type Stage,
  track,
} from "./_harness.ts";

const CASES: Case[] = [
  {
    name: "passes a source on to a sink, close and all, and unlocks everything",
    section: "ReadableStreamPipeTo (Closing must be propagated forward)",
    async run(stage, turn) {
      const source = createChunkSource("a", "b", "c");
      source.controller.close();
      const sink = createSink();
      const through = source.stream.pipeThrough(stage);
      const locked = [source.stream.locked, stage.writable.locked];
      const seen = track({ pipe: through.pipeTo(sink.stream) });
      locked.push(stage.readable.locked, sink.stream.locked);
      await turn();
      locked.push(source.stream.locked, stage.writable.locked);
      locked.push(stage.readable.locked, sink.stream.locked);
      return {
        returned: through === stage.readable,
        seen,
        locked,
        events: sink.events,
      };
    },
    expected: {
      returned: true,
      seen: { pipe: "ok" },
      locked: [true, true, true, true, false, false, false, false],
      events: ["write a", "write b", "write c", "close"],
    },
  },
  ...[false, true].map((preventClose): Case => ({
    name: `is ${
      preventClose ? "left open" : "closed"
    } by a source that closes with preventClose = ${preventClose}`,
    section: "ReadableStreamPipeTo (Closing must be propagated forward)",
    async run(stage, turn) {
      const source = createChunkSource("a");
      const reader = source.stream.pipeThrough(stage, { preventClose })
        .getReader();
      await turn();
      source.controller.close();
      const seen = track({ a: reader.read(), end: reader.closed });
      await turn();
      const first = { ...seen, locked: stage.writable.locked };
      const next = createChunkSource("b");
      next.controller.close();
      const second = track({
        pipe: next.stream.pipeTo(stage.writable),
        b: reader.read(),
      });
      await turn();
      return { first, second, seen, cancelled: next.cancelled };
    },
    expected: preventClose
      ? {
        first: { a: "a", end: "pending", locked: false },
        second: { pipe: "ok", b: "b" },
        seen: { a: "a", end: "ok" },
        cancelled: "no",
      }
      : {
        first: { a: "a", end: "ok", locked: false },
        second: { pipe: "! TypeError", b: "end" },
        seen: { a: "a", end: "ok" },
        cancelled: "TypeError",
      },
  })),
  ...([
    [{}, ["write a", "close"], "ok"],
    [{ preventClose: true }, ["write a"], "ok"],
  ] as const).map(([options, events, pipe]): Case => ({
    name: `ends the sink that it is piped into with ${
      JSON.stringify(options)
    } when it closes`,
    section: "ReadableStreamPipeTo (Closing must be propagated forward)",
    async run({ readable, writable }, turn) {
      const sink = createSink();
      const seen = track({ pipe: readable.pipeTo(sink.stream, options) });
      const writer = writable.getWriter();
      await writer.write("a");
      await writer.close();
      await turn();
      return { seen, events: sink.events, locked: sink.stream.locked };
    },
    expected: { seen: { pipe }, events, locked: false },
  })),
  {
    name: "closes the sink only when its last write is done",
    section: "ReadableStreamPipeTo (Shutdown with an action)",
    async run(stage, turn) {
      const source = createChunkSource("a");
      source.controller.close();
      const writes: (() => void)[] = [];
      const sink = createSink({
        write: () => new Promise<void>((resolve) => writes.push(resolve)),
      });
      const seen = track({
        pipe: source.stream.pipeThrough(stage).pipeTo(sink.stream),
      });
      await turn();
      const before = [seen.pipe, ...sink.events];
      writes[0]!();
      await turn();
      return [before, [seen.pipe, ...sink.events]];
    },
    expected: [["pending", "write a"], ["ok", "write a", "close"]],
  },
  {
    name: "refuses a pipe from a locked source, and stays unlocked",
    section: "ReadableStream: Constructor, methods, and properties",
    async run(stage, turn) {
      const source = createChunkSource();
      source.stream.getReader();
      assertThrows(() => source.stream.pipeThrough(stage), TypeError);
      const seen = track({ pipe: source.stream.pipeTo(stage.writable) });
      await turn();
      const { locked } = stage.writable;
      await stage.writable.abort();
      return { seen, locked };
    },
    expected: { seen: { pipe: "! TypeError" }, locked: false },
  },
  ...["closes", "errors", "is cancelled"].map((how): Case => ({
    name: `passes everything through a chain that ${how}`,
    section: "Pipe chains and backpressure",
    async run(stage, turn) {
      const source = createChunkSource("a", "b");
      const reader = source.stream.pipeThrough(plain()).pipeThrough(stage)
        .pipeThrough(new HeartbeatMonitor({ timeout: Infinity }))
        .pipeThrough(plain()).getReader();
      const seen = track({ a: reader.read(), b: reader.read() });
      await turn();
      if (how === "closes") source.controller.close();
      else if (how === "errors") source.controller.error(LOST);
      else await reader.cancel(ENOUGH);
      const end = track({ end: reader.closed });
      await turn();
      return { ...seen, ...end, cancelled: source.cancelled };
    },
    expected: {
      a: "a",
      b: "b",
      end: how === "errors" ? "! lost" : "ok",
      cancelled: how === "is cancelled" ? "enough" : "no",
    },
  })),
  {
    name: "closes behind a stage that terminates",
    section: "TransformStreamDefaultControllerTerminate",
    async run(stage, turn) {
      const source = createChunkSource("a", "b");
      const first = new TransformStream<unknown, unknown>({
        transform(chunk, controller) {
          controller.enqueue(chunk);
          controller.terminate();
        },
      });
      const all = Array.fromAsync(
        source.stream.pipeThrough(first).pipeThrough(stage),
      );
      const seen = track({ all: all.then((chunks) => chunks.join()) });
      await turn();
      return { seen, cancelled: source.cancelled };
    },
    expected: { seen: { all: "a" }, cancelled: "TypeError" },
  },
  {
    name: "lets a stage behind it flush what it holds",
    section: "TransformStreamDefaultSinkCloseAlgorithm",
    async run(stage, turn) {
      const source = createChunkSource(new Uint8Array([0x61, 0xe2, 0x82]));
      source.controller.close();
      const seen = track({
        text: new Response(
          source.stream.pipeThrough(stage).pipeThrough(
            new TextDecoderStream() as unknown as Stage,
          ).pipeThrough(
            new TextEncoderStream() as unknown as TransformStream<
              unknown,
              Uint8Array<ArrayBuffer>
            >,
          ),
        ).text(),
      });
      await turn();
      return seen;
    },
    expected: { text: "a\ufffd" },
  },
  {
    name: "passes the chunks of a byte stream on as they are",
    section: "ReadableStreamPipeTo",
    async run(stage, turn) {
      const source = new ReadableStream({
        type: "bytes",
        start(controller) {
          controller.enqueue(new Uint8Array([1, 2]));
          controller.enqueue(new Uint8Array([3]));
          controller.close();
        },
      });
      const chunks = await Array.fromAsync(source.pipeThrough(stage));
      await turn();
      return chunks;
    },
    expected: [new Uint8Array([1, 2]), new Uint8Array([3])],
  },
];

runCases(CASES);
