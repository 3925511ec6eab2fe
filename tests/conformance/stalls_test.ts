// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatMonitor, HeartbeatTimeoutError } from "../../monitor.ts";
import { advance } from "../_help.ts";
import {
  type Case,
  createChunkSource,
  createSink,
  ENOUGH,
  OTHER,
  settle,
  type Stage,
  track,
} from "./_harness.ts";

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
      const source = createChunkSource("a");
      const sink = createSink();
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
