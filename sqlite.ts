// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The memory of a fleet in a file of this machine: {@linkcode SqliteStore}.
 *
 * @module
 */

import { statSync } from "node:fs";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { checkString, throwInvalid } from "./_validate.ts";
import type {
  FleetStore,
  StoredFleet,
  StoredRow,
  StoredWorker,
} from "./store.ts";

/** How long (ms) the start waits for another process that writes. */
const OPEN_TIMEOUT_MS = 1_000;

/**
 * How long (ms) a write waits for another process that writes. It blocks this process
 * meanwhile, and `persistFleet()` tries it again.
 */
const BUSY_TIMEOUT_MS = 100;

// the timeout comes first, so that it holds for the rest
const SCHEMA = `
  PRAGMA busy_timeout = ${OPEN_TIMEOUT_MS};
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS workers (
    name TEXT PRIMARY KEY,
    change INTEGER NOT NULL,
    event TEXT NOT NULL,
    position INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS fleet (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO fleet VALUES (1, 0, 0);
  PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
`;

/** Sets up the file. The change to WAL does not wait for another process, so it is tried again. */
function setUp(database: DatabaseSync) {
  const end = performance.now() + OPEN_TIMEOUT_MS;
  for (;;) {
    try {
      return database.exec(SCHEMA);
    } catch (error) {
      const isLocked = (error as Error).message === "database is locked";
      if (!isLocked || performance.now() >= end) {
        database.close();
        throw error;
      }
    }
  }
}

/** Which file a path leads to; nothing if none. */
function identify(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

/** A name as it is in the file: as JSON, since not every string has a form in UTF-8. */
function toName(worker: string): string {
  return JSON.stringify(worker);
}

/**
 * A store for `persistFleet()` in an SQLite database, by `node:sqlite` of Deno and
 * of Node.js 22.5 and later. Nothing is lost if the process is killed; the last
 * writes may be if the machine loses power.
 *
 * One watcher at a time should use a file. If two do, each event is reported by
 * the one that writes it first, and may be lost if that one ends before it does.
 *
 * @example Usage
 * ```ts
 * import { SqliteStore } from "@heartbeat/heartbeat/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * using store = new SqliteStore(":memory:"); // in real life: "fleet.db"
 * const event = { type: "up", worker: "alpha", time: 5 } as const;
 * await store.save({ worker: "alpha", change: 1, event }, undefined);
 *
 * assertEquals((await store.load()).workers, [
 *   { worker: "alpha", change: 1, event, position: 1 },
 * ]);
 * ```
 */
export class SqliteStore implements FleetStore, Disposable {
  readonly #database: DatabaseSync;
  /** Where its file is, and which one that was; nothing in memory. */
  readonly #file: { path: string; id: string | undefined } | undefined;

  /**
   * Opens the database, and creates it if it is not there.
   *
   * @param path The path of its file, or `":memory:"`.
   * @throws {TypeError} If `path` is not a string.
   * @throws {RangeError} If `path` is empty.
   * @throws {Error} The error of SQLite, if the file cannot be opened.
   */
  constructor(path: string) {
    checkString("open store", "path", path);
    // SQLite would take it for a file that is gone once it is closed
    if (path === "") {
      throwInvalid(RangeError, "open store", "path", "not empty", path);
    }
    this.#database = new DatabaseSync(path);
    setUp(this.#database);
    if (path === ":memory:" || path.startsWith("file:")) return;
    const absolute = resolve(path);
    this.#file = { path: absolute, id: identify(absolute) };
  }

  /**
   * Reads everything.
   *
   * @returns The workers, and what was acknowledged.
   */
  // deno-lint-ignore require-await -- other stores are asynchronous
  async load(): Promise<StoredFleet> {
    const rows = this.#database
      .prepare("SELECT name, change, event, position FROM workers").all();
    const workers = rows.map(({ name, change, event, position }) => ({
      worker: JSON.parse(String(name)),
      change: Number(change),
      event: JSON.parse(String(event)),
      position: Number(position),
    } as StoredRow));
    const fleet = this.#database.prepare("SELECT acknowledged FROM fleet")
      .get();
    return { workers, acknowledged: Number(fleet!.acknowledged) };
  }

  /**
   * Writes the last event of a worker.
   *
   * @param row The worker.
   * @param previous The position of its row so far; `undefined` if it has none.
   * @returns The new position; `undefined` if its row has another one.
   * @throws {Error} If the file is not where it was, or what SQLite throws.
   */
  // deno-lint-ignore require-await -- other stores are asynchronous
  async save(
    row: StoredWorker,
    previous: number | undefined,
  ): Promise<number | undefined> {
    const database = this.#database;
    this.#checkFile();
    database.exec("BEGIN IMMEDIATE");
    try {
      const position = this.#write(row, previous);
      database.exec("COMMIT");
      return position;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  /** SQLite writes to a file that was deleted, and the next process would find nothing. */
  #checkFile() {
    if (!this.#file) return;
    const { path, id } = this.#file;
    if (identify(path) === id) return;
    throw new Error(`'${path}' was moved or deleted while it was open`);
  }

  #rollBack() {
    try {
      this.#database.exec("ROLLBACK");
    } catch {
      // SQLite has done it already, as on a full disk
    }
  }

  #write(
    { worker, change, event }: StoredWorker,
    previous: number | undefined,
  ) {
    const database = this.#database;
    const name = toName(worker);
    const before = database
      .prepare("SELECT position FROM workers WHERE name = ?").get(name);
    if (before?.position !== previous) return undefined;
    const { position } = database
      .prepare("UPDATE fleet SET position = position + 1 RETURNING position")
      .get()!;
    database.prepare("INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)")
      .run(name, change, JSON.stringify(event), position!);
    return Number(position);
  }

  /**
   * Removes a worker whose row has this position.
   *
   * @param worker The name of the worker.
   * @param position The position.
   */
  // deno-lint-ignore require-await -- other stores are asynchronous
  async remove(worker: string, position: number): Promise<void> {
    this.#database.prepare(
      "DELETE FROM workers WHERE name = ? AND position = ?",
    )
      .run(toName(worker), position);
  }

  /**
   * Notes that all events up to a position were handed over.
   *
   * @param position The position.
   */
  // deno-lint-ignore require-await -- other stores are asynchronous
  async acknowledge(position: number): Promise<void> {
    this.#database.prepare("UPDATE fleet SET acknowledged = ?").run(position);
  }

  /** Closes the database. */
  close() {
    this.#database.close();
  }

  /** Closes the database. */
  [Symbol.dispose]() {
    this.close();
  }
}
