// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertInstanceOf } from "@std/assert";
import { failAtEnd, isRestarted } from "../_cli_restart.ts";
import { CommandError } from "../_command_error.ts";
import type { CommandOutput } from "../_command_types.ts";
import { HeartbeatTimeoutError } from "../_heartbeat_timeout_error.ts";
import { createSource, readAll } from "./_help.ts";

Deno.test("isRestarted() decides by what ended the command", () => {
  const when = ["never", "on-stall", "on-failure", "always"] as const;
  const ended = (code: number) => new CommandError("make", { code });
  const hangup = { code: 129, signal: "SIGHUP" as const };
  const rows: [unknown, boolean[]][] = [
    [
      new HeartbeatTimeoutError({ timeout: 1, elapsed: 1, count: 1 }),
      [false, true, true, true],
    ],
    [ended(7), [false, false, true, true]],
    [ended(137), [false, false, true, true]],
    [ended(0), [false, false, false, true]],
    // its terminal was closed
    [new CommandError("make", hangup), [false, false, false, false]],
    // it cannot be run at all
    [new Deno.errors.NotFound("no"), [false, false, false, false]],
  ];
  for (const [cause, expected] of rows) {
    const found = when.map((when) => isRestarted(cause, { when }));
    assertEquals(found, expected, `${cause}`);
  }
});

/** Lets the streams run. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("failAtEnd() makes an end a failure, but not after an abort", async () => {
  const chunk = { from: "stdout" as const, bytes: new Uint8Array(1) };
  for (const isStopped of [false, true]) {
    const { stream, controller } = createSource<CommandOutput>();
    const stop = new AbortController();
    const seen = readAll(failAtEnd(stream, "make", stop.signal));
    controller.enqueue(chunk);
    if (isStopped) stop.abort();
    controller.close();
    await settle();
    assertEquals(seen.chunks, [chunk]);
    if (isStopped) assertEquals(seen.end, "closed");
    else {
      assertInstanceOf(seen.end, CommandError);
      assertEquals((seen.end as CommandError).code, 0);
    }
  }
});

Deno.test("failAtEnd() passes an error and a cancellation on", async () => {
  const reason = new Error("stop");
  const { signal } = new AbortController();
  const failed = createSource<CommandOutput>();
  const seen = readAll(failAtEnd(failed.stream, "make", signal));
  failed.controller.error(reason);
  await settle();
  assertEquals(seen.end, reason);

  const source = createSource<CommandOutput>();
  await failAtEnd(source.stream, "make", signal).cancel(reason);
  assertEquals(source.cancelled, reason);
});
