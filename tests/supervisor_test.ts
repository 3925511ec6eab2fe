// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatTimeoutError, watch } from "../monitor.ts";
import {
  type AttemptContext,
  type BackoffOptions,
  RestartLimitError,
  supervise,
  type SuperviseOptions,
} from "../supervisor.ts";
import { startWorker, type WorkerStreams } from "../worker.ts";
import { advance, countListeners, mulberry32, readAll } from "./_help.ts";
import {
  assertClean,
  createManualWorker,
  failing,
  FOREVER,
  hang,
  hanging,
  LOST,
  observe,
  REASON,
  STEADY,
  TIMEOUT,
  wait,
  withRandom,
} from "./_supervisor_harness.ts";

const HOUR = 3_600_000;
const BROKEN = new Error("the hook is broken");

Deno.test("supervise starts again after a stall, and reports each step", async () => {
  using time = new FakeTime(0);
  const seen = observe((context) =>
    context.attempt === 1
      ? hanging(context)
      : startWorker(() => [1, 2], { signal: context.signal })
  );
  await advance(time, 2000);
  assertEquals(seen.results.chunks, [1, 2]);
  assertEquals(seen.ends(), ["closed", "closed"]);
  assertEquals(seen.events, [
    { type: "started", time: 0, attempt: 1 },
    {
      type: "stalled",
      time: 1000,
      attempt: 1,
      limit: "silence",
      elapsed: 1000,
      timeout: 1000,
      count: 1,
      last: { worker: "worker", seq: 1, time: 0 },
    },
    { type: "restarting", time: 1000, attempt: 1, delay: 100 },
    { type: "started", time: 1100, attempt: 2 },
    { type: "ended", time: 1100, attempt: 2 },
  ]);
  const [first, second] = seen.contexts;
  assert(first?.signal.reason instanceof HeartbeatTimeoutError);
  assertStrictEquals(first?.signal.reason, second?.cause);
  assertClean(time, seen);
});

/** Work that yields each 100 ms until `end`, then hangs. */
const steady =
  (end: number, interval = 60_000) => ({ signal }: AttemptContext) =>
    startWorker(async function* steady({ signal }) {
      for (let n = 0; Date.now() < end; n++) {
        await wait(100);
        yield n;
      }
      await hang(signal);
    }, { signal, interval });

Deno.test("supervise counts a result as a sign of life", async () => {
  using time = new FakeTime(0);
  const seen = observe(steady(3000), { timeout: 300 });
  await advance(time, 3000);
  assertEquals(seen.types(), "started");
  assertEquals(seen.results.chunks.length, 30);
  await seen.results.cancel(REASON);
  await advance(time, 50);
  assertClean(time, seen);
});

Deno.test("supervise reports a stall at the timeout after the last result", async () => {
  using time = new FakeTime(0);
  const seen = observe(steady(1000), { timeout: 300, maxRestarts: 0 });
  await advance(time, 2000);
  assertEquals(seen.events[1], {
    type: "stalled",
    time: 1300,
    attempt: 1,
    limit: "silence",
    elapsed: 300,
    timeout: 300,
    count: 1,
    last: { worker: "steady", seq: 1, time: 0 },
  });
  assertClean(time, seen);
});

Deno.test("supervise reports a stall at the timeout after the last result of an inner supervisor", async () => {
  using time = new FakeTime(0);
  const inner = steady(1000, 250);
  const seen = observe(
    ({ signal }) => supervise(inner, { timeout: 5000, signal }),
    { timeout: 300, maxRestarts: 0 },
  );
  await advance(time, 2000);
  // the heartbeat at 1250 says only that results were made
  assertEquals(seen.heartbeats.chunks.at(-1)?.time, 1250);
  assertEquals([seen.events[1]?.type, seen.events[1]?.time], ["stalled", 1300]);
  assertClean(time, seen);
});

Deno.test("supervise names the worker that stalled", async () => {
  using time = new FakeTime(0);
  const seen = observe(steady(0), {
    name: "outer",
    shouldRestart: () => false,
  });
  await advance(time, 2000);
  const { message, source } = seen.results.end as HeartbeatTimeoutError;
  assertEquals(source, "steady");
  assert(message.startsWith("No heartbeat from 'steady' for 1000 ms"));
  assertClean(time, seen);
});

for (const progress of ["a result", "a second heartbeat"]) {
  Deno.test(`supervise waits for firstTimeout until ${progress}, and for timeout from then on`, async () => {
    using time = new FakeTime(0);
    const seen = observe(
      ({ signal }) =>
        startWorker(async function* ({ beat, signal }) {
          await wait(3000);
          if (progress === "a result") yield 1;
          else beat();
          await hang(signal);
        }, { signal, interval: 700 }),
      {
        ...{ timeout: TIMEOUT, firstTimeout: 4000, maxRestarts: 0 },
      },
    );
    await advance(time, 10_000);
    const { type, time: at, ...data } = seen.events[1]!;
    // the heartbeat for the beat at 3000 is sent at 3500
    const last = progress === "a result" ? 3000 : 3500;
    assertEquals([type, at], ["stalled", last + TIMEOUT]);
    assertEquals("timeout" in data && data.timeout, TIMEOUT);
    assertClean(time, seen);
  });
}

Deno.test("supervise waits no longer than firstTimeout for the first progress", async () => {
  using time = new FakeTime(0);
  const seen = observe(hanging, {
    ...{ timeout: TIMEOUT, firstTimeout: 4000, maxRestarts: 0 },
  });
  await advance(time, 10_000);
  assertEquals(seen.types(), "started stalled gave-up");
  assertEquals(seen.events[1]!.time, 4000);
  assertClean(time, seen);
});

Deno.test("supervise takes no restart of an inner supervisor for progress", async () => {
  using time = new FakeTime(0);
  const seen = observe(({ signal }) =>
    supervise(failing, {
      ...{ timeout: TIMEOUT, interval: 2000, signal },
      ...{ maxRestarts: 1, backoff: { min: 9000, jitter: 0 } },
    }), {
    ...{ timeout: TIMEOUT, firstTimeout: 4000, maxRestarts: 0 },
  });
  await advance(time, 10_000);
  // not a stall: the inner supervisor gives up first
  assertEquals(seen.types(), "started failed gave-up");
  assertClean(time, seen);
});

Deno.test("supervise starts again after an error, and reports each step", async () => {
  using time = new FakeTime(0);
  const seen = observe((context) =>
    startWorker(async function* ({ beat }) {
      beat({ at: context.attempt });
      await wait(50);
      if (context.attempt < 3) throw LOST;
      yield 1;
    }, { signal: context.signal })
  );
  await advance(time, 1000);
  assertEquals(seen.results.chunks, [1]);
  const error = { name: "Error", message: "lost" };
  assertEquals(seen.events, [
    { type: "started", time: 0, attempt: 1 },
    { type: "failed", time: 50, attempt: 1, error },
    { type: "restarting", time: 50, attempt: 1, delay: 100 },
    { type: "started", time: 150, attempt: 2, lastDetail: { at: 1 } },
    { type: "failed", time: 200, attempt: 2, error },
    { type: "restarting", time: 200, attempt: 2, delay: 100 },
    { type: "started", time: 300, attempt: 3, lastDetail: { at: 2 } },
    { type: "ended", time: 350, attempt: 3 },
  ]);
  assertClean(time, seen);
});

