// Copyright 2026 the heartbeat authors. MIT license.

import {
  type AttemptContext,
  supervise,
  type SupervisorEvent,
} from "../../supervisor.ts";
import {
  type Heartbeat,
  startWorker,
  type WorkerStreams,
} from "../../worker.ts";
import {
  cycle,
  getWait,
  type Schedule,
  type Step,
} from "./_supervisor_schedule.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** What the work throws. */
export const LOST = new Error("lost");
/** Why the supervisor is aborted or cancelled. */
export const REASON = new Error("that is enough");
/** No schedule takes longer (ms). */
const LIMIT = 600_000;

/** A result, and the attempt that made it. */
export interface Result {
  n: number;
  attempt: number;
}

/** Something that was seen from outside, or that the work did. */
export type Entry =
  & { at: number }
  & (
    | { type: "start"; context: AttemptContext; isAborted: boolean }
    | { type: "gave a sign of life"; attempt: number }
    | { type: "made a result"; attempt: number }
    | { type: "threw" | "returned" | "stopped"; attempt: number }
    | { type: "event"; event: SupervisorEvent }
    | { type: "result"; result: Result }
    | { type: "heartbeat"; heartbeat: Heartbeat }
    | { type: "abort" }
    | { type: "cancel"; stream: "results" | "heartbeats" }
    | { type: "end"; stream: "results" | "heartbeats"; how: unknown }
    | { type: "finished" }
  );

/** An entry without its time. */
type EntryData<E = Entry> = E extends unknown ? Omit<E, "at"> : never;

const wait = (ms: number) =>
  ms === Infinity
    ? new Promise<void>(() => {})
    : new Promise<void>((resolve) => setTimeout(resolve, ms));

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Runs one schedule, and writes down all that happens. */
export class Trial {
  readonly entries: Entry[] = [];
  readonly schedule: Schedule;
  /** Attempts whose work never ends. */
  readonly endless = new Set<number>();
  #failures = 0;

  constructor(schedule: Schedule) {
    this.schedule = schedule;
  }

  /** Runs it to its end; resolves to the number of timers that are left. */
  async run(): Promise<number> {
    const { chances, ties } = this.schedule;
    using time = new VirtualTime(cycle(chances, 0.5), cycle(ties, 0));
    this.#begin();
    await time.runUntil(LIMIT, () => this.#isOver);
    // for what comes after the end
    await time.runUntil(Date.now() + 3000);
    return time.timers;
  }

  /** Whether the entries hold one of this type. */
  has(type: Entry["type"]): boolean {
    return this.entries.some((entry) => entry.type === type);
  }

  get #isOver(): boolean {
    const count = (type: Entry["type"]) =>
      this.entries.filter((entry) => entry.type === type).length;
    return count("end") === 2 &&
      count("stopped") + this.endless.size === count("start");
  }

