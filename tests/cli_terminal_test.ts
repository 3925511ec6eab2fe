// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import {
  type JobSignal,
  Terminal,
  type TerminalStreams,
} from "../_cli_terminal.ts";

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/** A terminal whose user is the test. */
function createTerminal({ isTerminal = true, mayStop = true } = {}) {
  const calls: string[] = [];
  const listeners = new Map<JobSignal, () => void>();
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
    addSignalListener: (name, listener) => void listeners.set(name, listener),
    removeSignalListener: (name) => void listeners.delete(name),
  };
  const output = {
    print: (text: string) => Promise.resolve(void calls.push(text)),
  };
  const terminal = new Terminal(output, {
    onQuit: () => calls.push("quit"),
    onInterrupt: () => calls.push("interrupt"),
    stopProcess: mayStop ? () => calls.push("stop") : undefined,
  }, streams);
  return {
    ...{ terminal, calls, output, streams, listeners },
    press: (key: string) => writer.write(key),
  };
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

const isWindows = Deno.build.os === "windows";

Deno.test({
  name: "Terminal gives the window back while the process is stopped",
  ignore: isWindows,
  async fn() {
    const { terminal, calls, listeners } = createTerminal();
    await terminal.open();
    assertEquals([...listeners.keys()], ["SIGTSTP", "SIGCONT"]);
    calls.length = 0;
    for (let times = 0; times < 2; times++) await listeners.get("SIGTSTP")!();
    await terminal.draw(["one"]);
    assertEquals(calls, ["raw false", LEAVE, "stop"]);
    calls.length = 0;
    listeners.get("SIGCONT")!();
    await terminal.draw(["one"]);
    assertEquals(calls, ["raw true", ENTER, "\x1b[H\x1b[2Kone"]);
    // stopped by a signal that no process can handle
    calls.length = 0;
    listeners.get("SIGCONT")!();
    await terminal.draw(["one"]);
    assertEquals(calls, ["raw true", ENTER, "\x1b[H\x1b[2Kone"]);
    await terminal.close();
    assertEquals(listeners.size, 0);
  },
});

Deno.test({
  name: "Terminal gives the window back by Ctrl-Z without keys, too",
  ignore: isWindows,
  async fn() {
    const { terminal, calls, listeners } = createTerminal({
      isTerminal: false,
    });
    await terminal.open();
    await listeners.get("SIGTSTP")?.();
    assertEquals(calls, [ENTER, LEAVE, "stop"]);
    await terminal.close();
    assertEquals(listeners.size, 0);
  },
});

Deno.test({
  name: "Terminal is not given back twice, and not taken after its end",
  ignore: isWindows,
  async fn() {
    const { terminal, calls, listeners } = createTerminal();
    await terminal.open();
    const [stop, goOn] = [...listeners.values()];
    await stop!();
    calls.length = 0;
    await terminal.close();
    goOn!();
    await stop!();
    assertEquals(calls, []);
  },
});

Deno.test({
  name: "Terminal does not stop a process that goes on or ends meanwhile",
  ignore: isWindows,
  async fn() {
    const goOn = createTerminal();
    await goOn.terminal.open();
    const stopped = goOn.listeners.get("SIGTSTP")!();
    goOn.listeners.get("SIGCONT")!();
    await stopped;
    await goOn.terminal.draw(["one"]);
    const drawn = ["raw false", "raw true", LEAVE, ENTER, "\x1b[H\x1b[2Kone"];
    assertEquals(goOn.calls.slice(2), drawn);

    const end = createTerminal();
    await end.terminal.open();
    const stop = end.listeners.get("SIGTSTP")!();
    await end.terminal.close();
    assertEquals(end.calls.slice(2), ["raw false", LEAVE]);
    await stop;
    assertEquals(end.calls.slice(2), ["raw false", LEAVE]);
  },
});

Deno.test({
  name: "Terminal fails nothing when it is gone",
  ignore: isWindows,
  async fn() {
    const { terminal, calls, streams, listeners } = createTerminal();
    await terminal.open();
    streams.stdin.setRaw = () => {
      throw new Error("gone");
    };
    await listeners.get("SIGTSTP")!();
    listeners.get("SIGCONT")!();
    await terminal.close();
    assertEquals(calls.slice(2), [LEAVE, "stop", LEAVE]);
  },
});

Deno.test({
  name: "Terminal leaves the stop to the system where it may not stop itself",
  ignore: isWindows,
  async fn() {
    const { terminal, listeners } = createTerminal({ mayStop: false });
    await terminal.open();
    assertEquals([...listeners.keys()], ["SIGCONT"]);
    await terminal.close();
  },
});
