// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { createParser } from "npm:eventsource-parser@3.1.1";

/** A server-sent event, as the HTML standard defines it. */
export interface ServerSentEvent {
  /** Its type; absent if the server gave none. */
  event?: string | undefined;
  /** Its id; absent if the server gave none. */
  id?: string | undefined;
  /** Its data. */
  data: string;
}

/** Whether a response is a stream of server-sent events. */
export function isEventStream(response: Response): boolean {
  const type = response.headers.get("content-type") ?? "";
  return /^\s*text\/event-stream\s*(;|$)/i.test(type);
}

/**
 * Reads server-sent events out of a stream of bytes, on the side.
 *
 * @param onEvent Called for every event that a chunk completes. What it throws
 * is thrown to who feeds the chunk.
 * @returns Takes the next chunk. It is not changed.
 */
export function createEventReader(
  onEvent: (event: ServerSentEvent) => void,
): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder();
  const parser = createParser({ onEvent });
  return (chunk) => parser.feed(decoder.decode(chunk, { stream: true }));
}
