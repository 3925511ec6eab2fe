// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { GuardedWorker } from "../_cli_health.ts";
import { FleetMonitor } from "../fleet.ts";
import { createHealthHandler } from "../health.ts";
import type { SupervisorEvent } from "../supervisor.ts";

const STALLED: SupervisorEvent = {
  ...{ type: "stalled", limit: "first", time: 0, attempt: 1 },
  ...{ elapsed: 3_000, timeout: 3_000, count: 1 },
};

Deno.test("GuardedWorker is down from the verdict of its supervisor to the next heartbeat", async () => {
  // this fleet does not see it in time, as one whose process was just away
  const worker = new GuardedWorker(FleetMonitor, "make", Infinity);
  const handler = createHealthHandler(worker);
  const ask = async () => {
    const url = "http://localhost/livez?verbose";
    const response = await handler(new Request(url));
    return `${response.status} ${(await response.text()).split("\n")[0]}`;
  };
  const beat = { worker: "make", seq: 1, time: 0 };
  assertEquals(await ask(), "200 [+]make not seen yet");
  worker.onEvent({ type: "started", time: 0, attempt: 1 });
  worker.onHeartbeat(beat);
  assertEquals(await ask(), "200 [+]make ok");
  worker.onEvent(STALLED);
  assertEquals(await ask(), "503 [-]make down for 0.0 s");
  // of the supervisor, which waits
  worker.onHeartbeat({ ...beat, seq: 2, restarting: { attempt: 2 } });
  worker.onEvent({ type: "restarting", time: 0, attempt: 1, delay: 0 });
  assertEquals(await ask(), "503 [-]make down for 0.0 s");
  worker.onHeartbeat({ ...beat, seq: 3 });
  assertEquals(await ask(), "200 [+]make ok");
});
