// Copyright 2026 the heartbeat authors. MIT license.

// The cases that the web-platform tests hold against every TransformStream and every
// pipe (streams/transform-streams, streams/piping), told anew for a monitor that never
// fires. A case says what the Streams standard asks for, and where: the name of
// an abstract operation or of a section, as numbers move. It is run on a plain
// TransformStream too, so that a difference is the monitor's and not the runtime's.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatMonitor, HeartbeatTimeoutError } from "../monitor.ts";
import { advance, createSource } from "./_help.ts";

type Stage = TransformStream<unknown, unknown>;

const DAY = 86_400_000;
const LOST = new Error("lost");
const ENOUGH = new Error("enough");
const OTHER = new Error("other");

/** The identity transform that the monitor is measured by, with the monitor's queues. */
function plain(): Stage {
  return new TransformStream(
    { transform: (chunk, controller) => controller.enqueue(chunk) },
    { highWaterMark: 4 },
    { highWaterMark: 0 },
  );
}

const STAGES: Record<string, () => Stage> = {
  "a plain TransformStream": plain,
  "a monitor without a limit": () =>
    new HeartbeatMonitor({ timeout: Infinity }),
  "a monitor with a limit of a day": () =>
    new HeartbeatMonitor({ timeout: DAY }),
};

/** Names a reason: those of this file by identity, which the standard promises, others by kind. */
function nameOf(reason: unknown) {
  if (reason === undefined) return "undefined";
  const own = [LOST, ENOUGH, OTHER].find((error) => error === reason);
  if (own !== undefined) return own.message;
  return reason instanceof Error ? reason.name : "unknown";
}

/** Lets everything happen that can without time. */
async function settle(time: FakeTime) {
  for (let i = 0; i < 2; i++) await time.runMicrotasks();
}

function isResult(value: unknown): value is IteratorResult<unknown> {
  return typeof value === "object" && value !== null && "done" in value;
}

/** Tells what promises have come to, and never waits for one. */
function track<K extends string>(promises: Record<K, Promise<unknown>>) {
  const seen = {} as Record<K, unknown>;
  for (const key of Object.keys(promises) as K[]) {
    seen[key] = "pending";
    promises[key].then(
      (value) => {
        if (!isResult(value)) seen[key] = value ?? "ok";
        else seen[key] = value.done ? "end" : value.value;
      },
      (reason) => seen[key] = `! ${nameOf(reason)}`,
    );
  }
  return seen;
}

/** A source that has some chunks, goes on by hand, and knows how often it was pulled and how it was cancelled. */
function from(...chunks: unknown[]) {
  const source = { pulls: 0, cancelled: "no" } as {
    stream: ReadableStream<unknown>;
    controller: ReadableStreamDefaultController<unknown>;
    pulls: number;
    cancelled: string;
  };
  source.stream = new ReadableStream({
    start(controller) {
      source.controller = controller;
      for (const chunk of chunks) controller.enqueue(chunk);
    },
    pull: () => void source.pulls++,
    cancel: (reason) => void (source.cancelled = nameOf(reason)),
  }, { highWaterMark: 0 });
  return source;
}

/** A source that makes a chunk when it is asked for one, up to far more than anybody asks for. */
function onDemand() {
  const source = { pulls: 0, cancelled: "no" } as {
    stream: ReadableStream<number>;
    pulls: number;
    cancelled: string;
  };
  source.stream = new ReadableStream({
    pull(controller) {
      if (source.pulls === 100) controller.close();
      else controller.enqueue(source.pulls++);
    },
    cancel: (reason) => void (source.cancelled = nameOf(reason)),
  }, { highWaterMark: 0 });
  return source;
}

/** A sink that notes what reaches it. */
function into(sink: UnderlyingSink<unknown> = {}, highWaterMark = 1) {
  const events: string[] = [];
  let controller!: WritableStreamDefaultController;
  const stream = new WritableStream<unknown>({
    start: (c) => void (controller = c),
    write(chunk, controller) {
      events.push(`write ${chunk}`);
      return sink.write?.(chunk, controller);
    },
    close() {
      events.push("close");
      return sink.close?.();
    },
    abort(reason) {
      events.push(`abort ${nameOf(reason)}`);
      return sink.abort?.(reason);
    },
  }, { highWaterMark });
  return { stream, events, controller };
}

