// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { HeartbeatTimeoutError } from "../monitor.ts";
import {
  type AttemptContext,
  RestartLimitError,
  supervise,
  type SupervisorEvent,
} from "../supervisor.ts";
import { type Heartbeat, startWorker, type WorkerStreams } from "../worker.ts";
import { mulberry32 } from "./_help.ts";

/** Random schedules against the contracts. `SEED=… SCHEDULES=…` of a failure repeats it. */
const SCHEDULES = Number(Deno.env.get("SCHEDULES") ?? 10_000);
const SEED = Number(Deno.env.get("SEED") ?? 1);
/** How many run side by side in one FakeTime, whose steps are what costs. */
const BATCH = 5000;
const STEP = 10;
/** How late (ms) a thing may be seen here, as time passes in steps. */
const LATE = 3 * STEP;
const LIMIT = 60_000;
const LOST = new Error("lost");
const REASON = new Error("that is enough");

const wait = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Which event may follow which. */
const FOLLOWS: Record<string, string[]> = {
  "": ["started", "ended"],
  "started": ["stalled", "failed", "ended"],
  "stalled": ["restarting", "gave-up", "ended"],
  "failed": ["restarting", "gave-up", "ended"],
  "restarting": ["unstopped", "started", "ended"],
  "unstopped": ["started", "ended"],
  "gave-up": [],
  "ended": [],
};

/** What an attempt did, by its own account. */
interface Try {
  context: AttemptContext;
  at: number;
  /** Results that it handed over. */
  made: number;
  /** When it last gave a sign of life; known of a worker played by hand only. */
  beat?: number;
  stopped?: number;
  returned?: boolean;
  threw?: boolean;
  givenUp?: number;
  how?: "stalled" | "failed";
}

