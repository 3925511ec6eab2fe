// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { EvidenceClock, SilenceEvidence } from "../_evidence.ts";
import { mulberry32 } from "./_help.ts";
import {
  LAGS,
  measure,
  regularBeats,
  type Scenario,
  simulate,
  stopCycles,
  table,
} from "./model/evidence_simulation.ts";

/** `EVIDENCE_RUNS=400` simulates more; `deno run tests/model/evidence_simulation.ts` prints the table. */
const RUNS = Number(Deno.env.get("EVIDENCE_RUNS") ?? 20);
const WATCHERS = ["monitor", "fleet", "fleet by beat()"] as const;
/** What every timer may be late by, in ms, a few times. */
const JITTER = 10;

/** Checks a silence at given times, each as late as given, and returns the verdicts. */
function check(evidence: SilenceEvidence, start: number, lateness: number[]) {
  let now = start;
  return lateness.map((late) => {
    const due = now + evidence.plan();
    now = due + late;
    return `${evidence.check(due, now)} ${evidence.elapsed}`;
  });
}

Deno.test("SilenceEvidence confirms a silence of the timeout before it is a stall", () => {
  const evidence = new SilenceEvidence(1000, 5000);
  assertEquals(check(evidence, 5000, [0, 0, 0, 0, 0]), [
    ...["wait 250", "wait 500", "wait 750", "confirm 1000", "stalled 1000"],
  ]);
});

Deno.test("SilenceEvidence starts anew at a heartbeat, and plans its checks by it", () => {
  const evidence = new SilenceEvidence(1000, 0);
  assertEquals(evidence.check(250, 250), "wait");
  evidence.begin(300);
  assertEquals(evidence.plan(), 250);
  assertEquals(evidence.check(500, 500), "wait");
  assertEquals(evidence.elapsed, 200);
  assertEquals(check(evidence, 500, [0, 0, 0, 1, 2]), [
    ...["wait 450", "wait 700", "wait 950", "confirm 1001", "stalled 1003"],
  ]);
});

Deno.test("SilenceEvidence gives the whole timeout after one absence, whenever it was", () => {
  for (const absence of [126, 1000, 3_600_000]) {
    for (let before = 0; before < 4; before++) {
      const evidence = new SilenceEvidence(1000, 0);
      const late = [...Array(before).fill(0), absence, 0, 0, 0, 0, 0];
      const verdicts = check(evidence, 0, late);
      assertEquals(verdicts.slice(before), [
        ...["wait 0", "wait 250", "wait 500", "wait 750"],
        ...["confirm 1000", "stalled 1000"],
      ]);
    }
  }
});

Deno.test("SilenceEvidence excuses a late last check only if that is longer than the timeout", () => {
  const evidence = () => new SilenceEvidence(1000, 0);
  const verdict = (late: number) =>
    check(evidence(), 0, [0, 0, 0, 0, late]).at(-1);
  assertEquals(verdict(1000), "stalled 1000");
  assertEquals(verdict(1001), "wait 0");
});

Deno.test("SilenceEvidence counts lateness as it was before in this silence, and starts anew at twice as much", () => {
  const evidence = new SilenceEvidence(1000, 0);
  assertEquals(check(evidence, 0, [300, 300]), ["wait 0", "wait 550"]);
  assertEquals(check(evidence, 1100, [600, 0]), [
    "confirm 1400",
    "stalled 1400",
  ]);
  const other = new SilenceEvidence(1000, 0);
  assertEquals(check(other, 0, [300, 601, 0]), [
    "wait 0",
    "wait 0",
    "wait 250",
  ]);
});

Deno.test("SilenceEvidence knows lag of up to 2/5 of the timeout from before the silence, for two timeouts", () => {
  for (
    const [lag, beats, expected] of [
      [300, 1, "wait 550"],
      [400, 1, "wait 550"],
      [401, 1, "wait 0"],
      [300, 9, "wait 0"],
    ] as const
  ) {
    const evidence = new SilenceEvidence(1000, 0);
    let [now] = [250 + lag];
    evidence.check(250, now);
    for (let i = 0; i < beats; i++) {
      evidence.begin(now);
      if (i === 0) continue;
      now += 250;
      assertEquals(evidence.check(now, now), "wait");
      evidence.begin(now);
    }
    evidence.check(now + 250, now + 250 + lag);
    assertEquals(
      `${evidence.elapsed > 0 ? "wait 550" : "wait 0"}`,
      expected,
      `${lag} ${beats}`,
    );
  }
});

