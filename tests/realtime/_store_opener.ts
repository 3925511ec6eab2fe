// Copyright 2026 the heartbeat authors. MIT license.

/** A thread that opens a store at the moment at which others do, again and again. */

import { SqliteStore } from "../../sqlite.ts";

/** What it is sent. */
export interface OpenerInput {
  /** The files, which are not there yet. */
  paths: string[];
  /** How many threads there are. */
  threads: number;
  /** How many of them are ready for each file. */
  ready: SharedArrayBuffer;
}

function open(path: string): string {
  try {
    new SqliteStore(path).close();
    return "opened";
  } catch (error) {
    return (error as Error).message;
  }
}

const scope = self as unknown as Worker;
scope.onmessage = ({ data }: MessageEvent<OpenerInput>) => {
  const { paths, threads } = data;
  const ready = new Int32Array(data.ready);
  const answers = paths.map((path, i) => {
    Atomics.add(ready, i, 1);
    while (Atomics.load(ready, i) < threads);
    return open(path);
  });
  scope.postMessage(answers);
};
