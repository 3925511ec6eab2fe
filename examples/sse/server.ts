// Copyright 2026 the heartbeat authors. MIT license.
// deno-lint-ignore-file no-console -- its output is the example

/**
 * A server that streams tokens by server-sent events, as LLM APIs do, and stalls
 * on demand:
 *
 * ```sh
 * deno run --allow-net examples/sse/server.ts --port 8099
 * curl -N "http://127.0.0.1:8099/?mode=pings&after=5"
 * ```
 *
 * - `mode=ok`: all tokens, then `[DONE]`
 * - `mode=silent&after=5`: nothing more after token 5; the connection stays open
 * - `mode=pings&after=5`: only keep-alives after token 5, as comments and as
 *   `ping` events
 * - `mode=cut&after=5`: a clean but early end after token 5
 * - `mode=mute`: the request is accepted and never answered, not even with headers
 *
 * `after` may be 0 and may be repeated. A request with `Last-Event-ID: 5`
 * continues with token 6, after the stall.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { parseDuration, parsePort, readOptions } from "../options.ts";

const MODES = ["ok", "silent", "pings", "cut", "mute"];

/** The answer, one word for each token. */
export const TOKENS =
  "A promise that never settles throws nothing. A stream that goes quiet closes nothing."
    .split(/(?<= )/);

/** Options of {@linkcode respond}. */
export interface RespondOptions {
  /** The time between two tokens, and between two pings, in milliseconds. */
  pace: number;
  /** Called with a line about each step of a request. */
  log: (line: string) => void;
}

/** Rejects when the client has disconnected. */
function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** The parameters of a request. */
interface TokenRequest {
  mode: string;
  /** After which tokens to stall. */
  stalls: number[];
  /** The last token that the client already has. */
  from: number;
}

function readParameters(request: Request): TokenRequest {
  const query = new URL(request.url).searchParams;
  return {
    mode: query.get("mode") ?? "ok",
    stalls: query.getAll("after").map(Number),
    from: Number(request.headers.get("last-event-id")) || 0,
  };
}

/** Sends nothing, or only keep-alives, until the client disconnects. */
async function* stall(mode: string, pace: number, signal: AbortSignal) {
  if (mode === "silent") await rejectOnAbort(signal);
  for (;;) {
    await delay(pace, { signal });
    yield ": ping\n\n";
    yield "event: ping\ndata: {}\n\n";
  }
}

async function* generateEvents(
  { mode, stalls, from }: TokenRequest,
  { pace, log }: RespondOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  try {
    for (let n = from;; n++) {
      if (mode !== "ok" && stalls.includes(n) && (n === 0 || n > from)) {
        log(`${mode} after token ${n}`);
        if (mode === "cut") return;
        yield* stall(mode, pace, signal);
      }
      if (n >= TOKENS.length) break;
      await delay(pace, { signal });
      const data = JSON.stringify({ token: TOKENS[n] });
      yield `id: ${n + 1}\ndata: ${data}\n\n`;
    }
    yield "data: [DONE]\n\n";
    log("done");
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Encodes the events; `onCancel` is how a server learns that its client has disconnected. */
function encodeEvents(
  events: AsyncIterable<string>,
  onCancel: (reason: unknown) => void,
) {
  const encoder = new TextEncoder();
  return ReadableStream.from(events).pipeThrough(
    new TransformStream<string, Uint8Array<ArrayBuffer>>({
      transform: (text, controller) => controller.enqueue(encoder.encode(text)),
      cancel: onCancel,
    }),
  );
}

/** Answers one request. */
export async function respond(
  request: Request,
  options: RespondOptions,
): Promise<Response> {
  const { log } = options;
  const parameters = readParameters(request);
  const { mode, from } = parameters;
  if (!MODES.includes(mode)) {
    const message = `mode is one of ${MODES.join(", ")}`;
    return new Response(message, { status: 400 });
  }
  log(from ? `a request, to go on behind token ${from}` : "a request");
  if (mode === "mute") {
    // Without a body, only this signal reports that the client disconnects. Deno 2.9
    // prints a warning about it, once.
    await rejectOnAbort(request.signal)
      .catch(() => log("closed by the client"));
    return new Response();
  }
  const disconnected = new AbortController();
  const events = generateEvents(parameters, options, disconnected.signal);
  const body = encodeEvents(events, (reason) => {
    log("closed by the client");
    disconnected.abort(reason);
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
    },
  });
}

if (import.meta.main) {
  const options = readOptions({ port: "8099", pace: "200ms" });
  const pace = parseDuration("pace", options.pace);
  Deno.serve({
    hostname: "127.0.0.1",
    port: parsePort("port", options.port),
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
  }, (request) =>
    respond(request, {
      pace,
      log: (line) => console.log(new Date().toISOString().slice(11, 19), line),
    }));
}
