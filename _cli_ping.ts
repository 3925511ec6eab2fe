// Copyright 2026 the heartbeat authors. MIT license.

/** Pings a dead man's switch, which raises an alarm when the pings stop. */

import type { GuardObserver, RunEnd } from "./_cli_observers.ts";
import { parseDuration, UsageError } from "./_cli_values.ts";
import { describeRequestFailure } from "./_request_failure.ts";
import { limitTime, sleep } from "./_timers.ts";

/** How long (ms) a request may take. */
const REQUEST_MS = 5_000;
/** How often a request that failed is tried again. */
const RETRIES = 2;
/** How long (ms) a request that failed waits for its next try: what is away for a moment comes back. */
const PAUSE_MS = 1_000;

/** What is pinged, and how. */
export interface PingSettings {
  /** The URL of the check. Whoever has it can ping, so it is never printed. */
  url: string;
  /** The least time (ms) between two pings. */
  every: number;
  /**
   * Whether the service takes a GET of the URL and nothing else. If not, it is
   * one of the protocol of healthchecks.io.
   */
  isPlain: boolean;
}

/** Options of a {@linkcode Pinger}. */
export interface PingerOptions extends PingSettings {
  /** Called when the pings begin to fail, once until one succeeds. */
  onFailure: (message: string) => void;
  /**
   * How long (ms) a request that failed waits for its next try.
   *
   * @default {1000}
   */
  pause?: number;
}

/** What is wrong with the URL of a check, `undefined` if nothing is. */
export function checkPingUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (url?.protocol === "https:" || url?.protocol === "http:") return undefined;
  return "it must be a URL, as in https://hc-ping.com/UUID";
}

/** The options for pings, as they were given. */
interface PingFlags {
  ping?: string;
  "ping-every"?: string;
  "ping-plain"?: unknown;
}

/**
 * Reads the options for pings.
 *
 * @returns `undefined` if there are none.
 * @throws {UsageError} If they are wrong, or the URL is missing.
 */
export function readPing(flags: PingFlags): PingSettings | undefined {
  const { ping: url, "ping-every": every, "ping-plain": isPlain } = flags;
  if (url === undefined) {
    if (every === undefined && !isPlain) return undefined;
    const given = isPlain ? "ping-plain" : "ping-every";
    throw new UsageError(
      `missing --ping URL: --${given} needs it, as in --ping https://hc-ping.com/UUID`,
    );
  }
  const problem = checkPingUrl(url);
  // the value is a secret, so it is not shown
  if (problem) throw new UsageError(`invalid value for --ping: ${problem}`);
  return {
    url,
    every: parseDuration("ping-every", every ?? "1m", false),
    isPlain: isPlain === true,
  };
}

/**
 * Pings while signs of life come, and when the command starts and ends. A ping
 * never delays the command and never fails it.
 *
 * By the protocol of healthchecks.io these are `URL/start`, `URL` for progress
 * and `URL/CODE` for the end, with the id of the run.
 */
export class Pinger implements GuardObserver {
  readonly #options: PingerOptions;
  readonly #runId: string = crypto.randomUUID();
  /** When the last ping was asked for. */
  #lastTime = -Infinity;
  /** Resolves when all pings have been sent, or have failed. */
  #sent: Promise<void> = Promise.resolve();
  #unsent = 0;
  #isFailing = false;
  /** Aborts when the end is asked for: what came before is not tried again then. */
  #ending = new AbortController();
  /** Aborts when it is to end at once. */
  readonly #stopper = new AbortController();

  constructor(options: PingerOptions) {
    this.#options = options;
  }

  /** The command starts. */
  start() {
    if (!this.#options.isPlain) this.#ping("/start");
  }

  /** There was a sign of life. */
  onProgress() {
    const now = Date.now();
    const elapsed = now - this.#lastTime;
    // a clock that was set back gives a negative time
    if (this.#unsent > 0 || elapsed >= 0 && elapsed < this.#options.every) {
      return;
    }
    this.#lastTime = now;
    this.#ping("");
  }

  /** The command has ended; resolves when that was sent, or cannot be. */
  async end({ code, killNow }: Omit<RunEnd, "isPlanned">): Promise<void> {
    this.#ending.abort();
    const ending = this.#ending = new AbortController();
    const stop = () => {
      this.#stopper.abort();
      ending.abort();
    };
    killNow.addEventListener("abort", stop, { once: true });
    if (killNow.aborted) stop();
    if (!this.#options.isPlain) this.#ping(`/${code}`);
    else if (code === 0) this.#ping("");
    await this.#sent;
    killNow.removeEventListener("abort", stop);
  }

  #ping(path: string) {
    const { signal } = this.#ending;
    this.#unsent++;
    this.#sent = this.#sent.then(async () => {
      await this.#send(this.#getUrl(path), signal);
      this.#unsent--;
    });
  }

  #getUrl(path: string) {
    const url = new URL(this.#options.url);
    if (this.#options.isPlain) return url;
    url.pathname = url.pathname.replace(/\/$/, "") + path;
    url.searchParams.set("rid", this.#runId);
    return url;
  }

  /** Sends a request, again if it fails, until `outdated` aborts. */
  async #send(url: URL, outdated: AbortSignal) {
    const { pause = PAUSE_MS } = this.#options;
    const { signal } = this.#stopper;
    if (signal.aborted) return;
    let failure = await this.#request(url);
    for (let n = 0; failure !== undefined && n < RETRIES; n++) {
      await sleep(pause, outdated);
      if (outdated.aborted) break;
      failure = await this.#request(url);
    }
    if (failure === undefined) this.#isFailing = false;
    else if (!this.#isFailing && !signal.aborted) {
      this.#isFailing = true;
      this.#options.onFailure(`cannot ping ${url.host}: ${failure}`);
    }
  }

  /** Why a request failed, without its URL; `undefined` if it did not. */
  async #request(url: URL): Promise<string | undefined> {
    const { signal, end } = limitTime(REQUEST_MS, this.#stopper.signal);
    try {
      const response = await fetch(url, { signal });
      await response.body?.cancel();
      return response.ok ? undefined : `the answer was ${response.status}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) {
        return "it needs --allow-net";
      }
      // when the requests were stopped, nobody reports this
      return signal.aborted
        ? `no answer for ${REQUEST_MS / 1_000} s`
        : describeRequestFailure(error);
    } finally {
      end();
    }
  }
}
