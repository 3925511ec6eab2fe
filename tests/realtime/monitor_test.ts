// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import {
  HeartbeatMonitor,
  HeartbeatTimeoutError,
  watch,
} from "../../monitor.ts";
import { startWorker } from "../../worker.ts";
import { blockLoop, mulberry32, waitUntil } from "../_help.ts";
import {
  BEAT,
  collect,
  createBeats,
  LONG,
  MONITOR,
  NaiveMonitor,
  type Pauses,
  runCode,
  startProcessBeats,
  startThreadBeats,
  whileSteady,
} from "./_producers.ts";

const HOUR = 3_600_000;
/** How often processes are stopped and continued: `STOP_CYCLES=500` takes a minute. */
const STOP_CYCLES = Number(Deno.env.get("STOP_CYCLES") ?? 30);

/** A monitored stream of beats, and a naive monitor behind it. */
function createTrial(
  kind: string,
  stream: ReadableStream<number>,
  sent: (at?: number) => void,
  timeout: number,
  signal: AbortSignal,
) {
  const naive = new NaiveMonitor(timeout);
  const beats = new TransformStream<number, number>({
    transform(stamp, controller) {
      sent(stamp);
      controller.enqueue(stamp);
    },
  });
  const monitor = new HeartbeatMonitor<number>({ timeout, firstTimeout: LONG });
  const monitored = stream.pipeThrough(beats).pipeThrough(monitor)
    .pipeThrough(naive);
  return { kind, naive, seen: collect(monitored, signal) };
}

type Trial = ReturnType<typeof createTrial>;

/** Waits until all trials get beats, or have failed. */
async function waitForBeats(trials: Trial[]) {
  const counts = trials.map(({ seen }) => seen.count);
  await waitUntil(() =>
    trials.every(({ seen }, i) => seen.error || seen.count > counts[i]! + 5)
  );
}

/** Blocks the event loop, and returns how many of the naive monitors raised an alarm. */
async function blockTrials(trials: Trial[], timeout: number) {
  const before = trials.map(({ naive }) => naive.alarms);
  blockLoop(500);
  await delay(2 * timeout);
  await waitForBeats(trials);
  return trials.filter(({ naive }, i) => naive.alarms > before[i]!).length;
}

Deno.test("HeartbeatMonitor raises no alarm when the event loop was blocked, where a naive monitor does", async () => {
  const [timeout, blocks, sources] = [200, 4, 5];
  await whileSteady(timeout / 2, async (pauses) => {
    using thread = await startThreadBeats(sources);
    await using processes = startProcessBeats(sources);
    const stop = new AbortController();
    const { posted, transferred } = thread;
    const trials = Object.entries({ posted, transferred, ...processes })
      .flatMap(([kind, streams]) =>
        streams.map((stream) =>
          createTrial(kind, stream, pauses.track(), timeout, stop.signal)
        )
      );
    let alarms = 0;
    try {
      await waitForBeats(trials);
      for (let i = 0; i < blocks; i++) {
        await delay(100 + 7 * i);
        alarms += await blockTrials(trials, timeout);
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
    assert(
      alarms >= trials.length * blocks / 2,
      `the blocks were too short to show anything: ${alarms}`,
    );
  });
});

/** Processes with a monitor of their standard input, which gets beats until it is disposed of. */
function startMonitors(
  stack: AsyncDisposableStack,
  count: number,
  timeout: number,
  pauses: Pauses,
) {
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
  return Array.from({ length: count }, () => {
    const { child } = stack.use(runCode(code));
    const source = stack.adopt(
      createBeats(pauses.track(), timeout / 5),
      (source) => source[Symbol.dispose](),
    );
    const writer = child.stdin.getWriter();
    stack.defer(() => writer.releaseLock());
    collect(source.stream.pipeThrough(
      new TransformStream<number, void>({
        transform: () => writer.write(new Uint8Array(1)),
      }),
    ));
    const output = child.stdout.pipeThrough(new TextDecoderStream());
    return { child, source, seen: collect(output) };
  });
}

Deno.test({
  name:
    "HeartbeatMonitor raises no alarm when its process was stopped and continued, again and again, and finds the stall after it",
  ignore: Deno.build.os === "windows",
  async fn() {
    const timeout = 500;
    const random = mulberry32(STOP_CYCLES);
    const count = Math.min(STOP_CYCLES, 10);
    await whileSteady(timeout / 2, async (pauses) => {
      await using stack = new AsyncDisposableStack();
      const trials = startMonitors(stack, count, timeout, pauses);
      const printed = (lines: number) =>
        waitUntil(() => trials.every(({ seen }) => seen.count >= lines));
      await printed(1);
      await Promise.all(trials.map(async ({ child }) => {
        for (let i = 0; i < STOP_CYCLES / count; i++) {
          child.kill("SIGSTOP");
          await delay(timeout * (0.5 + 2.5 * random()));
          child.kill("SIGCONT");
          await delay(timeout * (0.1 + random() / 2));
        }
      }));
      await delay(2 * timeout);
      const lasts = () => trials.map(({ seen }) => seen.last);
      assertEquals(lasts(), Array(count).fill("alive\n"));
      for (const { source } of trials) source[Symbol.dispose]();
      await printed(2);
      assertEquals(lasts(), Array(count).fill("HeartbeatTimeoutError\n"));
    });
  },
});

for (const [lag, timeout] of [[100, 300], [500, 3000]] as const) {
  Deno.test(`HeartbeatMonitor reports a stall of ${timeout} ms in time in a loop that is blocked for ${lag} ms a turn, and raises no alarm there`, async () => {
    // the promise, with what a busy machine adds
    const most = 2 * (1.5 * timeout + 2 * lag);
    await using process = runCode(`
      import { HeartbeatMonitor } from "${MONITOR}";
      const beats = "setInterval(() => postMessage(1), ${timeout / 5})";
      const thread = new Worker("data:text/javascript," + beats, { type: "module" });
      const live = new ReadableStream({
        start: (controller) => void (thread.onmessage = () => controller.enqueue(1)),
      }).pipeThrough(new HeartbeatMonitor({ timeout: ${timeout}, firstTimeout: ${LONG} }));
      let count = 0;
      let error;
      (async () => {
        for await (const _ of live) count++;
      })().catch((e) => error = e);
      setInterval(() => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${lag});
      }, 0);
      const start = performance.now();
      const silent = new ReadableStream().pipeThrough(new HeartbeatMonitor({ timeout: ${timeout} }));
      await silent.getReader().read().catch(() => {});
      const elapsed = performance.now() - start;
      await new Promise((resolve) => setTimeout(resolve, 2 * ${timeout}));
      console.log(JSON.stringify({ elapsed, count, error: error?.message }));
      Deno.exit();
    `);
    const output = await deadline(
      new Response(process.child.stdout).text(),
      LONG,
    );
    const { elapsed, count, error } = JSON.parse(output);
    assert(elapsed >= timeout - 2 && elapsed <= most, output);
    assert(count > 5, output);
    assertEquals(error, undefined);
  });
}

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
        collect(stream.pipeThrough(new HeartbeatMonitor({ timeout })));
      const sources: ReturnType<typeof createBeats>[] = [];
      const live: ReturnType<typeof monitor>[] = [];
      for (let i = 0; i < 10; i++) {
        sources.push(stack.use(createBeats(pauses.track())));
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
  const seen = collect(watch(worker, { timeout: 500 }));
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
  const seen = collect(watch(worker, { timeout: LONG }));
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
