// Copyright 2026 the heartbeat authors. MIT license.

import { assertThrows } from "@std/assert";
import {
  type Case,
  createChunkSource,
  ENOUGH,
  LOST,
  runCases,
  track,
} from "./_harness.ts";

const CASES: Case[] = [
  ...["closed", "errored"].map((state): Case => ({
    name:
      `is aborted by a signal that was aborted before, although the source has ${state}`,
    section: "ReadableStreamPipeTo (abortAlgorithm)",
    async run({ readable, writable }, turn) {
      const source = createChunkSource();
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
    name: "refuses a pipe with what is no signal, and stays unlocked",
    section: "ReadableStream: Constructor, methods, and properties",
    async run(stage, turn) {
      const source = createChunkSource();
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
        const source = createChunkSource();
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
      const source = createChunkSource("a", "b");
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
      const source = createChunkSource("a");
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
];

runCases(CASES);
