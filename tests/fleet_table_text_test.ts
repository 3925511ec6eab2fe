// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import {
  renderFleet,
  type ShownWorker,
  type TableContent,
} from "../_fleet_table_text.ts";
import { measure } from "../_terminal_text.ts";

const NOW = 1_000_000;
const PLAIN = { isColored: false, keys: "q quits" };

const WORKERS: ShownWorker[] = [
  { worker: "beta", state: "down", lastSeen: NOW - 12_300, detail: "load" },
  { worker: "delta", state: "expected" },
  { worker: "alpha", state: "up", lastSeen: NOW - 400, detail: { item: 7 } },
  { worker: "gamma", state: "left", lastSeen: NOW - 3_000 },
];

function createContent(more: Partial<TableContent> = {}): TableContent {
  return {
    title: "heartbeats.> on nats://localhost:4222",
    workers: WORKERS,
    counts: { up: 1, down: 1, expected: 1, left: 1 },
    blind: undefined,
    lastEvent: "12:00:00  down       beta",
    now: NOW,
    drawTrace: (worker, width) => `${worker[0]}`.repeat(width),
    ...more,
  };
}

const trim = (lines: string[]) => lines.map((line) => line.trimEnd());

Deno.test("renderFleet() draws a table in a window of 80x24", () => {
  const lines = renderFleet(createContent(), { columns: 80, rows: 24 }, PLAIN);
  assertEquals(trim(lines.filter((line) => line.trim() !== "")), [
    "live  1 up, 1 down, 1 expected, 1 left",
    "heartbeats.> on nats://localhost:4222",
    "worker  state      last  beats                     detail",
    'beta    down       12 s  bbbbbbbbbbbbbbbbbbbbbbbb  "load"',
    "delta   expected  never  dddddddddddddddddddddddd",
    'alpha   up        0.4 s  aaaaaaaaaaaaaaaaaaaaaaaa  {"item":7}',
    "gamma   left      3.0 s  gggggggggggggggggggggggg",
    "12:00:00  down       beta                                                q quits",
  ]);
  assertEquals(lines.length, 24);
});

Deno.test("renderFleet() drops the details in 40 columns, and the traces in 25", () => {
  const narrow = renderFleet(
    createContent(),
    { columns: 40, rows: 20 },
    PLAIN,
  );
  assertEquals(trim(narrow.slice(0, 5)), [
    "live  1 up, 1 down, 1 expected, 1 left",
    "heartbeats.> on nats://localhost:4222",
    "worker  state      last  beats",
    "beta    down       12 s  bbbbbbbbbbbbbbb",
    "delta   expected  never  ddddddddddddddd",
  ]);
  const narrower = renderFleet(
    createContent(),
    { columns: 25, rows: 20 },
    PLAIN,
  );
  assertEquals(trim(narrower.slice(0, 4)), [
    "live  1 up, 1 down, 1 ex…",
    "heartbeats.> on nats://l…",
    "worker  state      last",
    "beta    down       12 s",
  ]);
});

Deno.test("renderFleet() leaves out the title and the headings in a low window, not the worst", () => {
  const render = (rows: number) =>
    trim(renderFleet(createContent(), { columns: 25, rows }, PLAIN))
      .map((line) => line.split(" ", 1)[0]);
  const texts: [number, string[]][] = [
    [8, ["live", "heartbeats.>", "worker", "beta", "delta", "alpha", "…"]],
    [5, ["live", "worker", "beta", "…"]],
    [4, ["live", "beta", "…"]],
  ];
  for (const [rows, expected] of texts) {
    assertEquals(render(rows).slice(0, -1), expected);
  }
});

Deno.test("renderFleet() never draws more or wider than the window", () => {
  const workers = Array.from({ length: 200 }, (_, i): ShownWorker => ({
    worker: `世界 worker with a long name ${i}`,
    state: "up",
    lastSeen: NOW,
    detail: "long ".repeat(100),
  }));
  const content = createContent({
    workers,
    counts: { up: 200, down: 0, expected: 0, left: 0 },
    lastEvent: "long ".repeat(100),
  });
  for (const columns of [1, 9, 20, 25, 31, 40, 79, 80, 81, 132, 300]) {
    for (const rows of [1, 2, 5, 6, 20, 24, 60, 300]) {
      const lines = renderFleet(content, { columns, rows }, PLAIN);
      assertEquals(lines.length, rows);
      assert(measure(lines) <= columns, `${columns}x${rows}`);
    }
  }
  const [line] = renderFleet(content, { columns: 80, rows: 24 }, PLAIN)
    .slice(-2);
  assertEquals(line, "… and 181 more");
});

Deno.test("renderFleet() draws all rows, and no end, in a window without an end", () => {
  const lines = renderFleet(
    createContent(),
    { columns: Infinity, rows: Infinity },
    PLAIN,
  );
  assertEquals(lines.length, 7);
  assertEquals(
    lines.at(-1),
    "gamma   left      3.0 s  gggggggggggggggggggggggg",
  );
});

Deno.test("renderFleet() says first that nobody can be heard", () => {
  const content = createContent({ blind: "the connection is lost" });
  const [status] = renderFleet(content, { columns: 80, rows: 24 }, PLAIN);
  assertEquals(
    status,
    "BLIND: the connection is lost  1 up, 1 down, 1 expected, 1 left",
  );
});

Deno.test("renderFleet() escapes what comes from a network", () => {
  const evil = "\x1b[2J\u202e\nx";
  const content = createContent({
    title: evil,
    blind: evil,
    lastEvent: evil,
    drawTrace: (_, width) => "▁".repeat(width),
    workers: [{
      worker: evil,
      state: "up",
      lastSeen: NOW,
      detail: { [evil]: "\x9b" },
    }],
  });
  const text = renderFleet(content, { columns: 200, rows: 10 }, PLAIN).join("");
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x1f\x7f-\x9f\u202e]/.test(text), text);
});

Deno.test("renderFleet() has colours only if they are wanted", () => {
  const size = { columns: 80, rows: 9 };
  const plain = renderFleet(createContent(), size, PLAIN);
  const colored = renderFleet(createContent(), size, {
    ...PLAIN,
    isColored: true,
  });
  assert(!plain.join("").includes("\x1b"));
  assert(colored[3]!.includes("\x1b[31mdown    \x1b[0m"), colored[3]);
  assert(colored[5]!.includes("\x1b[32mup      \x1b[0m"), colored[5]);
  // deno-lint-ignore no-control-regex
  const stripped = colored.map((line) => line.replace(/\x1b\[[\d;]*m/g, ""));
  assertEquals(stripped, plain);
});
