// Copyright 2026 the heartbeat authors. MIT license.

import {
  type Case,
  createChunkSource,
  createEndlessSource,
  createSink,
  ENOUGH,
  LOST,
  OTHER,
  runCases,
  track,
} from "./_harness.ts";

const CASES: Case[] = [
  ...[false, true].map((preventCancel): Case => ({
    name: `${
      preventCancel ? "leaves alone" : "cancels"
    } its source when it is cancelled with preventCancel = ${preventCancel}`,
    section: "ReadableStreamPipeTo (Errors must be propagated backward)",
    async run(stage, turn) {
      const source = createChunkSource();
      const reader = source.stream.pipeThrough(stage, { preventCancel })
        .getReader();
      await turn();
      const seen = track({ cancel: reader.cancel(ENOUGH) });
      await turn();
      const { cancelled, stream } = source;
      const { locked } = stream;
      if (preventCancel) source.controller.enqueue("a");
      const rest = track({ read: stream.getReader().read() });
      await turn();
      return { seen, cancelled, locked, rest };
    },
    expected: {
      seen: { cancel: "ok" },
      cancelled: preventCancel ? "no" : "enough",
      locked: false,
      rest: { read: preventCancel ? "a" : "end" },
    },
  })),
  ...["during start", "when empty", "when full"].map((when): Case => ({
    name:
      `fails the pipe into it and cancels the source when it is cancelled ${when}`,
    section: "ReadableStreamPipeTo (Errors must be propagated backward)",
    async run({ readable, writable }, turn) {
      const source = when === "when full"
        ? createChunkSource(..."abcdef")
        : createChunkSource();
      const seen = track({ pipe: source.stream.pipeTo(writable) });
      if (when !== "during start") await turn();
      await readable.cancel(ENOUGH);
      await turn();
      return { seen, cancelled: source.cancelled };
    },
    expected: { seen: { pipe: "! enough" }, cancelled: "enough" },
  })),
  ...[false, true].map((preventCancel): Case => ({
    name: `${
      preventCancel ? "leaves alone" : "cancels"
    } the source of a pipe into it that comes after its close with preventCancel = ${preventCancel}`,
    section: "ReadableStreamPipeTo (Closing must be propagated backward)",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const closed = writer.close();
      writer.releaseLock();
      const source = createChunkSource("a");
      const seen = track({
        closed,
        pipe: source.stream.pipeTo(writable, { preventCancel }),
        reader: readable.getReader().closed,
      });
      await turn();
      return { seen, cancelled: source.cancelled };
    },
    expected: {
      seen: { closed: "ok", pipe: "! TypeError", reader: "ok" },
      cancelled: preventCancel ? "no" : "TypeError",
    },
  })),
  ...([
    [{}, ["write a", "abort lost"]],
    [{ preventAbort: true }, ["write a"]],
  ] as const).map(([options, events]): Case => ({
    name: `ends the sink that it is piped into with ${
      JSON.stringify(options)
    } when it is aborted`,
    section: "ReadableStreamPipeTo (Errors must be propagated forward)",
    async run({ readable, writable }, turn) {
      const sink = createSink();
      const seen = track({ pipe: readable.pipeTo(sink.stream, options) });
      const writer = writable.getWriter();
      await writer.write("a");
      await writer.abort(LOST);
      await turn();
      return { seen, events: sink.events, locked: sink.stream.locked };
    },
    expected: { seen: { pipe: "! lost" }, events, locked: false },
  })),
  ...[false, true].map((preventCancel): Case => ({
    name: `is ${
      preventCancel ? "left open" : "cancelled"
    } by a sink that errors with preventCancel = ${preventCancel}`,
    section: "ReadableStreamPipeTo (Errors must be propagated backward)",
    async run({ readable, writable }, turn) {
      const sink = createSink({
        write: () => {
          throw LOST;
        },
      });
      const writer = writable.getWriter();
      const seen = track({
        pipe: readable.pipeTo(sink.stream, { preventCancel }),
        a: writer.write("a"),
        closed: writer.closed,
      });
      await turn();
      const before = { ...seen, locked: readable.locked };
      const rest = track({
        b: writer.write("b"),
        read: readable.getReader().read(),
      });
      await turn();
      await writer.abort(OTHER);
      return { before, rest };
    },
    expected: {
      before: {
        pipe: "! lost",
        a: "ok",
        closed: preventCancel ? "pending" : "! lost",
        locked: false,
      },
      rest: preventCancel
        ? { b: "ok", read: "b" }
        : { b: "! lost", read: "end" },
    },
  })),
  // a source that has errored or closed, piped into a stage that has ended
  ...([
    ["errors", "errored", "! lost"],
    ["errors", "closed", "! lost"],
    ["closes", "errored", "! other"],
    ["closes", "closed", "ok"],
  ] as const).map(([how, state, pipe]): Case => ({
    name: `is ${state} when a source that ${how} is piped into it`,
    section: "ReadableStreamPipeTo (Error and close states must be propagated)",
    async run({ readable, writable }, turn) {
      await (state === "closed" ? writable.close() : writable.abort(OTHER));
      await turn();
      const source = createChunkSource();
      if (how === "closes") source.controller.close();
      else source.controller.error(LOST);
      const seen = track({
        pipe: source.stream.pipeTo(writable),
        readable: readable.getReader().closed,
      });
      await turn();
      return { seen, cancelled: source.cancelled };
    },
    expected: {
      seen: { pipe, readable: state === "closed" ? "ok" : "! other" },
      cancelled: "no",
    },
  })),
  ...([
    ["errors", { close: "! lost", pipe: "! lost", readable: "! lost" }],
    ["closes", { close: "ok", pipe: "ok", readable: "ok" }],
  ] as const).map(([how, expected]): Case => ({
    name: `is closing when a source that ${how} is piped into it`,
    section: "ReadableStreamPipeTo (Error and close states must be propagated)",
    async run({ readable, writable }, turn) {
      const source = createChunkSource();
      if (how === "closes") source.controller.close();
      else source.controller.error(LOST);
      const seen = track({
        close: writable.close(),
        pipe: source.stream.pipeTo(writable),
        readable: readable.getReader().closed,
      });
      await turn();
      return seen;
    },
    expected,
  })),
  {
    name: "fails a pipe into it with what the source's cancel() throws",
    section: "ReadableStreamPipeTo (Shutdown with an action)",
    async run({ readable, writable }, turn) {
      const source = new ReadableStream({
        cancel() {
          throw OTHER;
        },
      });
      const seen = track({ pipe: source.pipeTo(writable) });
      await turn();
      await readable.cancel(ENOUGH);
      await turn();
      return seen;
    },
    expected: { pipe: "! other" },
  },
  ...(["abort", "close"] as const).map((how): Case => ({
    name: `fails a pipe from it with what the sink's ${how}() throws`,
    section: "ReadableStreamPipeTo (Shutdown with an action)",
    async run({ readable, writable }, turn) {
      const sink = createSink({
        [how]: () => {
          throw OTHER;
        },
      });
      const seen = track({ pipe: readable.pipeTo(sink.stream) });
      await turn();
      const writer = writable.getWriter();
      const end = track({ end: writer[how](LOST) });
      await turn();
      return { ...seen, ...end, events: sink.events };
    },
    expected: {
      pipe: "! other",
      end: "ok",
      events: [how === "abort" ? "abort lost" : "close"],
    },
  })),
  {
    name:
      "is cancelled by a stage behind it that terminates, and cancels its source",
    section: "TransformStreamDefaultControllerTerminate",
    async run(stage, turn) {
      const source = createEndlessSource();
      const last = new TransformStream<unknown, unknown>({
        transform(chunk, controller) {
          controller.enqueue(chunk);
          controller.terminate();
        },
      });
      const all = Array.fromAsync(
        source.stream.pipeThrough(stage).pipeThrough(last),
      );
      const seen = track({ all: all.then((chunks) => chunks.join()) });
      await turn();
      return { seen, cancelled: source.cancelled };
    },
    expected: { seen: { all: "0" }, cancelled: "TypeError" },
  },
];

runCases(CASES);
