// Copyright 2026 the heartbeat authors. MIT license.

// A process of its own, as its memory is that of all of its threads: starts threads
// that end, throw or are stopped, and prints by how many bytes it has grown.
// deno-lint-ignore-file no-console

import { startThread } from "../thread.ts";

const LIVES = Number(Deno.args[0]);

const module = `data:text/javascript,${
  encodeURIComponent(`
    import { serveThread } from "${import.meta.resolve("../thread.ts")}";
    serveThread(async function* ({ input, signal }) {
      yield 1;
      if (input.way === 0) return;
      if (input.way === 1) throw new Error("boom");
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });`)
}`;

async function live(way: number) {
  const { results, heartbeats, finished } = startThread(module, {
    input: { way },
  });
  const reader = results.getReader();
  await reader.read();
  if (way === 2) await heartbeats.cancel(new Error("stall"));
  await (way < 2 ? reader.read() : reader.cancel()).catch(() => {});
  await finished;
}

const side = Array.from({ length: 8 }, (_, index) => index % 4);
await Promise.all(side.map(live));
const before = Deno.memoryUsage().rss;
for (let done = 0; done < LIVES; done += side.length) {
  await Promise.all(side.map(live));
}
console.log(Deno.memoryUsage().rss - before);
