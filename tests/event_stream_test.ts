// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
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

/** Where the progress of a reader comes from: the chunks that bring it. */
function findProgress(chunks: string[]): number[] {
  const events: ServerSentEvent[] = [];
  const takeChunk = createProgressReader((event) => {
    events.push(event);
    return event.event !== "ping";
  });
  const encoder = new TextEncoder();
  const found = chunks.flatMap((chunk, index) =>
    takeChunk(encoder.encode(chunk)) ? [index] : []
  );
  for (const { data } of events) assert(data.length < 10);
  return found;
}

Deno.test("createProgressReader takes a ping after an event that is too long for a ping", () => {
  const LONG = "x".repeat(1024 * 1024);
  const PING = "event: ping\ndata: 1\n\n";
  // the limit is passed in the chunk in which the event ends
  for (const end of ["\n\n", "\r\n\r\n", "\r\r"]) {
    const text = `data: ${LONG}\ndata: y${end}`;
    assertEquals(findProgress([text, PING, PING]), [0]);
    assertEquals(findProgress([text + PING, PING, "data: 1\n\n"]), [0, 2]);
    assertEquals(findProgress([text + "event: pi", "ng\ndata: 1\n\n"]), [0]);
  }
  // in one before
  assertEquals(
    findProgress([`data: ${LONG}`, "x\ndata: y", "y\n\n", PING]),
    [0, 2],
  );
  // at the end of one of its lines
  assertEquals(findProgress([`data: ${LONG}y\n`, "\n", PING]), [0, 1]);
  assertEquals(
    findProgress([`data: ${LONG}y\n`, "data: y\n\n", PING]),
    [0, 1],
  );
  // two in one chunk
  const one = `data: ${LONG}\ndata: y`;
  assertEquals(findProgress([`${one}\n\n${one}`, "y\n\n", PING]), [0, 1]);
});

Deno.test("createProgressReader shows no part of an event that is too long", () => {
  const events: ServerSentEvent[] = [];
  const takeChunk = createProgressReader((event) => !!events.push(event));
  const long = "x".repeat(1024 * 1024);
  const encoder = new TextEncoder();
  for (const line of ["\n", "\r\n", "\r"]) {
    const text = `data: ${long}${line}data${line}${line}`;
    assertEquals(takeChunk(encoder.encode(text)), true);
    assertEquals([line, events], [line, []]);
  }
});