Deno.test("SilenceEvidence counts too little lateness to know as it was planned", () => {
  const evidence = new SilenceEvidence(1000, 0);
  assertEquals(check(evidence, 0, [10, 11, 125, -100]), [
    ...["wait 260", "wait 510", "wait 760", "confirm 1000"],
  ]);
});

Deno.test("SilenceEvidence reports an overdue silence without waiting for a confirmation", () => {
  const evidence = new SilenceEvidence(1000, 0);
  assertEquals(check(evidence, 0, [5000, 5000]), ["wait 0", "stalled 5250"]);
  // each delay is more than twice the one before
  const growing = new SilenceEvidence(1000, 0);
  assertEquals(check(growing, 0, [200, 500, 1200, 2500]), [
    ...["wait 0", "wait 0", "wait 0", "stalled 2900"],
  ]);
});

Deno.test("SilenceEvidence counts a wall clock that is set back as planned, and is not early for a heartbeat of about that time", () => {
  const evidence = new SilenceEvidence(1000, 50_000);
  assertEquals(evidence.check(50_250, 20_250), "wait");
  assertEquals(evidence.elapsed, 250);
  // before the step and after it
  for (const beat of [20_300, 10_400]) {
    const next = new SilenceEvidence(1000, 20_250);
    next.begin(beat);
    next.check(20_500, 10_500);
    assertEquals(next.elapsed, 0);
  }
});

Deno.test("SilenceEvidence stands still between pause and resume, and remembers its delays", () => {
  const evidence = new SilenceEvidence(1000, 0);
  evidence.check(250, 250);
  evidence.pause(500, 400);
  assertEquals(evidence.elapsed, 400);
  evidence.resume(9000);
  assertEquals(evidence.plan(), 250);
  assertEquals(check(evidence, 9000, [0, 300, 0]), [
    ...["wait 650", "wait 0", "wait 250"],
  ]);
  evidence.pause(10_050 + 250, 10_600);
  evidence.resume(20_000);
  assertEquals(check(evidence, 20_000, [300]), ["confirm 1300"]);
});

Deno.test("SilenceEvidence counts a little lateness, too, where lag is known", () => {
  const evidence = new SilenceEvidence(1000, 0);
  assertEquals(check(evidence, 0, [200, 100, 100]), [
    ...["wait 0", "wait 350", "wait 700"],
  ]);
});

Deno.test("SilenceEvidence does not take an absence before the heartbeat for one of its silence", () => {
  const evidence = new SilenceEvidence(1000, 0);
  // both were waiting when the process went on, and the heartbeat was read first
  evidence.begin(10_240);
  assertEquals(check(evidence, 0, [10_000, 5_000]), ["wait 0", "wait 0"]);
});

Deno.test("SilenceEvidence takes a delay in which the heartbeat came for one of the silence", () => {
  const evidence = new SilenceEvidence(1000, 0);
  evidence.begin(100);
  assertEquals(check(evidence, 0, [300]), ["wait 0"]);
});

Deno.test("SilenceEvidence knows the lag of the check at which the heartbeat came", () => {
  const evidence = new SilenceEvidence(1000, 0);
  evidence.begin(480);
  assertEquals(check(evidence, 0, [240, 240]), ["wait 0", "wait 500"]);
});

Deno.test("SilenceEvidence takes a check that is early by the jitter of timers for one on time", () => {
  const evidence = new SilenceEvidence(1000, 0);
  evidence.begin(200);
  assertEquals(evidence.check(250, 245), "wait");
  assertEquals(evidence.elapsed, 45);
});

