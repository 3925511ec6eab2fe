// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { prefersJson } from "../_accept.ts";

const BROWSER =
  "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

for (
  const [accept, expected] of [
    // a client that asks for it by name
    ["application/json", true],
    ["Application/JSON; charset=utf-8", true],
    ["application/json, text/plain, */*", true],
    ["text/plain;q=0.5, application/json", true],
    ["application/json;q=0.5", true],
    ["application/json ; q=0.001", true],
    ["application/json;Q=1.000,text/plain", true],
    ["*/*, application/json", true],
    // or for nothing else that there is
    ["application/*", true],
    ["text/*;q=0.1, application/*;q=0.2", true],
    // a client that does not care
    ["", false],
    ["*/*", false],
    [BROWSER, false],
    ["text/*, application/*", false],
    // or does not want it
    ["application/json;q=0", false],
    ["application/json;q=0.000, */*", false],
    ["*/*;q=0.5, application/json;q=0", false],
    ["application/json;q=0.5, text/plain", false],
    ["application/json;q=0.1, */*", false],
    ["text/plain", false],
    ["text/plain, application/*;q=0.9", false],
    // the more specific one counts
    ["application/*;q=0, application/json", true],
    ["application/*, application/json;q=0", false],
    // other types
    ["application/json-seq", false],
    ["application/vnd.api+json", false],
    ["xapplication/json", false],
    ["image/png", false],
    // garbage names no quality
    ["application/json;q=", false],
    ["application/json;q=high", false],
    ["application/json;q=2", false],
    ["application/json;q=-1", false],
    ["application/json;q=1e0", false],
    [";;,,=;q", false],
    [",".repeat(100_000), false],
    ["application/json;".repeat(10_000), true],
  ] as const
) {
  const shown = accept.length > 90 ? `${accept.slice(0, 20)}…` : accept;
  Deno.test(`prefersJson returns ${expected} for "${shown}"`, () => {
    assertEquals(prefersJson(accept), expected);
  });
}
