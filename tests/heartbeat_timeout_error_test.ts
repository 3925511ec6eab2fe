// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { HeartbeatTimeoutError } from "../_heartbeat_timeout_error.ts";

Deno.test("HeartbeatTimeoutError names the limit that was passed, by default the timeout", () => {
  for (
    const [limit, known, text] of [
      [undefined, "silence", "timeout"],
      ["silence", "silence", "timeout"],
      ["first", "first", "first timeout"],
      ["progress", "progress", "progress timeout"],
    ] as const
  ) {
    const options = { timeout: 300, elapsed: 301, limit };
    const error = new HeartbeatTimeoutError({ ...options, count: 1 });
    assertEquals([error.limit, error.message], [
      known,
      `No heartbeat for 301 ms after 1 heartbeat: the ${text} is 300 ms`,
    ]);
  }
});
