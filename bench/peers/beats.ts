// Copyright 2026 the heartbeat authors. MIT license.

/// <reference lib="deno.worker" />

/** Beats every 20 ms from a thread that is never blocked, by `postMessage()` and as HTTP bodies. */
const BEAT = 20;

setInterval(() => self.postMessage(performance.now()), BEAT);

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => self.postMessage(`http://127.0.0.1:${port}/`),
}, () => {
  let timer: ReturnType<typeof setInterval>;
  return new Response(
    new ReadableStream({
      start(controller) {
        timer = setInterval(() => controller.enqueue(Uint8Array.of(1)), BEAT);
      },
      cancel: () => clearInterval(timer),
    }),
  );
});
