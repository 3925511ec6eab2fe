// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Runs a schedule on a `FleetMonitor`, and compares it at each step with what
 * the specification allows.
 *
 * @module
 */

import { FakeTime } from "@std/testing/time";
import {
  type FleetEvent,
  type FleetHandle,
  FleetMonitor,
  type FleetWorker,
  type LastBeat,
} from "../../fleet.ts";
import type { Heartbeat } from "../../worker.ts";
import { skewClock } from "../_help.ts";
import {
  type FleetSetup,
  NAMES,
  type NextBeat,
  type Schedule,
  type Step,
} from "./_fleet_schedule.ts";
import {
  claim,
  Deadlines,
  ExpectedEvents,
  type Member,
  USUAL_LATENESS_MS,
} from "./_fleet_specification.ts";

/** Runs what streams do without timers. */
async function settle() {
  for (let i = 0; i < 16; i++) await undefined;
}

/** What a heartbeat contains. */
type Contents = Pick<Heartbeat, "detail" | "ended"> & {
  worker: string;
  seq?: number;
};

/** A worker with what is known of its last heartbeat. */
function toLast({ seq, detail }: Contents): LastBeat {
  return {
    ...(seq !== undefined && { seq }),
    ...(detail !== undefined && { detail }),
  };
}

/** A large detail is not kept of a worker that is gone. */
function dropLargeDetail({ last }: Member) {
  if (last && String(last.detail).length > 4_090) delete last.detail;
}

/** Follows a fleet through a schedule. */
class FleetChecker {
  readonly events = new ExpectedEvents();
  #time: FakeTime;
  #clock: { ahead: number };
  #setup: FleetSetup;
  #fleet: FleetMonitor;
  #writer: WritableStreamDefaultWriter<Heartbeat | readonly Heartbeat[]>;
  #reader: ReadableStreamDefaultReader<FleetEvent>;
  #handles: Record<string, FleetHandle> = {};
  #members = new Map<string, Member>();
  #deadlines: Deadlines;
  /** When the wall clock was set last. */
  #setAt = -Infinity;
  #isReading = false;
  #received: FleetEvent[] = [];
  /** An error of a stream that no step expects. */
  #streamError: unknown;
  #isAborted = false;

