// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  RestartLimitError,
  type RestartLimits,
  RestartPolicy,
} from "../_restart_policy.ts";

const LOST = new Error("lost");
const LIMITS = {
  maxRestarts: 3,
  within: 1000,
  min: 100,
  max: 30_000,
  factor: 2,
  jitter: 0,
};

/** The delay of each decision, at these times, or "give-up". */
function decideAt(
  times: number[],
  limits: Partial<RestartLimits> = {},
  chance = 0,
) {
  const policy = new RestartPolicy({ ...LIMITS, ...limits });
  return times.map((now) => {
    const decision = policy.decide(LOST, now, chance);
    return decision.type === "restart" ? decision.delay : decision.type;
  });
}

/** The delays of so many restarts at once. */
function delaysOf(count: number, limits: Partial<RestartLimits>, chance = 0) {
  return decideAt(Array(count).fill(0), {
    maxRestarts: Infinity,
    ...limits,
  }, chance);
}

Deno.test("RestartPolicy allows maxRestarts within the window", () => {
  assertEquals(decideAt([0, 0, 0, 0]), [100, 200, 400, "give-up"]);
  assertEquals(decideAt([0], { maxRestarts: 0 }), ["give-up"]);
});

Deno.test("RestartPolicy counts a restart for exactly the length of the window", () => {
  assertEquals(decideAt([0, 500, 999, 999]), [100, 200, 400, "give-up"]);
  assertEquals(decideAt([0, 500, 999, 1000]), [100, 200, 400, 400]);
  assertEquals(decideAt([0, 500, 999, 1999]), [100, 200, 400, 100]);
});

Deno.test("RestartPolicy does not count a restart that it refused", () => {
  assertEquals(
    decideAt([0, 900, 1000], { maxRestarts: 1 }),
    [100, "give-up", 100],
  );
});

Deno.test("RestartPolicy gives up with a RestartLimitError", () => {
  const policy = new RestartPolicy({ ...LIMITS, maxRestarts: 0 });
  const { type, error } = policy.decide(LOST, 0) as {
    type: string;
    error: RestartLimitError;
  };
  assertEquals(type, "give-up");
  assert(error instanceof RestartLimitError);
  const { cause, maxRestarts, within } = error;
  assertStrictEquals(cause, LOST);
  assertEquals([maxRestarts, within], [0, 1000]);
});

Deno.test("RestartPolicy multiplies the delay by factor, from min to max", () => {
  for (
    const [limits, delays] of [
      [{}, [100, 200, 400, 800, 1600]],
      [{ min: 10, factor: 3, max: 200 }, [10, 30, 90, 200, 200]],
      [{ factor: 1 }, [100, 100, 100]],
      [{ factor: 1.5 }, [100, 150, 225, 338]],
      [{ factor: Infinity }, [100, 30_000, 30_000]],
      [{ max: Infinity, factor: Infinity }, [100, Infinity]],
      [{ min: 0 }, [0, 0, 0]],
      [{ min: 0, factor: Infinity }, [0, 0, 0]],
    ] as const
  ) {
    assertEquals(delaysOf(delays.length, limits), [...delays]);
  }
});

Deno.test("RestartPolicy leaves the share jitter of a delay to chance", () => {
  for (
    const [jitter, chance, delay] of [
      [0, 0.9, 100],
      [1, 0, 100],
      [1, 0.5, 50],
      [1, 1, 0],
      [0.3, 0.5, 85],
      [0.3, 1, 70],
    ] as const
  ) {
    assertEquals(delaysOf(1, { jitter }, chance), [delay]);
  }
});

Deno.test("RestartPolicy knows a delay after any number of restarts", () => {
  assertEquals(new Set(delaysOf(3000, { min: 0 })), new Set([0]));
  assertEquals(delaysOf(3000, {}).at(-1), 30_000);
});

Deno.test("RestartPolicy is random unless it is given the chance", () => {
  const policy = new RestartPolicy({
    ...LIMITS,
    ...{ maxRestarts: Infinity, min: 1e9, max: 1e9, jitter: 1 },
  });
  const delays = Array.from({ length: 10 }, () => {
    const decision = policy.decide(LOST, 0);
    return decision.type === "restart" ? decision.delay : NaN;
  });
  assert(new Set(delays).size > 1);
  assert(delays.every((delay) => delay >= 0 && delay <= 1e9));
});
