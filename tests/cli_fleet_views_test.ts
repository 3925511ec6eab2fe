// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { parseArguments, type Settings } from "../_cli_args.ts";
import { createFleetView } from "../_cli_fleet_views.ts";
import { CliOutput } from "../_cli_output.ts";
import type { ListedWorker } from "../_fleet_board.ts";

/** A view of a fleet, as the arguments ask for it, and what it prints. */
function createView(fleet: ListedWorker[], ...args: string[]) {
  const printed: string[] = [];
  const decoder = new TextDecoder();
  const stream = {
    isTerminal: () => false,
    write(bytes: Uint8Array) {
      printed.push(decoder.decode(bytes));
      return Promise.resolve(bytes.length);
    },
  };
  const view = createFleetView({
    settings: parseArguments(["fleet", "--nats=a", ...args]) as Settings,
    output: new CliOutput({ stdout: stream, stderr: stream }),
    title: "title",
    fleet,
    timeout: 3_000,
    stop() {},
    interrupt() {},
  });
  return { view, printed };
}

const UP: ListedWorker = { worker: "alpha", state: "up" };
const DOWN: ListedWorker = { worker: "beta\x1b", state: "down" };
const TIME = new Date(2026, 0, 1, 12, 30, 5).getTime();

Deno.test("createFleetView() prints a line for each event, the alarms only with --quiet", async () => {
  const events = ["up", "down", "blind", "sees", "refused", "left"];
  const rows: [string[], string[]][] = [
    [[], events],
    [["--quiet"], ["down", "blind", "refused"]],
  ];
  for (const [args, expected] of rows) {
    const { view, printed } = createView([], ...args);
    for (const type of events) {
      await view.show({ type, time: TIME, worker: "\x1b" }, "text\n");
    }
    assertEquals(await view.end(), 0);
    assertEquals(
      printed,
      expected.map((type) => `12:30:05  ${type.padEnd(9)}  text\\n\n`),
    );
  }
  const { view, printed } = createView([], "--json");
  await view.show({ type: "up", time: TIME, worker: "\x9b" }, "text");
  assertEquals(printed, [`{"type":"up","time":${TIME},"worker":"\\u009b"}\n`]);
});

Deno.test("createFleetView() with --once ends with 0 if somebody is up, and nobody down, missing or unheard", async () => {
  const rows: [ListedWorker[], string[], number][] = [
    [[UP], [], 0],
    [[], [], 1],
    [[UP, DOWN], [], 1],
    [[DOWN], [], 1],
    [[UP, { worker: "new", state: "expected" }], [], 1],
    [[UP], ["blind"], 1],
    [[UP], ["blind", "sees"], 0],
  ];
  for (const [fleet, events, code] of rows) {
    for (const args of [[], ["--json"], ["--quiet"]]) {
      const { view } = createView(fleet, "--once", ...args);
      for (const type of events) await view.show({ type, time: TIME }, "text");
      assertEquals(await view.end(), code);
    }
  }
});

Deno.test("createFleetView() with --once prints a table, or a line of JSON for each worker, or nothing", async () => {
  const table = createView([UP, DOWN], "--once");
  await table.view.end();
  assertEquals(table.printed.join("").split("\n"), [
    "live  1 up, 1 down, 0 expected",
    "title",
    "worker      state   last  beats                     detail",
    "beta\\u001b  down   never  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁",
    "alpha       up     never  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█",
    "",
  ]);
  const json = createView([UP, DOWN], "--once", "--json");
  await json.view.end();
  assertEquals(
    json.printed.join(""),
    '{"worker":"beta\\u001b","state":"down"}\n{"worker":"alpha","state":"up"}\n',
  );
  const quiet = createView([UP, DOWN], "--once", "--quiet");
  await quiet.view.end();
  assertEquals(quiet.printed, []);
});
