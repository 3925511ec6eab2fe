// Copyright 2026 the heartbeat authors. MIT license.

/** How a run of the command line is ended from outside: by signals and by its deadline. */

import type { ProcessTree } from "./_process_tree.ts";
import { startTimer } from "./_timers.ts";

/** The signals that end a run, by their numbers. */
const ENDING = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/** The signals that a running command gets: it decides what they mean. */
const FORWARDED = ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/** What ends within so many ms of a SIGHUP was ended by it. */
const HANGUP_MS = 5_000;

/** How long a killed command may take to end (ms) before it is left behind. */
const KILLED_MS = 200;

type EndingSignal = keyof typeof ENDING;

type ForwardedSignal = typeof FORWARDED[number];

/** The reason of an abort by a signal. */
export interface Interruption {
  readonly signal: EndingSignal;
}

/** What a {@linkcode Shutdown} needs to know. */
export interface ShutdownOptions {
  /** The longest run (ms); `Infinity` for no limit. */
  runtime: number;
  /** How long the end may take (ms), by what began it; `Infinity` for ever. */
  grace: { expired: number; interrupted: number };
  /** Whether a command runs: it gets the signals that do not end the run. */
  hasCommand: boolean;
  /** Called when the deadline ends the run. */
  onDeadline: () => void;
}

/** What a signal is forwarded to. */
export type CommandTree = Pick<ProcessTree, "send">;

/**
 * Ends a run by signals and by its deadline.
 *
 * | phase | `onSignal()` | the deadline | the grace has passed |
 * | --- | --- | --- | --- |
 * | `running` | → `interrupted`, `signal` aborts | → `expired`, `signal` aborts | |
 * | `expired` | → `interrupted` | | `killNow` aborts |
 * | `interrupted` | `killNow` aborts | | `killNow` aborts |
 * | `settled` | `killNow` aborts | | `killNow` aborts |
 *
 * `settle()` leads to `settled` from each other phase: the exit code is known, and
 * only what follows the run is waited for.
 *
 * `SIGHUP`, `SIGUSR1` and `SIGUSR2` are not in the table while a command runs: it
 * gets them, and the run goes on until it ends. While none runs, `SIGHUP` is as
 * any other signal, and the other two do nothing.
 */
export class Shutdown {
  /** Aborts when the run is to end; the reason of a signal is an {@linkcode Interruption}. */
  readonly signal: AbortSignal;
  /** Aborts when the end has taken too long: nothing is waited for any more. */
  readonly killNow: AbortSignal;
  #phase: "running" | "expired" | "interrupted" | "settled" = "running";
  #options: ShutdownOptions;
  #asker = new AbortController();
  #killer = new AbortController();
  #exitCode = 0;
  #command: CommandTree | undefined;
  /** When a command got SIGHUP last. */
  #hangupTime = -Infinity;

  constructor(options: ShutdownOptions) {
    this.#options = options;
    this.signal = this.#asker.signal;
    this.killNow = this.#killer.signal;
  }

  /** `expired` if the deadline ended the run, `interrupted` if a signal did, `settled` once it is over. */
  get phase(): "running" | "expired" | "interrupted" | "settled" {
    return this.#phase;
  }

  /** Whether a command got SIGHUP lately: the terminal was closed, so its end is meant. */
  get isHungUp(): boolean {
    return Date.now() - this.#hangupTime < HANGUP_MS;
  }

  /** The exit code of this process, if what it ran has ended with `code`. */
  toExitCode(code: number): number {
    switch (this.#phase) {
      case "running":
        return code;
      case "expired":
        return 124;
      case "interrupted":
      case "settled":
        return this.#exitCode;
    }
  }

  /** What ran has ended with `code`. Returns the exit code of this process, which nothing changes any more. */
  settle(code: number): number {
    this.#exitCode = this.toExitCode(code);
    this.#phase = "settled";
    return this.#exitCode;
  }

  /** Resolves to 0 when what was killed has had its time to end. */
  waitForKill(): Promise<number> {
    return new Promise((resolve) => {
      const onKill = () => startTimer(() => resolve(0), KILLED_MS);
      this.killNow.addEventListener("abort", onKill, { once: true });
    });
  }

  /** A command was started, and gets signals until `ended` resolves. */
  onCommandStarted(command: CommandTree, ended: Promise<void>) {
    this.#command = command;
    ended.then(() => {
      if (this.#command === command) this.#command = undefined;
    });
  }

  /** Starts the clock, and listens to the signals of this process. */
  listen() {
    startTimer(() => this.#onDeadline(), this.#options.runtime);
    for (const name of this.#listSignals()) {
      Deno.addSignalListener(name, () => this.onSignal(name));
    }
  }

  #listSignals(): (EndingSignal | ForwardedSignal)[] {
    if (Deno.build.os === "windows") return ["SIGINT"];
    const ending = Object.keys(ENDING) as EndingSignal[];
    return this.#options.hasCommand
      ? [...new Set([...ending, ...FORWARDED])]
      : ending;
  }

  /** A signal came. */
  onSignal(name: EndingSignal | ForwardedSignal) {
    const isForwarded = FORWARDED.some((forwarded) => forwarded === name);
    if (isForwarded && this.#command) {
      if (name === "SIGHUP") this.#hangupTime = Date.now();
      return this.#command.send(name);
    }
    if (name === "SIGUSR1" || name === "SIGUSR2") return;
    if (this.#phase === "interrupted" || this.#phase === "settled") {
      return this.#killer.abort(new Error(`ended at once by ${name}`));
    }
    this.#exitCode = 128 + ENDING[name];
    this.#end("interrupted", { signal: name });
  }

  #onDeadline() {
    if (this.#phase !== "running") return;
    this.#options.onDeadline();
    this.#end("expired", new DOMException("Signal timed out.", "TimeoutError"));
  }

  #end(phase: "expired" | "interrupted", reason: unknown) {
    this.#phase = phase;
    this.#asker.abort(reason);
    startTimer(() => this.#killer.abort(), this.#options.grace[phase]);
  }
}
