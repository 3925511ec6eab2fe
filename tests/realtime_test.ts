// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { HeartbeatMonitor, HeartbeatTimeoutError, watch } from "../monitor.ts";
import { startWorker } from "../worker.ts";
import { waitUntil } from "./_help.ts";

/** The time between two beats. */
const BEAT = 20;
/** What nothing here takes, on any machine. */
const LONG = 60_000;
const HOUR = 3_600_000;
const MONITOR = new URL("../monitor.ts", import.meta.url).href;

/** Knows the longest pause that any of the producers made between two beats. */
class Pauses {
  longest = 0;

  /** Returns what is to be told when each beat of one producer was sent. */
  track() {
    let last = Infinity;
    return (at = performance.now()) => {
      this.longest = Math.max(this.longest, at - last);
      last = at;
    };
  }
}

/** Tries again what failed while a busy machine held up a producer: its silence was real. */
async function whileSteady(
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

/** A source that beats until it is disposed of or cancelled, and tells when it did. */
function beating(sent: (at?: number) => void) {
  let timer: ReturnType<typeof setInterval>;
  const stream = new ReadableStream<number>({
    start(controller) {
      timer = setInterval(() => {
        sent();
        controller.enqueue(1);
      }, BEAT);
    },
    cancel: () => clearInterval(timer),
  });
  return { stream, [Symbol.dispose]: () => clearInterval(timer) };
}

/** Reads a stream to its end, and keeps what came of it. */
function observe<T>(stream: ReadableStream<T>, signal?: AbortSignal) {
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
function runCode(code: string) {
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
class NaiveMonitor extends TransformStream<number, number> {
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
async function fromThread(count: number) {
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
function fromProcesses(count: number) {
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

Deno.test("HeartbeatMonitor raises no alarm when the event loop was blocked, where a naive monitor does", async () => {
  const [timeout, blocks, sources] = [200, 4, 5];
  await whileSteady(timeout / 2, async (pauses) => {
    using thread = await fromThread(sources);
    await using processes = fromProcesses(sources);
    const stop = new AbortController();
    const { posted, transferred } = thread;
    const trials = Object.entries({ posted, transferred, ...processes })
      .flatMap(([kind, streams]) =>
        streams.map((stream) => {
          const sent = pauses.track();
          const naive = new NaiveMonitor(timeout);
          const beats = new TransformStream<number, number>({
            transform(stamp, controller) {
              sent(stamp);
              controller.enqueue(stamp);
            },
          });
          const monitor = new HeartbeatMonitor<number>({
            timeout,
            firstTimeout: LONG,
          });
          const monitored = stream.pipeThrough(beats).pipeThrough(monitor)
            .pipeThrough(naive);
          return { kind, naive, seen: observe(monitored, stop.signal) };
        })
      );
    const naive: Record<string, number> = {};
    try {
      const goOn = async () => {
        const counts = trials.map(({ seen }) => seen.count);
        await waitUntil(() =>
          trials.every(({ seen }, i) =>
            seen.error || seen.count > counts[i]! + 5
          )
        );
      };
      await goOn();
      for (let i = 0; i < blocks; i++) {
        await delay(100 + 7 * i);
        const before = trials.map(({ naive }) => naive.alarms);
        const end = performance.now() + 500;
        while (performance.now() < end);
        await delay(2 * timeout);
        await goOn();
        for (const [i, trial] of trials.entries()) {
          naive[trial.kind] ??= 0;
          if (trial.naive.alarms > before[i]!) naive[trial.kind]!++;
        }
      }
    } finally {
      stop.abort();
      await Promise.all(trials.map(({ seen }) => seen.over));
    }
    assertEquals(
      trials.flatMap(({ kind, seen }) =>
        seen.error ? [[kind, seen.error.message]] : []
      ),
      [],
    );
    const alarms = Object.values(naive).reduce((sum, n) => sum + n);
    assert(
      alarms >= trials.length * blocks / 2,
      `the blocks were too short to show anything: ${JSON.stringify(naive)}`,
    );
  });
});

Deno.test({
  name:
    "HeartbeatMonitor raises no alarm when its process was stopped and continued, and finds the stall after it",
  ignore: Deno.build.os === "windows",
  async fn() {
    const timeout = 500;
    const code = `
      import { HeartbeatMonitor } from "${MONITOR}";
      const monitor = new HeartbeatMonitor({ timeout: ${timeout}, firstTimeout: ${LONG} });
      let count = 0;
      try {
        for await (const _ of Deno.stdin.readable.pipeThrough(monitor)) {
          if (++count === 5) console.log("alive");
        }
      } catch (error) {
        console.log(error.name);
      }
    `;
    await whileSteady(timeout / 2, async (pauses) => {
      await using stack = new AsyncDisposableStack();
      const trials = Array.from({ length: 3 }, () => {
        const { child } = stack.use(runCode(code));
        const source = stack.adopt(
          beating(pauses.track()),
          (source) => source[Symbol.dispose](),
        );
        const writer = child.stdin.getWriter();
        stack.defer(() => writer.releaseLock());
        observe(source.stream.pipeThrough(
          new TransformStream<number, void>({
            transform: () => writer.write(new Uint8Array(1)),
          }),
        ));
        const output = child.stdout.pipeThrough(new TextDecoderStream());
        return { child, source, seen: observe(output) };
      });
      const all = (count: number) =>
        waitUntil(() => trials.every(({ seen }) => seen.count >= count));
      await all(1);
      for (const { child } of trials) child.kill("SIGSTOP");
      await delay(2000);
      for (const { child } of trials) child.kill("SIGCONT");
      await delay(3 * timeout);
      assertEquals(
        trials.map(({ seen }) => seen.last),
        Array(3).fill("alive\n"),
      );
      for (const { source } of trials) source[Symbol.dispose]();
      await all(2);
      assertEquals(
        trials.map(({ seen }) => seen.last),
        Array(3).fill("HeartbeatTimeoutError\n"),
      );
    });
  },
});

for (const jump of [HOUR, -HOUR]) {
  Deno.test(`HeartbeatMonitor raises no alarm when the wall clock jumps by ${jump} ms, and finds the stalls`, async () => {
    const timeout = 200;
    await whileSteady(timeout / 2, async (pauses) => {
      using stack = new DisposableStack();
      const { now } = Date;
      stack.defer(() => Date.now = now);
      let ahead = 0;
      Date.now = () => now() + ahead;
      const monitor = (stream: ReadableStream<number>) =>
        observe(stream.pipeThrough(new HeartbeatMonitor({ timeout })));
      const sources: ReturnType<typeof beating>[] = [];
      const live: ReturnType<typeof monitor>[] = [];
      for (let i = 0; i < 10; i++) {
        sources.push(stack.use(beating(pauses.track())));
        live.push(monitor(sources[i]!.stream));
        await delay(13);
      }
      const silent = live.map(() => monitor(new ReadableStream()));
      await delay(timeout / 4);
      ahead = jump;
      await waitUntil(() => silent.every(({ error }) => error));
      await delay(3 * timeout);
      ahead = 0;
      await delay(3 * timeout);
      assertEquals(live.flatMap(({ error }) => error ?? []), []);
      for (const { error } of silent) {
        const { elapsed } = error!;
        assert(elapsed >= timeout && elapsed < HOUR, `${elapsed} ms`);
      }
      for (const source of sources) source[Symbol.dispose]();
      ahead = jump;
      await waitUntil(() => live.every(({ error }) => error));
    });
  });
}

Deno.test("HeartbeatMonitor reports a stall at the timeout and not before", async (t) => {
  const timeout = 200;
  const latencies = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      let controller!: ReadableStreamDefaultController<number>;
      const reader = new ReadableStream<number>({
        start: (c) => void (controller = c),
      }).pipeThrough(new HeartbeatMonitor({ timeout, firstTimeout: LONG }))
        .getReader();
      let since = 0;
      for (let beat = 0; beat < 3; beat++) {
        await delay(10 + 3 * i);
        since = performance.now();
        controller.enqueue(beat);
        await reader.read();
      }
      const { name } = await reader.read().catch((error) => error);
      assertEquals(name, "HeartbeatTimeoutError");
      return performance.now() - since;
    }),
  );
  const [least, most] = [Math.min(...latencies), Math.max(...latencies)];
  await t.step(`${least.toFixed(1)} to ${most.toFixed(1)} ms`, () => {
    // Date.now() counts whole milliseconds
    assert(least >= timeout - 2);
    assert(most < timeout + 10_000);
  });
});

Deno.test("HeartbeatMonitor finds a stall although its writable was put aside and piped to in another turn", async () => {
  const timeout = 200;
  const { readable, writable } = new HeartbeatMonitor({ timeout });
  const read = assertRejects(
    () => readable.getReader().read(),
    HeartbeatTimeoutError,
  );
  await delay(2 * timeout);
  const since = performance.now();
  let cancelled: unknown;
  const source = new ReadableStream({ cancel: (reason) => cancelled = reason });
  const piped = assertRejects(
    () => source.pipeTo(writable),
    HeartbeatTimeoutError,
  );
  const error = await deadline(read, LONG);
  assert(performance.now() - since >= timeout - 2);
  assertStrictEquals(await piped, error);
  assertStrictEquals(cancelled, error);
});

Deno.test("watch finds a worker that hangs", async () => {
  let reason: unknown;
  const worker = startWorker(async function* ({ beat, signal }) {
    signal.onabort = () => reason = signal.reason;
    for (let step = 0;; step++) {
      beat({ step });
      await (step < 3 ? delay(2 * BEAT) : new Promise(() => {}));
      yield step;
    }
  }, { interval: BEAT });
  const seen = observe(watch(worker, { timeout: 500 }));
  await deadline(seen.over!, LONG);
  assertEquals([seen.count, seen.last], [3, 2]);
  const { name, elapsed, last } = seen.error!;
  assertEquals(name, "HeartbeatTimeoutError");
  assert(elapsed >= 500, `${elapsed} ms`);
  assertEquals((last as { detail?: unknown }).detail, { step: 3 });
  assertStrictEquals(reason, seen.error);
});

Deno.test("startWorker ends gracefully when AbortSignal.timeout() aborts", async () => {
  const signal = AbortSignal.timeout(300);
  let units = 0;
  let finallies = 0;
  const worker = startWorker(async function* () {
    try {
      for (;;) {
        await delay(BEAT);
        yield ++units;
      }
    } finally {
      await delay(BEAT);
      finallies++;
    }
  }, { signal, interval: BEAT });
  const seen = observe(watch(worker, { timeout: LONG }));
  await deadline(seen.over!, LONG);
  assertEquals([seen.error, finallies, signal.aborted], [undefined, 1, true]);
  assertEquals([seen.count, seen.last], [units, units]);
  await worker.finished;
});

for (
  const [what, does, code, output] of [
    ["was never attached", "lets the process exit", "", ""],
    [
      "has its writable put aside",
      "lets the process exit",
      "globalThis.kept = monitor.writable",
      "",
    ],
    [
      "is attached",
      "keeps the process until its verdict",
      "new ReadableStream().pipeThrough(monitor).getReader().read().catch((error) => console.log(error.name))",
      "HeartbeatTimeoutError\n",
    ],
  ] as const
) {
  Deno.test(`HeartbeatMonitor ${does} when it ${what}`, async () => {
    const timeout = output ? 1000 : HOUR;
    await using process = runCode(`
      import { HeartbeatMonitor } from "${MONITOR}";
      const monitor = globalThis.monitor = new HeartbeatMonitor({ timeout: ${timeout} });
      ${code};
      console.log("ready");
    `);
    const printed = new Response(process.child.stdout).text();
    const { code: status } = await deadline(process.child.status, LONG);
    assertEquals([status, await printed], [0, `ready\n${output}`]);
  });
}
