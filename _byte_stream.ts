// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** Whether a stream lets its consumer read into buffers of its own. */
export function isByteStream(stream: ReadableStream<unknown>): boolean {
  try {
    stream.getReader({ mode: "byob" }).releaseLock();
    return true;
  } catch {
    return false;
  }
}

/** Reads the URL that the platform gave a response, whatever was put over it. */
const readUrl = Object.getOwnPropertyDescriptor(Response.prototype, "url")?.get;

/** Whether this platform's bodies from the network are byte streams, once one was seen. */
let isNetworkByteStream: boolean | undefined;

/**
 * Whether the body of a response is a byte stream. To ask it costs as much as to
 * read a small one, so a body from the network is asked only once: only the
 * platform itself gives a response a URL, and all its bodies are alike.
 *
 * @param response The response.
 * @param body Its body.
 */
export function isByteBody(
  response: Response,
  body: ReadableStream<unknown>,
): boolean {
  if (!isFromNetwork(response)) return isByteStream(body);
  return isNetworkByteStream ??= isByteStream(body);
}

function isFromNetwork(response: Response): boolean {
  try {
    return readUrl!.call(response).startsWith("http");
  } catch {
    return false; // a response of another implementation
  }
}
