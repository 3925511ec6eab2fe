// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { parseArguments, type Settings } from "../_cli_args.ts";
import { forwardOutput, runGuarded } from "../_cli_guard.ts";
import { GuardObservers, type RunEnd } from "../_cli_observers.ts";
import { OutputError, toFailureCode } from "../_cli_output.ts";
import { Shutdown } from "../_cli_shutdown.ts";
import { createOutput } from "./_cli_output.ts";

Deno.test("forwardOutput() passes chunks on, and cancels its source whatever ends it", async () => {
  const stop = new AbortController();
  const forwarded: string[] = [];
  const forward = async (chunk: Uint8Array) => {
    const text = new TextDecoder().decode(chunk);
    forwarded.push(`${text} begins`);
    await Promise.resolve();
    forwarded.push(`${text} ends`);
  };
  const bytes = ["a", "b"].map((text) => new TextEncoder().encode(text));
  await forwardOutput(ReadableStream.from(bytes), forward, stop.signal);
  assertEquals(forwarded, ["a begins", "a ends", "b begins", "b ends"]);

  const reason = new Error("stop");
  const cancelled: unknown[] = [];
  const endless = () =>
    new ReadableStream<Uint8Array>({
      cancel: (why) => void cancelled.push(why),
    });
  const stopped = forwardOutput(endless(), forward, stop.signal);
  stop.abort(reason);
  await stopped;
  await forwardOutput(endless(), forward, stop.signal);
  assertEquals(cancelled, [reason, reason]);

  const { signal } = new AbortController();
  const broken = new ReadableStream({ pull: (c) => c.error(reason) });
  await assertRejects(
    () => forwardOutput(broken, forward, signal),
    Error,
    "stop",
  );
  const source = new ReadableStream<Uint8Array>({
    pull: (c) => c.enqueue(bytes[0]!),
    cancel: () => void cancelled.push("source"),
  });
  await assertRejects(
    () => forwardOutput(source, () => Promise.reject(reason), signal),
    Error,
    "stop",
  );
  assertEquals(cancelled.slice(2), ["source"]);
});

function createContext() {
  const { output } = createOutput();
  const options = {
    ...{
      runtime: Infinity,
      grace: { expired: 1_000, interrupted: 1_000 },
      hasCommand: false,
    },
    onDeadline() {},
  };
  const shutdown = new Shutdown(options);
  const settings = parseArguments(["-"]) as Settings;
  const loadHealth = () => Promise.reject(new Error("nothing asked for it"));
  return { settings, output, shutdown, loadHealth };
}

Deno.test("runGuarded() reports the end with the exit code, however it ends", async () => {
  const rows: [() => Promise<number>, Partial<RunEnd>][] = [
    [() => Promise.resolve(0), { code: 0, isPlanned: true }],
    [() => Promise.resolve(7), { code: 7, isPlanned: false }],
    [() => Promise.reject(new Error("x")), { code: 125, isPlanned: false }],
    [
      () =>
        Promise.reject(
          new OutputError("x", { cause: new Deno.errors.BrokenPipe() }),
        ),
      { code: 141, isPlanned: false },
    ],
  ];
  for (const [run, expected] of rows) {
    const context = createContext();
    const calls: unknown[] = [];
    const observers = new GuardObservers([{
      start: () => void calls.push("start"),
      end: ({ code, isPlanned }) => void calls.push({ code, isPlanned }),
    }]);
    const code = await runGuarded(context, observers, () => {
      calls.push("run");
      return run();
    }).catch(toFailureCode);
    assertEquals<unknown>([...calls, code], [
      ...["start", "run"],
      expected,
      expected.code,
    ]);
  }
});

Deno.test("runGuarded() reports the end by a signal as planned", async () => {
  using _time = new FakeTime();
  const context = createContext();
  const ends: RunEnd[] = [];
  const observers = new GuardObservers([
    { end: (end) => void ends.push(end) },
  ]);
  await runGuarded(context, observers, () => {
    context.shutdown.onSignal("SIGTERM");
    return Promise.resolve(3);
  });
  assertEquals(ends.map(({ code, isPlanned }) => [code, isPlanned]), [
    [143, true],
  ]);
});