  constructor(time: FakeTime, clock: { ahead: number }, setup: FleetSetup) {
    this.#time = time;
    this.#clock = clock;
    this.#setup = setup;
    this.#deadlines = new Deadlines(setup);
    const { start: _, isByName, ...options } = setup;
    this.#fleet = new FleetMonitor({
      ...options,
      timeout: isByName ? () => setup.timeout : setup.timeout,
    });
    this.#writer = this.#fleet.writable.getWriter();
    this.#reader = this.#fleet.readable.getReader();
  }

  /** Runs a step. */
  async run(step: Step) {
    switch (step.do) {
      case "beat":
        this.#beat(step.by, this.#prepare(step.beat));
        break;
      case "chunk":
        await this.#write(
          step.beats.map((b) => this.#prepare(b)),
          step.isAlone,
        );
        break;
      case "expect":
        this.#expect(step.workers);
        break;
      case "remove":
        this.#remove(step.worker);
        break;
      case "pause":
        this.#fleet.pause();
        this.#deadlines.isPaused = true;
        break;
      case "resume":
        this.resume();
        break;
      case "wait": {
        const { period } = this.#deadlines;
        const whole = step.of === "tick" ? period : this.#setup.timeout;
        await this.wait(Math.floor(step.share * whole / 1000));
        break;
      }
      case "set clock a little":
        await this.#setClockALittle(step.by);
        break;
      case "set clock":
        await this.#setClock(step.way, step.share, step.beatFirst);
        break;
      case "read":
        await this.read(step.count);
    }
    await settle();
    this.#receive();
  }

  resume() {
    this.#fleet.resume();
    this.#deadlines.resume(this.#time.now);
  }

  /** Gives a heartbeat its `seq` and detail. */
  #prepare({ worker, seq, detail, ended }: NextBeat): Contents {
    const last = this.#members.get(worker)?.last?.seq ?? 0;
    return {
      worker,
      ...(typeof seq === "number" && { seq: last + seq }),
      ...(seq === "from the start" && { seq: 1 }),
      ...(detail > 0 && { detail: "x".repeat(detail) }),
      ...(ended && { ended }),
    };
  }

  /** Whether a name is refused; that is counted. */
  #isRefused(worker: string): boolean {
    if (this.#members.has(worker)) return false;
    const { maxWorkers, maxNameLength } = this.#setup;
    const isLong = worker.length > maxNameLength;
    if (!isLong && this.#members.size < maxWorkers) return false;
    const kept = worker.slice(0, maxNameLength);
    this.events.addRefused(kept, Date.now(), isLong ? "name" : "full");
    return true;
  }

  #beat(by: "name" | "handle", { worker, seq, detail }: Contents) {
    if (by === "name") this.#fleet.beat(worker, seq, detail);
    else {
      this.#handles[worker] ??= this.#fleet.handle(worker);
      this.#handles[worker].beat(seq, detail);
    }
    const beat = { worker, ...toLast({ worker, seq: seq!, detail }) };
    if (this.#onBeat(beat)) this.#checkLastSeen(worker, false);
  }

  async #write(beats: Contents[], isAlone: boolean) {
    const chunk = beats.map((beat) => ({ ...beat, time: 0 })) as Heartbeat[];
    this.#writer.write(isAlone && chunk.length === 1 ? chunk[0]! : chunk)
      .catch((error) => this.#streamError = error);
    await settle();
    const taken = beats.filter((beat) => {
      const isTaken = beat.ended
        ? this.#onGoodbye(beat, beat.ended)
        : this.#onBeat(beat);
      // a read that waits gets the first event, before the next heartbeat of the chunk
      if (this.events.length > 0) this.#receive();
      return isTaken;
    });
    for (const { worker } of taken) this.#checkLastSeen(worker, true);
  }

  /** A goodbye came; returns whether it counts at once. */
  #onGoodbye(beat: Contents, ended: "done" | "failed"): boolean {
    const { worker } = beat;
    if (this.#isRefused(worker)) return false;
    const member = this.#members.get(worker);
    const isExpected = member && !member.last && !member.down;
    const lastSeq = isExpected ? 0 : member?.last?.seq;
    const isNumbered = beat.seq !== undefined && lastSeq !== undefined;
    const last = { lastSeen: Date.now(), ...toLast(beat) };
    if (isNumbered && beat.seq !== lastSeq + 1) {
      if (!member!.down) member!.goodbye = { ended, last };
      if (!member!.down || beat.seq! <= lastSeq) return false;
    }
    // it is kept with the tick before it
    const { now } = this.#time;
    const from = now - this.#deadlines.period - USUAL_LATENESS_MS;
    const gone: Member = { since: now, fast: 0, slow: 0, last };
    this.#members.set(worker, gone);
    this.#markEnded(worker, gone, ended, [from, now]);
    return true;
  }

  /** A member has ended by a goodbye, which is its last heartbeat. */
  #markEnded(
    worker: string,
    member: Member,
    ended: "done" | "failed",
    found: [number, number],
    fromWall?: number,
  ) {
    member.down = found;
    member.left = ended === "done";
    const base = { worker, time: Date.now(), ...member.last };
    this.events.add(
      member.left
        ? { type: "left", ...base }
        : { type: "down", ...base, reason: "failed" },
      fromWall,
    );
    dropLargeDetail(member);
  }

  /** A heartbeat came; returns whether it is taken. */
  #onBeat(beat: Contents): boolean {
    const { worker } = beat;
    if (this.#isRefused(worker)) return false;
    const time = Date.now();
    const base = { worker, time, ...toLast(beat) };
    const member = this.#members.get(worker);
    const last = member?.last;
    if (!last || member.left) this.events.add({ type: "up", ...base });
    else if (member.down) {
      const missed = beat.seq! - last.seq! - 1;
      const outage = Math.max(time - last.lastSeen!, 0);
      this.events.add({
        ...{ type: "recovered", outage, ...base },
        ...(missed >= 0 && { missed }),
      });
    }
    const fresh = { since: this.#time.now, fast: 0, slow: 0 };
    this.#members.set(worker, { ...fresh, last: { ...toLast(beat) } });
    return true;
  }

  /** The specification leaves open which tick a heartbeat is kept with, and follows the fleet. */
  #checkLastSeen(worker: string, isExact: boolean) {
    const now = Date.now();
    const { lastSeen } = [...this.#fleet].find((one) => one.worker === worker)!;
    const { period } = this.#deadlines;
    const earliest = isExact ? now : now - period - USUAL_LATENESS_MS;
    const isSettled = this.#time.now - this.#setAt > period;
    claim(
      lastSeen! >= earliest && lastSeen! <= now || !isExact && !isSettled,
      `${worker} was seen at ${lastSeen}, now is ${now}`,
    );
    this.#members.get(worker)!.last!.lastSeen = lastSeen!;
  }

  #expect(workers: string[]) {
    this.#fleet.expect(workers);
    for (const worker of workers) {
      const member = this.#members.get(worker);
      if (member && !member.left || this.#isRefused(worker)) continue;
      const since = this.#time.now;
      this.#members.set(worker, { since, fast: 0, slow: 0 });
    }
  }

  #remove(worker: string) {
    const isMember = this.#members.delete(worker);
    claim(this.#fleet.remove(worker) === isMember, `removed: not ${isMember}`);
    if (!isMember) return;
    this.events.add({ type: "forgotten", worker, time: Date.now() });
  }

  /** Lets time pass tick by tick: nobody can go down and be forgotten within one. */
  async wait(ms: number) {
    const { period } = this.#deadlines;
    for (let rest = ms; rest > 0; rest -= period) {
      const [now, wall] = [this.#time.now, Date.now()];
      this.#time.tick(Math.min(period, rest));
      this.#observe(now, wall);
      if (!this.#isReading || this.events.length === 0) continue;
      // a read that waits gets it at once
      await settle();
      this.#receive();
    }
  }

  async #setClockALittle(by: number) {
    this.#clock.ahead += by;
    const { period } = this.#deadlines;
    this.#deadlines.onExtraTime(Math.max(by, 0));
    for (const member of this.#members.values()) {
      if (by > 0) {
        member.fast += by;
        // a heartbeat may have come at the end of a tick that is late; a few ms where the ticks are 1 ms apart
        member.slow += Math.max(period, 4);
      } else member.slow -= by;
    }
    this.#setAt = this.#time.now;
    // several are not to add up to a large one
    await this.wait(period);
  }

  async #setClock(way: 1 | -1, share: number, beatFirst: string | null) {
    const { timeout, resolution } = this.#setup;
    const by = resolution + 20 + Math.floor(share * timeout / 1000);
    this.#clock.ahead += way * by;
    this.#setAt = this.#time.now;
    if (way > 0) this.#deadlines.onDelay(this.#time.now, by);
    if (beatFirst !== null) {
      // between the delay and the tick that finds it, which then seems to be due
      this.#deadlines.onExtraTime(this.#deadlines.period);
      for (const member of this.#members.values()) {
        if (member.down) member.fast += this.#deadlines.period;
      }
      this.#beat("name", { worker: beatFirst, seq: 7 });
      await settle();
      this.#receive();
    }
    await this.wait(this.#deadlines.period);
  }

  /** Compares the fleet with what is allowed, and follows it. */
  #observe(from: number, fromWall: number) {
    this.events.step++;
    const seen = new Map(Array.from(this.#fleet, (one) => [one.worker, one]));
    for (const [name, member] of [...this.#members]) {
      const is = seen.get(name);
      if (member.down) this.#observeDown(name, member, is, fromWall);
      else this.#observeWaiting(name, member, is, from, fromWall);
      if (is) this.#compareLast(member, is);
    }
    claim(this.#fleet.size === this.#members.size, "the size");
    const { full, name } = this.events.refused;
    claim(this.#fleet.refused === full + name, "how many were refused");
    claim(
      [...seen.keys()].join() === [...this.#members.keys()].join(),
      "the order of the workers",
    );
  }

  /** Who is expected or up. */
  #observeWaiting(
    name: string,
    member: Member,
    is: FleetWorker | undefined,
    from: number,
    fromWall: number,
  ) {
    claim(is !== undefined, `${name} vanished`);
    const { now } = this.#time;
    if (is.state === "expected" || is.state === "up") {
      claim(is.state === (member.last ? "up" : "expected"), `${name} is it`);
      const latest = this.#deadlines.latest(member);
      claim(now < latest, `${name} is not down by ${latest}`);
      return;
    }
    const earliest = this.#deadlines.earliest(member);
    claim(!this.#deadlines.isPaused, `${name} is down in a pause`);
    claim(now >= earliest, `${name} is down before ${earliest}`);
    member.fast = member.slow = 0;
    const { goodbye } = member;
    delete member.goodbye;
    if (goodbye) {
      member.last = goodbye.last;
      const { ended } = goodbye;
      return this.#markEnded(name, member, ended, [from, now], fromWall);
    }
    member.down = [from, now];
    const { last } = member;
    this.events.add({
      ...{ type: "down", worker: name, time: Date.now(), ...last },
      reason: "silent",
    }, fromWall);
    dropLargeDetail(member);
  }

  #observeDown(
    name: string,
    member: Member,
    is: FleetWorker | undefined,
    fromWall: number,
  ) {
    const { now } = this.#time;
    if (is) {
      const state = member.left ? "left" : "down";
      claim(is.state === state, `${name} is ${is.state} without a heartbeat`);
      const latest = this.#deadlines.latestForgotten(member);
      claim(now < latest, `${name} is not forgotten by ${latest}`);
      return;
    }
    claim(!this.#deadlines.isPaused, `${name} is forgotten in a pause`);
    const earliest = this.#deadlines.earliestForgotten(member);
    claim(now >= earliest, `${name} is forgotten before ${earliest}`);
    this.#members.delete(name);
    this.events.add(
      { type: "forgotten", worker: name, time: Date.now() },
      fromWall,
    );
  }

  #compareLast({ last = {} }: Member, is: FleetWorker) {
    const { worker, state: _, ...rest } = is;
    for (const key of ["lastSeen", "seq", "detail"] as const) {
      claim(
        rest[key] === last[key] && key in rest === key in last,
        `${worker}: ${JSON.stringify(rest)} is not ${JSON.stringify(last)}`,
      );
    }
  }

  /** What was read must be what waits. */
  #receive() {
    for (const event of this.#received.splice(0)) this.events.take(event);
    if (this.#streamError !== undefined) throw this.#streamError;
  }

  async read(count: number) {
    for (; count > 0 && !(await this.#readOne()); count--);
  }

  /** Returns whether the read waits. */
  async #readOne(): Promise<boolean> {
    if (!this.#isReading) {
      this.#isReading = true;
      this.#reader.read().then(({ value }) => {
        this.#isReading = false;
        if (value) this.#received.push(value);
      }, (error) => {
        if (!this.#isAborted) this.#streamError = error;
      });
    }
    const { length } = this.events;
    await settle();
    claim(!this.#isReading || length === 0, "an event is held back");
    this.#receive();
    return this.#isReading;
  }

  async end(how: Schedule["end"]) {
    this.#isAborted = how === "abort";
    if (how === "close") await this.#writer.close();
    if (how === "abort") await this.#writer.abort("enough");
    if (how === "cancel") await this.#reader.cancel();
    await settle();
    this.#receive();
    for (const name of NAMES) {
      this.#fleet.beat(name, 1);
      this.#handles[name]?.beat(1);
    }
    this.#fleet.expect(["late"]);
    if (how === "close") await this.#checkClosed();
    claim(this.#fleet.size === this.#members.size, "the end changes the size");
    claim(this.#time.next() === false, `${how} leaves a timer`);
  }

  /** After all was read, the reader knows the truth. */
  async #checkClosed() {
    await this.read(this.events.length);
    claim(this.events.length === 0, "not all can be read");
    claim((await this.#reader.read()).done, "more can be read");
    const { known } = this.events;
    for (const name of known.keys()) {
      claim(this.#members.has(name), `${name} is gone, and not forgotten`);
    }
    for (const [name, { down, left, last }] of this.#members) {
      const state = known.get(name) ?? "unknown";
      const expected = left
        ? /^left$/
        : down
        ? /^down$/
        : last
        ? /^(up|rec)/
        : /^(unknown|left)$/;
      claim(expected.test(state), `the reader takes ${name} for ${state}`);
    }
  }

  get timeToVerdicts(): number {
    const { timeout, resolution } = this.#setup;
    return timeout + resolution + this.#deadlines.period;
  }

  get isPaused(): boolean {
    return this.#deadlines.isPaused;
  }
}

/** Runs a schedule; throws if the fleet breaks a promise. Returns the kinds of events there were. */
export async function checkSchedule(schedule: Schedule): Promise<Set<string>> {
  const { setup, steps, waitsForVerdicts, readsAll, end } = schedule;
  using time = new FakeTime(setup.start);
  using clock = skewClock(time);
  const checker = new FleetChecker(time, clock, setup);
  for (const step of steps) {
    try {
      await checker.run(step);
    } catch (error) {
      throw new Error(
        `${(error as Error).message}, at ${time.now - setup.start} ms, in ${
          JSON.stringify(step)
        }`,
        { cause: error },
      );
    }
  }
  if (checker.isPaused) checker.resume();
  if (waitsForVerdicts) await checker.wait(checker.timeToVerdicts);
  if (readsAll) await checker.read(100);
  await checker.end(end);
  return checker.events.kinds;
}