Deno.test("supervise does not start again after a normal end", async () => {
  using time = new FakeTime(0);
  const seen = observe(() => startWorker(() => [1, 2, 3]));
  await advance(time, HOUR, HOUR);
  assertEquals(seen.results.chunks, [1, 2, 3]);
  assertEquals(seen.types(), "started ended");
  assertClean(time, seen);
});

Deno.test("supervise starts nothing before the caller has the streams", async () => {
  let started = false;
  const { results } = supervise(() => {
    started = true;
    return startWorker(() => [1]);
  }, { timeout: TIMEOUT });
  assertEquals(started, false);
  assertEquals(await Array.fromAsync(results), [1]);
});

for (const [how, start] of Object.entries({ stall: hanging, error: failing })) {
  Deno.test(`supervise errors with the ${how} itself when shouldRestart says no`, async () => {
    using time = new FakeTime(0);
    const causes: unknown[] = [];
    const seen = observe(start, {
      shouldRestart: (cause) => causes.push(cause) < 2,
    });
    await advance(time, 5000);
    assertEquals(seen.contexts.length, 2);
    const cause = causes[1] as Error;
    assertEquals(cause instanceof HeartbeatTimeoutError, how === "stall");
    for (const end of seen.ends()) assertStrictEquals(end, cause);
    assertEquals(seen.events.at(-1), {
      type: "gave-up",
      time: seen.events.at(-2)!.time,
      attempt: 2,
      error: { name: cause.name, message: cause.message },
    });
    assertClean(time, seen);
  });

  for (const maxRestarts of [0, 1, 3]) {
    Deno.test(`supervise gives up with a RestartLimitError when there were ${maxRestarts} restarts and one more ${how}`, async () => {
      using time = new FakeTime(0);
      const seen = observe(start, { maxRestarts, within: 30_000 });
      await advance(time, 20_000, 100);
      assertEquals(seen.contexts.length, maxRestarts + 1);
      const error = seen.results.end as RestartLimitError;
      assertStrictEquals(seen.heartbeats.end, error);
      assert(error instanceof RestartLimitError);
      const last = seen.contexts.at(-1)!.signal.reason;
      assertStrictEquals(error.cause, last);
      assertEquals(last instanceof HeartbeatTimeoutError, how === "stall");
      const message = `Gave up after ${maxRestarts} restart${
        maxRestarts === 1 ? "" : "s"
      } within 30000 ms`;
      assertEquals(
        [error.name, error.message, error.maxRestarts, error.within],
        ["RestartLimitError", message, maxRestarts, 30_000],
      );
      const { name } = error;
      assertEquals(seen.events.at(-1), {
        type: "gave-up",
        time: seen.events.at(-2)!.time,
        attempt: maxRestarts + 1,
        error: { name, message },
      });
      assertClean(time, seen);
    });
  }
}

Deno.test("supervise counts restarts in a window that slides", async () => {
  using time = new FakeTime(0);
  // two restarts in 1000 ms are allowed: the one at 100 is over at 1100
  const at = [100, 600, 1100, 1500];
  const seen = observe(
    ({ attempt, signal }) =>
      startWorker<number>(async function* () {
        await wait(at[attempt - 1]! - Date.now());
        yield* [];
        throw LOST;
      }, { signal }),
    { maxRestarts: 2, within: 1000 },
  );
  await advance(time, 5000);
  assertEquals(
    seen.events.flatMap((e) => e.type === "failed" ? [e.time] : []),
    at,
  );
  assertEquals((seen.results.end as Error).name, "RestartLimitError");
  assertClean(time, seen);
});

Deno.test("supervise allows all restarts again, and the first delay, after a healthy period", async () => {
  using time = new FakeTime(0);
  const seen = observe(
    ({ attempt, signal }) =>
      startWorker<number>(async function* ({ beat }) {
        // each third attempt is healthy for a while
        for (let n = 0; attempt % 3 === 0 && n < 20; n++) {
          await wait(500);
          beat();
        }
        yield* [];
        if (attempt < 9) throw LOST;
      }, { signal }),
    {
      maxRestarts: 3,
      within: 10_000,
      backoff: { min: 100, factor: 10, jitter: 0 },
    },
  );
  await advance(time, 60_000, 100);
  const waits = [100, 1000];
  assertEquals(seen.delays(), [
    ...waits,
    ...[...waits, 10_000],
    ...[...waits, 10_000],
  ]);
  assertEquals(seen.ends(), ["closed", "closed"]);
});

Deno.test("supervise starts again without end when maxRestarts is Infinity", async () => {
  using time = new FakeTime(0);
  const seen = observe(failing, { maxRestarts: Infinity });
  await advance(time, 20_000, 100);
  assert(seen.contexts.length > 150);
  seen.aborter.abort();
  await advance(time, 100);
  assertEquals(seen.ends(), ["closed", "closed"]);
  assertClean(time, seen);
});

Deno.test("supervise leaves the event loop free where the delay is 0 ms", async () => {
  let free = false;
  const timer = setTimeout(() => free = true);
  const { results } = supervise(({ attempt }) =>
    startWorker(() => {
      if (free || attempt > 1000) return [attempt];
      throw LOST;
    }), {
    timeout: TIMEOUT,
    maxRestarts: Infinity,
    backoff: { min: 0, max: 0 },
  });
  await Array.fromAsync(results);
  clearTimeout(timer);
  assert(free);
});

Deno.test("supervise multiplies the delay by factor, from min to max", async () => {
  for (
    const [backoff, expected, chance = 0.9] of [
      [{ jitter: 0 }, [100, 200, 400, 800, 1600]],
      [{ min: 10, max: 500, factor: 3, jitter: 0 }, [10, 30, 90, 270, 500]],
      [{ min: 0, jitter: 0 }, [0, 0, 0, 0, 0]],
      [{ min: 70, max: 70 }, [70, 70, 70, 70, 70], 0],
      [{}, [50, 100, 200, 400, 800], 0.5],
      [{ jitter: 0.2 }, [90, 180, 360, 720, 1440], 0.5],
      [{ jitter: 0.2 }, [80, 160, 320, 640, 1280], 1 - Number.EPSILON],
      [{ jitter: 1 }, [0, 0, 0, 0, 0], 1 - Number.EPSILON],
    ] as [BackoffOptions, number[], number?][]
  ) {
    using time = new FakeTime(0);
    using _chance = withRandom(chance);
    const seen = observe(failing, { backoff });
    await advance(time, 5000);
    assertEquals(seen.delays(), expected);
    assertClean(time, seen);
  }
});

Deno.test("supervise restarts at once where backoff.min is 0, however often", async () => {
  using time = new FakeTime(0);
  const delays = new Set<number>();
  const seen = observe(
    (context) =>
      context.attempt < 1100 ? failing(context) : startWorker(() => [1]),
    {
      maxRestarts: Infinity,
      within: Infinity,
      backoff: { min: 0 },
      onEvent: (event) =>
        void (event.type === "restarting" && delays.add(event.delay)),
    },
  );
  for (let i = 0; i < 1300 && !seen.results.end; i++) await time.tickAsync(1);
  await advance(time, 10);
  assertEquals([...delays], [0]);
  assertEquals(seen.results.chunks, [1]);
  assertClean(time, seen);
});

Deno.test("supervise starts the next attempt when the wait is over, and not before", async () => {
  using time = new FakeTime(0);
  const backoff = { min: 700, factor: 1, jitter: 0 };
  const seen = observe(failing, { backoff });
  await advance(time, 699, 233);
  assertEquals(seen.contexts.length, 1);
  await advance(time, 1);
  assertEquals(seen.contexts.length, 2);
  await seen.results.cancel(REASON);
  await advance(time, 10);
  assertClean(time, seen);
});