  #log(entry: EntryData) {
    this.entries.push({ at: Date.now(), ...entry } as Entry);
  }

  #begin() {
    const { options, abortAt, cancel, refuseFrom } = this.schedule;
    const aborter = new AbortController();
    const { results, heartbeats, finished } = supervise(
      (context) => this.#start(context),
      {
        ...options,
        backoff: {
          ...options.backoff,
          max: Math.max(options.backoff.min, options.backoff.max),
        },
        name: "supervisor",
        signal: aborter.signal,
        onEvent: (event) => this.#onEvent(event),
        shouldRestart: () => this.#failures < refuseFrom,
      },
    );
    finished.then(() => this.#log({ type: "finished" }));
    const readers = {
      results: results.getReader(),
      heartbeats: heartbeats.getReader(),
    };
    this.#read("results", readers.results, cycle(this.schedule.reads, 0));
    this.#read("heartbeats", readers.heartbeats);
    this.#endAt(abortAt, { type: "abort" }, () => aborter.abort(REASON));
    if (!cancel) return;
    const { at, stream } = cancel;
    this.#endAt(at, { type: "cancel", stream }, () => {
      readers[stream].cancel(REASON);
    });
  }

  /** Ends the supervisor from outside, unless it is over by then. */
  #endAt(at: number | undefined, entry: EntryData, act: () => void) {
    if (at === undefined) return;
    setTimeout(() => {
      if (this.has("end") || this.has("cancel")) return;
      const events = this.entries.filter((entry) => entry.type === "event");
      const last = events.at(-1)?.event.type;
      if (last === "gave-up" || last === "ended") return;
      this.#log(entry);
      act();
    }, at);
  }

  #onEvent(event: SupervisorEvent) {
    if (event.type === "stalled" || event.type === "failed") this.#failures++;
    this.#log({ type: "event", event });
  }

  async #read(
    stream: "results" | "heartbeats",
    reader: ReadableStreamDefaultReader<unknown>,
    nextPause?: () => number,
  ) {
    try {
      for (;;) {
        const pause = nextPause?.() ?? 0;
        if (pause > 0) await wait(pause);
        const { done, value } = await reader.read();
        if (done) break;
        if (stream === "results") {
          this.#log({ type: "result", result: value as Result });
        } else this.#log({ type: "heartbeat", heartbeat: value as Heartbeat });
      }
      this.#log({ type: "end", stream, how: "closed" });
    } catch (how) {
      this.#log({ type: "end", stream, how });
    }
  }

  #start(context: AttemptContext): WorkerStreams<Result> {
    const { attempt, signal } = context;
    this.#log({ type: "start", context, isAborted: signal.aborted });
    const worker = this.schedule.worker === "function"
      ? this.#startFunction(context)
      : this.#startPair(context);
    worker.finished.then(() => this.#log({ type: "stopped", attempt }));
    return worker;
  }

  #startFunction(context: AttemptContext) {
    const { attempt, signal } = context;
    return startWorker(
      ({ beat, signal }) =>
        this.#work(context, signal, (detail) => {
          this.#log({ type: "gave a sign of life", attempt });
          beat(detail);
        }),
      { signal, interval: this.schedule.options.interval },
    );
  }

  /** Work that resumes from what was delivered. */
  async *#work(
    { attempt, delivered }: AttemptContext,
    signal: AbortSignal,
    beat: (detail?: unknown) => void,
  ) {
    const steps = [...this.schedule.attempts[attempt - 1] ?? []];
    for (let n = delivered; n < this.schedule.total;) {
      const step = steps.shift();
      if (step) await wait(getWait(step, this.schedule.options));
      switch (step?.act) {
        case "throw":
          this.#log({ type: "threw", attempt });
          throw LOST;
        case "beat":
          beat(`${attempt}:${n}`);
          break;
        case "hang":
          if (this.schedule.worker !== "deaf pair") {
            return await aborted(signal);
          }
          // falls through
        case "ignore the abort":
          await wait(this.#getDeafness(step, attempt));
          break;
        default:
          this.#log({ type: "made a result", attempt });
          yield { n: n++, attempt };
      }
    }
    this.#log({ type: "returned", attempt });
  }

  #getDeafness({ deafFor }: Step, attempt: number) {
    if (deafFor < Infinity) return deafFor;
    // it would hold the supervisor for ever, too
    if (this.schedule.options.stopTimeout === Infinity) return 1000;
    this.endless.add(attempt);
    return deafFor;
  }

  /** A worker without backpressure, which sends a heartbeat at each step. */
  #startPair(context: AttemptContext): WorkerStreams<Result> {
    const { attempt } = context;
    const isDeaf = this.schedule.worker === "deaf pair";
    const stopped = new AbortController();
    const onAbort = () => isDeaf || stopped.abort();
    context.signal.addEventListener("abort", onAbort, { once: true });
    const stop = () => {
      onAbort();
      if (isDeaf) return;
      heartbeats.close();
      results.error(new Error("cancelled"));
    };
    const results = new Source<Result>(stop);
    const heartbeats = new Source<Heartbeat>(stop);
    let seq = 0;
    const beat = (detail?: unknown) => {
      if (heartbeats.isClosed || stopped.signal.aborted) return;
      this.#log({ type: "gave a sign of life", attempt });
      heartbeats.enqueue({
        worker: "pair",
        seq: ++seq,
        time: Date.now(),
        ...(detail !== undefined && { detail }),
      });
    };
    const run = async () => {
      beat();
      try {
        for await (const result of this.#work(context, stopped.signal, beat)) {
          results.enqueue(result);
          beat(result.n % 2 ? `made ${result.n}` : undefined);
          if (stopped.signal.aborted) break;
          // not to fill the queue in one turn
          await wait(10);
        }
        heartbeats.close();
        results.close();
      } catch (error) {
        heartbeats.error(error);
        results.error(error);
      }
    };
    return {
      results: results.readable,
      heartbeats: heartbeats.readable,
      finished: run(),
    };
  }
}

/** A stream that is fed from outside, and ignores what comes after its end. */
class Source<T> {
  readonly readable: ReadableStream<T>;
  isClosed = false;
  #controller!: ReadableStreamDefaultController<T>;

  constructor(onCancel: () => void) {
    this.readable = new ReadableStream<T>({
      start: (controller) => void (this.#controller = controller),
      cancel: () => {
        this.isClosed = true;
        onCancel();
      },
    });
  }

  enqueue(chunk: T) {
    if (!this.isClosed) this.#controller.enqueue(chunk);
  }

  close() {
    if (!this.isClosed) this.#controller.close();
    this.isClosed = true;
  }

  error(error: unknown) {
    if (!this.isClosed) this.#controller.error(error);
    this.isClosed = true;
  }
}