/** Runs one schedule; resolves to what was wrong with it. */
function runSchedule(seed: number) {
  const random = mulberry32(seed);
  const chance = (share: number) => random() < share;
  const pick = <T>(...from: T[]) => from[Math.floor(from.length * random())]!;
  const upTo = (ms: number) => STEP * Math.floor((ms / STEP + 1) * random());

  const timeout = pick(100, 200, 500);
  const interval = pick(30, 50);
  const maxRestarts = pick(0, 1, 3, 10, Infinity);
  const within = pick(300, 1000, 5000);
  const min = pick(0, 20, 100);
  const max = min + pick(0, 200, 1000);
  const factor = pick(1, 2, 3);
  const jitter = pick(0, 0.3, 1);
  const stopTimeout = pick(50, 300, Infinity);
  const total = Math.floor(12 * random());
  const trouble = pick(0, 0.1, 0.4, 0.8);
  const stubborn = stopTimeout === Infinity ? 0 : pick(0, 0.3);
  const byHand = chance(0.5);
  const [abortAt, cancelAt] = [chance(0.2), chance(0.2)]
    .map((is) => is ? STEP + upTo(2000) : undefined);
  const cancelled = pick("results", "heartbeats") as "results" | "heartbeats";
  const lazy = pick(0, 0, 0.2, 0.5);
  const refusal = chance(0.1) ? Math.ceil(4 * random()) : Infinity;

  const problems: string[] = [];
  const trace: string[] = [];
  const check = (holds: boolean, claim: string) => {
    if (!holds) problems.push(`${Date.now()}: ${claim}`);
  };
  const tries: Try[] = [];
  const restarts: number[] = [];
  const events: SupervisorEvent[] = [];
  const results: { n: number; attempt: number }[] = [];
  const beats: (Heartbeat & { seen: number })[] = [];
  const ends: { results?: unknown; heartbeats?: unknown } = {};
  let finished = false;
  let stopped: "aborted" | "cancelled" | undefined;
  let failures = 0;
  let earliest = 0;
  let latestStart = Infinity;
  let unending = 0;

  /** One unit of an attempt: what comes next, after a while. */
  const nextStep = () => {
    if (!chance(trouble)) return "yield";
    return pick("yield", "yield", "beat", "beat", "throw", "hang", "deaf");
  };
  /** How long an attempt that ignores its signal goes on. */
  const deafness = () => {
    if (chance(stubborn)) {
      unending++;
      return Infinity;
    }
    return STEP + upTo(1000);
  };
  /** Waits; tells whether it was aborted meanwhile. */
  const hang = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  const sleep = (ms: number) =>
    ms === Infinity ? new Promise<void>(() => {}) : wait(ms);

  /** Work that resumes from what was delivered. */
  async function* work(
    me: Try,
    signal: AbortSignal,
    beat: (detail?: unknown) => void,
  ) {
    const { attempt, delivered } = me.context;
    for (let n = delivered; n < total;) {
      const step = nextStep();
      if (chance(0.7)) await wait(upTo(timeout - 2 * interval));
      if (step === "throw") {
        me.threw = true;
        throw LOST;
      }
      if (step === "beat") beat(`${attempt}:${n}`);
      if (step === "hang") {
        await hang(signal);
        return;
      }
      if (step === "deaf") await sleep(deafness());
      if (step === "yield") {
        yield { n, attempt };
        n++;
      }
    }
    me.returned = true;
  }

  /** A worker without backpressure, that gives a sign of life with each step. */
  function startByHand(me: Try): WorkerStreams<{ n: number; attempt: number }> {
    let toResults!: ReadableStreamDefaultController<unknown>;
    let toHeartbeats!: ReadableStreamDefaultController<Heartbeat>;
    const { signal } = me.context;
    let seq = 0;
    let ended = false;
    const over = new AbortController();
    const quit = () => over.abort();
    signal.addEventListener("abort", quit, { once: true });
    const beat = (detail?: unknown) => {
      if (ended || signal.aborted) return;
      me.beat = Date.now();
      toHeartbeats.enqueue({
        worker: "hand",
        seq: ++seq,
        time: Date.now(),
        ...(detail !== undefined && { detail }),
      });
    };
    const cancel = () => {
      ended = true;
      quit();
      try {
        toHeartbeats.close();
      } catch {
        // it was this one that was cancelled
      }
      try {
        toResults.error(new Error("cancelled"));
      } catch {
        // likewise
      }
    };
    const results = new ReadableStream({
      start: (controller) => void (toResults = controller),
      cancel,
    });
    const heartbeats = new ReadableStream<Heartbeat>({
      start: (controller) => void (toHeartbeats = controller),
      cancel,
    });
    const finished = (async () => {
      let failure: { error: unknown } | undefined;
      beat();
      try {
        for await (const result of work(me, over.signal, beat)) {
          if (ended) return;
          toResults.enqueue(result);
          me.made++;
          beat(chance(0.5) ? `made ${result.n}` : undefined);
          if (signal.aborted) break;
          // not to fill the queue in one turn
          await wait(STEP);
        }
      } catch (error) {
        failure = { error };
      } finally {
        me.stopped = Date.now();
      }
      if (ended) return;
      ended = true;
      if (failure) {
        toHeartbeats.error(failure.error);
        toResults.error(failure.error);
      } else {
        toHeartbeats.close();
        toResults.close();
      }
    })();
    return { results, heartbeats, finished } as ReturnType<typeof startByHand>;
  }

  function start(context: AttemptContext) {
    const now = Date.now();
    const before = tries.at(-1);
    const me: Try = { context, at: now, made: 0 };
    tries.push(me);
    const { attempt, cause, delivered, lastDetail } = context;
    check(
      attempt === tries.length,
      `attempt ${attempt} is no. ${tries.length}`,
    );
    check(!stopped, `attempt ${attempt} was started though it was ${stopped}`);
    check(delivered === results.length, `${delivered} were not delivered`);
    check(
      now >= earliest && now <= latestStart + LATE,
      `attempt ${attempt} was not started from ${earliest} to ${latestStart}`,
    );
    if (before) {
      check(
        before.stopped !== undefined || events.at(-2)?.type === "unstopped",
        `attempt ${attempt} was started while the one before ran`,
      );
      check(
        before.how === "failed"
          ? cause === LOST
          : cause instanceof HeartbeatTimeoutError,
        `${cause} is the cause though it ${before.how}`,
      );
      check(before.context.signal.reason === cause, "another reason");
      const told = beats.findLast(({ detail }) => typeof detail === "string");
      check(lastDetail === told?.detail, `lastDetail is ${lastDetail}`);
    }
    check(!context.signal.aborted, "an attempt was started aborted");
    if (byHand) return startByHand(me);
    const worker = startWorker(async function* ({ signal, beat }) {
      try {
        for await (const result of work(me, signal, beat)) {
          me.made++;
          yield result;
        }
      } finally {
        me.stopped = Date.now();
      }
    }, { signal: context.signal, interval });
    // also where the work never began
    worker.finished.then(() => me.stopped ??= Date.now());
    return worker;
  }

  function onEvent(event: SupervisorEvent) {
    const { type, time, attempt } = event;
    trace.push(`${time} ${type} ${attempt}`);
    const before = events.at(-1);
    events.push(event);
    const now = Date.now();
    const me = tries.at(-1);
    check(time === now, `the event ${type} has another time`);
    check(
      FOLLOWS[before?.type ?? ""]!.includes(type),
      `${type} follows ${before?.type}`,
    );
    check(
      attempt === (before?.attempt ?? 0) + Number(type === "started") ||
        type === "ended" && !before,
      `${type} has the attempt ${attempt}`,
    );
    if (type === "stalled" || type === "failed") {
      failures++;
      me!.givenUp = now;
      me!.how = type;
      check(
        me!.made >= results.length - me!.context.delivered,
        "more came than was made",
      );
    }
    if (type === "stalled") {
      const last = event.last as Heartbeat | undefined;
      // a beat in the very turn of the verdict comes too late
      const beat = me!.beat === now ? undefined : me!.beat;
      const since = beat ?? last?.time ?? me!.at;
      check(
        event.timeout === timeout && event.elapsed >= timeout &&
          now - since >= timeout && now - since <= timeout + interval + LATE,
        `a stall after ${now - since} ms (${event.elapsed}) of ${timeout}`,
      );
    }
    if (type === "failed") check(!!me!.threw, "a failure of nobody");
    const recent = restarts.filter((at) => now - at < within).length;
    if (type === "restarting") {
      check(failures < refusal, "a restart that was refused");
      check(recent < maxRestarts, `restart ${recent + 1} of ${maxRestarts}`);
      const longest = Math.min(max, min * factor ** recent);
      check(
        event.delay >= (1 - jitter) * longest - 1 && event.delay <= longest + 1,
        `the delay ${event.delay} of ${longest}`,
      );
      restarts.push(now);
      earliest = now + event.delay;
      latestStart = now + Math.max(event.delay, 1, stopTimeout);
      // an attempt that stopped is not waited for
      if (me!.stopped !== undefined && me!.stopped <= now) {
        latestStart = now + Math.max(event.delay, 1);
      }
    }
    if (type === "unstopped") {
      check((me!.stopped ?? now) >= now, "unstopped, though it has stopped");
      check(
        now >= me!.givenUp! + stopTimeout,
        `unstopped ${now - me!.givenUp!} ms after`,
      );
    }
    if (type === "gave-up") {
      const limited = event.error.name === "RestartLimitError";
      check(
        limited
          ? recent === maxRestarts && !stopped
          : failures >= refusal || stopped === "aborted",
        `gave up with ${event.error.name} after ${recent} restarts`,
      );
    }
    if (type === "ended") {
      check(
        stopped !== undefined || !!me?.returned,
        "an end that nobody asked for",
      );
    }
  }

  const aborter = new AbortController();
  const supervisor = supervise(start, {
    ...{ timeout, interval, maxRestarts, within, stopTimeout, onEvent },
    backoff: { min, max, factor, jitter },
    signal: aborter.signal,
    name: `${seed}`,
    shouldRestart: () => failures < refusal,
  });
  supervisor.finished.then(() => finished = true);
  const readers = {
    results: supervisor.results.getReader(),
    heartbeats: supervisor.heartbeats.getReader(),
  };

  async function readResults() {
    try {
      for (;;) {
        if (chance(lazy)) await wait(upTo(400));
        const { done, value } = await readers.results.read();
        if (done) break;
        trace.push(`${Date.now()} result ${value.n} of ${value.attempt}`);
        check(value.n === results.length, `${value.n} after ${results.length}`);
        check(
          value.attempt === tries.length,
          `a result of attempt ${value.attempt} in ${tries.length}`,
        );
        check(
          (tries.at(-1)!.givenUp ?? Infinity) >= Date.now(),
          "a result of an attempt that was given up",
        );
        check(stopped !== "cancelled", "a result after the cancel");
        results.push(value);
      }
      ends.results = "closed";
    } catch (error) {
      ends.results = error;
    }
  }

  async function readHeartbeats() {
    try {
      for (;;) {
        const { done, value } = await readers.heartbeats.read();
        if (done) break;
        const seen = Date.now();
        const before = beats.at(-1);
        check(value.seq === (before?.seq ?? 0) + 1, `seq ${value.seq}`);
        check(value.worker === `${seed}`, `a beat of ${value.worker}`);
        if (value.restarting) {
          check(
            value.restarting.attempt === tries.length + 1,
            "a beat of another wait",
          );
        }
        check(
          value.detail !== undefined || before?.detail === undefined,
          "a beat without the checkpoint",
        );
        const { type } = events.at(-1)!;
        if (type === "restarting" && before) {
          check(seen - before.seen <= timeout + LATE, "no beat in a wait");
        }
        beats.push({ ...value, seen });
      }
      ends.heartbeats = "closed";
    } catch (error) {
      ends.heartbeats = error;
    }
  }

  readResults();
  readHeartbeats();
  const isOver = () => events.at(-1)?.type.match(/^(ended|gave-up)$/) != null;
  if (abortAt !== undefined) {
    setTimeout(() => {
      if (isOver() || stopped) return;
      stopped = "aborted";
      trace.push(`${Date.now()} abort`);
      aborter.abort(REASON);
    }, abortAt);
  }
  if (cancelAt !== undefined) {
    setTimeout(() => {
      if (isOver() || stopped === "cancelled") return;
      stopped = "cancelled";
      trace.push(`${Date.now()} cancel ${cancelled}`);
      readers[cancelled].cancel(REASON);
    }, cancelAt);
  }

  return {
    get done() {
      return problems.length > 0 ||
        ends.results !== undefined && ends.heartbeats !== undefined &&
          tries.every((me) => me.stopped !== undefined || unending > 0);
    },
    get trouble() {
      const last = events.at(-1)!;
      const me = tries.at(-1);
      if (!this.done) problems.push("it does not end");
      else if (problems.length === 0) {
        check(isOver(), `it ends with ${last.type}`);
        const left = tries.filter((me) => me.stopped === undefined).length;
        check(
          finished === (left === 0),
          `finished: ${finished}, left: ${left}`,
        );
        check(left <= unending, `${left} do not stop`);
        if (last.type === "gave-up") {
          check(ends.results === ends.heartbeats, "they end differently");
          const { name } = ends.results as Error;
          check(name === last.error.name, `${name} is not what was told`);
          if (ends.results instanceof RestartLimitError) {
            const { cause } = ends.results;
            check(cause === me!.context.signal.reason, "another cause");
            const told = beats.findLast(({ detail }) =>
              typeof detail === "string"
            );
            const { detail } = beats.findLast(({ detail }) =>
              detail !== undefined
            ) ?? {};
            check(byHand || told?.detail === detail || !told, "no checkpoint");
          }
        } else if (stopped === "cancelled") {
          const end = cancelled === "heartbeats" ? REASON : "closed";
          check(ends.results === end, `the results end with ${ends.results}`);
          check(ends.heartbeats === "closed", "the heartbeats do not close");
        } else {
          check(ends.results === "closed", `it ends with ${ends.results}`);
          check(ends.heartbeats === "closed", `… with ${ends.heartbeats}`);
          if (stopped === undefined) {
            check(results.length === total, `${results.length} of ${total}`);
          } else if (me && me.givenUp === undefined) {
            const came = results.length - me.context.delivered;
            check(came === me.made, `${came} came of ${me.made}`);
          }
        }
      }
      return problems.length === 0 ? undefined : {
        seed,
        problems,
        options: {
          ...{ timeout, interval, maxRestarts, within, min, max, factor },
          ...{ jitter, stopTimeout, total, trouble, byHand, lazy, refusal },
        },
        trace,
      };
    },
    kind: () =>
      `${events.at(-1)?.type} ${stopped ?? ""} ${
        tries.length > 1 ? "restarted" : ""
      }`,
  };
}

