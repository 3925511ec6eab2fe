// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The methods that read a whole body. */
const READERS = [
  "arrayBuffer",
  "blob",
  "bytes",
  "formData",
  "json",
  "text",
] as const;

/** What takes the place of a response's body. */
export interface ReplacementBody {
  /** The bytes. */
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Throws the reason for which the stream was ended early, if it was. */
  throwIfFailed: () => void;
}

/**
 * Makes a response with another body. Everything else stays: what the
 * constructor of `Response` cannot set is defined on the object.
 *
 * A clone is a response of the same kind: its body is a branch of the same
 * stream. `text()` and its like reject with the reason for which the body was
 * ended; by itself, Chromium says only "Failed to fetch".
 */
export function replaceBody(
  response: Response,
  body: ReplacementBody,
): Response {
  const { status, statusText, headers } = response;
  const init = { status, statusText, headers };
  return decorate(new Response(body.stream, init), response, body);
}

function decorate(
  response: Response,
  original: Response,
  body: ReplacementBody,
): Response {
  const { url, redirected, type, headers } = original;
  function clone() {
    const copy = Response.prototype.clone.call(response);
    return decorate(copy, original, body);
  }
  const properties: Record<string, unknown> = {
    url,
    redirected,
    type,
    headers,
    clone,
  };
  for (const name of READERS) {
    const read = response[name];
    if (read === undefined) continue;
    properties[name] = () =>
      read.call(response).catch((error: unknown) => {
        body.throwIfFailed();
        throw error;
      });
  }
  for (const [name, value] of Object.entries(properties)) {
    Object.defineProperty(response, name, { value, configurable: true });
  }
  return response;
}
