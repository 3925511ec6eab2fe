// Copyright 2026 the heartbeat authors. MIT license.

/** Signs of life of a command that prints nothing: its CPU time, or a file that it writes. */

import { requirePermission } from "./_cli_permissions.ts";
import type { ProcessTree } from "./_process_tree.ts";
import { sleep } from "./_timers.ts";

/** What shows that a command is alive. */
export type AliveSource =
  | { readonly type: "cpu" }
  | { readonly type: "file"; readonly path: string };

/** Options of an {@linkcode AliveProbe}. */
export interface AliveProbeOptions {
  /** The longest silence (ms). It is looked at ten times in that time. */
  timeout: number;
  /** Called once when it cannot be looked at. */
  onFailure: (message: string) => void;
}

/** The most often and the least often (ms) that something is looked at. */
const MIN_PERIOD_MS = 100;
const MAX_PERIOD_MS = 5_000;
/** The share of a processor that is work. A process that waits uses some, too. */
const MIN_CPU_SHARE = 0.01;

/** Reads `--alive-if cpu|FILE`. A file of the name "cpu" is `./cpu`. */
export function parseAliveSource(text: string): AliveSource {
  return text === "cpu" ? { type: "cpu" } : { type: "file", path: text };
}

/**
 * Checks that `source` can be looked at. If not, no sign of life is seen, and a
 * healthy command is ended. A file need not be there yet.
 *
 * @throws {Error} If it cannot.
 */
export async function checkAliveSource(source: AliveSource) {
  try {
    if (source.type === "cpu") {
      await requirePermission({ name: "run" }, "--allow-run for all commands");
    } else {
      const { path } = source;
      await requirePermission({ name: "read", path }, "--allow-read");
      await readFileState(path);
    }
  } catch (error) {
    const text = source.type === "cpu" ? "cpu" : source.path;
    const { message } = error as Error;
    throw new Error(`cannot use --alive-if '${text}': ${message}`);
  }
}

/**
 * What changes when a file is written; `undefined` if there is none.
 *
 * @throws {Error} If it cannot be looked at.
 */
async function readFileState(path: string) {
  try {
    const { mtime, size, ino } = await Deno.stat(path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Looks at a command regularly, and reports when something has changed. */
export class AliveProbe {
  readonly #source: AliveSource;
  readonly #options: AliveProbeOptions;
  readonly #period: number;
  #hasFailed = false;

  constructor(source: AliveSource, options: AliveProbeOptions) {
    this.#source = source;
    this.#options = options;
    this.#period = Math.min(
      Math.max(options.timeout / 10, MIN_PERIOD_MS),
      MAX_PERIOD_MS,
    );
  }

  /**
   * Watches one run of the command.
   *
   * @param tree The command's processes.
   * @param onAlive Called for each sign of life.
   * @param ended Resolves when the command has ended.
   */
  async watch(
    tree: Pick<ProcessTree, "readCpuTime">,
    onAlive: () => void,
    ended: Promise<void>,
  ) {
    const end = new AbortController();
    ended.then(() => end.abort());
    let before = await this.#look(tree);
    for (;;) {
      await sleep(this.#period, end.signal);
      if (end.signal.aborted) return;
      const now = await this.#look(tree);
      if (end.signal.aborted) return;
      if (this.#isProgress(before, now)) onAlive();
      if (now === undefined && before === undefined) this.#onUnknown();
      before = now;
    }
  }

  #isProgress(
    before: number | string | undefined,
    now: number | string | undefined,
  ) {
    if (now === undefined) return false;
    if (typeof now === "string") return now !== before;
    // it falls when a process ends, as its time goes with it
    return typeof before === "number" &&
      now - before >= this.#period * MIN_CPU_SHARE;
  }

  async #look(tree: Pick<ProcessTree, "readCpuTime">) {
    if (this.#source.type === "file") return this.#readFile(this.#source.path);
    return await tree.readCpuTime();
  }

  async #readFile(path: string) {
    try {
      return await readFileState(path);
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }

  /** Two looks have found nothing. A file may still be written. */
  #onUnknown() {
    if (this.#source.type === "cpu") this.#fail("its CPU time is unknown");
  }

  #fail(why: string) {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.onFailure(`cannot see whether the command is alive: ${why}`);
  }
}