Deno.test("supervise gives the next attempt what is known", async () => {
  using time = new FakeTime(0);
  const seen = observe(
    ({ attempt, signal }) =>
      startWorker(async function* ({ beat }) {
        if (attempt === 1) throw LOST;
        beat({ step: attempt });
        yield attempt;
        yield attempt;
        if (attempt === 2) throw REASON;
        if (attempt === 3) await hang(signal);
      }, { signal }),
    { lastDetail: "from before" },
  );
  await advance(time, 5000);
  assertEquals(
    seen.contexts.map(({ attempt, lastDetail, delivered }) => [
      attempt,
      lastDetail,
      delivered,
    ]),
    [[1, "from before", 0], [2, "from before", 0], [3, { step: 2 }, 2], [
      4,
      { step: 3 },
      4,
    ]],
  );
  const [none, lost, reason, stall] = seen.contexts.map(({ cause }) => cause);
  assertEquals(none, undefined);
  assertStrictEquals(lost, LOST);
  assertStrictEquals(reason, REASON);
  assert(stall instanceof HeartbeatTimeoutError);
  assertEquals(seen.results.chunks, [2, 2, 3, 3, 4, 4]);
  assertClean(time, seen);
});

for (const how of ["a stall", "an error"]) {
  Deno.test(`supervise delivers nothing of an attempt that it gave up after ${how}`, async () => {
    using time = new FakeTime(0);
    const [first, second] = [createManualWorker(), createManualWorker()];
    const seen = observe(
      ({ attempt }) => (attempt === 1 ? first : second).worker,
      { stopTimeout: 300 },
    );
    await advance(time, 100);
    first.tryEnqueue(1);
    if (how === "an error") first.heartbeats.controller.error(LOST);
    for (let i = 0; i < 30; i++) {
      await advance(time, 50);
      // it ignores its signal: its results go on
      if (seen.events.length > 1) assert(!first.tryEnqueue(1));
      second.beat();
    }
    assertEquals(seen.contexts.length, 2);
    const [, { cause, delivered }] = seen.contexts as [unknown, AttemptContext];
    assertStrictEquals(first.results.cancelled, cause);
    assertEquals(seen.results.chunks, Array(delivered).fill(1));
    second.results.controller.enqueue(2);
    await advance(time, 50);
    assertEquals(seen.results.chunks.slice(delivered), [2]);
    second.close();
    first.finish();
    await advance(time, 50);
    assertEquals(seen.ends(), ["closed", "closed"]);
    assertClean(time, seen);
  });
}

Deno.test("supervise drops a result that nobody asked for when its attempt is given up", async () => {
  using time = new FakeTime(0);
  const workers = [createManualWorker(), createManualWorker()];
  const { results, heartbeats, finished } = supervise(
    ({ attempt }) => workers[attempt - 1]!.worker,
    { timeout: TIMEOUT, backoff: STEADY },
  );
  readAll(heartbeats);
  const [first, second] = workers;
  await advance(time, 50);
  first!.results.controller.enqueue(1);
  first!.finish();
  await advance(time, 1500);
  second!.results.controller.enqueue(2);
  second!.beat();
  const reader = results.getReader();
  assertEquals(await reader.read(), { done: false, value: 2 });
  second!.close();
  await advance(time, 50);
  assertEquals((await reader.read()).done, true);
  await finished;
});

Deno.test("supervise numbers the heartbeats anew, and beats while it waits", async () => {
  using time = new FakeTime(0);
  const seen = observe(
    ({ attempt, signal }) =>
      startWorker(async function* ({ beat }) {
        for (let n = 0; n < 3; n++) {
          await wait(100);
          beat(`${attempt}.${n}`);
        }
        if (attempt === 1) throw LOST;
        yield 1;
      }, { signal, interval: 100 }),
    {
      name: "outer",
      interval: 600,
      backoff: { min: 2000, jitter: 0 },
    },
  );
  await advance(time, 5000);
  const steps = seen.heartbeats.chunks.map(({ detail, restarting }) =>
    restarting ? `${detail} restarting ${restarting.attempt}` : detail
  );
  assertEquals(
    steps.filter((step, i) =>
      i === 0 || step !== steps[i - 1] || String(step).includes("restarting")
    ),
    [
      ...[undefined, "1.0", "1.1", "1.2"],
      ...Array(4).fill("1.2 restarting 2"),
      ...["1.2", "2.0", "2.1"],
    ],
  );
  for (const [i, beat] of seen.heartbeats.chunks.entries()) {
    assertEquals([beat.worker, beat.seq], ["outer", i + 1]);
    assert(i === 0 || beat.time >= seen.heartbeats.chunks[i - 1]!.time);
  }
  assertClean(time, seen);
});

Deno.test("supervise is named after start, else supervisor", async () => {
  for (
    const [start, name] of [
      [function mill() {
        return startWorker(() => [1]);
      }, "mill"],
      [() => startWorker(() => [1]), "supervisor"],
    ] as const
  ) {
    const { results, heartbeats } = supervise(start, { timeout: TIMEOUT });
    const { value } = await heartbeats.getReader().read();
    assertEquals(value?.worker, name);
    await results.cancel();
  }
});

Deno.test("supervise is not taken for stalled while it waits long", async () => {
  using time = new FakeTime(0);
  const guarded = readAll(
    watch(
      supervise(
        (context) =>
          context.attempt < 3 ? failing(context) : startWorker(() => [1]),
        {
          timeout: TIMEOUT,
          backoff: { min: 20_000, jitter: 0 },
        },
      ),
      { timeout: 2 * TIMEOUT },
    ),
  );
  await advance(time, 70_000, 250);
  assertEquals([guarded.chunks, guarded.end], [[1], "closed"]);
  assertEquals(time.next(), false);
});

Deno.test("supervise ends its heartbeats with the checkpoint when it gives up", async () => {
  using time = new FakeTime(0);
  for (
    const options of [
      { maxRestarts: 1, backoff: { min: 5000, jitter: 0 } },
      { shouldRestart: () => false },
    ]
  ) {
    const seen = observe(
      ({ attempt, signal }) =>
        startWorker(async function* ({ beat }) {
          await wait(100);
          if (attempt === 1) beat("checkpoint");
          yield 1;
          throw LOST;
        }, { signal }),
      options,
    );
    await advance(time, 10_000, 100);
    assertEquals(seen.heartbeats.chunks.at(-1)?.detail, "checkpoint");
    assertStrictEquals(seen.heartbeats.end, seen.results.end);
    assertClean(time, seen);
  }
});

/** How a supervisor may be ended from outside. */
const WAYS = {
  "the signal aborts": (seen: ReturnType<typeof observe>) =>
    seen.aborter.abort(REASON),
  "the results are cancelled": (seen: ReturnType<typeof observe>) =>
    seen.results.cancel(REASON),
  "the heartbeats are cancelled": (seen: ReturnType<typeof observe>) =>
    seen.heartbeats.cancel(REASON),
};

