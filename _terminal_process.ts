// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Processes that write to a terminal of their own, by `script` of util-linux:
 * many programs print no colours and no progress, and print in blocks instead
 * of lines, if their output is no terminal.
 *
 * @module
 */

import type {
  ProcessRuntime,
  RunningProcess,
  SpawnOptions,
} from "./_command_types.ts";

/** Key of a private option of `startCommand()`, for the command line. */
export const IN_TERMINAL: unique symbol = Symbol("inTerminal");

/** The size of a terminal. */
export interface TerminalSize {
  columns: number;
  rows: number;
}

/** See {@linkcode IN_TERMINAL}. */
export interface TerminalOption {
  /** Runs the command in a terminal of this size. */
  [IN_TERMINAL]?: TerminalSize | undefined;
}

/** Printed instead of a process id when there is no `script`, or the command cannot be run. */
const NO_SCRIPT = "no-script";
const NO_COMMAND = "no-command";

/**
 * Starts `script`, which runs its command by `$SHELL`: that may be no POSIX
 * shell, and the command gets back the one that there was. A command that has
 * input reads it itself: `script` would type it into the terminal, which repeats
 * it, changes bytes and cuts long lines.
 */
const START_SCRIPT = `
command -v script >/dev/null || { echo ${NO_SCRIPT}; exit; }
export HEARTBEAT_SHELL="\${SHELL-}" SHELL=/bin/sh
if [ /dev/stdin -ef /dev/null ]; then exec script -qefc "$1" /dev/null; fi
exec script -qefc "$1 <&3 3<&-" /dev/null 3<&0 </dev/null`;
const RESTORE_SHELL =
  'if [ "$HEARTBEAT_SHELL" ]; then SHELL=$HEARTBEAT_SHELL; else unset SHELL; fi; unset HEARTBEAT_SHELL';

/** More than the line with a process id takes. */
const MAX_LINE_BYTES = 64;
const LINE_FEED = 10;

/** A word of a POSIX shell. */
function quote(text: string) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Ends the shell if the command is no file that can be run. A name without a path is built in. */
function writeCheck(command: string) {
  const find = `found=$(command -v ${quote(command)})`;
  const check = 'case $found in */*) [ -f "$found" ] && [ -x "$found" ];; esac';
  return `(${find} && ${check}) || { echo ${NO_COMMAND}; exit; }`;
}

/**
 * What the shell in the terminal does: it prints its process id and becomes the
 * command. The terminal changes no line end.
 */
function writeScript(words: string[], { columns, rows }: TerminalSize) {
  const stty = `stty -onlcr -echo cols ${columns} rows ${rows} 2>/dev/null`;
  const command = words.map(quote).join(" ");
  return `${RESTORE_SHELL}; ${stty}; ${
    writeCheck(words[0]!)
  }; echo $$; exec ${command}`;
}

/**
 * Reads the first line, the id of the process in the terminal. It leads a
 * session of its own, so it is the process to signal, and not `script`. Gives why
 * there is none if it could not be started.
 */
async function readLeader({ pid, stdout, stderr, exited }: RunningProcess) {
  const reader = stdout.getReader();
  let bytes = new Uint8Array(0);
  let end = -1;
  while (end < 0 && bytes.length < MAX_LINE_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes = new Uint8Array([...bytes, ...value]);
    end = bytes.indexOf(LINE_FEED);
  }
  const line = new TextDecoder().decode(bytes.subarray(0, end + 1)).trim();
  if (line === NO_SCRIPT || line === NO_COMMAND) {
    await Promise.all([reader.cancel(), stderr.cancel(), exited]);
    return line;
  }
  const isId = /^\d+$/.test(line);
  const rest = isId ? bytes.subarray(end + 1) : bytes;
  return {
    pid: isId ? Number(line) : pid,
    stdout: prepend(rest, reader),
  };
}

/** A stream of the bytes, and then of what the reader gives. */
function prepend(
  bytes: Uint8Array<ArrayBuffer>,
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
) {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/**
 * Runs processes in a terminal. All that they print comes from `stdout`, and a
 * process that a signal has ended has the exit code 128 + n.
 *
 * @param runtime Starts `script`.
 * @param size The size of the terminal.
 */
export function openTerminalRuntime(
  runtime: ProcessRuntime,
  size: TerminalSize,
): ProcessRuntime {
  async function spawn(command: string | URL, options: SpawnOptions) {
    const path = command instanceof URL
      ? decodeURIComponent(command.pathname)
      : command;
    const script = writeScript([path, ...options.args], size);
    const process = await runtime.spawn("sh", {
      ...options,
      args: ["-c", START_SCRIPT, "sh", script],
    });
    const leader = await readLeader(process);
    if (leader === NO_SCRIPT) {
      throw new Error("a terminal needs 'script' of util-linux");
    }
    // fails, and says why
    if (leader === NO_COMMAND) return runtime.spawn(command, options);
    return { ...process, ...leader };
  }
  return { spawn, system: runtime.system };
}
