// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { describeRequestFailure } from "../_request_failure.ts";

Deno.test("describeRequestFailure() gives the last cause, and no URL", () => {
  const rows: [error: Error, expected: string][] = [
    [new Error("refused"), "refused"],
    [
      new TypeError("fetch failed", {
        cause: new Error(
          "error sending request for url (http://a/secret): dns error: no such host",
        ),
      }),
      "no such host",
    ],
    [
      new Error("error sending request for url (http://a/secret)"),
      "the request failed",
    ],
    [new Error("Invalid URL: 'http://a/secret'"), "the request failed"],
  ];
  for (const [error, expected] of rows) {
    assertEquals(describeRequestFailure(error), expected);
  }
});
