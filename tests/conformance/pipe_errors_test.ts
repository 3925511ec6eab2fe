// Copyright 2026 the heartbeat authors. MIT license.

import {
  type Case,
  createChunkSource,
  createSink,
  LOST,
  runCases,
  track,
} from "./_harness.ts";

const CASES: Case[] = [
  ...["at once", "while empty", "after one chunk"].map((when): Case => ({
    name: `passes the error of a source on, ${when}`,
    section: "ReadableStreamPipeTo (Errors must be propagated forward)",
    async run(stage, turn) {
      const source = createChunkSource();
      if (when === "at once") source.controller.error(LOST);
      const sink = createSink();
      const seen = track({
        pipe: source.stream.pipeThrough(stage).pipeTo(sink.stream),
      });
      await turn();
      if (when === "after one chunk") source.controller.enqueue("a");
      await turn();
      source.controller.error(LOST);
      await turn();
      return { seen, events: sink.events };
    },
    expected: {
      seen: { pipe: "! lost" },
      events: when === "after one chunk"
        ? ["write a", "abort lost"]
        : ["abort lost"],
    },
  })),
  {
    name: "passes an error that is undefined on",
    section: "ReadableStreamPipeTo (Errors must be propagated forward)",
    async run(stage, turn) {
      const source = createChunkSource();
      const reader = source.stream.pipeThrough(stage).getReader();
      const seen = track({ read: reader.read(), closed: reader.closed });
      await turn();
      source.controller.error(undefined);
      await turn();
      return seen;
    },
    expected: { read: "! undefined", closed: "! undefined" },
  },
  {
    name: "delivers what the pipe has read before the error of the source",
    section: "ReadableStreamPipeTo (Shutdown with an action)",
    async run(stage, turn) {
      const source = createChunkSource("a", "b");
      const reader = source.stream.pipeThrough(stage).getReader();
      await turn();
      source.controller.error(LOST);
      await turn();
      const seen = track({
        a: reader.read(),
        b: reader.read(),
        c: reader.read(),
      });
      await turn();
      return seen;
    },
    expected: { a: "a", b: "b", c: "! lost" },
  },
  ...[false, true].map((preventAbort): Case => ({
    name: `is ${
      preventAbort ? "left open" : "aborted"
    } by a source that errors with preventAbort = ${preventAbort}`,
    section: "ReadableStreamPipeTo (Errors must be propagated forward)",
    async run(stage, turn) {
      const source = createChunkSource("a");
      const reader = source.stream.pipeThrough(stage, { preventAbort })
        .getReader();
      await turn();
      source.controller.error(LOST);
      const seen = track({ a: reader.read(), end: reader.closed });
      await turn();
      const first = { ...seen, locked: stage.writable.locked };
      const writer = stage.writable.getWriter();
      const second = track({
        write: writer.write("b"),
        close: writer.close(),
        b: reader.read(),
      });
      await turn();
      return { first, second, seen };
    },
    expected: preventAbort
      ? {
        first: { a: "a", end: "pending", locked: false },
        second: { write: "ok", close: "ok", b: "b" },
        seen: { a: "a", end: "ok" },
      }
      : {
        first: { a: "a", end: "! lost", locked: false },
        second: { write: "! lost", close: "! TypeError", b: "! lost" },
        seen: { a: "a", end: "! lost" },
      },
  })),
];

runCases(CASES);
