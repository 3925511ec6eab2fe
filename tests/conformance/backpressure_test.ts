// Copyright 2026 the heartbeat authors. MIT license.

import {
  type Case,
  createEndlessSource,
  createSink,
  ENOUGH,
  runCases,
  track,
} from "./_harness.ts";

const CASES: Case[] = [
  {
    name: "hands nothing on while nobody reads",
    section: "TransformStreamDefaultSinkWriteAlgorithm",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      await turn();
      const sizes = [];
      const writes: Record<string, Promise<void>> = {};
      for (const chunk of "abcdef") {
        writes[chunk] = writer.write(chunk);
        sizes.push(writer.desiredSize);
      }
      const seen = track({ ...writes, ready: writer.ready });
      await turn();
      const before = Object.values(seen).join();
      await readable.cancel();
      return { sizes, before };
    },
    expected: {
      sizes: [3, 2, 1, 0, -1, -2],
      before: "pending,pending,pending,pending,pending,pending,pending",
    },
  },
  {
    name:
      "hands one chunk on for each read, and is ready again when its queue has room",
    section:
      "TransformStreamDefaultSourcePullAlgorithm, TransformStreamSetBackpressure",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const seen = track({
        a: writer.write("a"),
        b: writer.write("b"),
        c: writer.write("c"),
        d: writer.write("d"),
        e: writer.write("e"),
        ready: writer.ready,
      });
      const steps = [];
      for (let i = 0; i < 3; i++) {
        steps.push((await reader.read()).value);
        await turn();
        steps.push(`${Object.values(seen)} ${writer.desiredSize}`);
      }
      await reader.cancel();
      return steps;
    },
    expected: [
      "a",
      "ok,pending,pending,pending,pending,pending 0",
      "b",
      "ok,ok,pending,pending,pending,ok 1",
      "c",
      "ok,ok,ok,pending,pending,ok 2",
    ],
  },
  {
    name:
      "hands a chunk on at once to a read that waits, so that a cancel comes too late for it",
    section: "TransformStreamDefaultSinkWriteAlgorithm",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const read = reader.read();
      await turn();
      const seen = track({
        read,
        write: writer.write("a"),
        cancel: reader.cancel(ENOUGH),
        closed: writer.closed,
      });
      await turn();
      return seen;
    },
    expected: { read: "a", write: "ok", cancel: "ok", closed: "! enough" },
  },
  {
    name: "is read before the first write",
    section: "TransformStreamDefaultSourcePullAlgorithm",
    async run({ readable, writable }, turn) {
      const reader = readable.getReader();
      const seen = track({ a: reader.read(), b: reader.read() });
      await turn();
      const writer = writable.getWriter();
      await writer.write("a");
      await turn();
      const half = { ...seen };
      await writer.write("b");
      await turn();
      await writer.close();
      return { half, seen };
    },
    expected: { half: { a: "a", b: "pending" }, seen: { a: "a", b: "b" } },
  },
  {
    name:
      "takes from a source what its queue holds, and one more for each read",
    section: "ReadableStreamPipeTo (Backpressure must be enforced)",
    async run(stage, turn) {
      const source = createEndlessSource();
      const reader = source.stream.pipeThrough(stage).getReader();
      const pulls = [];
      for (let i = 0; i < 4; i++) {
        await turn();
        pulls.push(source.pulls);
        await reader.read();
      }
      await reader.cancel(ENOUGH);
      await turn();
      return { pulls, cancelled: source.cancelled };
    },
    expected: { pulls: [4, 5, 6, 7], cancelled: "enough" },
  },
  {
    name: "lets a slow sink hold the source back",
    section: "ReadableStreamPipeTo (Backpressure must be enforced)",
    async run(stage, turn) {
      const source = createEndlessSource();
      const writes: (() => void)[] = [];
      const sink = createSink({
        write: () => new Promise<void>((resolve) => writes.push(resolve)),
      });
      const seen = track({
        pipe: source.stream.pipeThrough(stage).pipeTo(sink.stream),
      });
      const pulls = [];
      for (let i = 0; i < 3; i++) {
        await turn();
        pulls.push(source.pulls);
        writes.shift()!();
      }
      await turn();
      sink.controller.error(ENOUGH);
      writes.shift()!();
      await turn();
      return { pulls, events: sink.events, seen, cancelled: source.cancelled };
    },
    // one chunk is with the sink
    expected: {
      pulls: [5, 6, 7],
      events: ["write 0", "write 1", "write 2", "write 3"],
      seen: { pipe: "! enough" },
      cancelled: "enough",
    },
  },
];

runCases(CASES);
