// Copyright 2026 the heartbeat authors. MIT license.

// The command line as a process, and what its tests have in common.

import { assert, assertEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { isRunning, NPM_FLAGS } from "./_help.ts";

/** The longest that a run may take (ms) before it is killed. */
export const HANG = 40_000;

/** How many rows run at the same time: they mostly wait. */
const LANES = 12;

/** Arguments of a demo that is quick. */
export const DEMO = ["--interval", "50ms", "--work", "20ms"];

export interface CliOptions {
  /** Whether it may run commands; by default, only where it is to. */
  allowRun?: boolean;
  /** Whether it may read files, as a local thread must. */
  allowRead?: boolean;
  /** Whether it may write files. */
  allowWrite?: boolean;
  /** Whether it may use the network; by default, only where it is to. */
  allowNet?: boolean;
  /** Environment variables, which it may read then. */
  env?: Record<string, string>;
  /** What it reads: nothing, or all of it, or what `write()` writes. */
  input?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | "written";
  /** What a shell does with its output. */
  redirect?: string;
  /** How many chunks of stdout are read before the pipe is closed. */
  takes?: number;
}

type Side = "stdout" | "stderr";

function spawn(args: string[], options: CliOptions) {
  const { allowRun = args.includes("--"), allowRead = false } = options;
  const { input, redirect, env = {} } = options;
  const allowNet = options.allowNet ??
    args.some((arg) => /^--(nats|health|ping)|^check$/.test(arg));
  return new Deno.Command(redirect ? "sh" : Deno.execPath(), {
    args: [
      ...(redirect ? ["-c", `"$0" "$@" ${redirect}`, Deno.execPath()] : []),
      "run",
      "--quiet",
      "--no-check",
      "--no-prompt",
      ...(allowRun ? ["--allow-run"] : []),
      ...(allowRead ? ["--allow-read"] : []),
      ...(options.allowWrite ? ["--allow-write"] : []),
      ...(allowNet ? ["--allow-net=127.0.0.1,localhost,0.0.0.0"] : []),
      ...Object.keys(env).map((variable) => `--allow-env=${variable}`),
      ...NPM_FLAGS,
      "main.ts",
      ...args,
    ],
    cwd: new URL("..", import.meta.url),
    env,
    stdin: input ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** A run of the command line. */
class CliProcess {
  readonly ended: ReturnType<CliProcess["end"]>;
  #child: Deno.ChildProcess;
  #output = { stdout: new Uint8Array(), stderr: new Uint8Array() };
  #input: CliOptions["input"];
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #isOver = false;

  constructor(args: string[], options: CliOptions) {
    this.#child = spawn(args, options);
    this.#input = options.input;
    if (this.#input === "written") this.#writer = this.#child.stdin.getWriter();
    this.ended = this.end(options.takes ?? Infinity);
    this.ended.then(() => this.#isOver = true);
  }

  kill(signal: Deno.Signal) {
    try {
      this.#child.kill(signal);
    } catch {
      // it has ended
    }
  }

  write(text: string) {
    return this.#writer!.write(new TextEncoder().encode(text));
  }

  /** Waits until its output includes a text. */
  async waitFor(side: Side, text: string) {
    while (!this.text(side).includes(text)) {
      assert(!this.#isOver, `no '${text}': ${this.text("stderr")}`);
      await delay(10);
    }
  }

  /** What it has written so far. */
  text(side: Side) {
    return new TextDecoder().decode(this.#output[side]);
  }

  private async end(takes: number) {
    const timer = setTimeout(() => this.kill("SIGKILL"), HANG);
    const fed = this.#feed();
    const [{ code }] = await Promise.all([
      this.#child.status,
      this.#drain("stdout", takes),
      this.#drain("stderr", Infinity),
    ]);
    clearTimeout(timer);
    await this.#writer?.close().catch(() => {});
    await fed;
    const [stdout, stderr] = [this.text("stdout"), this.text("stderr")];
    return { code, stdout, stderr, output: this.#output };
  }

  async #feed() {
    if (!this.#input || this.#input === "written") return;
    const stream = this.#input instanceof Uint8Array
      ? new Blob([this.#input]).stream()
      : this.#input;
    await stream.pipeTo(this.#child.stdin).catch(() => {});
  }

  async #drain(side: Side, takes: number) {
    if (takes === 0) {
      await this.#child.status;
      return this.#child[side].cancel();
    }
    for await (const chunk of this.#child[side]) {
      const all = new Blob([this.#output[side], chunk]);
      this.#output[side] = new Uint8Array(await all.arrayBuffer());
      if (--takes === 0) break;
    }
  }
}

/** Starts the command line. */
export function startCli(args: string[], options: CliOptions = {}) {
  return new CliProcess(args, options);
}

/** Runs the command line to its end. */
export function runCli(args: string[], options?: CliOptions) {
  return startCli(args, options).ended;
}

const waiting: (() => void)[] = [];
let freeLanes = LANES;

async function runInLane(body: () => Promise<void>) {
  if (freeLanes > 0) freeLanes--;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    await body();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else freeLanes++;
  }
}

/** Runs `body` for every row, several at a time over all tests. */
export async function forEachRow<T>(
  rows: readonly T[],
  body: (row: T) => Promise<void>,
) {
  const runs = rows.map((row) => runInLane(() => body(row)));
  // one that fails leaves nothing of the others to the next test
  await Promise.allSettled(runs);
  await Promise.all(runs);
}

/** A test that needs a POSIX shell and signals. */
export function testPosix(
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
) {
  const ignore = Deno.build.os === "windows";
  Deno.test({ name, ignore, fn: (t) => deadline(fn(t), 4 * HANG) });
}

/** Runs many tests that mostly wait side by side, as steps of one. */
export async function runSideBySide(
  t: Deno.TestContext,
  tests: Record<string, () => Promise<void>>,
) {
  const steps = Object.entries(tests).map(([name, fn]) =>
    t.step({
      name,
      fn,
      // the processes of the others come and go meanwhile
      sanitizeOps: false,
      sanitizeResources: false,
      sanitizeExit: false,
    })
  );
  await Promise.all(steps);
}

/** One test of many that run side by side. */
export function testSideBySide(
  name: string,
  tests: Record<string, () => Promise<void>>,
) {
  testPosix(name, (t) => runSideBySide(t, tests));
}

// deno-lint-ignore no-explicit-any
export function parseLines(text: string): any[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** As assertEquals(), which would print a difference of megabytes. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array) {
  assertEquals(actual.length, expected.length);
  assert(actual.every((byte, i) => byte === expected[i]), "other bytes");
}

/** Waits for a process to end. */
export async function assertEnds(id: number) {
  assert(id > 0);
  for (let tries = 0; await isRunning(id); tries++) {
    assert(tries < 600, `process ${id} goes on`);
    await delay(50);
  }
}
