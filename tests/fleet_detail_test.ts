// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { isSmallDetail } from "../_fleet_detail.ts";

for (
  const [detail, size] of [
    ["four", 6],
    [7, 8],
    [null, 8],
    [undefined, 8],
    [[], 8],
    [{}, 8],
    [[1], 8 + 1 + 4 + 8],
    [{ key: "four" }, 8 + 3 + 4 + 6],
    [{ a: { b: true } }, 8 + 5 + 8 + 5 + 8],
  ]
) {
  Deno.test(`isSmallDetail counts ${size} characters for ${JSON.stringify(detail)}`, () => {
    const limit = size as number;
    assertEquals(isSmallDetail(detail, limit), true);
    assertEquals(isSmallDetail(detail, limit - 1), false);
  });
}

for (
  const [what, detail] of Object.entries({
    "a bigint": 10n,
    "a function": () => {},
    "bytes": new Uint8Array(1),
    "a Map": { map: new Map() },
    "an object of a class": new (class Step {})(),
    "a getter that throws": {
      get trap() {
        throw new Error("trap");
      },
    },
  })
) {
  Deno.test(`isSmallDetail takes ${what} for large`, () => {
    assertEquals(isSmallDetail(detail, 1e9), false);
  });
}

Deno.test("isSmallDetail takes an object without a prototype for plain data", () => {
  assertEquals(isSmallDetail(Object.create(null), 8), true);
});

Deno.test("isSmallDetail looks at no more than it has to", () => {
  let looks = 0;
  const list = Array.from({ length: 1000 }, () => ({
    get text() {
      looks++;
      return "x".repeat(100);
    },
  }));
  assertEquals(isSmallDetail(list, 500), false);
  assertEquals(looks < 10, true);
});
