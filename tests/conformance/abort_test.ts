// Copyright 2026 the heartbeat authors. MIT license.

import { type Case, ENOUGH, LOST, OTHER, runCases, track } from "./_harness.ts";

const CASES: Case[] = [
  ...[0, 1].map((turns): Case => ({
    name: `errors the readable when the writable is aborted ${
      turns ? "after" : "during"
    } start`,
    section: "TransformStreamDefaultSinkAbortAlgorithm",
    async run({ readable, writable }, turn) {
      if (turns) await turn();
      const reader = readable.getReader();
      const seen = track({
        abort: writable.abort(LOST),
        read: reader.read(),
        closed: reader.closed,
      });
      await turn();
      const writer = writable.getWriter();
      const late = track({
        abort: writer.abort(OTHER),
        closed: writer.closed,
        write: writer.write("a"),
        cancel: reader.cancel(OTHER),
      });
      await turn();
      return { seen, late };
    },
    expected: {
      seen: { abort: "ok", read: "! lost", closed: "! lost" },
      late: {
        abort: "ok",
        closed: "! lost",
        write: "! lost",
        cancel: "! lost",
      },
    },
  })),
  {
    name: "drops what is queued when the writable is aborted",
    section: "WritableStreamAbort, WritableStreamFinishErroring",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const seen = track({
        a: writer.write("a"),
        b: writer.write("b"),
        close: writer.close(),
        closed: writer.closed,
      });
      await turn();
      const abort = track({ abort: writer.abort(LOST), again: writer.abort() });
      await turn();
      const waiting = { ...seen, ...abort };
      const read = track({ read: readable.getReader().read() });
      await turn();
      return { waiting, seen, abort, read };
    },
    expected: {
      // the first write waits for a read and is let end
      waiting: {
        a: "pending",
        b: "pending",
        close: "pending",
        closed: "pending",
        abort: "pending",
        again: "pending",
      },
      seen: { a: "! lost", b: "! lost", close: "! lost", closed: "! lost" },
      abort: { abort: "ok", again: "ok" },
      read: { read: "! lost" },
    },
  },
  {
    name: "fails a write that waits for a read when it is aborted",
    section: "TransformStreamDefaultSinkWriteAlgorithm",
    async run({ readable, writable }, turn) {
      await turn();
      const writer = writable.getWriter();
      const seen = track({
        write: writer.write("a"),
        abort: writer.abort(LOST),
        read: readable.getReader().read(),
      });
      await turn();
      return seen;
    },
    expected: { write: "! lost", abort: "ok", read: "! lost" },
  },
  ...[0, 1].map((turns): Case => ({
    name: `takes the reason of an abort that came before a cancel ${
      turns ? "after" : "during"
    } start`,
    section: "TransformStreamDefaultSinkAbortAlgorithm",
    async run({ readable, writable }, turn) {
      if (turns) await turn();
      const writer = writable.getWriter();
      const seen = track({
        abort: writer.abort(LOST),
        cancel: readable.cancel(ENOUGH),
        closed: writer.closed,
      });
      await turn();
      return seen;
    },
    expected: { abort: "ok", cancel: "ok", closed: "! lost" },
  })),
  {
    name:
      "takes the reason of an abort that came before a cancel while a write waits",
    section: "TransformStreamDefaultSinkAbortAlgorithm",
    async run({ readable, writable }, turn) {
      await turn();
      const writer = writable.getWriter();
      const seen = track({
        write: writer.write("a"),
        abort: writer.abort(LOST),
        cancel: readable.cancel(ENOUGH),
        closed: writer.closed,
      });
      await turn();
      return seen;
    },
    expected: {
      write: "! lost",
      abort: "ok",
      cancel: "ok",
      closed: "! lost",
    },
  },
  {
    name:
      "fails a cancel and an abort that follows at once, with the abort's reason",
    section: "TransformStreamDefaultSourceCancelAlgorithm",
    async run({ readable, writable }, turn) {
      await turn();
      const writer = writable.getWriter();
      const seen = track({
        cancel: readable.cancel(ENOUGH),
        abort: writer.abort(LOST),
        closed: writer.closed,
      });
      await turn();
      return seen;
    },
    expected: { cancel: "! lost", abort: "! lost", closed: "! lost" },
  },
];

runCases(CASES);
