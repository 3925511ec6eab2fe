// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  AliveProbe,
  type AliveSource,
  parseAliveSource,
} from "../_cli_alive.ts";
import { advance, NPM_FLAGS } from "./_help.ts";

const TIMEOUT_MS = 10_000;
/** Ten looks in that time. */
const PERIOD_MS = 1_000;

/** A probe that is started, on a tree whose CPU time the test sets. */
function createProbe(source: AliveSource, timeout = TIMEOUT_MS) {
  const state = { cpuTime: 0 as number | undefined, signs: 0, looks: 0 };
  const failures: string[] = [];
  const ended = Promise.withResolvers<void>();
  const probe = new AliveProbe(source, {
    timeout,
    onFailure: (message) => void failures.push(message),
  });
  const tree = {
    readCpuTime() {
      state.looks++;
      return Promise.resolve(state.cpuTime);
    },
  };
  const watched = probe.watch(tree, () => state.signs++, ended.promise);
  const end = () => {
    ended.resolve();
    return watched;
  };
  return { state, failures, end };
}

Deno.test("parseAliveSource takes cpu, or the path of a file", () => {
  assertEquals(parseAliveSource("cpu"), { type: "cpu" });
  assertEquals(parseAliveSource("./cpu"), { type: "file", path: "./cpu" });
});

Deno.test("AliveProbe counts CPU time of one percent of a processor, and no less", async () => {
  using time = new FakeTime();
  const { state, failures, end } = createProbe({ type: "cpu" });
  const steps: [used: number | undefined, isSign: boolean][] = [
    [0, false],
    [PERIOD_MS / 100, true],
    [PERIOD_MS / 100 - 1, false],
    [PERIOD_MS, true],
    [-500, false],
    [undefined, false],
    [500, false],
    [500, true],
  ];
  for (const [used, isSign] of steps) {
    const before = state.signs;
    state.cpuTime = used === undefined ? used : (state.cpuTime ?? 0) + used;
    await advance(time, PERIOD_MS);
    assertEquals(state.signs - before, isSign ? 1 : 0, `${used}`);
  }
  assertEquals(failures, []);
  await end();
});

Deno.test("AliveProbe looks ten times a timeout, within bounds, until the command ends", async () => {
  for (
    const [timeout, period] of [[1, 100], [20_000, 2_000], [
      1e9,
      5_000,
    ]] as const
  ) {
    using time = new FakeTime();
    const { state, end } = createProbe({ type: "cpu" }, timeout);
    await advance(time, 10 * period, period);
    assertEquals(state.looks, 11, `${timeout}`);
    await end();
    await advance(time, 10 * period, period);
    assertEquals(state.looks, 11, `${timeout}`);
  }
});

Deno.test("AliveProbe reports once that the CPU time is unknown, but not of a command that ends", async () => {
  using time = new FakeTime();
  const { state, failures, end } = createProbe({ type: "cpu" });
  state.cpuTime = undefined;
  await advance(time, PERIOD_MS);
  assertEquals(failures, []);
  await advance(time, 5 * PERIOD_MS, PERIOD_MS);
  assertEquals(failures, [
    "cannot see whether the command is alive: its CPU time is unknown",
  ]);
  await end();
});

Deno.test("AliveProbe reports a file that it may not look at", async () => {
  const url = new URL("../_cli_alive.ts", import.meta.url);
  const code = `
    import { AliveProbe } from "${url}";
    const options = { timeout: 1, onFailure: (message) => console.log(message) };
    const probe = new AliveProbe({ type: "file", path: "/secret" }, options);
    const ended = new Promise((resolve) => setTimeout(resolve, 300));
    await probe.watch({}, () => console.log("alive"), ended);`;
  const script = `data:text/javascript,${encodeURIComponent(code)}`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", ...NPM_FLAGS, script],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertMatch(text, /^cannot see .*--allow-read.*\n$/);
});
