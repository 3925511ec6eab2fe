// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SqliteStore } from "../../sqlite.ts";
import type { OpenerInput } from "./_store_opener.ts";

const THREADS = 2;
const FILES = 100;

Deno.test("SqliteStore opens a new file for several watchers that start at once", async () => {
  const folder = Deno.makeTempDirSync();
  const paths = Array.from({ length: FILES }, (_, i) => `${folder}/${i}.db`);
  const ready = new SharedArrayBuffer(4 * FILES);
  const input: OpenerInput = { paths, threads: THREADS, ready };
  const workers = Array.from(
    { length: THREADS },
    () =>
      new Worker(new URL("_store_opener.ts", import.meta.url), {
        type: "module",
      }),
  );
  const answers = await Promise.all(
    workers.map((worker) =>
      new Promise<string[]>((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage(input);
      })
    ),
  );
  for (const worker of workers) worker.terminate();
  Deno.removeSync(folder, { recursive: true });
  assertEquals(answers.flat().filter((answer) => answer !== "opened"), []);
});

Deno.test("SqliteStore does not block its process for long while another one writes", async () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/fleet.db`;
  const store = new SqliteStore(path);
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  const event = { type: "up", worker: "alpha", time: 5 } as const;
  const row = { worker: "alpha", change: 1, event };
  const start = performance.now();
  await assertRejects(() => store.save(row, undefined), Error, "locked");
  assert(performance.now() - start < 500);
  other.exec("COMMIT");
  assertEquals(await store.save(row, undefined), 1);
  other.close();
  store.close();
  Deno.removeSync(folder, { recursive: true });
});
