// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Reports to systemd that the service is ready, and that it makes progress: what
 * `Type=notify` and `WatchdogSec=` wait for.
 *
 * The messages are sent by `systemd-notify`, as Deno has no datagram socket for
 * them that is stable. They come from another process than the main one, so the
 * unit needs `NotifyAccess=all`.
 */

import type { GuardObserver } from "./_cli_observers.ts";
import { readVariable } from "./_cli_permissions.ts";
import { limitTime, startTimer, waitAtMost } from "./_timers.ts";

/** How long (ms) a message may take, and all that is unsent at the end. */
const SEND_MS = 5_000;

/** How long (ms) the reason of a failure is read for once systemd-notify has ended. */
const DRAIN_MS = 500;

const TOO_LATE = "systemd-notify takes too long";

/** What systemd has put into the environment. */
export interface SystemdEnvironment {
  /** The address of the messages; `undefined` if nobody waits for them. */
  socket: string | undefined;
  /** `WATCHDOG_USEC`: the longest time without a sign of life, in microseconds. */
  watchdogUsec: string | undefined;
  /** `WATCHDOG_PID`: which process the watchdog waits for. */
  watchdogPid: string | undefined;
}

/** Options of a {@linkcode SystemdNotifier}. */
export interface SystemdOptions {
  /** Called when the messages begin to fail, once until one succeeds. */
  onFailure: (message: string) => void;
  /**
   * The program that sends the messages.
   *
   * @default {"systemd-notify"}
   */
  command?: string;
}

/** Reads what systemd has set; `get` gives a variable of the environment. */
export function readEnvironment(
  get: (variable: string) => string | undefined = readVariable,
): SystemdEnvironment {
  return {
    socket: get("NOTIFY_SOCKET"),
    watchdogUsec: get("WATCHDOG_USEC"),
    watchdogPid: get("WATCHDOG_PID"),
  };
}

/**
 * Opens the way to systemd.
 *
 * @param options What to do if that fails.
 * @param environment What systemd has set; read from the environment.
 * @returns `undefined` if this is no service that notifies, or that cannot be known.
 */
export function openSystemd(
  options: SystemdOptions,
  environment: SystemdEnvironment = readEnvironment(),
): SystemdNotifier | undefined {
  const { socket, watchdogUsec, watchdogPid } = environment;
  if (!socket) return undefined;
  const isOurs = watchdogPid === undefined || watchdogPid === `${Deno.pid}`;
  const usec = isOurs && /^\d+$/.test(watchdogUsec ?? "")
    ? Number(watchdogUsec)
    : 0;
  return new SystemdNotifier(usec > 0 ? usec / 1_000 : Infinity, options);
}

/** Sends messages to systemd, in their order. None of them delays the command; the end waits for 5 s at most. */
export class SystemdNotifier implements GuardObserver {
  readonly #options: SystemdOptions;
  /** The least time (ms) between two signs of life. */
  readonly #every: number;
  #isReady = false;
  /** When the last sign of life was sent. */
  #lastTime = -Infinity;
  /** Resolves when all messages have been sent, or have failed. */
  #sent: Promise<void> = Promise.resolve();
  #unsent = 0;
  #isFailing = false;
  /** Aborts when the end has waited for long enough. */
  readonly #late = new AbortController();

  /**
   * @param watchdog The longest time (ms) without a sign of life; `Infinity` if
   * there is no watchdog.
   * @param options What to do if messages fail.
   */
  constructor(watchdog: number, options: SystemdOptions) {
    this.#every = watchdog / 4;
    this.#options = options;
  }

  /** The command runs. Only the first of several starts makes a service ready. */
  onStarted() {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#notify("READY=1");
  }

  /** There was a sign of life. */
  onProgress() {
    if (this.#every === Infinity || this.#unsent > 0) return;
    const now = Date.now();
    const elapsed = now - this.#lastTime;
    // a clock that was set back gives a negative time
    if (elapsed >= 0 && elapsed < this.#every) return;
    this.#lastTime = now;
    this.#notify("WATCHDOG=1");
  }

  /** The command has ended; resolves when that was sent, or cannot be. */
  async end(): Promise<void> {
    this.#notify("STOPPING=1");
    const cancelTimer = startTimer(() => this.#late.abort(), SEND_MS);
    await this.#sent;
    cancelTimer();
  }

  #notify(message: string) {
    this.#unsent++;
    this.#sent = this.#sent.then(async () => {
      const { command } = this.#options;
      const failure = await send(message, this.#late.signal, command);
      this.#unsent--;
      if (failure && !this.#isFailing) {
        this.#options.onFailure(`cannot notify systemd: ${failure}`);
      }
      this.#isFailing = failure !== undefined;
    });
  }
}

/** Sends a message, unless `late` aborts; returns why it could not be sent. */
async function send(
  message: string,
  late: AbortSignal,
  command = "systemd-notify",
): Promise<string | undefined> {
  if (late.aborted) return TOO_LATE;
  const { signal, end } = limitTime(SEND_MS, late);
  try {
    const child = new Deno.Command(command, {
      args: [message],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      signal,
    }).spawn();
    let text = "";
    const write = (part: string) => void (text += part);
    const read = child.stderr.pipeThrough(new TextDecoderStream())
      .pipeTo(new WritableStream({ write }), { signal })
      .catch(() => {});
    const { success, code } = await child.status;
    if (success) return undefined;
    if (signal.aborted) return TOO_LATE;
    await waitAtMost(read, DRAIN_MS);
    return text.trim() || `systemd-notify ended with exit code ${code}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    // what systemd-notify has started may keep its pipe open
    end();
  }
}
