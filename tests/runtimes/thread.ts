// Copyright 2026 the heartbeat authors. MIT license.

// The work of the threads of behaviour.ts.

import { serveThread } from "../../thread.ts";

/** What a thread is asked to do. */
export type Task =
  | { task: "square"; count: number }
  | { task: "count until stopped" }
  | { task: "throw" }
  | { task: "spin"; memory: Int32Array; most: number };

serveThread<unknown, Task>(async function* ({ input, signal, beat }) {
  if (input.task === "square") {
    for (let n = 1; n <= input.count; n++) {
      beat({ n });
      yield n * n;
    }
  } else if (input.task === "count until stopped") {
    for (let n = 1; !signal.aborted; n++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      yield n;
    }
  } else if (input.task === "throw") {
    yield 1;
    throw Object.assign(new RangeError("out of work"), { page: 7 });
  } else {
    yield "spinning";
    const { memory, most } = input;
    const end = Date.now() + most;
    while (Atomics.load(memory, 0) === 0 && Date.now() < end) {
      Atomics.add(memory, 1, 1);
    }
  }
});