Deno.test("SilenceEvidence confirms anew after an interruption", () => {
  const evidence = new SilenceEvidence(1000, 0);
  assertEquals(check(evidence, 0, [0, 0, 0, 0]).at(-1), "confirm 1000");
  evidence.pause(1000, 1000);
  evidence.resume(5000);
  assertEquals(check(evidence, 5000, [0, 0]), ["confirm 1000", "stalled 1000"]);
});

Deno.test("SilenceEvidence judges a check that was planned before an interruption by what came after it", () => {
  const evidence = new SilenceEvidence(1000, 0);
  evidence.pause(250, 200);
  evidence.resume(5000);
  assertEquals(evidence.check(250, 5100), "wait");
  assertEquals(evidence.elapsed, 200);
});

Deno.test("SilenceEvidence plans a check for a mark that is not reached yet", () => {
  const evidence = new SilenceEvidence(1000, 0);
  const plans = () => [100, 250, 251, 300].map((mark) => evidence.plan(mark));
  assertEquals(plans(), [100, 250, 250, 250]);
  evidence.check(250, 250);
  assertEquals(plans(), [250, 250, 1, 50]);
});

/** Advances a clock of `timeout` by checks, each planned and late as given. */
function createClock(
  timeout: number,
  period: number,
  checks: [planned: number, lateness: number][],
) {
  const clock = new EvidenceClock({ timeout, period, jitter: 2 });
  clock.start(0);
  for (const [planned, lateness] of checks) {
    const due = clock.checkedAt + planned;
    clock.check(due, due + lateness);
  }
  return clock;
}

Deno.test("EvidenceClock takes the wall clock for set back where a check is early by more than the jitter", () => {
  const clock = createClock(1000, 250, []);
  assertEquals([98, 97].map((wall) => clock.isSetBack(100, wall)), [
    ...[false, true],
  ]);
});

Deno.test("EvidenceClock knows twice the lateness of a delay for lag, and no more", () => {
  for (const [lateness, counted] of [[300, 550], [301, 0]] as const) {
    const clock = createClock(1000, 250, [[250, 150], [250, lateness]]);
    assertEquals(clock.measure(400).counted, counted);
  }
});

Deno.test("EvidenceClock counts what every timer may be late by, once a delay is known", () => {
  for (const [lateness, now] of [[10, 210], [11, 200]] as const) {
    const clock = createClock(1000, 100, [[100, 20], [100, lateness]]);
    assertEquals(clock.now, now);
  }
});

Deno.test("EvidenceClock keeps delays within 1/64 of the timeout as one, as late as the latest of them", () => {
  // the silence counts from the end of what is kept as one
  for (const [planned, counted] of [[40, 0], [41, 61]] as const) {
    const clock = createClock(6400, 10, [[60, 0], [10, 30], [planned, 20]]);
    const { now } = clock;
    assertEquals(clock.measure(60), { counted, bounded: now - 60 - 30 });
  }
});

Deno.test("EvidenceClock bounds a silence by what was left out of it, too, and by nothing from before it", () => {
  const together = createClock(64_000, 100, [[100, 20], [100, 50]]);
  assertEquals(together.measure(0).bounded, 200 + 70 - 50);
  const clock = createClock(1000, 100, [[100, 20], [100, 0]]);
  assertEquals([0, 99, 100, 150].map((at) => clock.measure(at).bounded), [
    ...[200, 120, 100, 50],
  ]);
});

Deno.test("EvidenceClock knows the lag of a delay only for a silence that began during it or later", () => {
  // the first delay is short, as its check was planned for a mark
  const clock = createClock(1000, 250, [[250, 0], [5, 100], [250, 150]]);
  assertEquals([249, 250, 251].map((at) => clock.measure(at).counted), [
    ...[0, 0, 404],
  ]);
});

Deno.test("EvidenceClock takes three timeouts less a period for overdue", () => {
  const clock = createClock(1000, 250, []);
  assertEquals([2749, 2750].map((bounded) => clock.isOverdue(bounded)), [
    ...[false, true],
  ]);
});

