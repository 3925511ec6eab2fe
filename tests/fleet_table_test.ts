// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FleetTable, MAX_WORKERS } from "../_fleet_table.ts";

function createTable(maxWorkers = 1_000_000, maxNameLength = 256) {
  return new FleetTable({ maxWorkers, maxNameLength });
}

/** Adds workers that beat at these positions. */
function addAll(table: FleetTable, positions: Record<string, number>) {
  for (const [worker, position] of Object.entries(positions)) {
    const row = table.add(worker);
    table.startWaiting(row, position);
    table.record(row, position, 1000 + position, NaN, undefined);
  }
}

function namesOf(table: FleetTable, rows: Iterable<number>) {
  return Array.from(rows, (row) => table.nameOf(row));
}

Deno.test("FleetTable: a worker is expected, up and down", () => {
  const table = createTable();
  const row = table.add("a");
  const id = table.idOf(row);
  assertEquals([table.size, table.waiting], [1, 0]);
  assertEquals([table.isWaitedFor(row), table.isUp(row, id)], [false, false]);
  table.startWaiting(row, 10);
  assertEquals([table.isWaitedFor(row), table.isUp(row, id)], [true, false]);
  assertEquals([...table], [{ worker: "a", state: "expected" }]);
  table.record(row, 20, 5000, 7, "x");
  assertEquals([table.isUp(row, id), table.isUp(row, id + 1)], [true, false]);
  const last = { lastSeen: 5000, seq: 7, detail: "x" };
  assertEquals(table.lastBeat(row), last);
  assertEquals([...table], [{ worker: "a", state: "up", ...last }]);
  table.markDown(row, Infinity);
  assertEquals([table.size, table.waiting], [1, 0]);
  assertEquals([table.isWaitedFor(row), table.isUp(row, id)], [false, false]);
  assertEquals([...table], [{ worker: "a", state: "down", ...last }]);
  table.startWaiting(row, 30);
  table.startWaiting(row, 40);
  assertEquals([table.waiting, table.isUp(row, id)], [1, true]);
});

Deno.test("FleetTable.record replaces all of the last heartbeat", () => {
  const table = createTable();
  addAll(table, { a: 0, b: 0 });
  table.record(table.rowOf("b")!, 1, 1001, 3, { step: 1 });
  assertEquals(table.lastBeat(table.rowOf("a")!), { lastSeen: 1000 });
  table.record(table.rowOf("b")!, 2, 1002, NaN, undefined);
  assertEquals(table.lastBeat(table.rowOf("b")!), { lastSeen: 1002 });
});

Deno.test("FleetTable.silentRows finds those who are waited for since the limit or longer", () => {
  const table = createTable();
  addAll(table, { a: 30, b: 10, c: 20, d: 10.5 });
  const silent = (limit: number) => namesOf(table, table.silentRows([limit]));
  assertEquals(silent(9.9), []);
  assertEquals(silent(10), ["b"]);
  // they stay silent until they are marked
  assertEquals(silent(10), ["b"]);
  assertEquals(silent(20), ["b", "c", "d"]);
  for (const row of table.silentRows([20])) table.markDown(row, Infinity);
  assertEquals(silent(29), []);
  table.record(table.rowOf("a")!, 50, 0, NaN, undefined);
  assertEquals(silent(49), []);
  table.startWaiting(table.rowOf("b")!, 40);
  assertEquals(silent(40), ["b"]);
  assertEquals(silent(1e9), ["a", "b"]);
});

Deno.test("FleetTable keeps the groups apart: who is silent, and how many are waited for", () => {
  const table = createTable();
  // the first row with a group comes late
  addAll(
    table,
    Object.fromEntries(
      Array.from({ length: 70 }, (_, i) => [`w${i}`, 100]),
    ),
  );
  for (const [worker, group] of [["a", 2], ["b", 1], ["c", 2]] as const) {
    const row = table.add(worker, group);
    table.startWaiting(row, 10);
    assertEquals(table.groupOf(row), group);
  }
  assertEquals([table.groupOf(0), table.groupOf(69)], [0, 0]);
  const waiting = () => [0, 1, 2, 3].map((group) => table.waitingOf(group));
  assertEquals([table.waiting, waiting()], [73, [70, 1, 2, 0]]);
  const silent = (...limits: number[]) =>
    namesOf(table, table.silentRows(limits));
  assertEquals(silent(99, 9, 9, -Infinity), []);
  assertEquals(silent(99, 9, 10, -Infinity), ["a", "c"]);
  assertEquals(table.countSilent([99, 10, 10]), 3);
  assertEquals(table.countSilent([NaN, NaN, 10]), 2);
  assertEquals(silent(99, 10, 9), ["b"]);
  assertEquals(silent(100, 9, 9).length, 70);
  table.markDown(table.rowOf("a")!, Infinity);
  table.remove(table.rowOf("b")!);
  assertEquals([table.waiting, waiting()], [71, [70, 0, 1, 0]]);
  // a row that is used again has the group of its worker
  const row = table.add("d");
  assertEquals([table.groupOf(row), table.nameOf(row)], [0, "d"]);
  table.startWaiting(row, 5);
  assertEquals(silent(5, 9, 9), ["d"]);
  assertEquals(waiting(), [71, 0, 1, 0]);
});

