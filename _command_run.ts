// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { CommandError } from "./_command_error.ts";
import { feedInput } from "./_command_input.ts";
import type {
  CommandOutput,
  CommandSignal,
  ExitStatus,
  RunningProcess,
} from "./_command_types.ts";
import { MergedOutput } from "./_merged_output.ts";
import type { ProcessTree } from "./_process_tree.ts";
import { startTimer } from "./_timers.ts";

/** What is used of a process tree. */
type EndableTree = Pick<ProcessTree, "terminate" | "killNow" | "leaderEnded">;

/** What a {@linkcode CommandRun} is given, checked. */
export interface CommandRunOptions {
  /** The command, as an error names it. */
  command: string;
  /** Written to the command, if its input is piped. */
  input: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Asks the command to end. */
  signal: AbortSignal | undefined;
  /** Aborts when nobody wants the output any more. */
  stopped: AbortSignal;
  /** The signal that asks the command to end. */
  killSignal: CommandSignal | ((reason: unknown) => CommandSignal);
  /** How long the tree may take to end after that, in milliseconds. */
  killAfter: number;
  /**
   * How long (ms) more output is waited for once the command has ended by itself.
   *
   * @default {killAfter}
   */
  exitWait?: number | undefined;
}

/** Key of a private option of `startCommand()`, for the command line. */
export const EXIT_WAIT: unique symbol = Symbol("exitWait");

/** See {@linkcode EXIT_WAIT}. */
export interface ExitWaitOption {
  /** See {@linkcode CommandRunOptions.exitWait}. */
  [EXIT_WAIT]?: number;
}

/** How long (ms) more output is waited for once the tree has ended: a process that left it may still print. */
const DRAIN_MS = 500;
/** How many bytes of output are delivered then. It is more than a pipe holds, so nothing of the tree is lost. */
const DRAIN_BYTES = 2 ** 20;
/** How much (ms) one wait counts at most, because this process may have been stopped meanwhile. */
const MAX_DRAIN_STEP_MS = 100;

/**
 * Where a run is in its life.
 *
 * - `running`: the command runs.
 * - `exited`: it has ended by itself; what it started may still print.
 * - `terminating`: it was asked to end, and its output is delivered.
 * - `draining`: its tree has ended after that; what is left is delivered.
 * - `failed`: the results end with an error, at once.
 * - `stopped`: nobody wants the results.
 * - `ended`: the command has ended by itself, and its output was delivered.
 */
type Phase =
  | { type: "running" | "terminating" | "stopped" | "ended" }
  | { type: "exited"; status: ExitStatus }
  | { type: "draining"; ms: number; bytes: number }
  | { type: "failed"; error: unknown };

/**
 * One run of a command: delivers its output, and ends its process tree.
 *
 * | phase | the command exits | its output ends | `signal` aborts | `stopped` aborts | a pipe or the input errors | the tree has ended |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `running` | → `exited` | | → `terminating`: terminate the tree | → `stopped`: terminate the tree | → `failed`: terminate the tree | |
 * | `exited` | | → `ended`: close, or error with a `CommandError` | → `terminating`: terminate the tree | → `stopped`: terminate the tree | → `failed`: terminate the tree | |
 * | `terminating` | | | | → `stopped`: kill the tree | → `failed`: kill the tree | → `draining` |
 * | `draining` | | close | | → `stopped` | → `failed` | |
 * | `failed`, `stopped` | | | kill the tree | kill the tree | kill the tree | |
 * | `ended` | | | | | | |
 *
 * In `exited`, output that nobody prints to for `exitWait` counts as ended; in
 * `draining`, output that has used up what it is granted. Asked for the reason
 * for which it was asked already, the tree is not killed. If `killSignal` fails,
 * an abort leads to `failed`.
 */
export class CommandRun {
  #phase: Phase = { type: "running" };
  readonly #tree: EndableTree;
  readonly #options: CommandRunOptions;
  readonly #output: MergedOutput;
  #termination: { reason: unknown; ended: Promise<void> } | undefined;
  /** Ends a wait for an event. */
  #wake = () => {};
  readonly #abortListener = () => this.#onAbort();

