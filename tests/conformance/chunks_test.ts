// Copyright 2026 the heartbeat authors. MIT license.

import { assertThrows } from "@std/assert";
import {
  type Case,
  createChunkSource,
  ENOUGH,
  LOST,
  nameOf,
  plain,
  runCases,
  track,
} from "./_harness.ts";

const CASES: Case[] = [
  {
    name: "starts writable, readable, unlocked and empty",
    section: "InitializeTransformStream",
    async run({ readable, writable }) {
      const locked = [readable.locked, writable.locked];
      const writer = writable.getWriter();
      const { desiredSize } = writer;
      const seen = track({ ready: writer.ready, closed: writer.closed });
      await Promise.resolve();
      const open = { ...seen };
      await writer.abort();
      return { locked, desiredSize, open };
    },
    expected: {
      locked: [false, false],
      desiredSize: 4,
      open: { ready: "ok", closed: "pending" },
    },
  },
  {
    name: "has a readable and a writable of the platform, the same each time",
    section: "TransformStream: Constructor and properties",
    async run(stage) {
      const { readable, writable } = stage;
      const same = readable === stage.readable && writable === stage.writable;
      const reader = ReadableStream.prototype.getReader.call(readable);
      const writer = WritableStream.prototype.getWriter.call(writable);
      const kinds = [
        readable instanceof ReadableStream,
        writable instanceof WritableStream,
        stage instanceof TransformStream,
        Object.prototype.toString.call(stage),
      ];
      await Promise.all([writer.close(), reader.closed]);
      return { same, kinds };
    },
    expected: {
      same: true,
      kinds: [true, true, true, "[object TransformStream]"],
    },
  },
  {
    name: "lets be read what was written",
    section: "TransformStreamDefaultControllerPerformTransform",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const sizes = [writer.desiredSize];
      const write = writer.write("a");
      sizes.push(writer.desiredSize);
      const seen = track({ read: readable.getReader().read(), write });
      await turn();
      sizes.push(writer.desiredSize);
      await writer.abort();
      return { sizes, seen };
    },
    expected: { sizes: [4, 3, 4], seen: { read: "a", write: "ok" } },
  },
  {
    name: "passes chunks of any kind on as they are, in order",
    section: "TransformStreamDefaultControllerEnqueue",
    async run({ readable, writable }) {
      const chunks = [
        undefined,
        null,
        0,
        "",
        NaN,
        Symbol.iterator,
        () => {},
        new Uint8Array(3),
        Promise.resolve(1),
        { then: (resolve: (value: string) => void) => resolve("taken") },
        LOST,
        { done: true },
      ];
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const writes = chunks.map((chunk) => writer.write(chunk));
      const same = [];
      for (const chunk of chunks) {
        const { done, value } = await reader.read();
        same.push(!done && Object.is(value, chunk));
      }
      await Promise.all([...writes, writer.close()]);
      return same.every((it) => it) && (await reader.read()).done;
    },
    expected: true,
  },
  {
    name:
      "goes on with another writer and another reader when one lets go, and loses nothing",
    section:
      "WritableStreamDefaultWriterRelease, ReadableStreamDefaultReaderRelease",
    async run({ readable, writable }, turn) {
      const first = writable.getWriter();
      const impatient = readable.getReader();
      const seen = track({
        write: first.write("a"),
        written: first.closed,
        read: impatient.read(),
        unread: impatient.read(),
        reader: impatient.closed,
      });
      await turn();
      impatient.releaseLock();
      const waiting = track({ b: first.write("b") });
      first.releaseLock();
      const locked = [readable.locked, writable.locked];
      const second = writable.getWriter();
      const after = track({ c: second.write("c"), close: second.close() });
      await turn();
      const rest = await Array.fromAsync(readable);
      await turn();
      return { seen, waiting, locked, after, rest };
    },
    expected: {
      seen: {
        write: "ok",
        written: "! TypeError",
        read: "a",
        unread: "! TypeError",
        reader: "! TypeError",
      },
      // the chunk was taken for a read that is gone, so it waits in the readable
      waiting: { b: "ok" },
      locked: [false, false],
      after: { c: "ok", close: "ok" },
      rest: ["b", "c"],
    },
  },
  {
    name: "can be iterated, and is cancelled when the loop is left",
    section: "ReadableStream: Asynchronous iteration",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const seen = track({
        a: writer.write("a"),
        b: writer.write("b"),
        closed: writer.closed,
      });
      let open: unknown;
      for await (const chunk of readable) {
        await turn();
        open = { chunk, ...seen };
        break;
      }
      await turn();
      return { open, seen };
    },
    expected: {
      open: { chunk: "a", a: "ok", b: "pending", closed: "pending" },
      seen: { a: "ok", b: "! undefined", closed: "! undefined" },
    },
  },
  {
    name: "stays open when a loop with preventCancel is left",
    section: "ReadableStream: Asynchronous iteration",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const seen = track({ a: writer.write("a"), b: writer.write("b") });
      const chunks = [];
      for await (const chunk of readable.values({ preventCancel: true })) {
        chunks.push(chunk);
        break;
      }
      await turn();
      const left = { ...seen };
      const close = writer.close();
      for await (const chunk of readable) chunks.push(chunk);
      await close;
      return { left, seen, chunks };
    },
    expected: {
      left: { a: "ok", b: "pending" },
      seen: { a: "ok", b: "ok" },
      chunks: ["a", "b"],
    },
  },
  {
    name: "feeds both branches of a tee, and is cancelled when both are",
    section: "ReadableStreamTee",
    async run({ readable, writable }, turn) {
      const writer = writable.getWriter();
      const [one, two] = readable.tee().map((branch) => branch.getReader());
      const seen = track({
        write: writer.write("a"),
        one: one!.read(),
        two: two!.read(),
        closed: writer.closed.catch((reasons) =>
          (reasons as unknown[]).map(nameOf).join()
        ),
      });
      await turn();
      const before = seen.closed;
      const cancels = track({ one: one!.cancel(LOST) });
      await turn();
      const half = [seen.closed, cancels.one];
      await two!.cancel(ENOUGH);
      await turn();
      return { seen, before, half, cancels };
    },
    expected: {
      seen: { write: "ok", one: "a", two: "a", closed: "lost,enough" },
      before: "pending",
      half: ["pending", "pending"],
      cancels: { one: "ok" },
    },
  },
  {
    name:
      "is locked by a reader and a writer, and lives on when it is ended past them",
    section: "IsReadableStreamLocked, IsWritableStreamLocked",
    async run({ readable, writable }, turn) {
      const reader = readable.getReader();
      const writer = writable.getWriter();
      for (
        const take of [
          () => readable.getReader(),
          () => writable.getWriter(),
          () => readable.tee(),
          () => readable.pipeThrough(plain()),
          () => createChunkSource().stream.pipeThrough({ readable, writable }),
        ]
      ) assertThrows(take, TypeError);
      const refused = track({
        cancel: readable.cancel(LOST),
        abort: writable.abort(LOST),
        close: writable.close(),
        pipe: readable.pipeTo(new WritableStream()),
      });
      await turn();
      const seen = track({
        read: reader.read(),
        write: writer.write("a"),
        end: reader.read(),
        close: writer.close(),
      });
      await turn();
      return { refused, seen };
    },
    expected: {
      refused: {
        cancel: "! TypeError",
        abort: "! TypeError",
        close: "! TypeError",
        pipe: "! TypeError",
      },
      seen: { read: "a", write: "ok", end: "end", close: "ok" },
    },
  },
];

runCases(CASES);
