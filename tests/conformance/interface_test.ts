// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatMonitor } from "../../monitor.ts";
import { createSource } from "../_help.ts";
import {
  createChunkSource,
  createEndlessSource,
  DAY,
  ENOUGH,
  LOST,
  plain,
  settle,
  type Stage,
  STAGES,
  track,
} from "./_harness.ts";

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
    const source = createEndlessSource();
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

Deno.test("HeartbeatMonitor differs by its gaps and its own getter of writable, which a class does not make enumerable (TransformStream: Constructor and properties)", () => {
  const { prototype } = HeartbeatMonitor;
  assertEquals(Object.getOwnPropertyNames(prototype).sort(), [
    "constructor",
    "gaps",
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
  const source = createChunkSource("a", "b");
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
