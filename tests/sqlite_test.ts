// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { FleetMonitor } from "../fleet.ts";
import { SqliteStore } from "../sqlite.ts";
import { persistFleet } from "../store.ts";
import { readAll } from "./_help.ts";
import { VirtualTime } from "./model/_virtual_time.ts";

/** A file for a database, with what SQLite puts beside it. */
function makeFile() {
  const folder = Deno.makeTempDirSync();
  return {
    path: `${folder}/fleet.db`,
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}

const up = (worker: string) => ({ type: "up", worker, time: 5 }) as const;

Deno.test("SqliteStore keeps the last event of each worker, whatever its name", async () => {
  using file = makeFile();
  const names = ["alpha", "", "a'b", "wörker 🫀", "\ud800", "\ufffd", "a\0b"];
  const positions: (number | undefined)[] = [];
  {
    using store = new SqliteStore(file.path);
    assertEquals(await store.load(), { workers: [], acknowledged: 0 });
    for (const worker of names) {
      const row = { worker, change: 1, event: up(worker) };
      positions.push(await store.save(row, undefined));
    }
    await store.acknowledge(4);
  }
  // another process opens it
  using store = new SqliteStore(file.path);
  const { workers, acknowledged } = await store.load();
  workers.sort((a, b) => a.position - b.position);
  assertEquals(workers.map(({ worker }) => worker), names);
  assertEquals(workers.map(({ event }) => event), names.map(up));
  assertEquals(positions, [1, 2, 3, 4, 5, 6, 7]);
  assertEquals(acknowledged, 4);
});

Deno.test("SqliteStore writes a row that nobody else has written, and no other", async () => {
  using file = makeFile();
  using store = new SqliteStore(file.path);
  using other = new SqliteStore(file.path);
  const row = { worker: "alpha", change: 1, event: up("alpha") };
  assertEquals(await store.save(row, undefined), 1);
  assertEquals(await other.save(row, undefined), undefined);
  assertEquals(await other.save({ ...row, change: 2 }, 1), 2);
  assertEquals(await store.save({ ...row, change: 2 }, 1), undefined);
  await store.remove("alpha", 1);
  assertEquals((await store.load()).workers[0]?.change, 2);
  await store.remove("alpha", 2);
  assertEquals((await store.load()).workers, []);
  // a position is never used twice
  assertEquals(await store.save(row, undefined), 3);
});

Deno.test("SqliteStore takes a write back that fails", async () => {
  using file = makeFile();
  using store = new SqliteStore(file.path);
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const event = { ...up("alpha"), detail: cyclic };
  const row = { worker: "alpha", change: 1, event };
  await assertRejects(() => store.save(row, undefined), TypeError, "circular");
  assertEquals(await store.save({ ...row, event: up("alpha") }, undefined), 1);
});

Deno.test("SqliteStore says why a write failed that SQLite has taken back itself", async () => {
  using file = makeFile();
  using store = new SqliteStore(file.path);
  using other = new DatabaseSync(file.path);
  // as SQLite does on a full disk
  other.exec(`CREATE TRIGGER fill AFTER INSERT ON workers
    BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END`);
  const row = { worker: "alpha", change: 1, event: up("alpha") };
  await assertRejects(() => store.save(row, undefined), Error, "disk is full");
  other.exec("DROP TRIGGER fill");
  assertEquals(await store.save(row, undefined), 1);
});

Deno.test("SqliteStore writes to no file that was deleted, or replaced by another one", async () => {
  using file = makeFile();
  const store = new SqliteStore(file.path);
  const row = { worker: "alpha", change: 1, event: up("alpha") };
  assertEquals(await store.save(row, undefined), 1);
  for (const suffix of ["", "-wal", "-shm"]) {
    Deno.removeSync(`${file.path}${suffix}`);
  }
  const save = () => store.save({ ...row, change: 2 }, 1);
  await assertRejects(save, Error, "fleet.db' was moved or deleted");
  // the next watcher begins anew
  const next = new SqliteStore(file.path);
  await assertRejects(save, Error, "fleet.db' was moved or deleted");
  assertEquals(await next.save(row, undefined), 1);
  store.close();
  assertEquals((await next.load()).workers.length, 1);
  next.close();
});

Deno.test("SqliteStore cannot open what is no database", () => {
  using file = makeFile();
  Deno.writeTextFileSync(file.path, "this is a text file, and no database");
  assertThrows(() => new SqliteStore(file.path), Error, "not a database");
});

Deno.test("SqliteStore is a memory for a fleet", async () => {
  using file = makeFile();
  using time = new VirtualTime();
  {
    using store = new SqliteStore(file.path);
    const fleet = new FleetMonitor({ timeout: 1000 });
    const events = readAll(persistFleet(fleet, store));
    fleet.beat("alpha");
    fleet.beat("beta");
    await time.runUntil(10);
    assertEquals(events.chunks.map(({ id }) => id), ["alpha#1", "beta#1"]);
    await events.cancel("it ends");
  }
  using store = new SqliteStore(file.path);
  const fleet = new FleetMonitor({ timeout: 1000 });
  const events = readAll(persistFleet(fleet, store));
  for (let at = 500; at <= 5000; at += 500) {
    fleet.beat("beta");
    await time.runUntil(at);
  }
  assertEquals(events.chunks.map(({ type, id }) => `${type} ${id}`), [
    "down alpha#2",
  ]);
  await events.cancel("it ends");
});
