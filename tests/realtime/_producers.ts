// Copyright 2026 the heartbeat authors. MIT license.

import type { HeartbeatTimeoutError } from "../../monitor.ts";

/** The time between two beats. */
export const BEAT = 20;
/** Nothing here takes that long, on any machine. */
export const LONG = 60_000;
export const MONITOR = new URL("../../monitor.ts", import.meta.url).href;

/** Knows the longest pause that any of the producers made between two beats. */
export class Pauses {
  longest = 0;

  /** Returns what is to be called whenever one producer sends a beat. */
  track() {
    let last = Infinity;
    return (at = performance.now()) => {
      this.longest = Math.max(this.longest, at - last);
      last = at;
    };
  }
}

/** Tries again what failed while a busy machine held up a producer: its silence was real. */
export async function whileSteady(
  limit: number,
  run: (pauses: Pauses) => Promise<void>,
) {
  for (let left = 4;; left--) {
    const pauses = new Pauses();
    try {
      return await run(pauses);
    } catch (error) {
      if (left === 0 || pauses.longest < limit) throw error;
    }
  }
}

/** A source that beats until it is disposed of or cancelled. `sent` is called at each beat. */
export function createBeats(sent: (at?: number) => void, every = BEAT) {
  let timer: ReturnType<typeof setInterval>;
  const stream = new ReadableStream<number>({
    start(controller) {
      timer = setInterval(() => {
        sent();
        controller.enqueue(1);
      }, every);
    },
    cancel: () => clearInterval(timer),
  });
  return { stream, [Symbol.dispose]: () => clearInterval(timer) };
}

/** Reads a stream to its end, and keeps what came of it. */
export function collect<T>(stream: ReadableStream<T>, signal?: AbortSignal) {
  const seen: {
    count: number;
    last?: T;
    error?: HeartbeatTimeoutError;
    over?: Promise<void>;
  } = { count: 0 };
  const all = new WritableStream<T>({
    write(chunk) {
      seen.count++;
      seen.last = chunk;
    },
  });
  seen.over = stream.pipeTo(all, signal ? { signal } : {}).catch((error) => {
    if (!signal?.aborted) seen.error = error;
  });
  return seen;
}

/** Runs code in a process of its own. */
export function runCode(code: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", code],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  let running = true;
  child.status.then(() => running = false);
  return {
    child,
    async [Symbol.asyncDispose]() {
      if (running) child.kill("SIGKILL");
      await child.status;
      await child.stdin.close().catch(() => {});
      if (!child.stdout.locked) await child.stdout.cancel();
    },
  };
}

/** What everybody writes first: a timer that each chunk clears and sets. It counts its alarms. */
export class NaiveMonitor extends TransformStream<number, number> {
  alarms = 0;

  constructor(timeout: number) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    super({
      transform: (chunk, controller) => {
        clearTimeout(timer);
        timer = setTimeout(() => this.alarms++, timeout);
        controller.enqueue(chunk);
      },
      cancel: () => clearTimeout(timer),
    });
  }
}

const BEATS = `new ReadableStream({
  start(controller) {
    this.timer = setInterval(() => controller.enqueue(Date.now()), ${BEAT});
  },
  cancel() {
    clearInterval(this.timer);
  },
})`;

/** Beats from a thread: posted chunk by chunk, and in streams that are transferred. */
export async function startThreadBeats(count: number) {
  const code = `
    const transferred = Array.from({ length: ${count} }, () => ${BEATS});
    postMessage(transferred, transferred);
    for await (const beat of ${BEATS}) postMessage(beat);
  `;
  const worker = new Worker(
    `data:text/javascript,${encodeURIComponent(code)}`,
    { type: "module" },
  );
  const ports = new Set<ReadableStreamDefaultController<number>>();
  const posted = Array.from({ length: count }, () => {
    let port: ReadableStreamDefaultController<number>;
    return new ReadableStream<number>({
      start: (controller) => void ports.add(port = controller),
      cancel: () => void ports.delete(port),
    });
  });
  const transferred = await new Promise<ReadableStream<number>[]>((resolve) => {
    worker.onmessage = ({ data }) => {
      if (Array.isArray(data)) resolve(data);
      else for (const port of ports) port.enqueue(data);
    };
  });
  return {
    posted,
    transferred,
    [Symbol.dispose]: () => worker.terminate(),
  };
}

/** Beats from processes, by their standard output. */
export function startProcessBeats(count: number) {
  const code = `for await (const beat of ${BEATS}) console.log(beat)`;
  const stack = new AsyncDisposableStack();
  const piped = Array.from({ length: count }, () => {
    const { child } = stack.use(runCode(code));
    return child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TransformStream<string, number>({
        transform(lines, controller) {
          for (const line of lines.trim().split("\n")) {
            controller.enqueue(Number(line));
          }
        },
      }),
    );
  });
  return { piped, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