  /**
   * @param process The command.
   * @param tree What it leads.
   * @param options How to run and end it.
   */
  constructor(
    process: RunningProcess,
    tree: EndableTree,
    options: CommandRunOptions,
  ) {
    this.#tree = tree;
    this.#options = options;
    this.#output = new MergedOutput(process, {
      onChange: () => this.#wake(),
      onError: (error) => this.#onError(error),
    });
    process.exited.then((status) => this.#onExited(status));
    if (options.input && process.stdin) {
      feedInput(options.input, process.stdin.getWriter())
        .catch((error) => this.#onError(error));
    }
    const { signal, stopped } = options;
    signal?.addEventListener("abort", this.#abortListener, { once: true });
    stopped.addEventListener("abort", () => this.#onStopped(), { once: true });
    if (signal?.aborted) this.#onAbort();
    if (stopped.aborted) this.#onStopped();
  }

  /** The output, to its end. */
  async *deliver(): AsyncGenerator<CommandOutput> {
    try {
      while (!this.#hasEnded()) {
        const chunk = this.#output.take();
        if (!chunk) {
          await this.#waitForEvent();
          continue;
        }
        yield chunk;
        if (this.#phase.type === "draining") {
          this.#phase.bytes -= chunk.bytes.length;
        }
      }
      this.#throwFailure();
    } finally {
      this.#output.close();
      this.#options.input?.cancel().catch(() => {});
      if (!this.#termination) this.#end();
    }
  }

  /** Resolves when the tree has ended, if it was asked to. */
  async waitForTree() {
    if (!this.#termination) return;
    await this.#termination.ended;
    await this.#tree.leaderEnded;
  }

  #onExited(status: ExitStatus) {
    if (this.#phase.type === "running") {
      this.#phase = { type: "exited", status };
    }
    this.#wake();
  }

  #onAbort() {
    switch (this.#phase.type) {
      case "running":
      case "exited":
        this.#phase = { type: "terminating" };
    }
    this.#terminate(this.#options.signal!.reason);
  }

  #onStopped() {
    if (this.#phase.type !== "failed") this.#phase = { type: "stopped" };
    this.#terminate(this.#options.stopped.reason);
  }

  #onError(error: unknown) {
    switch (this.#phase.type) {
      case "ended":
        return;
      case "running":
      case "exited":
      case "terminating":
      case "draining":
        this.#phase = { type: "failed", error };
    }
    this.#terminate(error);
  }

  #onTreeEnded() {
    this.#removeListener();
    if (this.#phase.type === "terminating") {
      this.#phase = { type: "draining", ms: DRAIN_MS, bytes: DRAIN_BYTES };
    }
    this.#wake();
  }

  /** Asks the tree to end; asked for another reason, it is killed. */
  #terminate(reason: unknown) {
    if (!this.#termination) {
      const ended = this.#askTree(reason).then(() => this.#onTreeEnded());
      this.#termination = { reason, ended };
    } else if (reason !== this.#termination.reason) {
      this.#tree.killNow();
    }
    this.#wake();
  }

  #askTree(reason: unknown) {
    const { killSignal, killAfter } = this.#options;
    try {
      const signal = typeof killSignal === "function"
        ? killSignal(reason)
        : killSignal;
      return this.#tree.terminate(signal, killAfter);
    } catch (error) {
      if (this.#phase.type === "terminating") {
        this.#phase = { type: "failed", error };
      }
      return this.#tree.terminate("SIGTERM", killAfter);
    }
  }

  #hasEnded() {
    const phase = this.#phase;
    switch (phase.type) {
      case "running":
      case "terminating":
        return false;
      case "exited":
        return !this.#output.isOpen;
      case "draining":
        return !this.#output.isOpen || phase.ms <= 0 || phase.bytes <= 0;
      default:
        return true;
    }
  }

  /** Waits until something happens, or the output counts as ended. */
  async #waitForEvent() {
    // a wait that began before the phase did is not part of it
    const phase = this.#phase;
    const limit = this.#getWaitLimit();
    const start = Date.now();
    const isTimeout = await new Promise<boolean>((resolve) => {
      const cancelTimer = startTimer(() => resolve(true), limit);
      this.#wake = () => {
        cancelTimer();
        resolve(false);
      };
    });
    if (phase.type === "draining") {
      // the clock may have been set back
      phase.ms -= Math.min(Math.max(Date.now() - start, 0), limit);
    } else if (isTimeout) {
      this.#output.close();
    }
  }

  #getWaitLimit() {
    switch (this.#phase.type) {
      case "exited":
        return this.#options.exitWait ?? this.#options.killAfter;
      case "draining":
        return Math.min(this.#phase.ms, MAX_DRAIN_STEP_MS);
      default:
        return Infinity;
    }
  }

  #throwFailure() {
    if (this.#phase.type === "failed") throw this.#phase.error;
    if (this.#phase.type !== "exited") return;
    const { status } = this.#phase;
    if (status.code !== 0) {
      throw new CommandError(this.#options.command, status);
    }
  }

  #end() {
    this.#phase = { type: "ended" };
    this.#removeListener();
  }

  #removeListener() {
    this.#options.signal?.removeEventListener("abort", this.#abortListener);
  }
}
