// Copyright 2026 the heartbeat authors. MIT license.

import { type Case, ENOUGH, LOST, OTHER, runCases, track } from "./_harness.ts";

const CASES: Case[] = [
  {
    name:
      "closes the readable when the writable closes and nothing is queued, although nobody reads",
    section: "TransformStreamDefaultSinkCloseAlgorithm",
    async run({ readable, writable }, turn) {
      const reader = readable.getReader();
      const writer = writable.getWriter();
      const seen = track({
        close: writer.close(),
        writer: writer.closed,
        reader: reader.closed,
        read: reader.read(),
      });
      await turn();
      return seen;
    },
    expected: { close: "ok", writer: "ok", reader: "ok", read: "end" },
  },
  {
    name: "closes through the stream's own close() too",
    section: "WritableStream: Constructor, methods, and properties",
    async run({ readable, writable }, turn) {
      const seen = track({
        close: writable.close(),
        reader: readable.getReader().closed,
      });
      await turn();
      return seen;
    },
    expected: { close: "ok", reader: "ok" },
  },
  {
    name: "closes only when every queued chunk was handed on",
    section: "WritableStreamDefaultControllerAdvanceQueueIfNeeded",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const seen = track({
        a: writer.write("a"),
        b: writer.write("b"),
        close: writer.close(),
        closed: reader.closed,
      });
      const stages = [];
      for (let i = 0; i < 3; i++) {
        await turn();
        stages.push(Object.values(seen).join());
        stages.push((await reader.read()).value);
      }
      await turn();
      return [...stages, Object.values(seen).join()];
    },
    expected: [
      "pending,pending,pending,pending",
      "a",
      "ok,pending,pending,pending",
      "b",
      "ok,ok,ok,ok",
      undefined,
      "ok,ok,ok,ok",
    ],
  },
  {
    name:
      "refuses a second close and a write behind a close, and loses nothing that was before",
    section: "WritableStreamDefaultWriterWrite, WritableStreamClose",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const seen = track({
        a: writer.write("a"),
        close: writer.close(),
        again: writer.close(),
        b: writer.write("b"),
      });
      await turn();
      const before = { ...seen };
      const read = [await reader.read(), await reader.read()];
      const late = track({ close: writer.close(), write: writer.write("c") });
      await turn();
      return { before, read, seen, late };
    },
    expected: {
      before: {
        a: "pending",
        close: "pending",
        again: "! TypeError",
        b: "! TypeError",
      },
      read: [{ done: false, value: "a" }, { done: true, value: undefined }],
      seen: { a: "ok", close: "ok", again: "! TypeError", b: "! TypeError" },
      late: { close: "! TypeError", write: "! TypeError" },
    },
  },
  {
    name: "lets a cancel and a close that follows it both succeed",
    section: "TransformStreamDefaultSinkCloseAlgorithm",
    async run({ readable, writable }, turn) {
      await turn();
      const writer = writable.getWriter();
      const seen = track({
        cancel: readable.cancel(ENOUGH),
        close: writer.close(),
        closed: writer.closed,
      });
      await turn();
      return seen;
    },
    expected: { cancel: "ok", close: "ok", closed: "ok" },
  },
  {
    name: "lets a close and a cancel that follows it both succeed",
    section: "TransformStreamDefaultSourceCancelAlgorithm",
    async run({ readable, writable }, turn) {
      await turn();
      const writer = writable.getWriter();
      const seen = track({
        close: writer.close(),
        cancel: readable.cancel(ENOUGH),
        closed: writer.closed,
      });
      await turn();
      return seen;
    },
    expected: { close: "ok", cancel: "ok", closed: "ok" },
  },
  {
    name: "is cancelled while a close waits behind a chunk",
    section: "TransformStreamDefaultSourceCancelAlgorithm",
    async run({ readable, writable }, turn) {
      await turn();
      const writer = writable.getWriter();
      const seen = track({
        a: writer.write("a"),
        close: writer.close(),
        closed: writer.closed,
      });
      await turn();
      const cancel = track({ cancel: readable.cancel(ENOUGH) });
      await turn();
      return { ...seen, ...cancel };
    },
    expected: {
      a: "! enough",
      close: "! enough",
      closed: "! enough",
      cancel: "ok",
    },
  },
  {
    name:
      "takes an end twice: a cancel or an abort of what has closed does nothing",
    section: "ReadableStreamCancel, WritableStreamAbort",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      await writer.close();
      const seen = track({
        abort: writer.abort(LOST),
        cancel: readable.cancel(ENOUGH),
        again: readable.cancel(OTHER),
        closed: writer.closed,
        read: readable.getReader().read(),
      });
      await turn();
      return { seen, desiredSize: writer.desiredSize };
    },
    expected: {
      seen: {
        abort: "ok",
        cancel: "ok",
        again: "ok",
        closed: "ok",
        read: "end",
      },
      desiredSize: 0,
    },
  },
];

runCases(CASES);