for (const [way, act] of Object.entries(WAYS)) {
  const abort = way.includes("signal");
  const ends = way.includes("heartbeats")
    ? [REASON, "closed"]
    : ["closed", "closed"];

  /** Ends a supervisor at 1500 ms, or in `start()`; its attempts then stop when `stop` is called. */
  const run = async (
    time: FakeTime,
    start: (context: AttemptContext, end: () => void) => WorkerStreams<number>,
    options: Partial<SuperviseOptions> = {},
  ) => {
    const seen: ReturnType<typeof observe<number>> = observe<number>(
      (context) => start(context, () => void act(seen)),
      options,
    );
    await advance(time, 1500);
    const { length } = seen.contexts;
    await act(seen);
    await advance(time, 50);
    return { seen, attempts: length };
  };
  const assertEnded = (seen: ReturnType<typeof observe>, attempts: number) => {
    assertEquals(seen.ends(), ends);
    assertEquals(seen.events.at(-1)?.type, "ended");
    assertEquals(seen.types().match(/ended|gave-up/g)?.length, 1);
    assertEquals(seen.contexts.length, attempts);
  };

  Deno.test(`supervise ends when ${way} in start()`, async () => {
    using time = new FakeTime(0);
    const { seen } = await run(time, ({ signal }, end) => {
      end();
      return startWorker(async function* ({ signal }) {
        yield await hang(signal);
      }, { signal });
    });
    assertEnded(seen, 1);
    assertEquals(seen.types(), abort ? "started ended" : "started ended");
    assert(seen.contexts[0]!.signal.aborted);
    assertClean(time, seen);
  });

  Deno.test(`supervise ends when ${way} while a unit is in flight`, async () => {
    using time = new FakeTime(0);
    const { seen } = await run(
      time,
      ({ signal }) =>
        startWorker(async function* () {
          for (let n = 0;; n++) {
            await wait(1000);
            yield n;
          }
        }, { signal }),
      { timeout: 2 * TIMEOUT },
    );
    assertStrictEquals(seen.contexts[0]!.signal.reason, REASON);
    // gracefully: the unit may finish
    if (abort) assertEquals(seen.ends(), [undefined, undefined]);
    else assertEnded(seen, 1);
    await advance(time, 1000);
    assertEnded(seen, 1);
    assertEquals(seen.results.chunks, abort ? [0, 1] : [0]);
    assertEquals(seen.types(), "started ended");
    assertClean(time, seen);
  });

  Deno.test(`supervise ends when ${way} while an attempt that was given up does not stop`, async () => {
    using time = new FakeTime(0);
    let stop!: () => void;
    const { seen } = await run(
      time,
      ({ signal }) =>
        startWorker(async function* () {
          yield await new Promise<number>((resolve) => stop = () => resolve(1));
        }, { signal }),
      { stopTimeout: Infinity },
    );
    assertEnded(seen, 1);
    assertEquals(seen.types(), "started stalled restarting ended");
    assertEquals(time.next(), false);
    assertEquals(seen.finished, false);
    stop();
    await advance(time, 50);
    assertEquals(seen.results.chunks, []);
    assertClean(time, seen);
  });

  Deno.test(`supervise ends when ${way} while it waits`, async () => {
    using time = new FakeTime(0);
    const { seen } = await run(time, hanging, {
      backoff: { min: 9000, jitter: 0 },
    });
    assertEnded(seen, 1);
    assertEquals(seen.types(), "started stalled restarting ended");
    assert(seen.contexts[0]!.signal.reason instanceof HeartbeatTimeoutError);
    assertClean(time, seen);
  });

  Deno.test(`supervise ends when ${way} in a later attempt`, async () => {
    using time = new FakeTime(0);
    const { seen } = await run(
      time,
      (context) => (context.attempt < 3 ? failing : hanging)(context),
      { timeout: 2 * TIMEOUT },
    );
    assertEnded(seen, 3);
    assertStrictEquals(seen.contexts[2]!.signal.reason, REASON);
    assertClean(time, seen);
  });

  Deno.test(`supervise lets nothing follow when ${way} in onEvent()`, async () => {
    using time = new FakeTime(0);
    for (const type of ["stalled", "unstopped"]) {
      let stop = () => {};
      const seen: ReturnType<typeof observe<number>> = observe<number>(
        ({ signal }) =>
          startWorker(async function* () {
            yield await new Promise<number>((resolve) =>
              stop = () => resolve(1)
            );
          }, { signal }),
        {
          stopTimeout: 300,
          onEvent: (event) => void (event.type === type && act(seen)),
        },
      );
      await advance(time, 3000);
      assertEquals(seen.contexts.length, 1);
      // a stall in a shutdown is a failure
      if (!abort || type === "unstopped") assertEnded(seen, 1);
      stop();
      await advance(time, 50);
      assertClean(time, seen);
    }
  });
}

for (const way of ["results", "heartbeats"] as const) {
  Deno.test(`supervise emits nothing more when the ${way} are cancelled in a hook`, async () => {
    using time = new FakeTime(0);
    for (const at of ["shouldRestart()", "gave-up", "ended"]) {
      const act = (now: string) => {
        if (now === at) seen[way].cancel(REASON);
        return true;
      };
      const seen: ReturnType<typeof observe<number>> = observe<number>(
        at === "ended" ? () => startWorker(() => [1]) : failing,
        {
          maxRestarts: at === "gave-up" ? 0 : 1,
          onEvent: (event) => void act(event.type),
          shouldRestart: () => act("shouldRestart()"),
        },
      );
      await advance(time, 1000);
      assertEquals(
        seen.types(),
        {
          "shouldRestart()": "started failed ended",
          "gave-up": "started failed gave-up",
          "ended": "started ended",
        }[at],
      );
      assertClean(time, seen);
    }
  });
}

Deno.test("supervise starts nothing when its signal was aborted before", async () => {
  using time = new FakeTime(0);
  const { signal, aborter, listeners } = countListeners();
  aborter.abort(REASON);
  const seen = observe(failing, { signal });
  await advance(time, 50);
  assertEquals(seen.ends(), ["closed", "closed"]);
  assertEquals(seen.events, [{ type: "ended", time: 0, attempt: 0 }]);
  assertClean(time, { finished: seen.finished, listeners });
});

Deno.test("supervise starts nothing when it is aborted or cancelled at once", async () => {
  using time = new FakeTime(0);
  for (const act of Object.values(WAYS)) {
    const seen = observe(failing);
    act(seen);
    await advance(time, 50);
    assertEquals(seen.contexts.length, 0);
    assertEquals(seen.types(), "ended");
    assertClean(time, seen);
  }
});

Deno.test("supervise errors and does not start again when a shutdown hangs or fails", async () => {
  using time = new FakeTime(0);
  const works = {
    stalled: () => FOREVER,
    failed: (signal: AbortSignal) =>
      hang(signal).catch(() => Promise.reject(LOST)),
  };
  for (const [type, work] of Object.entries(works)) {
    const seen = observe(({ signal }) =>
      startWorker(async function* ({ signal }) {
        yield await work(signal);
      }, { signal })
    );
    await advance(time, 500);
    seen.aborter.abort(REASON);
    await advance(time, 3000);
    const [end, other] = seen.ends();
    assertStrictEquals(end, other);
    if (type === "failed") assertStrictEquals(end, LOST);
    else assert(end instanceof HeartbeatTimeoutError);
    assertEquals(seen.types(), `started ${type} gave-up`);
    assertStrictEquals(seen.contexts[0]!.signal.reason, REASON);
    assertEquals(time.next(), false);
    assertEquals(seen.listeners.size, 0);
    assertEquals(seen.finished, type === "failed");
  }
});

