// Copyright 2026 the heartbeat authors. MIT license.

import { type DemoInput, produce } from "./_demo.ts";
import { serveThread } from "./thread.ts";

serveThread<number, DemoInput>(function demo({ input, ...context }) {
  return produce(context, input);
});