/** Checks each 10 ms, with a timeout of 100; returns the position of each and the limit there. */
function limits(...lateness: number[]) {
  const clock = new EvidenceClock({ timeout: 100, period: 10, jitter: 2 });
  clock.start(1000);
  return lateness.map((late) => {
    const due = clock.checkedAt + 10;
    clock.check(due, due + late);
    return [clock.now, clock.limit(100)];
  });
}

Deno.test("EvidenceClock.limit is the age while checks are on time", () => {
  assertEquals(limits(...Array(12).fill(2)).slice(7), [
    ...[[96, -4], [108, 8], [120, 20], [132, 32], [144, 44]],
  ]);
});

Deno.test("EvidenceClock.limit leaves out a little lateness once, and counts it where it is usual", () => {
  assertEquals(limits(8, 0, 0, 8, 0, ...Array(7).fill(0)).slice(9), [
    ...[[108, 0], [118, 18], [128, 28]],
  ]);
});

Deno.test("EvidenceClock.limit takes half a period for no absence, and starts anew at the older of two delays if it is half as long", () => {
  assertEquals(limits(10), [[10, -90]]);
  assertEquals(limits(11), [[21, 21 - 11 - 290]]);
  assertEquals(limits(25, 50, ...Array(5).fill(0)).at(-1), [145, 0]);
  assertEquals(limits(24, 50, ...Array(5).fill(0)).at(-1), [
    ...[144, 144 - 50 - 290],
  ]);
});

Deno.test("EvidenceClock.limit gives everybody the whole age after an absence", () => {
  const all = limits(0, 0, 50, ...Array(11).fill(0));
  assertEquals(all[2], [80, 80 - 50 - 290]);
  assertEquals(all.slice(11), [[170, 170 - 50 - 290], [180, 80], [190, 90]]);
});

Deno.test("EvidenceClock.limit counts lag up to the check before the last", () => {
  const lag = Array(6).fill(30);
  // what is kept with a position may have come just before the next
  assertEquals(limits(...lag).slice(4), [[200, 0], [240, 40]]);
  assertEquals(limits(...lag, 0, 0).slice(6), [[250, 80], [260, 120]]);
});

Deno.test("EvidenceClock.limit is at most three timeouts less a period behind, the longest delay not counted", () => {
  assertEquals(limits(500, 500, 1100), [
    ...[[510, 10 - 290], [1020, 0], [2130, 510]],
  ]);
});

Deno.test("EvidenceClock.limit is never less than the age, however long the period is", () => {
  const clock = new EvidenceClock({ timeout: 100, period: 250, jitter: 2 });
  clock.start(0);
  clock.check(250, 450);
  assertEquals(clock.limit(360), 450 - 200 - 360);
});

Deno.test("EvidenceClock.limit counts what a check left out to the time that bounds a silence", () => {
  const clock = new EvidenceClock({ timeout: 1000, period: 100, jitter: 10 });
  clock.start(0);
  for (const late of [...Array(10).fill(45), 200, 450, 950]) {
    clock.check(clock.checkedAt + 100, clock.checkedAt + 100 + late);
  }
  assertEquals(clock.now, 1300 + 200 + 450 + 950);
  assertEquals(clock.limit(1000), clock.now + 10 * 45 - 950 - 2900);
});

Deno.test("EvidenceClock.limit knows lag from before a silence", () => {
  // late at every third check: what began at 170 counts from there, what began at 180 from 220
  const all = limits(...Array(5).fill([30, 0, 0]).flat());
  assertEquals(all.at(-1), [300, 179]);
  assertEquals(limits(...Array(6).fill(0), ...[30, 0, 0, 0, 0]).at(-1), [
    140,
    -180,
  ]);
});

Deno.test("EvidenceClock.limit forgets lag after some timeouts", () => {
  const all = limits(30, ...Array(60).fill(0), 30, ...Array(8).fill(0));
  assertEquals(all.at(-1), [760, 760 - 30 - 290]);
});

