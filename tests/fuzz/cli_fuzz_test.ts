// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { watch } from "../../monitor.ts";
import { startThread } from "../../thread.ts";
import type { Outcomes } from "./_cli_thread.ts";

const SEED = Number(Deno.env.get("SEED") ?? Date.now());
/** What nothing here takes, in milliseconds. */
const LONG_MS = 60_000;

Deno.test("parseArguments() gives settings within their ranges or refuses in one line, whatever the arguments are", async () => {
  const cases = 40_000;
  const thread = startThread<Outcomes>(
    new URL("_cli_thread.ts", import.meta.url),
    { input: { seed: SEED, cases } },
  );
  const all: Outcomes = {};
  const done = () => Object.values(all).reduce((sum, n) => sum + n, 0);
  try {
    // what never ends in there is silent
    for await (const outcomes of watch(thread, { timeout: LONG_MS })) {
      for (const [outcome, n] of Object.entries(outcomes)) {
        all[outcome] = (all[outcome] ?? 0) + n;
      }
    }
  } catch (error) {
    const { name, message } = error as Error;
    throw new Error(`SEED=${SEED}, after ${done()}: ${name}: ${message}`);
  }
  assertEquals(done(), cases);
  // a fuzz that reaches less is none
  const reached = [
    ...["check", "command", "demo", "help", "pipe", "refused", "version"]
      .map((answer) => `noise ${answer}`),
    ...["command", "demo", "pipe"].map((mode) => `right ${mode}`),
    ...["command", "switch", "unknown", "use", "value", "word"]
      .map((kind) => `wrong ${kind}`),
  ];
  assertEquals(Object.keys(all).sort(), reached);
  await thread.finished;
});
