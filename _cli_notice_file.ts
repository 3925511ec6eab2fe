// Copyright 2026 the heartbeat authors. MIT license.

/** The file of the notices. It may be a pipe that nobody reads: nothing waits for it for long. */

import { type OutputStream, writeAll } from "./_cli_output.ts";
import { sleep, waitAtMost } from "./_timers.ts";

/** How long (ms) it may take to open the file. */
const OPEN_MS = 2_000;
/** How long (ms) the last lines may take. */
const FLUSH_MS = 1_000;

const encoder = new TextEncoder();

/** A file to which lines are appended. */
export class NoticeFile {
  readonly #stream: Pick<OutputStream, "write">;
  /** Resolves when all lines have been written, or cannot be. */
  #written = Promise.resolve();

  /** @param stream The file. */
  constructor(stream: Pick<OutputStream, "write">) {
    this.#stream = stream;
  }

  /** Appends a line. */
  append(line: string) {
    this.#written = this.#written
      .then(() => writeAll(this.#stream, encoder.encode(`${line}\n`)))
      .catch(() => {});
  }

  /** Resolves when all lines have been written, or take too long. */
  flush(): Promise<void> {
    return waitAtMost(this.#written, FLUSH_MS);
  }
}

/**
 * Opens the file of the notices.
 *
 * @throws {Error} If it cannot be opened; the message says why.
 */
export async function openNotices(path: string): Promise<NoticeFile> {
  const opened = new AbortController();
  try {
    const file = await Promise.race([
      Deno.open(path, { append: true, create: true }),
      sleep(OPEN_MS, opened.signal),
    ]);
    if (file) return new NoticeFile(file);
  } catch (error) {
    throw createError(path, (error as Error).message);
  } finally {
    opened.abort();
  }
  throw createError(
    path,
    "it takes too long to open, as a pipe does that nobody reads",
  );
}

function createError(path: string, why: string) {
  return new Error(`cannot write notices to '${path}': ${why}`);
}
