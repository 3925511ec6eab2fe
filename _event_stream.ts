// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import {
  createParser,
  type EventSourceParser,
} from "npm:eventsource-parser@4.1.3";

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
 * How long an event may be, and a line of it, in characters: what is longer is
 * not kept, so that a line that never ends does not fill the memory.
 */
const MAX_EVENT_LENGTH = 1024 * 1024;

/**
 * Finds progress in a stream of server-sent events, on the side.
 *
 * An event that is too long is not shown to `isProgress`. It is progress each
 * time that another {@linkcode MAX_EVENT_LENGTH} of it have arrived, and at its
 * end, because something does arrive.
 *
 * @param isProgress Says which events are progress. What it throws is thrown to
 * who gives the chunk.
 * @returns Takes the next chunk, which it does not change, and says whether it
 * brought progress.
 */
export function createProgressReader(
  isProgress: (event: ServerSentEvent) => boolean,
): (chunk: Uint8Array) => boolean {
  const decoder = new TextDecoder();
  let hasProgress = false;
  /** Whether the beginning of the current event was dropped. */
  let isCut = false;
  // Without `onError`, which reports a line that is too long, but which costs an
  // error with its stack for each line that is not a field as well.
  const parser = createParser({
    maxBufferSize: MAX_EVENT_LENGTH,
    onEvent(event) {
      if (isCut || isProgress(event)) hasProgress = true;
      isCut = false;
    },
  });
  return (chunk) => {
    hasProgress = false;
    const text = decoder.decode(chunk, { stream: true });
    parser.feed(text);
    if (isTerminated(parser)) {
      hasProgress = true;
      const next = textAfterEvents(text);
      isCut = next === undefined;
      parser.reset();
      parser.feed(next ?? startOfRest(text));
    }
    return hasProgress;
  };
}

/** Whether an event was too long: then the parser takes no more. */
function isTerminated(parser: EventSourceParser): boolean {
  try {
    parser.feed("");
    return false;
  } catch {
    return true;
  }
}

/** What comes after the last event that ends in this text, unless none does or that is too long. */
function textAfterEvents(text: string): string | undefined {
  const starts = ["\n\n", "\r\r", "\r\n\r\n"]
    .filter((end) => text.includes(end))
    .map((end) => text.lastIndexOf(end) + end.length);
  if (starts.length === 0) return;
  const next = text.slice(Math.max(...starts));
  return next.length > MAX_EVENT_LENGTH ? undefined : next;
}

/** What makes the next chunk the rest of an event whose beginning is not kept. */
function startOfRest(text: string): string {
  return text.endsWith("\n") ? "data:\n" : "data:";
}