Deno.test("FleetTable.rowsToForget yields those who are down, in the order in which they went down", () => {
  const table = createTable();
  addAll(table, { a: 0, b: 0, c: 0, d: 0 });
  const mark = (worker: string, since: number) =>
    table.markDown(table.rowOf(worker)!, since);
  mark("c", 5);
  mark("a", 6);
  mark("b", 7);
  mark("d", Infinity);
  assertEquals(table.toForget, 3);
  assertEquals(namesOf(table, table.rowsToForget(4.9)), []);
  assertEquals(namesOf(table, table.rowsToForget(6)), ["c", "a"]);
  table.startWaiting(table.rowOf("c")!, 10);
  assertEquals(namesOf(table, table.rowsToForget(100)), ["a", "b"]);
  const forgotten: string[] = [];
  for (const row of table.rowsToForget(100)) {
    forgotten.push(table.nameOf(row));
    table.remove(row);
  }
  assertEquals([forgotten, table.toForget], [["a", "b"], 0]);
  assertEquals(Array.from(table, ({ worker }) => worker), ["c", "d"]);
});

Deno.test("FleetTable uses a row again, with nothing of the worker before and another id", () => {
  const table = createTable();
  const row = table.add("a");
  const id = table.idOf(row);
  table.startWaiting(row, 5);
  table.record(row, 5, 1000, 1, "secret");
  table.remove(row);
  assertEquals([table.size, table.waiting, table.rowOf("a")], [
    0,
    0,
    undefined,
  ]);
  assertEquals([table.idOf(row) === id, [...table]], [false, []]);
  assertEquals(table.silentRows([1e9]), []);
  assertEquals(table.add("b"), row);
  assertEquals([table.nameOf(row), table.lastBeat(row)], ["b", {}]);
  assertEquals(table.idOf(row) === id, false);
});

Deno.test("FleetTable.remove takes workers that are down, or new, for none that is waited for", () => {
  const table = createTable();
  addAll(table, { a: 0, b: 0, c: 0 });
  table.add("new");
  table.markDown(table.rowOf("a")!, 0);
  assertEquals(table.waiting, 2);
  for (const worker of ["a", "new"]) table.remove(table.rowOf(worker)!);
  assertEquals([table.size, table.waiting, table.toForget], [2, 2, 0]);
  const [b, c] = [table.rowOf("b")!, table.rowOf("c")!];
  const id = table.idOf(b);
  assertEquals([table.isUp(b, id), table.isUp(c, id)], [true, false]);
  table.remove(b);
  assertEquals([table.size, table.waiting], [1, 1]);
  assertEquals([table.isUp(b, id), table.isWaitedFor(b)], [false, false]);
  assertEquals(table.silentRows([1e9]), [c]);
});

Deno.test("FleetTable keeps the details of the workers apart", () => {
  const table = createTable();
  addAll(table, { a: 0, b: 0, c: 0, d: 0 });
  const detailsOf = () => Array.from(table, ({ detail }) => detail);
  const record = (worker: string, detail: unknown) =>
    table.record(table.rowOf(worker)!, 0, 0, 0, detail);
  record("c", 3);
  assertEquals(detailsOf(), [undefined, undefined, 3, undefined]);
  record("b", 2);
  record("d", 4);
  assertEquals(detailsOf(), [undefined, 2, 3, 4]);
  record("c", undefined);
  table.remove(table.rowOf("b")!);
  assertEquals(detailsOf(), [undefined, undefined, 4]);
});

Deno.test("FleetTable grows, and keeps every row", () => {
  const table = createTable();
  const positions = Object.fromEntries(
    Array.from({ length: 1000 }, (_, i) => [`w${i}`, i]),
  );
  addAll(table, positions);
  assertEquals([table.size, table.waiting], [1000, 1000]);
  for (const [worker, position] of Object.entries(positions)) {
    const row = table.rowOf(worker)!;
    assertEquals(table.nameOf(row), worker);
    assertEquals(table.lastBeat(row).lastSeen, 1000 + position);
    assertEquals(table.idOf(row), position + 1);
  }
  assertEquals(table.silentRows([499]).length, 500);
});

Deno.test("FleetTable refuses a name that is empty, too long or one too many", () => {
  const table = createTable(2, 3);
  assertEquals(table.refusalOf(""), "name");
  assertEquals(table.refusalOf("abcd"), "name");
  assertEquals(table.refusalOf("abc"), undefined);
  addAll(table, { a: 0, b: 0 });
  assertEquals(table.refusalOf("abc"), "full");
  assertEquals(table.refusalOf("abcd"), "name");
  table.remove(table.rowOf("a")!);
  assertEquals(table.refusalOf("abc"), undefined);
  assertEquals([table.shorten("abcd"), table.shorten("ab")], ["abc", "ab"]);
  assertEquals(createTable(Infinity, Infinity).refusalOf("abc"), undefined);
  assertEquals(MAX_WORKERS, 2 ** 22);
});

Deno.test("FleetTable.markDown drops a large detail and keeps a small one", () => {
  const table = createTable();
  addAll(table, { a: 0, b: 0 });
  const [a, b] = [table.rowOf("a")!, table.rowOf("b")!];
  table.record(a, 0, 0, 1, { text: "x".repeat(5000) });
  table.record(b, 0, 0, 1, { text: "x".repeat(1000) });
  table.markDown(a, Infinity);
  table.markDown(b, Infinity);
  assertEquals(table.lastBeat(a), { lastSeen: 0, seq: 1 });
  assertEquals(table.lastBeat(b).detail, { text: "x".repeat(1000) });
});
