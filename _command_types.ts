// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { GroupLeader, ProcessSystem } from "./_process_tree.ts";

/** The name of a signal. Which of them exist depends on the operating system. */
export type CommandSignal =
  | "SIGABRT"
  | "SIGALRM"
  | "SIGBREAK"
  | "SIGBUS"
  | "SIGCHLD"
  | "SIGCONT"
  | "SIGEMT"
  | "SIGFPE"
  | "SIGHUP"
  | "SIGILL"
  | "SIGINFO"
  | "SIGINT"
  | "SIGIO"
  | "SIGKILL"
  | "SIGPIPE"
  | "SIGPOLL"
  | "SIGPROF"
  | "SIGPWR"
  | "SIGQUIT"
  | "SIGSEGV"
  | "SIGSTKFLT"
  | "SIGSTOP"
  | "SIGSYS"
  | "SIGTERM"
  | "SIGTRAP"
  | "SIGTSTP"
  | "SIGTTIN"
  | "SIGTTOU"
  | "SIGUNUSED"
  | "SIGURG"
  | "SIGUSR1"
  | "SIGUSR2"
  | "SIGVTALRM"
  | "SIGWINCH"
  | "SIGXCPU"
  | "SIGXFSZ";

/** A chunk of a command's output. */
export interface CommandOutput {
  /** Where the command wrote it. */
  from: "stdout" | "stderr";
  /** What it wrote. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** How a process ended. */
export interface ExitStatus {
  /** The exit code; 128 + n if a signal n ended it. */
  code: number;
  /** The signal that ended it, if one did. */
  signal: CommandSignal | null;
}

/** What is needed to start a process. */
export interface SpawnOptions {
  /** The arguments. */
  args: string[];
  /** The working directory; that of this process if `undefined`. */
  cwd: string | URL | undefined;
  /** Environment variables, besides those of this process. */
  env: Record<string, string> | undefined;
  /** What it reads. */
  stdin: "inherit" | "null" | "piped";
}

/** A process, as a runtime starts it: the leader of a process group in a session of its own. */
export interface RunningProcess extends GroupLeader {
  /** Resolves once it has ended and was reaped; never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** What it writes to its standard output. */
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What it writes to its standard error. */
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What it reads, if that is piped. Writing what is not bytes rejects with a `TypeError`. */
  readonly stdin: WritableStream<Uint8Array> | undefined;
}

/** Processes by a runtime. */
export interface ProcessRuntime {
  /** Starts a process; rejects with the runtime's own error if that fails. */
  spawn(
    command: string | URL,
    options: SpawnOptions,
  ): Promise<RunningProcess>;
  /** The processes of this machine. */
  readonly system: ProcessSystem;
}