Deno.test("supervise leaves an attempt behind that does not stop within stopTimeout", async () => {
  using time = new FakeTime(0);
  let stop!: () => void;
  const seen = observe(({ attempt, signal }) =>
    startWorker(async function* () {
      if (attempt === 1) await new Promise<void>((resolve) => stop = resolve);
      yield attempt;
    }, { signal }), { stopTimeout: 3000 });
  await advance(time, 10_000);
  assertEquals(
    seen.events.map(({ type, time, attempt }) => [type, time, attempt]),
    [
      ["started", 0, 1],
      ["stalled", 1000, 1],
      ["restarting", 1000, 1],
      ["unstopped", 4000, 1],
      ["started", 4000, 2],
      ["ended", 4000, 2],
    ],
  );
  assertEquals(seen.ends(), ["closed", "closed"]);
  assertEquals(seen.finished, false);
  stop();
  await advance(time, 50);
  assertEquals(seen.results.chunks, [2]);
  assertClean(time, seen);
});

Deno.test("supervise waits for an attempt to stop, for no longer than it takes", async () => {
  using time = new FakeTime(0);
  const seen = observe(
    ({ attempt, signal }) =>
      startWorker(async function* ({ signal }) {
        if (attempt === 1) await hang(signal).catch(() => wait(1500));
        yield attempt;
      }, { signal }),
    { stopTimeout: 3000 },
  );
  await advance(time, 5000);
  assertEquals(
    seen.events.map(({ type, time }) => [type, time]),
    [
      ["started", 0],
      ["stalled", 1000],
      ["restarting", 1000],
      ["started", 2500],
      ["ended", 2500],
    ],
  );
  assertClean(time, seen);
});

Deno.test("supervise starts again when start() throws or returns no worker", async () => {
  using time = new FakeTime(0);
  const locked = startWorker(() => [1]);
  locked.results.getReader();
  const nonsense: [string, () => unknown][] = [
    ["Error", () => {
      throw LOST;
    }],
    ["undefined", () => {
      throw undefined;
    }],
    ["TypeError", () => undefined],
    ["TypeError", () => ({})],
    ["TypeError", () => ({ results: new ReadableStream() })],
    ["TypeError", () => locked],
  ];
  const seen = observe<number>(
    ({ attempt }) =>
      (nonsense[attempt - 1]?.[1]() ??
        startWorker(() => [1])) as WorkerStreams<number>,
    { maxRestarts: 9, shouldRestart: () => true },
  );
  await advance(time, 2000);
  const failed = seen.events.flatMap((event) =>
    event.type === "failed" ? [event.error.name] : []
  );
  assertEquals(failed[0], "Error");
  assertEquals(failed[1], "undefined");
  assertEquals(seen.results.chunks, [1]);
  await locked.heartbeats.cancel();
  assertEquals(seen.ends(), ["closed", "closed"]);
  assertClean(time, seen);
});

/** How a worker may be one whose streams cannot be read, and which of them is cancelled. */
const UNREADABLE = {
  "has its results locked": (worker: WorkerStreams<number>) => {
    worker.results.getReader();
    return { worker, cancelled: "heartbeats" as const };
  },
  "has its heartbeats locked": (worker: WorkerStreams<number>) => {
    worker.heartbeats.getReader();
    return { worker, cancelled: "results" as const };
  },
  "has no heartbeats": ({ results, finished }: WorkerStreams<number>) => ({
    worker: { results, finished } as WorkerStreams<number>,
    cancelled: "results" as const,
  }),
  "has no results": ({ heartbeats, finished }: WorkerStreams<number>) => ({
    worker: { heartbeats, finished } as WorkerStreams<number>,
    cancelled: "heartbeats" as const,
  }),
};

for (const [how, spoil] of Object.entries(UNREADABLE)) {
  Deno.test(`supervise stops a worker that ${how}, and waits for it`, async () => {
    using time = new FakeTime(0);
    const first = createManualWorker();
    const { worker, cancelled } = spoil(first.worker);
    const seen = observe<number>(({ attempt }) =>
      attempt === 1 ? worker : startWorker(() => [1])
    );
    await advance(time, 1000);
    assertEquals(seen.types(), "started failed restarting");
    first.finish();
    await advance(time, 100);
    assertEquals(seen.types(), "started failed restarting started ended");
    const [{ signal }, { cause }] = seen.contexts as [
      AttemptContext,
      AttemptContext,
    ];
    assert(cause instanceof TypeError);
    assertStrictEquals(signal.reason, cause);
    assertStrictEquals(first[cancelled].cancelled, cause);
    assertEquals(seen.results.chunks, [1]);
    assertClean(time, seen);
  });

  Deno.test(`supervise finishes no earlier than a worker that ${how}`, async () => {
    using time = new FakeTime(0);
    const first = createManualWorker();
    const { worker } = spoil(first.worker);
    const seen = observe(() => worker, { maxRestarts: 0 });
    await advance(time, 2000);
    assertEquals(seen.types(), "started failed gave-up");
    assertEquals(seen.finished, false);
    first.finish();
    await advance(time, 50);
    assertClean(time, seen);
  });
}

Deno.test("supervise aborts the signal of a start() that throws", async () => {
  using time = new FakeTime(0);
  const left: WorkerStreams<number>[] = [];
  const seen = observe((context) => {
    if (context.attempt > 1) return startWorker(() => [1]);
    left.push(hanging(context));
    throw LOST;
  });
  await advance(time, 1000);
  assertStrictEquals(seen.contexts[0]!.signal.reason, LOST);
  assertEquals(seen.types(), "started failed restarting started ended");
  assertEquals(seen.results.chunks, [1]);
  await left[0]!.finished;
  assertClean(time, seen);
});

Deno.test("supervise does not wait for an earlier attempt when start() throws", async () => {
  using time = new FakeTime(0);
  const seen = observe<number>(({ attempt, signal }) => {
    if (attempt === 1) {
      return startWorker(async function* () {
        yield await FOREVER;
      }, { signal });
    }
    if (attempt === 2) throw LOST;
    return startWorker(() => [1]);
  }, { stopTimeout: 3000 });
  await advance(time, 5000);
  assertEquals(
    seen.events.map(({ type, time }) => [type, time]),
    [
      ["started", 0],
      ["stalled", 1000],
      ["restarting", 1000],
      ["unstopped", 4000],
      ["started", 4000],
      ["failed", 4000],
      ["restarting", 4000],
      ["started", 4100],
      ["ended", 4100],
    ],
  );
  assertEquals(time.next(), false);
});

Deno.test("supervise cancels the heartbeats of an attempt whose results failed", async () => {
  using time = new FakeTime(0);
  for (const maxRestarts of [0, 1]) {
    const workers = [createManualWorker(), createManualWorker()];
    const seen = observe(({ attempt }) => workers[attempt - 1]!.worker, {
      maxRestarts,
    });
    await advance(time, 50);
    const [first, second] = workers;
    first!.beat();
    first!.results.controller.error(LOST);
    first!.finish();
    await advance(time, 200);
    assertStrictEquals(first!.heartbeats.cancelled, LOST);
    if (maxRestarts === 0) {
      assertStrictEquals(seen.results.end, seen.heartbeats.end);
    } else second!.close();
    await advance(time, 50);
    assertClean(time, seen);
  }
});

