// Copyright 2026 the heartbeat authors. MIT license.

/** What the command line writes: bytes that it passes on, and lines of its own. */

import type { Settings } from "./_cli_args.ts";
import type { NoticeFile } from "./_cli_notice_file.ts";
import { UsageError } from "./_cli_values.ts";
import { escapeText } from "./_escape_text.ts";
import { startTimer } from "./_timers.ts";

/** The output cannot be written. The cause says why. */
export class OutputError extends Error {}

/** Standard output or standard error. */
export interface OutputStream {
  /** Writes some of the bytes; resolves to how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Whether a terminal shows it. */
  isTerminal(): boolean;
}

/** The two output streams of a process, such as `Deno`. */
export interface OutputStreams {
  /** Standard output. */
  readonly stdout: OutputStream;
  /** Standard error. */
  readonly stderr: OutputStream;
}

const LINE_FEED = 10;
const SIGPIPE = 13;
/** How long (ms) a stream is left alone that is full, and does not block. */
const FULL_MS = 10;

const encoder = new TextEncoder();

/** The notices that `--quiet` leaves: errors, and what was asked for. */
const ERRORS = [
  "stalled",
  "failed",
  "deadline",
  "error",
  "stats",
  "summary",
];

/** Writes some of the bytes, none if another process made the stream one that does not block. */
async function writeSome(
  stream: Pick<OutputStream, "write">,
  bytes: Uint8Array,
) {
  try {
    return await stream.write(bytes);
  } catch (error) {
    if (!(error instanceof Deno.errors.WouldBlock)) throw error;
    await new Promise<void>((resolve) => startTimer(resolve, FULL_MS));
    return 0;
  }
}

/**
 * Writes all of the bytes.
 *
 * @throws {OutputError} If that fails.
 */
export async function writeAll(
  stream: Pick<OutputStream, "write">,
  bytes: Uint8Array,
) {
  try {
    for (let rest = bytes; rest.length > 0;) {
      rest = rest.subarray(await writeSome(stream, rest));
    }
  } catch (cause) {
    throw new OutputError(
      `cannot write the output: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/**
 * The output of the command line.
 *
 * Standard error has two writers: the notices, and the command whose bytes are
 * passed on. A notice waits for what was written before it, and begins a line of
 * its own, whatever the command left there.
 */
export class CliOutput {
  /** How notices are written. */
  format: Pick<Settings, "json" | "quiet"> = { json: false, quiet: false };
  #streams: OutputStreams;
  /** The file of the notices; `undefined` if they are written on standard error. */
  #file: NoticeFile | undefined;
  /** Whether a terminal shows both in the same lines. */
  #isShared: boolean;
  /** Whether the reader of standard error sees a line that is not complete. */
  #isMidLine = false;
  /** Resolves when the notices have been written. */
  #notices = Promise.resolve();

  constructor(streams: OutputStreams = Deno) {
    this.#streams = streams;
    const { stdout, stderr } = streams;
    this.#isShared = stdout.isTerminal() && stderr.isTerminal();
  }

  /**
   * Passes bytes on.
   *
   * @throws {OutputError} If they cannot be written.
   */
  async forward(from: keyof OutputStreams, bytes: Uint8Array) {
    const isShared = from === "stderr" || this.#isShared;
    if (isShared) await this.#notices;
    await writeAll(this.#streams[from], bytes);
    if (isShared) this.#isMidLine = bytes.at(-1) !== LINE_FEED;
  }

  /**
   * Prints text on standard output.
   *
   * @throws {OutputError} If it cannot be written.
   */
  print(text: string): Promise<void> {
    return writeAll(this.#streams.stdout, encoder.encode(text));
  }

  /** Appends the notices to a file from now on. Errors are written on standard error, too. */
  useFile(file: NoticeFile) {
    this.#file = file;
  }

  /** Reports what happens; resolves once it is written on standard error, or cannot be. */
  notify(type: string, text: string, data: object = {}): Promise<void> {
    const { json, quiet } = this.format;
    if (quiet && !ERRORS.includes(type)) return this.#notices;
    const time = Date.now();
    const line = json
      ? JSON.stringify({ type, time, ...data })
      : `heartbeat: ${text}`;
    this.#file?.append(
      escapeText(json ? line : `${new Date(time).toISOString()} ${line}`),
    );
    if (this.#file && type !== "error") return this.#notices;
    return this.writeNotice(line);
  }

  /** Reports that something does not work, which the command does without. */
  warn(message: string): Promise<void> {
    return this.notify("warning", message, { message });
  }

  /** Resolves when all notices have been written, or cannot be. */
  async flush() {
    await Promise.all([this.#notices, this.#file?.flush()]);
  }

  /** Writes a line on standard error; resolves once it is written, or cannot be. */
  writeNotice(line: string): Promise<void> {
    return this.#notices = this.#notices.then(() => {
      const start = this.#isMidLine ? "\n" : "";
      this.#isMidLine = false;
      // it can name a command or quote an error of the system
      const text = `${start}${escapeText(line)}\n`;
      return writeAll(this.#streams.stderr, encoder.encode(text));
    }).catch(() => {});
  }
}

/** A duration as text: `250ms`, `1.5m`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const [unit, length] = ms < 60_000
    ? ["s", 1_000]
    : ms < 3_600_000
    ? ["m", 60_000]
    : ["h", 3_600_000] as const;
  return `${+(ms / length).toFixed(1)}${unit}`;
}

/** A number of things as text: `1 result`, `2 results`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The exit code for what the command line has thrown. */
export function toFailureCode(error: unknown): number {
  if (error instanceof UsageError) return error.code;
  // as a process is ended whose output nobody reads
  const isUnread = (error as Error | null)?.cause instanceof
    Deno.errors.BrokenPipe;
  return isUnread ? 128 + SIGPIPE : 125;
}

/** The exit code for what the command line has thrown; reports it. */
export async function reportFailure(
  error: unknown,
  output: CliOutput,
): Promise<number> {
  const code = toFailureCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) {
    await output.writeNotice(`heartbeat: ${message} (see --help)`);
  } else if (code === 125) {
    await output.notify("error", message, { code, message });
    await output.flush();
  }
  return code;
}
