// Copyright 2026 the heartbeat authors. MIT license.

// The cases that the web-platform tests hold against every TransformStream and every
// pipe (streams/transform-streams, streams/piping), written again for a monitor that
// never fires. A case says what the Streams standard asks for, and where: the name of an
// abstract operation or of a section, as numbers move. It is run on a plain
// TransformStream too, so that a difference is the monitor's and not the runtime's.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatMonitor } from "../../monitor.ts";

export type Stage = TransformStream<unknown, unknown>;

export const DAY = 86_400_000;

export const LOST = new Error("lost");

export const ENOUGH = new Error("enough");

export const OTHER = new Error("other");

/** The identity transform that the monitor is measured by, with the monitor's queues. */
export function plain(): Stage {
  return new TransformStream(
    { transform: (chunk, controller) => controller.enqueue(chunk) },
    { highWaterMark: 4 },
    { highWaterMark: 0 },
  );
}

export const STAGES: Record<string, () => Stage> = {
  "a plain TransformStream": plain,
  "a monitor without a limit": () =>
    new HeartbeatMonitor({ timeout: Infinity }),
  "a monitor with a limit of a day": () =>
    new HeartbeatMonitor({ timeout: DAY }),
};

/** The text for a reason: of the three above by identity, which the standard promises, of others by kind. */
export function nameOf(reason: unknown) {
  if (reason === undefined) return "undefined";
  const own = [LOST, ENOUGH, OTHER].find((error) => error === reason);
  if (own !== undefined) return own.message;
  return reason instanceof Error ? reason.name : "unknown";
}

/** Runs everything that needs no time. */
export async function settle(time: FakeTime) {
  for (let i = 0; i < 2; i++) await time.runMicrotasks();
}

export function isResult(value: unknown): value is IteratorResult<unknown> {
  return typeof value === "object" && value !== null && "done" in value;
}

/** What promises have come to so far; it never waits for one. */
export function track<K extends string>(promises: Record<K, Promise<unknown>>) {
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

/** A source with some chunks, whose controller the case holds. It counts its pulls and keeps the reason of its cancellation. */
export function createChunkSource(...chunks: unknown[]) {
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

/** A source that makes one chunk a pull, up to 100: more than any case pulls. */
export function createEndlessSource() {
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

/** A sink that lists what reaches it. */
export function createSink(
  sink: UnderlyingSink<unknown> = {},
  highWaterMark = 1,
) {
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

/** One case of the standard. It ends the stream itself, so that no timer may be left. */
export interface Case {
  name: string;
  /** Where the standard says so. */
  section: string;
  run: (stage: Stage, turn: () => Promise<void>) => Promise<unknown>;
  expected: unknown;
}

/** Runs each case on a plain TransformStream and on monitors that never fire. */
export function runCases(cases: Case[]) {
  for (const { name, section, run, expected } of cases) {
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
}