Deno.test("supervise cancels the heartbeats of an attempt that failed when the signal aborts in a hook", async () => {
  using time = new FakeTime(0);
  for (const type of ["failed", "restarting"]) {
    const first = createManualWorker();
    const seen: ReturnType<typeof observe<number>> = observe<number>(
      () => first.worker,
      {
        onEvent: (event) =>
          void (event.type === type && seen.aborter.abort(REASON)),
      },
    );
    await advance(time, 50);
    first.results.controller.error(LOST);
    first.finish();
    await advance(time, 50);
    assertStrictEquals(first.heartbeats.cancelled, LOST);
    assertEquals(
      seen.types(),
      type === "failed"
        ? "started failed gave-up"
        : "started failed restarting ended",
    );
    assertClean(time, seen);
  }
});

Deno.test("supervise cancels both streams at once when an attempt stalls", async () => {
  using time = new FakeTime(0);
  const first = createManualWorker();
  const seen = observe(() => first.worker, { stopTimeout: Infinity });
  await advance(time, TIMEOUT + 50);
  assertEquals(seen.types(), "started stalled restarting");
  const { reason } = seen.contexts[0]!.signal;
  assert(reason instanceof HeartbeatTimeoutError);
  assertStrictEquals(first.heartbeats.cancelled, reason);
  assertStrictEquals(first.results.cancelled, reason);
  await seen.results.cancel(REASON);
  first.finish();
  await advance(time, 50);
  assertClean(time, seen);
});

for (const stream of ["results", "heartbeats"] as const) {
  Deno.test(`supervise cancels both streams of the attempt when its ${stream} are cancelled`, async () => {
    using time = new FakeTime(0);
    for (const reason of [REASON, undefined]) {
      const first = createManualWorker();
      const seen = observe(() => first.worker);
      await advance(time, 50);
      await seen[stream].cancel(reason);
      first.finish();
      await advance(time, 50);
      const { signal } = seen.contexts[0]!;
      if (reason) assertStrictEquals(signal.reason, reason);
      assertStrictEquals(first.results.cancelled, signal.reason);
      assertStrictEquals(first.heartbeats.cancelled, signal.reason);
      assertEquals(signal.reason.name, reason ? "Error" : "AbortError");
      assertClean(time, seen);
    }
  });
}

Deno.test("supervise says that it was stopped when its results are cancelled without a reason", async () => {
  using time = new FakeTime(0);
  const seen = observe(hanging);
  await advance(time, 50);
  await seen.results.cancel(undefined);
  const { name, message } = seen.contexts[0]!.signal.reason;
  assertEquals([name, message], ["AbortError", "The worker was stopped"]);
});

Deno.test("supervise cancels the heartbeats of a worker whose results have closed", async () => {
  using time = new FakeTime(0);
  const first = createManualWorker();
  const seen = observe(() => first.worker);
  await advance(time, 50);
  first.results.controller.close();
  first.finish();
  await advance(time, 50);
  assertEquals(seen.ends(), ["closed", "closed"]);
  assert(first.heartbeats.cancelled instanceof DOMException);
  assertEquals(seen.contexts[0]!.signal.aborted, false);
  assertClean(time, seen);
});

Deno.test("supervise counts only what isHeartbeat accepts, and fails with what it throws", async () => {
  using time = new FakeTime(0);
  const workers = [createManualWorker(), createManualWorker()];
  const seen = observe(({ attempt }) => workers[attempt - 1]!.worker, {
    isHeartbeat({ detail }) {
      if (detail === "broken") throw BROKEN;
      return detail !== "idle";
    },
  });
  const [first, second] = workers;
  for (let i = 0; i < 3; i++) {
    await advance(time, 250);
    first!.beat("idle");
  }
  await advance(time, 300);
  assertEquals(seen.types(), "started stalled restarting");
  assertEquals(seen.events[1]!.time, TIMEOUT);
  first!.finish();
  await advance(time, 100);
  second!.beat("broken");
  await advance(time, 50);
  second!.finish();
  assertStrictEquals(second!.heartbeats.cancelled, BROKEN);
  assertStrictEquals(seen.contexts[1]!.signal.reason, BROKEN);
  assertEquals(seen.events.at(-2)?.type, "failed");
  await seen.results.cancel(REASON);
  await advance(time, 50);
  assertClean(time, seen);
});

Deno.test("supervise goes on unguarded when the heartbeats close before the results", async () => {
  using time = new FakeTime(0);
  const first = createManualWorker();
  const seen = observe(() => first.worker);
  await advance(time, 50);
  first.heartbeats.controller.close();
  await advance(time, 10 * TIMEOUT);
  first.tryEnqueue(1);
  first.results.controller.close();
  first.finish();
  await advance(time, 50);
  assertEquals(seen.types(), "started ended");
  assertEquals(seen.results.chunks, [1]);
  assertClean(time, seen);
});

Deno.test("supervise waits for the last heartbeat of a worker that fails, and no longer", async () => {
  using time = new FakeTime(0);
  for (const beatsLast of [true, false]) {
    const workers = [createManualWorker(), createManualWorker()];
    const seen = observe(({ attempt }) => workers[attempt - 1]!.worker);
    await advance(time, 50);
    const [first, second] = workers;
    const failedAt = Date.now();
    first!.results.controller.error(LOST);
    first!.finish();
    if (beatsLast) {
      first!.beat("checkpoint");
      first!.heartbeats.controller.error(LOST);
    }
    await advance(time, 200, 1);
    const failed = seen.events.find(({ type }) => type === "failed");
    assertEquals(failed!.time - failedAt, beatsLast ? 0 : 1);
    assertEquals(
      seen.contexts[1]?.lastDetail,
      beatsLast ? "checkpoint" : undefined,
    );
    second!.close();
    await advance(time, 50);
    assertClean(time, seen);
  }
});

Deno.test("supervise starts nothing when it is cancelled in the event that says so", async () => {
  using time = new FakeTime(0);
  const seen: ReturnType<typeof observe<number>> = observe(failing, {
    onEvent: ({ type }) =>
      void (type === "started" && seen.results.cancel(REASON)),
  });
  await advance(time, 50);
  assertEquals(seen.types(), "started ended");
  assertEquals(seen.contexts.length, 0);
  assertClean(time, seen);
});

Deno.test("supervise does not ask shouldRestart() once it was cancelled", async () => {
  using time = new FakeTime(0);
  let asked = 0;
  const seen: ReturnType<typeof observe<number>> = observe(failing, {
    onEvent: ({ type }) =>
      void (type === "failed" && seen.results.cancel(REASON)),
    shouldRestart: () => ++asked > 0,
  });
  await advance(time, 50);
  assertEquals([seen.types(), asked], ["started failed ended", 0]);
  assertClean(time, seen);
});

Deno.test("supervise errors with what onEvent throws where no attempt was started", async () => {
  using time = new FakeTime(0);
  const seen = observe(failing, {
    signal: AbortSignal.abort(REASON),
    onEvent: () => {
      throw BROKEN;
    },
  });
  await advance(time, 50);
  assertEquals(seen.ends(), [BROKEN, BROKEN]);
  assertClean(time, seen);
});

