// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import {
  createProgressReader,
  isEventStream,
  type ServerSentEvent,
} from "../_event_stream.ts";

Deno.test("isEventStream looks at the type without its parameters, in any case", () => {
  const types: [string | undefined, boolean][] = [
    ["text/event-stream", true],
    ["text/event-stream; charset=utf-8", true],
    ["Text/Event-Stream ;charset=utf-8", true],
    ["text/event-stream2", false],
    ["application/json; of=text/event-stream", false],
    ["x-text/event-stream", false],
    ["text/plain", false],
    [undefined, false],
  ];
  for (const [type, expected] of types) {
    const headers = new Headers(type ? { "content-type": type } : {});
    const actual = isEventStream(new Response(null, { headers }));
    assertEquals([type, actual], [type, expected]);
  }
});

Deno.test("createProgressReader asks about each event, wherever the chunks are cut", () => {
  const text =
    "\uFEFFdata: é\r\n\r\n: ping\n\nevent: ping\nid: 1\ndata: {}\n\ndata: no\n\ndata: 日\ndata: 本\n\n";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const events: ServerSentEvent[] = [];
    const takeChunk = createProgressReader((event) => {
      events.push(event);
      return event.data !== "no";
    });
    let progress = 0;
    for (let start = 0; start < bytes.length; start += size) {
      const before = events.length;
      const hasProgress = takeChunk(bytes.subarray(start, start + size));
      const arrived = events.slice(before);
      assertEquals(hasProgress, arrived.some(({ data }) => data !== "no"));
      if (hasProgress) progress++;
    }
    assertEquals(
      events.map(({ event, id, data }) => [event, id, data]),
      [
        [undefined, undefined, "é"],
        ["ping", "1", "{}"],
        [undefined, undefined, "no"],
        [undefined, undefined, "日\n本"],
      ],
    );
    assertEquals(progress, size === bytes.length ? 1 : 3);
  }
});
