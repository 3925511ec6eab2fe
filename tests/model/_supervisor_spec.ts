// Copyright 2026 the heartbeat authors. MIT license.

import { HeartbeatTimeoutError } from "../../monitor.ts";
import { RestartLimitError, type SupervisorEvent } from "../../supervisor.ts";
import type { Schedule } from "./_supervisor_schedule.ts";
import { type Entry, LOST, REASON } from "./_supervisor_trial.ts";

/** How late (ms) a thing may be: the supervisor waits this long for a last heartbeat. */
const SLACK = 1;

/** Which event may follow which. */
const FOLLOWS: Record<string, SupervisorEvent["type"][]> = {
  "": ["started", "ended"],
  "started": ["stalled", "failed", "ended"],
  "stalled": ["restarting", "gave-up", "ended"],
  "failed": ["restarting", "gave-up", "ended"],
  "restarting": ["unstopped", "started", "ended"],
  "unstopped": ["started", "ended"],
  "gave-up": [],
  "ended": [],
};

/** An entry of one type, or an event of one type. */
type Of<T extends Entry["type"]> = Extract<Entry, { type: T }>;
type EventOf<T extends SupervisorEvent["type"]> = Extract<
  SupervisorEvent,
  { type: T }
>;

/** What is known of an attempt. */
interface Attempt {
  start: Of<"start">;
  /** How many results it made. */
  made: number;
  lastMade?: number;
  /** When anything of it was last seen. */
  lastSeen: number;
  /** When it gave a sign of life: it began, sent a heartbeat, called `beat()`, or a result of it was delivered. */
  signs: number[];
  threwAt?: number;
  hasReturned?: boolean;
  stoppedAt?: number;
  givenUp?: { at: number; how: "stalled" | "failed" };
}

/**
 * What must hold of every schedule: the contracts of `supervise()`, checked
 * entry by entry and at the end.
 */
export class Specification {
  readonly problems: string[] = [];
  readonly #schedule: Schedule;
  readonly #attempts: Attempt[] = [];
  readonly #events: SupervisorEvent[] = [];
  readonly #results: Of<"result">[] = [];
  readonly #heartbeats: Of<"heartbeat">[] = [];
  readonly #restarts: number[] = [];
  readonly #ends: { results?: unknown; heartbeats?: unknown } = {};
  /** How it was ended from outside. */
  #stopped: "abort" | "cancel" | undefined;
  #failures = 0;
  #isFinished = false;
  #now = 0;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  /** Checks the next entry. */
  check(entry: Entry) {
    this.#now = entry.at;
    switch (entry.type) {
      case "start":
        return this.#onStart(entry);
      case "event":
        return this.#onEvent(entry.event);
      case "result":
        return this.#onResult(entry);
      case "heartbeat":
        return this.#onHeartbeat(entry);
      case "abort":
      case "cancel":
        this.#stopped = entry.type;
        break;
      case "end":
        this.#ends[entry.stream] = entry.how;
        break;
      case "finished":
        this.#isFinished = true;
        break;
      default:
        this.#onWork(entry);
    }
  }

