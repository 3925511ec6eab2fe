// Copyright 2026 the heartbeat authors. MIT license.

/** Output of which only some lines are signs of life. */

import { UsageError } from "./_cli_values.ts";
import type { CommandOutput } from "./_command_types.ts";
import { isResultBeat } from "./_result_beats.ts";
import type { Heartbeat, WorkerStreams } from "./_worker_types.ts";

/** How much of a line is looked at, in characters. */
const MAX_LINE = 65_536;

/**
 * Time limit (ms) for all lines of a chunk. The line at which it passes is tried
 * again alone, with the same limit.
 */
const MATCH_MS = 250;
/** How many lines of a chunk are tried by themselves: the rest is not looked at. */
const MAX_TRIES = 4;

const LATE = "--grep takes too long for a line: it is no sign of life";
const UNSEEN = "--grep takes too long: some lines were not looked at";

/** A line ends with it. A progress bar goes back to the start of its line. */
const LINE_END = /\r\n|\r|\n/;

/**
 * Reads a regular expression.
 *
 * @throws {UsageError} If it is none.
 */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    const why = (error as Error).message.split(": ").at(-1);
    throw new UsageError(
      `invalid value '${text}' for --grep: it takes a regular expression of JavaScript: ${why}`,
    );
  }
}

/** Whether one of the lines matches. */
export type LineTest = (lines: string[]) => boolean;

/**
 * Opens the test for a pattern. A pattern that backtracks without end, such as
 * `(a+)+$`, would block this process: it is stopped in time, and does not match.
 *
 * @param pattern What a line contains.
 * @param report Called with a message when a line has taken too long, and when
 * some lines were not looked at for lack of time.
 */
export async function openLineTest(
  pattern: RegExp,
  report: (message: string) => void,
): Promise<LineTest> {
  // it costs a third of a start, so it is loaded only where it is wanted
  const { createContext, Script } = await import("node:vm");
  let looked: string[] = [];
  let at = 0;
  // a function of this context: a global of the other one costs more than a test
  function look() {
    return looked.some((line, i) => (at = i, pattern.test(line)));
  }
  const context = createContext({ look });
  const script = new Script("look()");
  /** Whether a line matches; `undefined` if that takes too long, at the line `at`. */
  function run(lines: string[]): boolean | undefined {
    looked = lines;
    at = 0;
    try {
      return script.runInContext(context, { timeout: MATCH_MS }) as boolean;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    }
  }
  return (lines) => {
    let rest = lines;
    for (let tries = 0; tries < MAX_TRIES && rest.length > 0; tries++) {
      const isMatch = run(rest);
      if (isMatch !== undefined) return isMatch;
      // a busy machine may have taken the time of all these lines
      const late = rest[at]!;
      rest = rest.slice(at + 1);
      const isLateMatch = run([late]);
      if (isLateMatch) return true;
      if (isLateMatch === undefined) report(LATE);
    }
    if (rest.length > 0) report(UNSEEN);
    return false;
  };
}

/** Finds lines in one stream of bytes. It keeps the beginning of the last line only. */
export class LineMatcher {
  readonly #isMatch: LineTest;
  readonly #decoder = new TextDecoder();
  #rest = "";
  /** Whether the last chunk ended in a carriage return: a line feed is a part of it. */
  #endsInReturn = false;

  /** @param isMatch Looks at the lines. */
  constructor(isMatch: LineTest) {
    this.#isMatch = isMatch;
  }

  /** Whether one of the lines that end in this chunk matches. */
  test(bytes: Uint8Array): boolean {
    const decoded = this.#decoder.decode(bytes, { stream: true });
    const isSplitEnd = this.#endsInReturn && decoded.startsWith("\n");
    if (decoded !== "") this.#endsInReturn = decoded.endsWith("\r");
    const text = this.#rest + (isSplitEnd ? decoded.slice(1) : decoded);
    const lines = text.split(LINE_END);
    this.#rest = lines.pop()!.slice(0, MAX_LINE);
    if (lines.length === 0) return false;
    return this.#isMatch(lines.map((line) => line.slice(0, MAX_LINE)));
  }
}

/**
 * Makes those lines of a command that match its signs of life, and its other
 * output none. The supervisor of the command gets the chunks with such lines.
 */
export class LineFilter {
  readonly #matchers: Record<CommandOutput["from"], LineMatcher>;
  /** Whether there was a sign of life since the last heartbeat. */
  #hasSign = false;
  /** Whether there was other output since then, which the heartbeat stands for. */
  #hasOther = false;

  /** @param isMatch Looks at the lines. */
  constructor(isMatch: LineTest) {
    this.#matchers = {
      stdout: new LineMatcher(isMatch),
      stderr: new LineMatcher(isMatch),
    };
  }

  /** There was a sign of life that is no output. */
  onSign() {
    this.#hasSign = true;
  }

  /**
   * Gives what the supervisor watches instead of the command.
   *
   * @param command Its streams.
   * @param forward Takes the chunks that are no signs of life.
   */
  apply(
    { results, heartbeats, finished }: WorkerStreams<CommandOutput>,
    forward: (chunk: CommandOutput) => Promise<void>,
  ): WorkerStreams<CommandOutput> {
    return {
      results: this.#filterResults(results.getReader(), forward),
      heartbeats: heartbeats.pipeThrough(
        new TransformStream<Heartbeat, Heartbeat>({
          transform: (beat, controller) => {
            if (this.#isSign(beat)) controller.enqueue(beat);
          },
        }),
      ),
      finished,
    };
  }

  #filterResults(
    reader: ReadableStreamDefaultReader<CommandOutput>,
    forward: (chunk: CommandOutput) => Promise<void>,
  ) {
    return new ReadableStream<CommandOutput>({
      pull: async (controller) => {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          if (this.#matchers[value.from].test(value.bytes)) {
            this.#hasSign = true;
            return controller.enqueue(value);
          }
          this.#hasOther = true;
          await forward(value);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
  }

  /**
   * Whether a heartbeat is a sign of life. Without any output it is the first one,
   * or the command waits for its consumer.
   */
  #isSign(beat: Heartbeat) {
    const isSign = this.#hasSign || !this.#hasOther && !isResultBeat(beat);
    this.#hasSign = this.#hasOther = false;
    return isSign;
  }
}
