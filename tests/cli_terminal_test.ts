// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import { Terminal, type TerminalStreams } from "../_cli_terminal.ts";

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/** A terminal whose user is the test. */
function createTerminal({ isTerminal = true } = {}) {
  const calls: string[] = [];
  const keys = new TransformStream<string, string>();
  const reader = keys.readable.getReader();
  const writer = keys.writable.getWriter();
  const streams: TerminalStreams = {
    stdin: {
      isTerminal: () => isTerminal,
      setRaw: (isRaw) => void calls.push(`raw ${isRaw}`),
      async read(bytes) {
        const { value = "" } = await reader.read();
        return new TextEncoder().encodeInto(value, bytes).written || null;
      },
    },
    consoleSize: () => ({ columns: 80, rows: 24 }),
  };
  const output = {
    print: (text: string) => Promise.resolve(void calls.push(text)),
  };
  const terminal = new Terminal(output, {
    onQuit: () => calls.push("quit"),
    onInterrupt: () => calls.push("interrupt"),
  }, streams);
  return { terminal, calls, output, press: (key: string) => writer.write(key) };
}

Deno.test("Terminal takes the window, draws it, and gives it back", async () => {
  const { terminal, calls } = createTerminal();
  assertEquals(terminal.size, { columns: 80, rows: 24 });
  await terminal.draw(["too early"]);
  await terminal.open();
  await terminal.open();
  await terminal.draw(["one", "two"]);
  await terminal.close();
  await terminal.close();
  await terminal.draw(["too late"]);
  assertEquals(calls, [
    "raw true",
    ENTER,
    "\x1b[H\x1b[2Kone\r\n\x1b[2Ktwo",
    "raw false",
    LEAVE,
  ]);
});

Deno.test("Terminal reports q and Ctrl-C, and no other key", async () => {
  const { terminal, calls, press } = createTerminal();
  await terminal.open();
  for (const key of ["x", "\x1b[A", "q", "Q", "qq", "\x03", "ab\x03"]) {
    await press(key);
  }
  await terminal.close();
  assertEquals(calls.filter((call) => /^[qi]/.test(call)), [
    "quit",
    "quit",
    "interrupt",
    "interrupt",
  ]);
});

Deno.test("Terminal draws without keys where standard input is something else", async () => {
  const { terminal, calls } = createTerminal({ isTerminal: false });
  assertEquals(terminal.hasKeys, false);
  await terminal.open();
  await terminal.close();
  assertEquals(calls, [ENTER, LEAVE]);
});

Deno.test("Terminal gives the window back although it could not be drawn", async () => {
  const { terminal, calls, output } = createTerminal();
  await terminal.open();
  const { print } = output;
  output.print = () => Promise.reject(new Error("full"));
  await assertRejects(() => terminal.draw(["one"]), Error, "full");
  output.print = print;
  await terminal.close();
  assertEquals(calls.at(-1), LEAVE);
});
