// Copyright 2026 the heartbeat authors. MIT license.
// deno-lint-ignore-file no-console -- its output is the example

/**
 * Reads tokens as LLM APIs stream them, and recovers: it closes a stream that
 * stalls and sends a new request, which continues after the last token that was
 * delivered.
 *
 * ```sh
 * deno run --allow-net examples/sse/client.ts --url "http://127.0.0.1:8099/?mode=silent&after=5"
 * ```
 *
 * `--timeout` is the longest silence between two tokens, `--first-timeout` the
 * longest until the first one, headers included.
 *
 * @module
 */

import {
  HeartbeatMonitor,
  startWorker,
  supervise,
  type SuperviseOptions,
  type SupervisorEvent,
} from "@heartbeat/heartbeat";
import { escapeText } from "@heartbeat/heartbeat/nats";
import {
  type EventSourceMessage,
  EventSourceParserStream,
} from "npm:eventsource-parser@4.1.3/stream";
import { parseDuration, parseUrl, readOptions } from "../options.ts";

/** An answer that another attempt would not change. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

/** Options of {@linkcode readTokens}. */
export interface ReadTokensOptions
  extends Omit<SuperviseOptions, "timeout" | "shouldRestart"> {
  /** The longest silence between two tokens, in milliseconds. */
  timeout: number;
  /** The longest silence until the first token, from the connection on, in milliseconds. */
  firstTimeout: number;
}

/** Parses and monitors a body: on silence it is cancelled, which ends the request. */
export function guard(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  timeout: number,
): ReadableStream<EventSourceMessage> {
  return body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    // Behind the parser, which drops comments and separates events. Before it, a
    // chunk of bytes may be a ping, half a token, or both.
    .pipeThrough(
      new HeartbeatMonitor({
        timeout,
        firstTimeout: Infinity,
        isHeartbeat: ({ event }) => event !== "ping",
      }),
    );
}

/** Requests the stream from behind the event `lastEventId`. */
async function request(
  url: string | URL,
  lastEventId: string | undefined,
  signal: AbortSignal,
) {
  const response = await fetch(url, {
    signal,
    headers: lastEventId ? { "last-event-id": lastEventId } : {},
  });
  if (response.ok) return response;
  const message = `${response.status}: ${await response.text()}`;
  const retry = response.status === 429 || response.status >= 500;
  throw retry ? new Error(message) : new RefusedError(message);
}

/** Reads the tokens of a stream, over as many requests as it takes, each token once. */
export function readTokens(
  url: string | URL,
  { timeout, firstTimeout, ...options }: ReadTokensOptions,
): ReadableStream<string> {
  let lastEventId: string | undefined;
  const { results } = supervise(
    ({ signal }) =>
      startWorker(async function* tokens({ signal, beat }) {
        // A variable for the response keeps it alive. Deno 2.9.6 leaves the connection
        // open after an abort if only the body is still referenced.
        const response = await request(url, lastEventId, signal);
        const events = guard(response.body!, timeout);
        for await (const { event, id, data } of events) {
          if (event === "ping") continue;
          if (data === "[DONE]") return;
          yield JSON.parse(data).token;
          // the code after a `yield` runs once its result was delivered: resume from here
          lastEventId = id ?? lastEventId;
          beat({ lastEventId });
        }
        throw new Error("The stream ended before [DONE]");
      }, { signal }),
    {
      ...options,
      // guard() has no body to monitor before the headers: this covers the wait for them
      timeout: firstTimeout,
      shouldRestart: (cause) =>
        !(cause instanceof RefusedError || cause instanceof RangeError),
    },
  );
  return results;
}

/** Prints what is not a token in one line, on stderr. */
function report(event: SupervisorEvent) {
  const print = (text: string) => console.error(escapeText(text));
  if (event.type === "stalled") {
    console.error();
    print(`[stalled: silent for ${event.elapsed} ms]`);
  } else if (event.type === "failed") {
    console.error();
    print(`[failed: ${event.error.message}]`);
  } else if (event.type === "started" && event.attempt > 1) {
    print(`[attempt ${event.attempt}] ${Deno.inspect(event.lastDetail ?? "")}`);
  }
}

/** Makes tokens safe to print. Their line breaks stay: they are the text. */
function escapeLines(text: string) {
  return text.split("\n").map(escapeText).join("\n");
}

async function main() {
  const options = readOptions({
    url: "http://127.0.0.1:8099/?mode=silent&after=5",
    timeout: "2s",
    "first-timeout": "10s",
  });
  const tokens = readTokens(parseUrl("url", options.url), {
    timeout: parseDuration("timeout", options.timeout),
    firstTimeout: parseDuration("first-timeout", options["first-timeout"]),
    onEvent: report,
  });
  const encoder = new TextEncoder();
  for await (const token of tokens) {
    await Deno.stdout.write(encoder.encode(escapeLines(token)));
  }
  console.log();
}

if (import.meta.main) {
  await main().catch((error) => {
    console.error(escapeText(`${error.name}: ${error.message}`));
    Deno.exit(1);
  });
}
