// Copyright 2026 the heartbeat authors. MIT license.

import { type Case, ENOUGH, LOST, runCases, track } from "./_harness.ts";

const CASES: Case[] = [
  ...[0, 1].map((turns): Case => ({
    name: `errors the writable when the readable is cancelled ${
      turns ? "after" : "during"
    } start`,
    section: "TransformStreamDefaultSourceCancelAlgorithm",
    async run({ readable, writable }, turn) {
      if (turns) await turn();
      const writer = writable.getWriter();
      const seen = track({
        cancel: readable.cancel(ENOUGH),
        ready: writer.ready,
        closed: writer.closed,
      });
      await turn();
      const late = track({
        write: writer.write("a"),
        close: writer.close(),
        abort: writer.abort(LOST),
        read: readable.getReader().read(),
      });
      await turn();
      return { seen, late, desiredSize: writer.desiredSize };
    },
    expected: {
      seen: {
        cancel: "ok",
        ready: "ok",
        closed: "! enough",
      },
      late: {
        write: "! enough",
        close: "! TypeError",
        abort: "ok",
        read: "end",
      },
      desiredSize: null,
    },
  })),
  {
    name: "ends reads and fails writes that wait when it is cancelled",
    section: "ReadableStreamCancel, TransformStreamUnblockWrite",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const writes = track({ a: writer.write("a"), b: writer.write("b") });
      await turn();
      const seen = track({
        cancel: reader.cancel(ENOUGH),
        closed: reader.closed,
        read: reader.read(),
      });
      await turn();
      return { writes, seen };
    },
    expected: {
      writes: { a: "! enough", b: "! enough" },
      seen: { cancel: "ok", closed: "ok", read: "end" },
    },
  },
  {
    name: "ends reads that are pending when it is cancelled",
    section: "ReadableStreamCancel",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const seen = track({
        a: reader.read(),
        b: reader.read(),
        cancel: reader.cancel(),
        closed: writer.closed,
      });
      await turn();
      return seen;
    },
    expected: { a: "end", b: "end", cancel: "ok", closed: "! undefined" },
  },
];

runCases(CASES);
