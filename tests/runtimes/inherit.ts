// Copyright 2026 the heartbeat authors. MIT license.

// Prints what a command reads from the input that it shares with this process.
// deno-lint-ignore-file no-console

import { startCommand } from "../../command.ts";

const { results } = startCommand("cat", { stdin: "inherit" });
const reader = results.getReader();
for (;;) {
  const { done, value } = await reader.read();
  if (done) break;
  console.log(new TextDecoder().decode(value.bytes));
}
