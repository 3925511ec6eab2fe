// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- a program

/**
 * A server that streams tokens as LLM APIs do, by server-sent events, and
 * stalls on demand:
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
 * - `mode=cut&after=5`: a clean end after token 5, too early
 * - `mode=mute`: the request is taken and never answered, not even by headers
 *
 * `after` may be repeated, and be 0. A request with `Last-Event-ID: 5` goes on
 * with token 6, past the stall.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { delay } from "@std/async/delay";

const MODES = ["ok", "silent", "pings", "cut", "mute"];

/** What it says, a word a token. */
export const TOKENS =
  "A promise that never settles throws nothing. A stream that goes quiet closes nothing."
    .split(/(?<= )/);

/** Options of {@linkcode respond}. */
export interface RespondOptions {
  /** The time between two tokens, and between two pings, in milliseconds. */
  pace: number;
  /** Is told what happens to a request. */
  log: (line: string) => void;
}

/** Rejects when the client has gone. */
function gone(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
}

/** What a request asks for. */
interface Wish {
  mode: string;
  stalls: number[];
  /** The last token that the client has. */
  from: number;
}

async function* speak(
  { mode, stalls, from }: Wish,
  { pace, log }: RespondOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  try {
    for (let n = from;; n++) {
      if (mode !== "ok" && stalls.includes(n) && (n === 0 || n > from)) {
        log(`${mode} after token ${n}`);
        if (mode === "cut") return;
        if (mode === "silent") await gone(signal);
        for (;;) {
          await delay(pace, { signal });
          yield ": ping\n\n";
          yield "event: ping\ndata: {}\n\n";
        }
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

/** Answers one request. */
export async function respond(
  request: Request,
  options: RespondOptions,
): Promise<Response> {
  const { log } = options;
  const query = new URL(request.url).searchParams;
  const mode = query.get("mode") ?? "ok";
  const stalls = query.getAll("after").map(Number);
  const from = Number(request.headers.get("last-event-id")) || 0;
  if (!MODES.includes(mode)) {
    const message = `mode is one of ${MODES.join(", ")}`;
    return new Response(message, { status: 400 });
  }
  log(from ? `a request, to go on behind token ${from}` : "a request");
  if (mode === "mute") {
    // nothing else tells of it before there is a body; Deno 2.9 warns of the signal, once
    await gone(request.signal).catch(() => log("closed by the client"));
    return new Response();
  }
  const left = new AbortController();
  const encoder = new TextEncoder();
  const body = ReadableStream.from(
    speak({ mode, stalls, from }, options, left.signal),
  )
    .pipeThrough(
      new TransformStream<string, Uint8Array>({
        transform(text, controller) {
          controller.enqueue(encoder.encode(text));
        },
        // how a server learns that its client has gone
        cancel(reason) {
          log("closed by the client");
          left.abort(reason);
        },
      }),
    );
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
    },
  });
}

if (import.meta.main) {
  const { port, pace } = parseArgs(Deno.args, {
    string: ["port", "pace"],
    default: { port: "8099", pace: "200" },
  });
  Deno.serve({
    hostname: "127.0.0.1",
    port: Number(port),
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
  }, (request) =>
    respond(request, {
      pace: Number(pace),
      log: (line) => console.log(new Date().toISOString().slice(11, 19), line),
    }));
}
