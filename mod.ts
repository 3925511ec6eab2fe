// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Know when async work hangs, not just when it fails: the heartbeat pattern on
 * Web Streams.
 *
 * A promise that never settles throws nothing, and a stream that goes quiet
 * closes nothing. {@linkcode HeartbeatMonitor} makes the silence of any stream
 * an error; {@linkcode startWorker} turns work into a pair of streams, results
 * and heartbeats; {@linkcode watch} guards the pair, and {@linkcode supervise}
 * starts it again.
 *
 * ```ts
 * import { HeartbeatTimeoutError, startWorker, watch } from "@heartbeat/heartbeat";
 * import { assertEquals } from "@std/assert";
 *
 * const worker = startWorker(async function* crawl({ beat }) {
 *   for (const page of ["/a", "/b", "/c"]) {
 *     beat({ page });
 *     if (page === "/c") await new Promise(() => {}); // hangs: throws nothing
 *     yield page;
 *   }
 * }, { interval: 10 });
 *
 * const pages: string[] = [];
 * try {
 *   for await (const page of watch(worker, { timeout: 100 })) pages.push(page);
 * } catch (error) {
 *   if (!(error instanceof HeartbeatTimeoutError)) throw error;
 *   assertEquals(error.last.detail, { page: "/c" });
 * }
 * assertEquals(pages, ["/a", "/b"]);
 * ```
 *
 * @module
 */

export * from "./monitor.ts";
export * from "./supervisor.ts";
export * from "./watchdog.ts";
export * from "./worker.ts";