Deno.test("supervise keeps its contracts in random schedules", async () => {
  const { random } = Math;
  const kinds = new Map<string, number>();
  try {
    for (let first = SEED; first < SEED + SCHEDULES; first += BATCH) {
      using time = new FakeTime(0);
      Math.random = mulberry32(first);
      const size = Math.min(BATCH, SEED + SCHEDULES - first);
      const all = Array.from(
        { length: size },
        (_, i) => runSchedule(first + i),
      );
      for (
        let at = 0;
        at < LIMIT && !all.every(({ done }) => done);
        at += STEP
      ) {
        await time.tickAsync(STEP);
      }
      // for what comes after the end
      for (let i = 0; i < 30; i++) await time.tickAsync(100);
      await time.runMicrotasks();
      for (const { trouble } of all) {
        if (!trouble) continue;
        throw new Error(
          `SEED=${first} SCHEDULES=${size}: ${
            JSON.stringify(trouble, undefined, 2)
          }`,
        );
      }
      assertEquals(time.next(), false, `SEED=${first}: a timer was left`);
      for (const { kind } of all) {
        kinds.set(kind(), (kinds.get(kind()) ?? 0) + 1);
      }
    }
  } finally {
    Math.random = random;
  }
  if (Deno.env.get("KINDS")) throw new Error(JSON.stringify([...kinds]));
});
