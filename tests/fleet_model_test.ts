// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { type FleetEvent, type FleetHandle, FleetMonitor } from "../fleet.ts";
import type { Heartbeat } from "../worker.ts";
import { mulberry32, skewClock } from "./_help.ts";

/** Random schedules against the promises. `SEED=… SCHEDULES=…` of a failure repeats it. */
const SCHEDULES = Number(Deno.env.get("SCHEDULES") ?? 4_000);
const SEED = Number(Deno.env.get("SEED") ?? 1);
const NAMES = ["a", "b", "c", "d", "e", "f"];
/** Up to this (ms), lateness and a step of the wall clock are taken for time that passed. */
const USUAL = 10;
/** Lateness up to this share of the timeout is known for lag from before a silence, for some timeouts. */
const [KNOWN_LAG_SHARE, KNOWN_LAG_TIMEOUTS] = [2 / 5, 2] as const;

/** Lets streams do what they do without timers. */
async function settle() {
  for (let i = 0; i < 16; i++) await undefined;
}

/** A worker as the specification sees it: times are what this process was there for. */
interface Worker {
  /** Its last heartbeat, or since when it is expected. */
  since: number;
  /** How much of the time since then the clock may have counted too much, or too little. */
  fast: number;
  slow: number;
  /** When it was found down: not before, not after. */
  down?: [number, number];
  /** What the last heartbeat told. */
  last?: { lastSeen: number; seq?: number; detail?: unknown };
}

/** An event that waits, and the step in which it came. */
interface Waiting {
  event: Record<string, unknown> & { type: string; worker: string };
  step: number;
  from: number;
}