/** One case of the standard; it ends the stream itself, as a stream that ended has no timer. */
interface Case {
  name: string;
  /** Where the standard says so. */
  section: string;
  run: (stage: Stage, turn: () => Promise<void>) => Promise<unknown>;
  expected: unknown;
}

const CHUNKS: Case[] = [
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
          () => from().stream.pipeThrough({ readable, writable }),
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

const BACKPRESSURE: Case[] = [
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
      const source = onDemand();
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
      const source = onDemand();
      const writes: (() => void)[] = [];
      const sink = into({
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

const ENDS: Case[] = [
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

/** The options of a pipe into the stage, and what becomes of either side. */
const PIPES: Case[] = [
  {
    name: "passes a source on to a sink, close and all, and unlocks everything",
    section: "ReadableStreamPipeTo (Closing must be propagated forward)",
    async run(stage, turn) {
      const source = from("a", "b", "c");
      source.controller.close();
      const sink = into();
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
  ...["at once", "while empty", "after one chunk"].map((when): Case => ({
    name: `passes the error of a source on, ${when}`,
    section: "ReadableStreamPipeTo (Errors must be propagated forward)",
    async run(stage, turn) {
      const source = from();
      if (when === "at once") source.controller.error(LOST);
      const sink = into();
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
      const source = from();
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
      const source = from("a", "b");
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
  ...[false, true].map((preventClose): Case => ({
    name: `is ${
      preventClose ? "left open" : "closed"
    } by a source that closes with preventClose = ${preventClose}`,
    section: "ReadableStreamPipeTo (Closing must be propagated forward)",
    async run(stage, turn) {
      const source = from("a");
      const reader = source.stream.pipeThrough(stage, { preventClose })
        .getReader();
      await turn();
      source.controller.close();
      const seen = track({ a: reader.read(), end: reader.closed });
      await turn();
      const first = { ...seen, locked: stage.writable.locked };
      const next = from("b");
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
  ...[false, true].map((preventAbort): Case => ({
    name: `is ${
      preventAbort ? "left open" : "aborted"
    } by a source that errors with preventAbort = ${preventAbort}`,
    section: "ReadableStreamPipeTo (Errors must be propagated forward)",
    async run(stage, turn) {
      const source = from("a");
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
  ...[false, true].map((preventCancel): Case => ({
    name: `${
      preventCancel ? "leaves alone" : "cancels"
    } its source when it is cancelled with preventCancel = ${preventCancel}`,
    section: "ReadableStreamPipeTo (Errors must be propagated backward)",
    async run(stage, turn) {
      const source = from();
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
      const source = when === "when full" ? from(..."abcdef") : from();
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
      const source = from("a");
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
    [{}, ["write a", "close"], "ok"],
    [{ preventClose: true }, ["write a"], "ok"],
  ] as const).map(([options, events, pipe]): Case => ({
    name: `ends the sink that it is piped into with ${
      JSON.stringify(options)
    } when it closes`,
    section: "ReadableStreamPipeTo (Closing must be propagated forward)",
    async run({ readable, writable }, turn) {
      const sink = into();
      const seen = track({ pipe: readable.pipeTo(sink.stream, options) });
      const writer = writable.getWriter();
      await writer.write("a");
      await writer.close();
      await turn();
      return { seen, events: sink.events, locked: sink.stream.locked };
    },
    expected: { seen: { pipe }, events, locked: false },
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
      const sink = into();
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
      const sink = into({
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
      const source = from();
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
      const source = from();
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
      const sink = into({
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
    name: "closes the sink only when its last write is done",
    section: "ReadableStreamPipeTo (Shutdown with an action)",
    async run(stage, turn) {
      const source = from("a");
      source.controller.close();
      const writes: (() => void)[] = [];
      const sink = into({
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
  ...["closed", "errored"].map((state): Case => ({
    name:
      `is aborted by a signal that was aborted before, although the source has ${state}`,
    section: "ReadableStreamPipeTo (abortAlgorithm)",
    async run({ readable, writable }, turn) {
      const source = from();
      if (state === "closed") source.controller.close();
      else source.controller.error(LOST);
      const signal = AbortSignal.abort(ENOUGH);
      const seen = track({
        pipe: source.stream.pipeTo(writable, { signal }),
        read: readable.getReader().read(),
      });
      await turn();
      return seen;
    },
    expected: { pipe: "! enough", read: "! enough" },
  })),
  {
    name: "refuses a pipe from a locked source, and stays unlocked",
    section: "ReadableStream: Constructor, methods, and properties",
    async run(stage, turn) {
      const source = from();
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
  {
    name: "refuses a pipe with what is no signal, and stays unlocked",
    section: "ReadableStream: Constructor, methods, and properties",
    async run(stage, turn) {
      const source = from();
      const bad = [null, "signal", true, -1, {}];
      for (const signal of bad) {
        assertThrows(
          () => source.stream.pipeThrough(stage, { signal } as never),
          TypeError,
        );
      }
      await turn();
      const locked = [source.stream.locked, stage.writable.locked];
      await stage.readable.cancel();
      return locked;
    },
    expected: [false, false],
  },
  ...([
    [{}, "! enough", "enough", "! enough"],
    [{ preventCancel: true }, "! enough", "no", "! enough"],
    [{ preventAbort: true }, "! enough", "enough", "pending"],
    [{ preventAbort: true, preventCancel: true }, "! enough", "no", "pending"],
  ] as const).flatMap(([options, pipe, cancelled, end]) =>
    ["before", "while idle"].map((when): Case => ({
      name: `ends a pipe whose signal aborts ${when} with ${
        JSON.stringify(options)
      }`,
      section: "ReadableStreamPipeTo (abortAlgorithm)",
      async run({ readable, writable }, turn) {
        const aborter = new AbortController();
        if (when === "before") aborter.abort(ENOUGH);
        const source = from();
        const reader = readable.getReader();
        const seen = track({
          pipe: source.stream.pipeTo(writable, {
            ...options,
            signal: aborter.signal,
          }),
          end: reader.closed,
        });
        await turn();
        aborter.abort(ENOUGH);
        await turn();
        const { locked } = writable;
        const before = { ...seen };
        // what was left open takes another producer
        const writer = writable.getWriter();
        const after = track({
          write: writer.write("a"),
          read: reader.read(),
        });
        await turn();
        await writer.abort();
        return { before, cancelled: source.cancelled, locked, after };
      },
      expected: {
        before: { pipe, end },
        cancelled,
        locked: false,
        after: end === "pending"
          ? { write: "ok", read: "a" }
          : { write: "! enough", read: "! enough" },
      },
    }))
  ),
  {
    name:
      "ends with one AbortError on both sides when a signal aborts without a reason",
    section: "ReadableStreamPipeTo (abortAlgorithm)",
    async run(stage, turn) {
      const aborter = new AbortController();
      let cancelled: unknown;
      const source = new ReadableStream({
        cancel: (reason) => void (cancelled = reason),
      });
      const reader = source.pipeThrough(stage, { signal: aborter.signal })
        .getReader();
      const seen = track({ read: reader.read() });
      await turn();
      aborter.abort();
      await turn();
      const error = await reader.closed.catch((error) => error);
      return {
        seen,
        same: error === cancelled && error === aborter.signal.reason,
      };
    },
    expected: { seen: { read: "! AbortError" }, same: true },
  },
  {
    name: "delivers what the pipe has read before a signal's reason",
    section: "ReadableStreamPipeTo (Shutdown with an action)",
    async run(stage, turn) {
      const aborter = new AbortController();
      const source = from("a", "b");
      const reader = source.stream.pipeThrough(stage, {
        signal: aborter.signal,
      }).getReader();
      await turn();
      aborter.abort(ENOUGH);
      await turn();
      const read: unknown[] = [source.cancelled];
      for (let i = 0; i < 3; i++) {
        const seen = track({ read: reader.read() });
        await turn();
        read.push(seen.read);
      }
      return [...read, source.cancelled];
    },
    expected: ["no", "a", "b", "! enough", "enough"],
  },
  {
    name: "takes no notice of a signal that aborts after the source has closed",
    section: "ReadableStreamPipeTo (Finalize)",
    async run(stage, turn) {
      const aborter = new AbortController();
      const source = from("a");
      source.controller.close();
      const reader = source.stream.pipeThrough(stage, {
        signal: aborter.signal,
      }).getReader();
      const seen = track({ a: reader.read(), end: reader.closed });
      await turn();
      aborter.abort(ENOUGH);
      await turn();
      return seen;
    },
    expected: { a: "a", end: "ok" },
  },
  ...["closes", "errors", "is cancelled"].map((how): Case => ({
    name: `passes everything through a chain that ${how}`,
    section: "Pipe chains and backpressure",
    async run(stage, turn) {
      const source = from("a", "b");
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
      const source = from("a", "b");
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
    name:
      "is cancelled by a stage behind it that terminates, and cancels its source",
    section: "TransformStreamDefaultControllerTerminate",
    async run(stage, turn) {
      const source = onDemand();
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
  {
    name: "lets a stage behind it flush what it holds",
    section: "TransformStreamDefaultSinkCloseAlgorithm",
    async run(stage, turn) {
      const source = from(new Uint8Array([0x61, 0xe2, 0x82]));
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

for (
  const { name, section, run, expected } of [
    ...CHUNKS,
    ...BACKPRESSURE,
    ...ENDS,
    ...PIPES,
  ]
) {
  Deno.test(`HeartbeatMonitor as a TransformStream ${name} (${section})`, async (t) => {
    for (const [kind, make] of Object.entries(STAGES)) {
      await t.step(kind, async () => {
        using time = new FakeTime();
        const turn = () => settle(time);
        assertEquals(await run(make(), turn), expected);
        await turn();
        assertEquals(time.next(), false, "a timer is left");
      });
    }
  });
}

/** A stage with a way to make it silent for too long. */
interface Failing {
  stage: Stage;
  silence: () => Promise<unknown>;
}

const FAILING: Record<string, (time: FakeTime) => Failing> = {
  "controller.error()": () => {
    let controller!: TransformStreamDefaultController<unknown>;
    const stage: Stage = new TransformStream(
      {
        start: (c) => void (controller = c),
        transform: (chunk, controller) => controller.enqueue(chunk),
      },
      { highWaterMark: 4 },
      { highWaterMark: 0 },
    );
    const options = { timeout: 1000, elapsed: 1000, count: 0 };
    const error = new HeartbeatTimeoutError(options);
    return { stage, silence: async () => await controller.error(error) };
  },
  "a stall": (time) => ({
    stage: new HeartbeatMonitor({ timeout: 1000 }),
    silence: () => advance(time, 2000, 250),
  }),
};

/** What controller.error() does in a transformer, a stall does. */
const STALLS: (Omit<Case, "run"> & {
  run: (
    failing: Failing,
    turn: () => Promise<void>,
  ) => Promise<unknown>;
})[] = [
  {
    name: "errors both sides with one object",
    section: "TransformStreamError",
    async run({ stage: { readable, writable }, silence }, turn) {
      const reader = readable.getReader();
      const writer = writable.getWriter();
      const seen = track({
        read: reader.read(),
        reader: reader.closed,
        writer: writer.closed,
      });
      await turn();
      await silence();
      await turn();
      const late = track({
        ready: writer.ready,
        write: writer.write("a"),
        close: writer.close(),
        abort: writer.abort(OTHER),
        cancel: reader.cancel(OTHER),
      });
      await turn();
      const [one, two] = await Promise.all(
        [reader, writer].map(({ closed }) => closed.catch((error) => error)),
      );
      return { seen, late, same: one === two };
    },
    expected: {
      seen: {
        read: "! HeartbeatTimeoutError",
        reader: "! HeartbeatTimeoutError",
        writer: "! HeartbeatTimeoutError",
      },
      late: {
        ready: "! HeartbeatTimeoutError",
        write: "! HeartbeatTimeoutError",
        close: "! TypeError",
        abort: "ok",
        cancel: "! HeartbeatTimeoutError",
      },
      same: true,
    },
  },
  ...[false, true].map((prevent) => ({
    name: `ends source and sink with prevent… = ${prevent}`,
    section: "ReadableStreamPipeTo (Error and close states must be propagated)",
    async run({ stage, silence }: Failing, turn: () => Promise<void>) {
      const source = from("a");
      const sink = into();
      const through = source.stream.pipeThrough(stage, {
        preventCancel: prevent,
      });
      const seen = track({
        pipe: through.pipeTo(sink.stream, { preventAbort: prevent }),
      });
      await turn();
      await silence();
      await turn();
      const { cancelled, stream: { locked } } = source;
      return { seen, cancelled, locked, events: sink.events };
    },
    expected: {
      seen: { pipe: "! HeartbeatTimeoutError" },
      cancelled: prevent ? "no" : "HeartbeatTimeoutError",
      locked: false,
      events: prevent
        ? ["write a"]
        : ["write a", "abort HeartbeatTimeoutError"],
    },
  })),
  ...([
    ["cancel", { writer: "! enough", reader: "ok" }],
    ["abort", { writer: "! enough", reader: "! enough" }],
    ["close", { writer: "ok", reader: "ok" }],
  ] as const).map(([how, expected]) => ({
    name: `does nothing after ${how}`,
    section: "TransformStreamError",
    async run({ stage, silence }: Failing, turn: () => Promise<void>) {
      const reader = stage.readable.getReader();
      const writer = stage.writable.getWriter();
      const seen = track({ writer: writer.closed, reader: reader.closed });
      await turn();
      await (how === "cancel" ? reader.cancel(ENOUGH) : writer[how](ENOUGH));
      await silence();
      await turn();
      return seen;
    },
    expected,
  })),
  {
    name: "drops a chunk that was handed on to a reader that has let go",
    section: "ReadableStreamDefaultControllerError",
    async run({ stage: { readable, writable }, silence }, turn) {
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const seen = track({ read: reader.read(), closed: writer.closed });
      await turn();
      reader.releaseLock();
      await writer.write("a");
      await silence();
      const after = track({ read: readable.getReader().read() });
      await turn();
      return { seen, after };
    },
    expected: {
      seen: { read: "! TypeError", closed: "! HeartbeatTimeoutError" },
      after: { read: "! HeartbeatTimeoutError" },
    },
  },
];

for (const { name, section, run, expected } of STALLS) {
  Deno.test(`HeartbeatMonitor stalls as controller.error() does: ${name} (${section})`, async (t) => {
    for (const [kind, make] of Object.entries(FAILING)) {
      await t.step(kind, async () => {
        using time = new FakeTime();
        const turn = () => settle(time);
        assertEquals(await run(make(time), turn), expected);
        assertEquals(time.next(), false, "a timer is left");
      });
    }
  });
}

Deno.test("HeartbeatMonitor fails by isHeartbeat as by a transform() that throws (TransformStreamDefaultControllerPerformTransform)", async (t) => {
  function throws(): never {
    throw LOST;
  }
  const stages: Record<string, () => Stage> = {
    "a plain TransformStream": () =>
      new TransformStream(
        {
          transform(chunk, controller) {
            controller.enqueue(chunk);
            throws();
          },
        },
        { highWaterMark: 4 },
        { highWaterMark: 0 },
      ),
    "a monitor": () =>
      new HeartbeatMonitor({ timeout: DAY, isHeartbeat: throws }),
  };
  for (const [kind, make] of Object.entries(stages)) {
    await t.step(kind, async () => {
      using time = new FakeTime();
      const { readable, writable } = make();
      const reader = readable.getReader();
      const writer = writable.getWriter();
      const seen = track({
        a: writer.write("a"),
        b: writer.write("b"),
        close: writer.close(),
        closed: writer.closed,
        read: reader.read(),
        again: reader.read(),
      });
      await settle(time);
      assertEquals(seen, {
        a: "! lost",
        b: "! lost",
        close: "! lost",
        closed: "! lost",
        read: "a",
        again: "! lost",
      });
      assertEquals(time.next(), false, "a timer is left");
    });
  }
});

Deno.test("HeartbeatMonitor differs by its queues: four chunks on the writable side, and as usual none on the readable (TransformStream: Constructor and properties)", async () => {
  using time = new FakeTime();
  const stages: Stage[] = [
    // a transform() of its own, as Deno's pipes go around a stage without one
    new TransformStream({
      transform: (chunk, controller) => controller.enqueue(chunk),
    }),
    new HeartbeatMonitor({ timeout: Infinity }),
  ];
  const seen = [];
  for (const stage of stages) {
    const writer = stage.writable.getWriter();
    const { desiredSize } = writer;
    writer.releaseLock();
    const source = onDemand();
    const through = source.stream.pipeThrough(stage);
    await settle(time);
    seen.push({ desiredSize, pulls: source.pulls });
    await through.cancel();
  }
  assertEquals(seen, [{ desiredSize: 1, pulls: 1 }, {
    desiredSize: 4,
    pulls: 4,
  }]);
});

Deno.test("HeartbeatMonitor differs by its constructor: options and no transformer (TransformStream: Interface definition)", () => {
  assertEquals([TransformStream.length, HeartbeatMonitor.length], [0, 1]);
  assertEquals(HeartbeatMonitor.name, "HeartbeatMonitor");
  assertStrictEquals(Object.getPrototypeOf(HeartbeatMonitor), TransformStream);
  // deno-lint-ignore no-explicit-any
  const loose = HeartbeatMonitor as any;
  assertThrows(() => loose({ timeout: 1 }), TypeError);
  assertThrows(() => new loose(), TypeError);
});

Deno.test("HeartbeatMonitor differs by its own getter of writable, which a class does not make enumerable (TransformStream: Constructor and properties)", () => {
  const { prototype } = HeartbeatMonitor;
  assertEquals(Object.getOwnPropertyNames(prototype).sort(), [
    "constructor",
    "writable",
  ]);
  const [usual, own] = [TransformStream.prototype, prototype].map((owner) =>
    Object.getOwnPropertyDescriptor(owner, "writable")!
  );
  const kinds = [usual!, own!].map(({ get, set, configurable, enumerable }) =>
    [typeof get, typeof set, configurable, enumerable].join()
  );
  assertEquals(kinds, [
    "function,undefined,true,true",
    "function,undefined,true,false",
  ]);
  const monitor = new HeartbeatMonitor({ timeout: Infinity });
  assertStrictEquals(own!.get!.call(monitor), usual!.get!.call(monitor));
  for (const stranger of [{}, prototype, plain(), new Proxy(monitor, {})]) {
    assertThrows(() => own!.get!.call(stranger), TypeError);
  }
});

Deno.test("HeartbeatMonitor shows nothing of it when its writable is looked at (IsWritableStreamLocked)", async () => {
  using time = new FakeTime();
  const { writable } = new HeartbeatMonitor({ timeout: DAY });
  for (let i = 0; i < 5; i++) {
    assertEquals(writable.locked, false);
    await Promise.resolve();
  }
  const writer = writable.getWriter();
  const seen = track({ ready: writer.ready, closed: writer.closed });
  await settle(time);
  assertEquals(seen, { ready: "ok", closed: "pending" });
  await writer.abort();
  assertEquals(time.next(), false, "a timer is left");
});

Deno.test("HeartbeatMonitor with a limit of a day has a timer in these tests, however it is attached", async (t) => {
  const ways: Record<string, (monitor: Stage) => ReadableStream> = {
    "pipeThrough()": (monitor) => createSource().stream.pipeThrough(monitor),
    "pipeThrough() of a pair": ({ readable, writable }) =>
      createSource().stream.pipeThrough({ readable, writable }),
    "pipeTo()": ({ readable, writable }) => {
      createSource().stream.pipeTo(writable).catch(() => {});
      return readable;
    },
    "a writer": ({ readable, writable }) => {
      writable.getWriter().closed.catch(() => {});
      return readable;
    },
  };
  for (const [way, attach] of Object.entries(ways)) {
    await t.step(way, async () => {
      using time = new FakeTime();
      const readable = attach(new HeartbeatMonitor({ timeout: DAY }));
      await time.runMicrotasks();
      assert(time.next(), "there is no timer");
      await readable.cancel();
      assertEquals(time.next(), false, "a timer is left");
    });
  }
});

Deno.test("HeartbeatMonitor can be subclassed, its getters too (TransformStream: Interface definition)", async () => {
  const gets: string[] = [];
  class Counted extends HeartbeatMonitor<string> {
    count = 0;
    #prefix: string;
    constructor(prefix: string) {
      super({ timeout: DAY, isHeartbeat: () => ++this.count > 0 });
      this.#prefix = prefix;
    }
    override get readable(): ReadableStream<string> {
      gets.push("readable");
      return super.readable.pipeThrough(
        new TransformStream({
          transform: (chunk, controller) =>
            controller.enqueue(this.#prefix + chunk),
        }),
      );
    }
    override get writable(): WritableStream<string> {
      gets.push("writable");
      return super.writable;
    }
  }
  using time = new FakeTime();
  const monitor = new Counted("> ");
  assertInstanceOf(monitor, HeartbeatMonitor);
  assertInstanceOf(monitor, TransformStream);
  assert(!(plain() instanceof HeartbeatMonitor));
  const source = from("a", "b");
  const reader = (source.stream as ReadableStream<string>)
    .pipeThrough(monitor).getReader();
  assertEquals((await reader.read()).value, "> a");
  assertEquals((await reader.read()).value, "> b");
  // a pipe asks for each side once, or the clock would not start
  assertEquals([gets.sort(), monitor.count], [["readable", "writable"], 2]);
  assert(time.next(), "there is no timer");
  await reader.cancel(ENOUGH);
  await settle(time);
  assertEquals(source.cancelled, "enough");
  assertEquals(time.next(), false, "a timer is left");
});

Deno.test("HeartbeatMonitor that is transferred is a plain TransformStream there, and watches from here (TransformStream: Transfer via postMessage())", async (t) => {
  for (const [kind, make] of Object.entries(STAGES)) {
    await t.step(kind, async () => {
      using time = new FakeTime();
      const stage = make();
      const there: Stage = structuredClone(stage, {
        transfer: [stage as unknown as Transferable],
      });
      assertStrictEquals(there.constructor, TransformStream);
      assertEquals([stage.readable.locked, stage.writable.locked], [
        true,
        true,
      ]);
      const reader = there.readable.getReader();
      const writer = there.writable.getWriter();
      const seen = track({
        write: writer.write("a"),
        read: reader.read(),
      });
      // messages take as many turns as they take
      for (let i = 0; i < 200 && Object.values(seen).includes("pending"); i++) {
        await time.runMicrotasks();
      }
      assertEquals(seen, { write: "ok", read: "a" });
      assertEquals(time.next(), kind.endsWith("day"), "who has a timer");
      const end = track({ close: writer.close(), read: reader.read() });
      for (let i = 0; i < 200 && Object.values(end).includes("pending"); i++) {
        await time.runMicrotasks();
      }
      assertEquals(end, { close: "ok", read: "end" });
      await settle(time);
      assertEquals(time.next(), false, "a timer is left");
    });
  }
});

Deno.test("HeartbeatMonitor is built although the globals are patched (SetUpTransformStreamDefaultControllerFromTransformer)", async () => {
  const { ReadableStream, WritableStream } = globalThis;
  const keys = ["highWaterMark", "size", "start", "transform", "flush"];
  function refuse(): never {
    throw new Error("was called");
  }
  let monitor: HeartbeatMonitor;
  try {
    for (const key of keys) {
      Object.defineProperty(Object.prototype, key, {
        configurable: true,
        set: refuse,
      });
    }
    Object.assign(globalThis, {
      ReadableStream: refuse,
      WritableStream: refuse,
    });
    monitor = new HeartbeatMonitor({ timeout: Infinity });
  } finally {
    Object.assign(globalThis, { ReadableStream, WritableStream });
    for (const key of keys) delete (Object.prototype as never)[key];
  }
  assertInstanceOf(monitor.readable, ReadableStream);
  assertInstanceOf(monitor.writable, WritableStream);
  const closed = assertRejects(() => monitor.writable.getWriter().closed);
  await monitor.readable.cancel(ENOUGH);
  await closed;
});