  #expect(holds: boolean, claim: string) {
    if (!holds) this.problems.push(`at ${this.#now}: ${claim}`);
  }

  /** What the work of an attempt did. */
  #onWork(
    { type, attempt }:
      & Exclude<Entry, { event: unknown } | { stream: unknown }>
      & {
        attempt: number;
      },
  ) {
    const known = this.#attempts[attempt - 1]!;
    if (type === "gave a sign of life") known.signs.push(this.#now);
    if (type === "made a result") {
      known.made++;
      known.lastMade = this.#now;
    }
    if (type === "threw") known.threwAt = this.#now;
    if (type === "returned") known.hasReturned = true;
    if (type === "stopped") known.stoppedAt = this.#now;
  }

  #onStart(start: Of<"start">) {
    const { attempt, delivered } = start.context;
    const last = this.#attempts.at(-1);
    this.#attempts.push({
      start,
      made: 0,
      lastSeen: this.#now,
      signs: [this.#now],
    });
    this.#expect(
      attempt === this.#attempts.length,
      `attempt ${attempt} is no. ${this.#attempts.length}`,
    );
    this.#expect(!this.#stopped, "an attempt is started after the end");
    this.#expect(
      !start.isAborted,
      "an attempt is started with its signal aborted",
    );
    this.#expect(
      delivered === this.#results.length,
      `${delivered} of ${this.#results.length} results are said to be delivered`,
    );
    if (last) this.#checkRestart(start, last);
  }

  /** What the next attempt is given, and when. */
  #checkRestart({ context }: Of<"start">, last: Attempt) {
    const { cause, lastDetail } = context;
    this.#checkInterval();
    this.#expect(
      this.#now === this.#getStartTime(last),
      `the attempt is not started at ${this.#getStartTime(last)}`,
    );
    this.#expect(
      last.stoppedAt !== undefined || this.#events.at(-2)?.type === "unstopped",
      "an attempt is started while the last one runs, and no event said so",
    );
    this.#expect(
      last.givenUp?.how === "failed"
        ? cause === LOST
        : cause instanceof HeartbeatTimeoutError,
      `${cause} is the cause though the last attempt ${last.givenUp?.how}`,
    );
    this.#expect(
      last.start.context.signal.reason === cause,
      "the signal of the last attempt has another reason",
    );
    this.#expect(
      lastDetail === this.#heartbeats.at(-1)?.heartbeat.detail,
      `the last detail is said to be ${lastDetail}`,
    );
  }

  /** After the delay, and once the last attempt stopped or had its time. */
  #getStartTime({ stoppedAt = Infinity, givenUp }: Attempt) {
    const { delay, time } = this.#events.findLast(
      ({ type }) => type === "restarting",
    ) as EventOf<"restarting">;
    const { stopTimeout } = this.#schedule.options;
    return Math.max(
      time + delay,
      Math.min(stoppedAt, givenUp!.at + stopTimeout),
    );
  }

  #onResult(entry: Of<"result">) {
    const { n, attempt } = entry.result;
    const last = this.#attempts.at(-1)!;
    this.#expect(n === this.#results.length, `result ${n} is not next`);
    this.#expect(
      attempt === this.#attempts.length && !last.givenUp,
      `a result of attempt ${attempt}, which was given up`,
    );
    this.#expect(this.#stopped !== "cancel", "a result after the cancel");
    last.lastSeen = this.#now;
    last.signs.push(this.#now);
    this.#results.push(entry);
  }

  #onHeartbeat(entry: Of<"heartbeat">) {
    const { worker, seq, detail, restarting } = entry.heartbeat;
    const before = this.#heartbeats.at(-1);
    const last = this.#attempts.at(-1)!;
    this.#expect(
      worker === "supervisor" && seq === this.#heartbeats.length + 1,
      `heartbeat ${seq} of ${worker}`,
    );
    this.#expect(
      detail !== undefined || before?.heartbeat.detail === undefined,
      "a heartbeat without the checkpoint",
    );
    if (restarting) {
      this.#expect(
        restarting.attempt === this.#attempts.length + 1 && !!last.givenUp,
        `a heartbeat of a restart to attempt ${restarting.attempt}`,
      );
    } else last.lastSeen = this.#now;
    if (before?.heartbeat.restarting && last.givenUp) this.#checkInterval();
    this.#heartbeats.push(entry);
  }

  /** The supervisor itself beats while it waits. */
  #checkInterval() {
    this.#expect(
      this.#now - this.#heartbeats.at(-1)!.at <=
        this.#schedule.options.interval,
      "no heartbeat in a wait",
    );
  }

  #onEvent(event: SupervisorEvent) {
    const { type, time, attempt } = event;
    const before = this.#events.at(-1);
    this.#events.push(event);
    this.#expect(time === this.#now, `the event ${type} has another time`);
    this.#expect(
      FOLLOWS[before?.type ?? ""]!.includes(type),
      `${type} follows ${before?.type}`,
    );
    this.#expect(
      attempt === (before?.attempt ?? 0) + Number(type === "started") ||
        type === "ended" && !before,
      `${type} has the attempt ${attempt}`,
    );
    switch (type) {
      case "stalled":
        return this.#onStalled(event);
      case "failed":
        return this.#onFailed();
      case "restarting":
        return this.#onRestarting(event);
      case "unstopped":
        return this.#onUnstopped();
      case "gave-up":
        return this.#onGaveUp(event);
      case "ended":
        this.#expect(
          !!this.#stopped || !!this.#attempts.at(-1)?.hasReturned,
          "an end that nobody asked for",
        );
    }
  }

  #onStalled({ elapsed, timeout }: EventOf<"stalled">) {
    const last = this.#giveUp("stalled");
    this.#expect(
      timeout === this.#schedule.options.timeout && elapsed >= timeout,
      `a stall of ${elapsed} ms of ${timeout}`,
    );
    this.#expect(
      this.#now - last.lastSeen <= timeout + SLACK,
      `a stall that is not reported before ${this.#now - last.lastSeen} ms`,
    );
    // what happens at the very time of the verdict is too late, and `beat()` is
    // seen at the next interval
    const { worker, options: { interval } } = this.#schedule;
    const late = 1 + (worker === "function" ? interval : 0);
    const sign = last.signs.findLast((at) => at <= this.#now - late)!;
    this.#expect(
      this.#now - sign >= timeout,
      `a stall ${this.#now - sign} ms after a sign of life`,
    );
    // while a result waits, the worker is idle and says so at each interval
    const { start, made, lastMade } = last;
    const came = this.#results.length - start.context.delivered;
    this.#expect(
      worker !== "function" || made === came ||
        this.#now - lastMade! <= interval,
      "a stall while a result waits for the consumer",
    );
  }

  #onFailed() {
    const { threwAt } = this.#giveUp("failed");
    // a failure behind results that wait is seen when they have been read
    this.#expect(threwAt !== undefined, "a failure of nobody");
  }

  #giveUp(how: "stalled" | "failed"): Attempt {
    this.#failures++;
    const last = this.#attempts.at(-1)!;
    last.givenUp = { at: this.#now, how };
    const came = this.#results.length - last.start.context.delivered;
    this.#expect(came <= last.made, `${came} results of ${last.made} came`);
    return last;
  }

  #countRecentRestarts() {
    const { within } = this.#schedule.options;
    return this.#restarts.filter((at) => this.#now - at < within).length;
  }

  #onRestarting({ delay }: EventOf<"restarting">) {
    const { options: { maxRestarts, backoff }, refuseFrom } = this.#schedule;
    const { min, factor, jitter } = backoff;
    const count = this.#countRecentRestarts();
    this.#expect(this.#failures < refuseFrom, "a restart that was refused");
    this.#expect(count < maxRestarts, `restart ${count + 1} of ${maxRestarts}`);
    const longest = Math.min(Math.max(min, backoff.max), min * factor ** count);
    this.#expect(
      delay >= Math.floor((1 - jitter) * longest) && delay <= longest,
      `a delay of ${delay} ms, and the longest is ${longest} ms`,
    );
    this.#restarts.push(this.#now);
  }

  #onUnstopped() {
    const last = this.#attempts.at(-1)!;
    this.#expect(
      (last.stoppedAt ?? this.#now) >= this.#now,
      "unstopped, though it has stopped",
    );
    this.#expect(
      this.#now === this.#getStartTime({ ...last, stoppedAt: Infinity }),
      "unstopped at another time",
    );
  }

  #onGaveUp({ error }: EventOf<"gave-up">) {
    const { options: { maxRestarts }, refuseFrom } = this.#schedule;
    const isRefused = this.#failures >= refuseFrom ||
      this.#stopped === "abort";
    this.#expect(
      error.name === "RestartLimitError"
        ? this.#countRecentRestarts() === maxRestarts && !isRefused
        : isRefused,
      `gave up with ${error.name} after ${this.#failures} failures`,
    );
  }

  /** Checks how it ended. */
  checkEnd(endless: Set<number>, timers: number) {
    const last = this.#events.at(-1);
    const running = this.#attempts.filter(
      ({ stoppedAt }) => stoppedAt === undefined,
    );
    this.#expect(
      last?.type === "ended" || last?.type === "gave-up",
      `the last event is ${last?.type}`,
    );
    this.#expect(
      this.#isFinished === (running.length === 0),
      `finished: ${this.#isFinished}, while ${running.length} attempts run`,
    );
    this.#expect(
      running.every(({ start }) => endless.has(start.context.attempt)),
      "an attempt was not stopped",
    );
    this.#expect(timers === 0, `${timers} timers are left`);
    if (last?.type === "gave-up") this.#checkFailure(last);
    else if (this.#stopped === "cancel") this.#checkCancelled();
    else this.#checkClosed();
  }

  #checkFailure({ error }: EventOf<"gave-up">) {
    const { results, heartbeats } = this.#ends;
    const { name } = results as Error;
    this.#expect(results === heartbeats, "the streams end differently");
    this.#expect(name === error.name, `${name} is not what the event says`);
    if (!(results instanceof RestartLimitError)) return;
    const { signal } = this.#attempts.at(-1)!.start.context;
    this.#expect(results.cause === signal.reason, "another cause");
  }

  #checkCancelled() {
    const { results, heartbeats } = this.#ends;
    const expected = this.#schedule.cancel!.stream === "heartbeats"
      ? REASON
      : "closed";
    this.#expect(results === expected, `the results end with ${results}`);
    this.#expect(heartbeats === "closed", "the heartbeats do not close");
  }

  #checkClosed() {
    const { results, heartbeats } = this.#ends;
    this.#expect(results === "closed", `the results end with ${results}`);
    this.#expect(heartbeats === "closed", `the heartbeats: ${heartbeats}`);
    const came = this.#results.length;
    const { total } = this.#schedule;
    const last = this.#attempts.at(-1);
    if (!this.#stopped) {
      this.#expect(came === total, `${came} results of ${total} came`);
    } else if (last && !last.givenUp) {
      const { made, start: { context: { delivered } } } = last;
      this.#expect(came - delivered === made, `${came} of ${made} came`);
    }
  }
}