/** Runs one schedule; returns what was wrong with it. */
async function runSchedule(seed: number) {
  const random = mulberry32(seed);
  const chance = (share: number) => random() < share;
  const pick = <T>(...from: T[]) => from[Math.floor(from.length * random())]!;
  const upTo = (n: number) => Math.floor((n + 1) * random());

  using time = new FakeTime(pick(0, 1_700_000_000_000));
  using clock = skewClock(time);
  const timeout = pick(30, 100, 300, 1000);
  const asked = pick(undefined, 3, 10, timeout / 3, timeout, 4 * timeout);
  const resolution = Math.max(asked ?? timeout / 10, 3);
  const forgetAfter = pick(Infinity, Infinity, 20, timeout, 3 * timeout);
  const fleet = new FleetMonitor({ timeout, resolution, forgetAfter });
  const writer = fleet.writable.getWriter();
  const reader = fleet.readable.getReader();
  const handles: Record<string, FleetHandle> = {};
  const grain = Math.max(Math.floor(resolution / 3), 1);

  const problems: string[] = [];
  const trace: string[] = [];
  const log = (what: string) => void trace.push(`${time.now}: ${what}`);
  const check = (holds: boolean, claim: string) => {
    if (!holds) problems.push(`${time.now}: ${claim}`);
  };

  const workers = new Map<string, Worker>();
  /** What the reader knows: the last event of each worker but `forgotten`. */
  const told = new Map<string, string>();
  let waiting: Waiting[] = [];
  let step = 0;
  let asks = 0;
  let end = "";
  const got: FleetEvent[] = [];
  let paused = false;
  /** No verdict before; who is silent is down by `#latest` after. */
  let fresh = -Infinity;
  let latest = -Infinity;
  let jumped = -Infinity;
  /** When the wall clock was set forward, and by how much. */
  let forward: { at: number; by: number }[] = [];
  const kinds = new Set<string>();

  function tell(event: Waiting["event"], from = Date.now()) {
    const { worker, type } = event;
    kinds.add(type);
    const before = told.get(worker);
    waiting = waiting.filter(({ event }) =>
      event.worker !== worker || event.type === "forgotten"
    );
    const entry = { event, step, from };
    if (type === "forgotten") {
      if (before) waiting.push(entry);
      told.delete(worker);
    } else if ((type === "down") !== (before === "down") || !before) {
      if (!before && type === "recovered") {
        const { outage: _, missed: __, ...rest } = event;
        entry.event = { ...rest, type: "up" } as Waiting["event"];
      }
      waiting.push(entry);
    }
  }

  /** What was read must be what waits, in the order in which it came. */
  function receive() {
    for (const event of got.splice(0)) {
      log(`read ${JSON.stringify(event)}`);
      const at = waiting.findIndex(({ event: { worker, type } }) =>
        worker === event.worker && type === event.type
      );
      if (at < 0) return check(false, `read ${JSON.stringify(event)}`);
      const [{ event: { time, ...rest }, step, from }] = waiting.splice(
        at,
        1,
      ) as [Waiting];
      check(waiting.every((w) => w.step >= step), "read out of order");
      const { time: at_, ...is } = event;
      check(
        at_ >= from && at_ <= (time as number) || at_ === time,
        `time of ${JSON.stringify(event)} is not from ${from} to ${time}`,
      );
      const data = (what: unknown) =>
        JSON.stringify(
          Object.entries(what as object).sort(([a], [b]) => a < b ? -1 : 1),
        );
      check(data(is) === data(rest), `${data(is)} is not ${data(rest)}`);
      // a new member of the same name that waits was not told of
      if (event.type !== "forgotten") told.set(event.worker, event.type);
    }
  }

  /** A silence is an absence's at first: a worker has a whole window after it. Two are lag, whose time counts. */
  function earliestOf({ since, fast }: Worker) {
    const start = Math.max(since, fresh);
    const within = forward.filter(({ at }) => at >= start);
    const [first] = within;
    const isLag = within.length > 1 ||
      first &&
        forward.some(({ at, by }) =>
          at < first.at &&
          Math.max(by, first.by) <= KNOWN_LAG_SHARE * timeout &&
          at > start - KNOWN_LAG_TIMEOUTS * timeout - grain
        );
    const lag = within.reduce((sum, { by }) => sum + by, 0);
    return timeout - fast + (isLag ? start - lag : first?.at ?? start);
  }

  /** Whatever the lateness, a verdict comes within three timeouts and twice the longest. */
  function isOverdue({ since, slow }: Worker) {
    const start = Math.max(since, fresh);
    const within = forward.filter(({ at }) => at >= start).map(({ by }) => by);
    const silence = time.now - start + within.reduce((sum, by) => sum + by, 0);
    const longest = Math.max(0, ...within);
    return !paused &&
      silence >= 3 * timeout + 2 * longest + resolution + grain + slow;
  }

  /** Compares what the fleet says with what is allowed, and follows it. */
  function observe(from: number, wall: number) {
    step++;
    const now = time.now;
    const state = new Map(Array.from(fleet, (one) => [one.worker, one]));
    const patience = (worker: Worker) =>
      paused
        ? Infinity
        : Math.max(worker.since, latest) + timeout + resolution + worker.slow;
    for (const [name, worker] of [...workers]) {
      const is = state.get(name);
      const { since, fast, slow, last } = worker;
      if (!worker.down) {
        if (!is) {
          check(false, `${name} vanished`);
          continue;
        }
        if (is.state === "down") {
          const earliest = earliestOf(worker);
          check(!paused, `${name} is down in a pause`);
          check(now >= earliest, `${name} is down before ${earliest}`);
          worker.down = [from, now];
          worker.fast = worker.slow = 0;
          log(`${name} is down`);
          tell(
            { type: "down", worker: name, time: Date.now(), ...last },
            wall,
          );
        } else {
          check(is.state === (last ? "up" : "expected"), `${name} ${is.state}`);
          check(now < patience(worker), `${name} is not down (since ${since})`);
          check(!isOverdue(worker), `${name} is overdue (since ${since})`);
        }
      } else if (is) {
        check(is.state === "down", `${name} rose by itself`);
        const due = Math.max(worker.down[1] + forgetAfter, latest + timeout) +
          resolution + slow;
        check(paused || now < due, `${name} is not forgotten by ${due}`);
      } else {
        const due = worker.down[0] + forgetAfter - fast;
        check(now >= due, `${name} is forgotten before ${due}`);
        workers.delete(name);
        log(`${name} is forgotten`);
        tell(
          { type: "forgotten", worker: name, time: Date.now() },
          wall,
        );
      }
      if (is) {
        const { worker: _, state: __, ...rest } = is;
        const want = last ?? {};
        for (const key of ["lastSeen", "seq", "detail"] as const) {
          check(
            rest[key] === (want as typeof rest)[key] &&
              key in rest === key in want,
            `${name} has ${JSON.stringify(rest)}, not ${JSON.stringify(want)}`,
          );
        }
      }
    }
    check(fleet.size === workers.size, `size is ${fleet.size}`);
    check(
      [...state.keys()].join() === [...workers.keys()].join(),
      "the order of the workers",
    );
  }

  /** Lets time pass; nobody can go down and be forgotten within a grain. */
  async function pass(ms: number) {
    for (let rest = ms; rest > 0 && problems.length === 0; rest -= grain) {
      const [from, wall] = [time.now, Date.now()];
      time.tick(Math.min(grain, rest));
      observe(from, wall);
      // a read that waits got it at once
      if (asks > 0 && waiting.length > 0) {
        await settle();
        receive();
      }
    }
  }

  /** A heartbeat came: what follows from it. */
  function beaten(
    name: string,
    seq: number | undefined,
    detail: unknown,
    exact: boolean,
  ) {
    const now = Date.now();
    const told = {
      ...(seq !== undefined && { seq }),
      ...(detail !== undefined && { detail }),
    };
    const worker = workers.get(name);
    const last = worker?.last;
    const base = { worker: name, time: now, ...told };
    if (!last) tell({ type: "up", ...base });
    else if (worker.down) {
      const missed = seq! - last.seq! - 1;
      tell({
        ...{ type: "recovered", outage: Math.max(now - last.lastSeen, 0) },
        ...(missed >= 0 && { missed }),
        ...base,
      });
    }
    const { lastSeen } = [...fleet].find(({ worker }) => worker === name)!;
    const least = exact ? now : now - grain - USUAL;
    const settled = time.now - jumped > grain;
    check(
      lastSeen! >= least && lastSeen! <= now || !exact && !settled,
      `${name} was seen at ${lastSeen}, now is ${now}`,
    );
    const after = { since: time.now, fast: 0, slow: 0 };
    const seen = { last: { lastSeen: lastSeen!, ...told } };
    if (worker) {
      delete worker.down;
      Object.assign(worker, after, seen);
    } else workers.set(name, { ...after, ...seen });
  }

  function nextSeq(name: string) {
    const seq = workers.get(name)?.last?.seq ?? 0;
    return pick(seq + 1, seq + 1, seq + 1 + upTo(5), 1, undefined);
  }

  async function beat() {
    const name = pick(...NAMES);
    const detail = pick(undefined, undefined, upTo(100));
    const how = pick("name", "name", "handle", "handle", "chunk");
    if (how === "chunk") {
      const batch = Array.from({ length: 1 + upTo(3) }, () => {
        const worker = pick(...NAMES);
        return { worker, seq: nextSeq(worker), time: 0, detail };
      });
      log(`chunk ${JSON.stringify(batch)}`);
      const beats = batch as Heartbeat[];
      writer.write(chance(0.7) || beats.length > 1 ? beats : beats[0]!)
        .catch((error) => check(false, String(error)));
      await settle();
      // one by one, as if the others had not come yet: the last counts
      const lastOf = new Map(batch.map((beat) => [beat.worker, beat]));
      const seen = new Set<string>();
      for (const { worker, seq, detail } of batch) {
        if (seen.has(worker)) continue;
        seen.add(worker);
        beaten(worker, seq, detail, true);
        const { seq: n, detail: what } = lastOf.get(worker)!;
        const last = workers.get(worker)!.last!;
        delete last.seq;
        delete last.detail;
        if (n !== undefined) last.seq = n;
        if (what !== undefined) last.detail = what;
      }
      return;
    }
    const seq = nextSeq(name);
    log(`beat ${name} ${seq} ${detail} by ${how}`);
    if (how === "name") fleet.beat(name, seq, detail);
    else (handles[name] ??= fleet.handle(name)).beat(seq, detail);
    beaten(name, seq, detail, false);
  }

  async function jump() {
    const way = pick(1, -1);
    if (chance(0.4)) {
      const by = way * (1 + upTo(3));
      log(`small jump ${by}`);
      clock.ahead += by;
      for (const worker of workers.values()) {
        // a heartbeat may have come at the end of a tick that is late
        if (by > 0) {
          worker.fast += by;
          worker.slow += grain;
        } else worker.slow -= by;
      }
      // not to add up to a large one
      jumped = time.now;
      await pass(grain);
      return;
    }
    const by = way * (resolution + 20 + upTo(3 * timeout));
    log(`jump ${by}`);
    clock.ahead += by;
    jumped = time.now;
    if (by > 0) {
      forward.push({ at: time.now, by });
      // from the tick that finds it
      latest = Math.max(latest, time.now + grain);
    }
    if (chance(0.3)) {
      // beats that come between the jump and the tick
      const name = pick(...NAMES);
      fleet.beat(name, 7);
      log(`beat ${name} 7`);
      beaten(name, 7, undefined, false);
      await settle();
      receive();
    }
    await pass(grain);
  }

  async function read(count: number) {
    for (; count > 0 && problems.length === 0; count--) {
      if (asks === 0) {
        asks++;
        reader.read().then(({ value }) => {
          asks--;
          if (value) got.push(value);
        }, (error) => check(end === "abort", String(error)));
      }
      const before = waiting.length;
      await settle();
      check(asks === 0 || before === 0, "an event is held back");
      receive();
      if (asks > 0) return;
    }
  }

  const busy = pick(0.3, 0.6, 0.85);
  const wild = pick(0, 0.05, 0.25);
  const reads = pick(0, 0.05, 0.3);
  for (let i = 10 + upTo(60); i > 0 && problems.length === 0; i--) {
    if (chance(busy)) await beat();
    else if (chance(0.2)) {
      const names = NAMES.filter(() => chance(0.3));
      log(`expect ${names}`);
      fleet.expect(names);
      for (const name of names) {
        if (workers.has(name)) continue;
        workers.set(name, { since: time.now, fast: 0, slow: 0 });
      }
    } else if (chance(0.25)) {
      const name = pick(...NAMES);
      log(`remove ${name}`);
      const was = workers.delete(name);
      check(fleet.remove(name) === was, `remove() does not say ${was}`);
      if (was) tell({ type: "forgotten", worker: name, time: Date.now() });
    } else if (chance(0.1)) {
      paused = !paused && chance(0.8);
      log(paused ? "pause" : "resume");
      if (paused) fleet.pause();
      else {
        fleet.resume();
        forward = [];
        fresh = Math.max(fresh, time.now);
        latest = Math.max(latest, time.now);
      }
    } else await pass(pick(upTo(grain), upTo(timeout), upTo(2 * timeout)));
    await settle();
    receive();
    if (chance(wild)) await jump();
    await settle();
    receive();
    if (chance(reads)) await read(1 + upTo(4));
  }
  if (paused) {
    fleet.resume();
    paused = false;
    latest = fresh = time.now;
  }
  // who is silent is found, whatever was before
  if (chance(0.3)) await pass(timeout + resolution + grain);
  if (chance(0.5)) await read(100);
  end = pick("close", "abort", "cancel");
  log(end);
  if (end === "close") await writer.close();
  if (end === "abort") await writer.abort("enough");
  if (end === "cancel") await reader.cancel();
  await settle();
  receive();
  for (const name of NAMES) {
    fleet.beat(name, 1);
    handles[name]?.beat(1);
  }
  fleet.expect(["late"]);
  if (end === "close") {
    await read(waiting.length);
    check(waiting.length === 0, "not all was told");
    check((await reader.read()).done, "more was told");
    check(
      [...told.keys()].every((name) => workers.has(name)),
      "who left is not forgotten",
    );
    for (const [name, { down, last }] of workers) {
      const state = told.get(name);
      check(
        down ? state === "down" : last ? /^(up|rec)/.test(state ?? "") : !state,
        `${name} was told to be ${state}`,
      );
    }
  }
  check(fleet.size === workers.size, "the end changed the workers");
  check(time.next() === false, `a timer was left by ${end}`);
  return {
    kinds,
    trouble: problems.length === 0 ? undefined : {
      seed,
      problems,
      options: { timeout, resolution, forgetAfter },
      trace,
    },
  };
}

Deno.test("FleetMonitor keeps its promises in random schedules", async () => {
  const kinds = new Map<string, number>();
  for (let seed = SEED; seed < SEED + SCHEDULES; seed++) {
    const { trouble, kinds: seen } = await runSchedule(seed);
    for (const kind of seen) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (!trouble) continue;
    throw new Error(
      `SEED=${seed} SCHEDULES=1: ${JSON.stringify(trouble, undefined, 2)}`,
    );
  }
  if (SCHEDULES > 100) {
    assertEquals([...kinds.keys()].sort(), [
      "down",
      "forgotten",
      "recovered",
      "up",
    ]);
  }
});
