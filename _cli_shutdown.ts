// Copyright 2026 the heartbeat authors. MIT license.

/** How a run of the command line is ended from outside: by signals and by its deadline. */

import { startTimer } from "./_timers.ts";

/** The signals that end a run, by their numbers. */
const ENDING = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/** The signals that go to the command: it decides what they mean. */
const FORWARDED = ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

type EndingSignal = keyof typeof ENDING;

/** A signal that goes to the command, if there is one. */
export type ForwardedSignal = typeof FORWARDED[number];

/** The reason of an abort by a signal. */
export interface Interruption {
  readonly signal: EndingSignal;
}

/** What a {@linkcode Shutdown} needs to know. */
export interface ShutdownOptions {
  /** The longest run (ms); `Infinity` for no limit. */
  runtime: number;
  /** How long the end may take (ms); `Infinity` for ever. */
  grace: number;
  /**
   * Sends a signal to the command; returns whether one runs. If it is absent,
   * `SIGHUP` ends the run, and the other two are left to the platform.
   */
  forward?: ((signal: ForwardedSignal) => boolean) | undefined;
}

/**
 * Ends a run by signals and by its deadline.
 *
 * | phase | `onSignal()` | the deadline | the grace has passed |
 * | --- | --- | --- | --- |
 * | `running` | → `interrupted`, `signal` aborts | → `expired`, `signal` aborts | |
 * | `expired` | → `interrupted` | | `killNow` aborts |
 * | `interrupted` | `killNow` aborts | | `killNow` aborts |
 *
 * A signal that the command gets is not in the table: it changes nothing here.
 */
export class Shutdown {
  /** Aborts when the run is to end; the reason of a signal is an {@linkcode Interruption}. */
  readonly signal: AbortSignal;
  /** Aborts when the end has taken too long: nothing is waited for any more. */
  readonly killNow: AbortSignal;
  #phase: "running" | "expired" | "interrupted" = "running";
  #options: ShutdownOptions;
  #asker = new AbortController();
  #killer = new AbortController();
  #exitCode: number | undefined;

  constructor(options: ShutdownOptions) {
    this.#options = options;
    this.signal = this.#asker.signal;
    this.killNow = this.#killer.signal;
  }

  /** `expired` if the deadline ended the run, `interrupted` if a signal did. */
  get phase(): "running" | "expired" | "interrupted" {
    return this.#phase;
  }

  /** The exit code of an interrupted run. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Starts the clock, and listens to the signals of this process. */
  listen() {
    startTimer(() => this.#onDeadline(), this.#options.runtime);
    const names: (EndingSignal | ForwardedSignal)[] =
      Deno.build.os === "windows"
        ? ["SIGINT"]
        : Object.keys(ENDING) as EndingSignal[];
    if (this.#options.forward && Deno.build.os !== "windows") {
      names.push("SIGUSR1", "SIGUSR2");
    }
    for (const name of names) {
      Deno.addSignalListener(name, () => this.onSignal(name));
    }
  }

  /** A signal came. */
  onSignal(name: EndingSignal | ForwardedSignal) {
    const forwarded = FORWARDED.find((signal) => signal === name);
    if (forwarded && this.#options.forward?.(forwarded)) return;
    if (name === "SIGUSR1" || name === "SIGUSR2") return;
    if (this.#phase === "interrupted") {
      return this.#killer.abort(new Error(`a second ${name}`));
    }
    this.#exitCode = 128 + ENDING[name];
    this.#end("interrupted", { signal: name });
  }

  #onDeadline() {
    if (this.#phase !== "running") return;
    this.#end("expired", new DOMException("Signal timed out.", "TimeoutError"));
  }

  #end(phase: "expired" | "interrupted", reason: unknown) {
    const isFirst = this.#phase === "running";
    this.#phase = phase;
    this.#asker.abort(reason);
    if (isFirst) startTimer(() => this.#killer.abort(), this.#options.grace);
  }
}