Deno.test("EvidenceClock.restart forgets the lag", () => {
  const clock = new EvidenceClock({ timeout: 100, period: 10, jitter: 2 });
  clock.start(0);
  const advance = (late: number) =>
    clock.check(clock.checkedAt + 10, clock.checkedAt + 10 + late);
  for (let i = 0; i < 5; i++) advance(30);
  clock.restart();
  advance(0);
  advance(30);
  for (let i = 0; i < 8; i++) advance(0);
  assertEquals(clock.limit(100), -Infinity);
});

Deno.test("EvidenceClock.restart gives everybody a whole new age", () => {
  const clock = new EvidenceClock({ timeout: 100, period: 10, jitter: 2 });
  clock.start(0);
  const advance = (count: number) => {
    for (let i = 0; i < count; i++) {
      clock.check(clock.checkedAt + 10, clock.checkedAt + 10);
    }
  };
  advance(30);
  assertEquals(clock.limit(100), 200);
  clock.restart();
  advance(9);
  assertEquals(clock.limit(100), -Infinity);
  advance(1);
  assertEquals(clock.limit(100), 300);
});

Deno.test("EvidenceClock.present counts what was planned where a check was late", () => {
  const clock = new EvidenceClock({ timeout: 100, period: 10, jitter: 2 });
  clock.start(0);
  for (const late of [0, 2, 3, 500, -80]) {
    clock.check(clock.checkedAt + 10, clock.checkedAt + 10 + late);
  }
  assertEquals([clock.present, clock.now], [52, 552]);
});

/** Simulates `count` scenarios, and says of each what is wrong with it. */
function simulateAll(
  count: number,
  create: (seed: number, random: () => number) => Scenario,
  judge: (silence: number, lag: number, timeout: number) => boolean,
) {
  for (let seed = 1; seed <= count; seed++) {
    const scenario = create(seed, mulberry32(seed));
    const { verdict, lastRead, longestLag } = simulate(scenario);
    const silence = (verdict ?? Infinity) - lastRead;
    assert(
      judge(silence, longestLag, scenario.timeout),
      `seed ${seed}: ${silence} ms of silence, ${longestLag} ms late`,
    );
  }
}

const pick = <T>(random: () => number, from: readonly T[]) =>
  from[Math.floor(from.length * random())]!;
const neverFree = () => 0;

/** Chunks that are no heartbeats, some hundred. */
function regularPings(every: number, lag: number): number[] {
  const step = Math.max(every, lag / 20, 5);
  return Array.from({ length: 300 }, (_, i) => (i + 1) * step);
}