Deno.test("supervise reads no result of an attempt before the consumer asks for one", async () => {
  using time = new FakeTime(0);
  const workers = [createManualWorker(), createManualWorker()];
  const { results, heartbeats } = supervise(
    ({ attempt }) => workers[attempt - 1]!.worker,
    { timeout: TIMEOUT, backoff: STEADY },
  );
  readAll(heartbeats);
  const reader = results.getReader();
  const [first, second] = workers;
  const read = reader.read();
  await advance(time, 50);
  first!.tryEnqueue(1);
  assertEquals((await read).value, 1);
  first!.heartbeats.controller.error(LOST);
  first!.finish();
  await advance(time, 200);
  second!.tryEnqueue(2);
  await advance(time, 50);
  // it is still in the queue
  assertEquals(second!.results.controller.desiredSize, 0);
  assertEquals((await reader.read()).value, 2);
  second!.close();
  await reader.cancel();
});

Deno.test("supervise marks no heartbeat that is not of a restart", async () => {
  using time = new FakeTime(0);
  const seen = observe(() => startWorker(() => [1]));
  await advance(time, 50);
  const [beat] = seen.heartbeats.chunks;
  assertEquals(Object.keys(beat!), ["worker", "seq", "time"]);
  assertClean(time, seen);
});

Deno.test("supervise takes a heartbeat of an inner supervisor for a sign of life after a result, too", async () => {
  using time = new FakeTime(0);
  const seen = observe(
    ({ signal }) =>
      supervise((context) =>
        startWorker(async function* ({ beat }) {
          yield 1;
          for (let i = 0; i < 20; i++) {
            await wait(100);
            beat();
          }
          yield 2;
        }, { signal: context.signal, interval: 100 }), {
        ...{ timeout: 5000, signal },
      }),
    { timeout: 300 },
  );
  await advance(time, 3000);
  assertEquals(seen.types(), "started ended");
  assertEquals(seen.results.chunks, [1, 2]);
  assertClean(time, seen);
});

Deno.test("supervise reports what was thrown, whatever it is", async () => {
  using time = new FakeTime(0);
  const thrown = [
    [undefined, { name: "undefined", message: "undefined" }],
    [null, { name: "object", message: "null" }],
    ["text", { name: "string", message: "text" }],
    [Symbol("s"), { name: "symbol", message: "Symbol(s)" }],
    [new RangeError("far"), { name: "RangeError", message: "far" }],
    [Object.assign(new Error("odd"), { name: Symbol("s") }), {
      name: "Symbol(s)",
      message: "odd",
    }],
    [Object.create(null), {
      name: "object",
      message: "what was thrown cannot be shown",
    }],
  ] as const;
  const seen = observe(({ attempt, signal }) =>
    startWorker<number>(() => {
      throw thrown[attempt - 1]![0];
    }, { signal }), { maxRestarts: thrown.length - 1 });
  await advance(time, 2000);
  assertEquals(
    seen.events.flatMap((event) =>
      event.type === "failed" ? [event.error] : []
    ),
    thrown.map(([_, error]) => error),
  );
  const { cause } = seen.results.end as RestartLimitError;
  assertStrictEquals(cause, thrown.at(-1)![0]);
  assertClean(time, seen);
});

for (
  const type of [
    "started",
    "stalled",
    "restarting",
    "unstopped",
    "failed",
    "gave-up",
    "ended",
    "shouldRestart()",
  ]
) {
  Deno.test(`supervise errors with what a hook throws at ${type}`, async () => {
    using time = new FakeTime(0);
    let stop = () => {};
    const fail = (at: string) => {
      if (at === type) throw BROKEN;
      return true;
    };
    const seen = observe((context) => {
      if (context.attempt === 2 && type !== "ended") return failing(context);
      return startWorker(async function* () {
        if (context.attempt === 1) {
          await new Promise<void>((resolve) => stop = resolve);
        }
        yield 1;
      }, { signal: context.signal });
    }, {
      stopTimeout: 300,
      maxRestarts: 1,
      onEvent: (event) => void fail(event.type),
      shouldRestart: () => fail("shouldRestart()"),
    });
    await advance(time, 5000);
    for (const end of seen.ends()) assertStrictEquals(end, BROKEN);
    assertEquals(seen.events.length > 0, true);
    for (const { signal } of seen.contexts) assert(signal.aborted);
    stop();
    await advance(time, 50);
    assertClean(time, seen);
  });
}

Deno.test("supervise rejects the cancel with what onEvent throws at the end of it", async () => {
  using time = new FakeTime(0);
  for (const stream of ["results", "heartbeats"] as const) {
    const seen = observe(hanging, {
      onEvent: (event) => {
        if (event.type === "ended") throw BROKEN;
      },
    });
    await advance(time, 100);
    assertStrictEquals(
      await assertRejects(() => seen[stream].cancel(REASON)),
      BROKEN,
    );
    await advance(time, 50);
    assert(seen.contexts[0]!.signal.aborted);
    assertClean(time, seen);
  }
});

for (const type of ["started", "stalled", "restarting", "shouldRestart()"]) {
  Deno.test(`supervise ignores what a hook throws at ${type} after it cancelled`, async () => {
    using time = new FakeTime(0);
    const act = (at: string) => {
      if (at !== type) return true;
      seen.results.cancel(REASON);
      throw BROKEN;
    };
    const seen: ReturnType<typeof observe> = observe(hanging, {
      onEvent: (event) => void act(event.type),
      shouldRestart: () => act("shouldRestart()"),
    });
    // an unhandled rejection fails the test
    await advance(time, 5000);
    assertEquals(seen.ends(), ["closed", "closed"]);
    assertEquals(seen.events.at(-1)?.type, "ended");
    for (const { signal } of seen.contexts) assert(signal.aborted);
    assertClean(time, seen);
  });
}

Deno.test("supervise starts an inner supervisor again, from its checkpoint", async () => {
  using time = new FakeTime(0);
  const inner: AttemptContext[] = [];
  let failures = 5;
  const seen = observe(({ signal, lastDetail }) =>
    supervise((context) => {
      inner.push(context);
      return startWorker(async function* ({ beat }) {
        const from = (context.lastDetail as { next: number } | undefined)?.next;
        for (let n = from ?? 0; n < 4; n++) {
          await wait(100);
          if (n === 2 && failures-- > 0) throw LOST;
          yield n;
          beat({ next: n + 1 });
        }
      }, { signal: context.signal });
    }, {
      timeout: TIMEOUT,
      maxRestarts: 1,
      backoff: STEADY,
      signal,
      lastDetail,
    }), {
    timeout: 3 * TIMEOUT,
  });
  await advance(time, 10_000);
  assertEquals(seen.results.chunks, [0, 1, 2, 3]);
  assertEquals(seen.contexts.map(({ lastDetail }) => lastDetail), [
    undefined,
    { next: 2 },
    { next: 2 },
  ]);
  assertEquals(inner.map(({ attempt }) => attempt), [1, 2, 1, 2, 1, 2]);
  assertEquals(
    seen.contexts.slice(1).map(({ cause }) => (cause as Error).name),
    ["RestartLimitError", "RestartLimitError"],
  );
  assertEquals(
    seen.heartbeats.chunks.map(({ seq }) => seq),
    seen.heartbeats.chunks.map((_, i) => i + 1),
  );
  assertClean(time, seen);
});