for (const watcher of WATCHERS) {
  // the fleet finds it a third of its resolution later at each of its checks
  const resolution = watcher === "monitor" ? 0 : 0.1;
  // nobody says when a single heartbeat came, until a tick was late
  const lags = watcher === "fleet by beat()" ? 3 : 2;

  Deno.test(`simulation: a ${watcher} reports a stall within 1.5 timeouts and ${lags} lags where the loop is regularly late, of no healthy producer, and never early`, () => {
    for (const timeout of [300, 3000]) {
      for (const lag of LAGS) {
        for (const pattern of ["constant", "alternating", "random", "bursty"]) {
          const row = measure(watcher, pattern, lag, timeout, RUNS);
          const isRegular = pattern === "constant" || pattern === "alternating";
          const most = isRegular && lag <= 1 / 3 ? 1.5 : 3;
          const limit = most + lags * lag + resolution + JITTER / timeout;
          assert(row.worst <= limit, JSON.stringify(row));
          assertEquals(
            [row.early, row.falseAlarms],
            [0, 0],
            JSON.stringify(row),
          );
        }
      }
    }
  });

  Deno.test(`simulation: a ${watcher} raises no alarm for one absence of any length, however late what waits is read`, () => {
    simulateAll(50 * RUNS, (seed, random) => {
      const timeout = pick(random, [100, 300, 3000]);
      const from = 10 * timeout * random();
      const length = timeout * 10 ** (4 * random() - 1);
      return {
        ...{ timeout, seed, watcher, lag: neverFree },
        beats: regularBeats(timeout, from + length + 12 * timeout),
        stops: [[from, from + length]],
        latency: 0.3 * timeout * random(),
        until: from + length + 10 * timeout,
      };
    }, (silence) => silence === Infinity);
  });

  Deno.test(`simulation: a ${watcher} raises no alarm in 10,000 stops and continuations`, () => {
    const cycles = 250;
    simulateAll(40, (seed, random) => {
      const timeout = pick(random, [300, 1000, 3000]);
      const stops = stopCycles(timeout, cycles, random);
      const until = stops.at(-1)![1];
      const beats = regularBeats(timeout, until + timeout);
      const latency = 5;
      return {
        timeout,
        seed,
        watcher,
        lag: neverFree,
        beats,
        stops,
        latency,
        until,
      };
    }, (silence) => silence === Infinity);
  });

  Deno.test(`simulation: a ${watcher} is never early and always in time, whatever the loop and the producer do`, () => {
    const count = watcher !== "monitor" ? 500 : 2500;
    simulateAll(count * RUNS, (seed, random) => {
      const timeout = pick(random, [30, 300, 3000]);
      const end = 10 * timeout * random();
      const late = () => timeout * (0.5 + 2 * random());
      const most = timeout * pick(random, LAGS);
      const isBusy = random() < 0.5;
      const rate = random();
      const lag = () => random() < rate ? most * random() ** 3 : 0;
      return {
        ...{ timeout, seed, watcher, until: 100 * (timeout + most) },
        lag: isBusy ? lag : neverFree,
        timerLag: isBusy ? neverFree : lag,
        beats: regularBeats(timeout, end).concat(end + late()),
        pings: random() < 0.5 ? [] : regularPings(timeout * random(), most),
        stops: stopCycles(timeout, Math.floor(3 * random()), random),
      };
    }, (silence, lag, timeout) =>
      silence >= timeout - 1 &&
      silence <= (3 + resolution) * timeout + lags * lag + 2 * JITTER);
  });

  Deno.test(`simulation: a ${watcher} loses nothing by a wall clock that is set back, and a timeout at most by one that is set forward`, () => {
    simulateAll(50 * RUNS, (seed, random) => {
      const timeout = pick(random, [300, 3000]);
      const by = (random() < 0.5 ? -1 : 1) * timeout * 10 ** (4 * random() - 1);
      return {
        ...{ timeout, seed, watcher, lag: neverFree, until: 30 * timeout },
        beats: regularBeats(timeout, 5 * timeout),
        wallSteps: [{ at: 8 * timeout * random(), by }],
      };
    }, (silence, _, timeout) =>
      silence >= timeout - 1 &&
      silence <= (2 + resolution) * timeout + 2 * JITTER);
  });

  Deno.test(`simulation: a ${watcher} reports a stall in time although the wall clock is set back`, () => {
    simulateAll(50 * RUNS, (seed, random) => {
      const timeout = pick(random, [300, 3000]);
      const by = -timeout * 10 ** (4 * random() - 1);
      return {
        ...{ timeout, seed, watcher, lag: neverFree, until: 30 * timeout },
        beats: regularBeats(timeout, 5 * timeout),
        wallSteps: [{ at: timeout * (5.1 + random()), by }],
      };
    }, (silence, _, timeout) =>
      silence >= timeout - 1 &&
      silence <= (1 + resolution) * timeout + 2 * JITTER);
  });
}

Deno.test("simulation: its table has a row for each watcher, timeout and lag", () => {
  assertEquals([...table(1)].length, 2 + 2 * 3 * LAGS.length);
});

Deno.test("EvidenceClock keeps few delays, however long the timeout and however often it is late", () => {
  const timeout = 3_600_000;
  const clock = new EvidenceClock({ timeout, period: 10, jitter: 5 });
  clock.start(0);
  let limit = -Infinity;
  for (let i = 0; i < 300_000; i++) {
    const due = clock.checkedAt + 10;
    clock.check(due, due + 10 + i % 7);
    limit = clock.limit(timeout);
  }
  // one that began at the start is found, and one of the last hour is not
  assert(limit > 0 && clock.now - limit >= timeout, `${clock.now - limit}`);
  assert(clock.now - limit <= timeout * 1.05, `${clock.now - limit}`);
});