Deno.test("supervise takes no restart of an inner supervisor for a checkpoint", async () => {
  using time = new FakeTime(0);
  let failures = 4;
  const seen = observe(
    ({ signal, lastDetail }) =>
      supervise((context) =>
        startWorker(async function* ({ beat }) {
          await wait(100);
          // before its first checkpoint
          if (failures-- > 0) throw LOST;
          for (let n = (context.lastDetail as number) ?? 0; n < 3; n++) {
            yield n;
            beat(n + 1);
          }
        }, { signal: context.signal }), {
        timeout: TIMEOUT,
        maxRestarts: 1,
        backoff: STEADY,
        signal,
        lastDetail,
      }),
    { timeout: 3 * TIMEOUT },
  );
  await advance(time, 5000);
  assertEquals(
    seen.contexts.map(({ lastDetail }) => lastDetail),
    [undefined, undefined, undefined],
  );
  assertEquals(seen.results.chunks, [0, 1, 2]);
  assertEquals(seen.ends(), ["closed", "closed"]);
  assertClean(time, seen);
});

Deno.test("supervise beats without a detail while it waits if there is no checkpoint", async () => {
  using time = new FakeTime(0);
  const seen = observe((context) =>
    context.attempt < 3 ? failing(context) : startWorker(() => [1])
  );
  await advance(time, 1000);
  assertEquals(
    seen.heartbeats.chunks.filter(({ restarting }) => restarting),
    [
      { worker: "supervisor", seq: 2, time: 0, restarting: { attempt: 2 } },
      { worker: "supervisor", seq: 4, time: 100, restarting: { attempt: 3 } },
    ],
  );
  assertClean(time, seen);
});

Deno.test("supervise passes on that an inner supervisor restarts", async () => {
  using time = new FakeTime(0);
  const seen = observe(
    ({ signal }) =>
      supervise((context) =>
        startWorker(async function* ({ beat }) {
          beat("checkpoint");
          await wait(100);
          if (context.attempt === 1) throw LOST;
          yield 1;
        }, { signal: context.signal }), {
        ...{ timeout: TIMEOUT, backoff: STEADY, signal },
      }),
  );
  await advance(time, 2000);
  assertEquals(
    seen.heartbeats.chunks.map(({ detail, restarting }) => [
      detail,
      restarting,
    ]),
    [
      [undefined, undefined],
      ["checkpoint", undefined],
      ["checkpoint", { attempt: 2 }],
      ["checkpoint", undefined],
    ],
  );
  assertClean(time, seen);
});

Deno.test("supervise aborts through all its layers", async () => {
  using time = new FakeTime(0);
  const seen = observe(
    ({ signal }) => supervise(hanging, { timeout: TIMEOUT, signal }),
    {
      timeout: 3 * TIMEOUT,
    },
  );
  await advance(time, 500);
  seen.aborter.abort(REASON);
  await advance(time, 50);
  assertEquals(seen.ends(), ["closed", "closed"]);
  assertEquals(seen.types(), "started ended");
  assertClean(time, seen);
});

Deno.test("supervise runs at most one unit ahead of a slow consumer", async () => {
  using time = new FakeTime(0);
  let made = 0;
  const { results, heartbeats } = supervise(
    ({ signal }) =>
      startWorker(function* () {
        while (made < 5) yield ++made;
      }, { signal }),
    { timeout: TIMEOUT },
  );
  const beats = readAll(heartbeats);
  const reader = results.getReader();
  for (let n = 1; n <= 5; n++) {
    await advance(time, 3 * TIMEOUT, 250);
    assert(made <= n, `${made} were made, ${n - 1} were read`);
    assertEquals(await reader.read(), { done: false, value: n });
  }
  assertEquals((await reader.read()).done, true);
  await advance(time, 50);
  assertEquals(beats.end, "closed");
  assertEquals(time.next(), false);
});

const HANGS = Number(Deno.env.get("HANGS") ?? 1000);

for (const by of ["lastDetail", "delivered"] as const) {
  Deno.test(`supervise delivers each of 1,000 results once when the work resumes from ${by}`, async () => {
    using time = new FakeTime(0);
    const random = mulberry32(1);
    const expected = Array.from({ length: 1000 }, (_, n) => n);
    const hangs = new Set([0, 500].map((n) => n + Math.floor(500 * random())));
    const seen = observe(({ signal, [by]: from }) =>
      startWorker(async function* ({ beat, signal }) {
        for (let n = from as number | undefined ?? 0; n < 1000; n++) {
          if (hangs.delete(n)) await hang(signal);
          yield n;
          beat(n + 1); // n was delivered
        }
      }, { signal })
    );
    await advance(time, 10_000, 100);
    assertEquals(seen.results.chunks, expected);
    assertEquals(seen.contexts.length, 3);
    assertClean(time, seen);
  });

  Deno.test(`supervise survives ${HANGS} hangs and failures when the work resumes from ${by}`, async () => {
    using time = new FakeTime(0);
    using _chance = withRandom(0);
    const random = mulberry32(2);
    const items = 100;
    const all = Array.from({ length: 50 }, () => {
      let hangs = Math.ceil(HANGS / 50);
      return observe(
        ({ signal, [by]: from }) =>
          startWorker(async function* ({ beat, signal }) {
            for (let n = from as number | undefined ?? 0; n < items; n++) {
              const fate = n === items - 1 ? 0 : random();
              if (fate < 0.3) await wait(Math.ceil(100 * random()));
              if (hangs > 0 && (n === items - 1 || fate > 0.8)) {
                hangs--;
                if (random() < 0.2) throw LOST;
                await (random() < 0.2 ? FOREVER : hang(signal));
              }
              yield n;
              beat(n + 1);
            }
          }, { signal, interval: 100 }),
        {
          maxRestarts: Infinity,
          stopTimeout: 500,
        },
      );
    });
    for (let i = 0; i < 20 * HANGS; i++) {
      await advance(time, 100, 100);
      if (all.every((seen) => seen.results.end)) break;
    }
    const expected = Array.from({ length: items }, (_, n) => n);
    for (const seen of all) {
      assertEquals(seen.results.chunks, expected);
      assertEquals(seen.ends(), ["closed", "closed"]);
      assertEquals(seen.contexts.length, Math.ceil(HANGS / 50) + 1);
    }
    assertEquals(time.next(), false);
  });
}

Deno.test("RestartLimitError has the limit and the cause", () => {
  const error = new RestartLimitError({
    maxRestarts: 1,
    within: 5000,
    cause: LOST,
  });
  assertEquals(error.message, "Gave up after 1 restart within 5000 ms");
  assertStrictEquals(error.cause, LOST);
  assert(error instanceof Error);
});

Deno.test("supervise reports the silence of an attempt to onSilence before it is a stall", async () => {
  using time = new FakeTime();
  const events: unknown[] = [];
  const { results } = supervise(
    ({ signal }) =>
      startWorker(async function* () {
        await new Promise((resolve) => setTimeout(resolve, 2500));
        yield 1;
      }, { signal, name: "slow" }),
    {
      timeout: 3000,
      onSilence: ({ type, elapsed, count }) =>
        events.push([type, elapsed, count]),
    },
  );
  const all = Array.fromAsync(results);
  await advance(time, 3000);
  assertEquals(await all, [1]);
  assertEquals(events, [["silent", 1500, 1], ["recovered", 2500, 1]]);
});

Deno.test("supervise asks an attempt for no more results than are read", async () => {
  let made = 0;
  const { results, finished } = supervise(
    ({ signal }) =>
      startWorker(async function* () {
        for (;;) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          yield ++made;
        }
      }, { signal }),
    { timeout: 10_000 },
  );
  const reader = results.getReader();
  const reads = await Promise.all([reader.read(), reader.read()]);
  assertEquals(reads.map(({ value }) => value), [1, 2]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // one waits in the worker's queue
  assertEquals(made, 3);
  await reader.cancel();
  await finished;
});
