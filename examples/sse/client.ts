// Copyright 2026 the heartbeat authors. MIT license.

// deno-lint-ignore-file no-console -- a program

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
 * longest before the first one, headers included. Both are in milliseconds.
 *
 * @module
 */

import {
  HeartbeatMonitor,
  startWorker,
  supervise,
  type SuperviseOptions,
} from "@heartbeat/heartbeat";
import { parseArgs } from "@std/cli/parse-args";
import {
  type EventSourceMessage,
  EventSourceParserStream,
} from "npm:eventsource-parser@4.1.3/stream";

/** An answer that a retry would not change. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

/** Options of {@linkcode readTokens}. */
export interface ReadTokensOptions
  extends Omit<SuperviseOptions, "timeout" | "shouldRestart"> {
  /** The longest silence between two tokens, in milliseconds. */
  timeout: number;
  /** The longest silence before the first token, connection and headers included, in milliseconds. */
  firstTimeout: number;
}

/** Parses and guards a body. On silence it is cancelled, which ends the request. */
export function guard(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  timeout: number,
): ReadableStream<EventSourceMessage> {
  return body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    // after the parser, which drops comments: there, an event is a token or a ping.
    // Before it, a chunk of bytes may be a ping, half a token, or both.
    .pipeThrough(
      new HeartbeatMonitor({
        timeout,
        firstTimeout: Infinity,
        isHeartbeat: ({ event }) => event !== "ping",
      }),
    );
}

/** Reads the tokens of a stream, each once, over as many requests as needed. */
export function readTokens(
  url: string | URL,
  { timeout, firstTimeout, ...options }: ReadTokensOptions,
): ReadableStream<string> {
  let lastEventId: string | undefined;
  const { results } = supervise(
    ({ signal }) =>
      startWorker(async function* tokens({ signal, beat }) {
        const response = await fetch(url, {
          signal,
          headers: lastEventId ? { "last-event-id": lastEventId } : {},
        });
        if (!response.ok) {
          const message = `${response.status}: ${await response.text()}`;
          const retry = response.status === 429 || response.status >= 500;
          throw retry ? new Error(message) : new RefusedError(message);
        }
        for await (
          const { event, id, data } of guard(response.body!, timeout)
        ) {
          if (event === "ping") continue;
          if (data === "[DONE]") return;
          yield JSON.parse(data).token;
          // the code after a `yield` runs when its result was delivered: resume after it
          lastEventId = id ?? lastEventId;
          beat({ lastEventId });
        }
        throw new Error("The stream ended before [DONE]");
      }, { signal }),
    {
      ...options,
      // before the headers there is no body that the monitor in guard() could watch
      timeout: firstTimeout,
      shouldRestart: (cause) =>
        !(cause instanceof RefusedError || cause instanceof RangeError),
    },
  );
  return results;
}

async function main() {
  const { url, timeout, "first-timeout": firstTimeout } = parseArgs(Deno.args, {
    string: ["url", "timeout", "first-timeout"],
    default: {
      url: "http://127.0.0.1:8099/?mode=silent&after=5",
      timeout: "2000",
      "first-timeout": "10000",
    },
  });
  const tokens = readTokens(url, {
    timeout: Number(timeout),
    firstTimeout: Number(firstTimeout),
    onEvent(event) {
      if (event.type === "stalled") {
        console.error(`\n[stalled: silent for ${event.elapsed} ms]`);
      } else if (event.type === "failed") {
        console.error(`\n[failed: ${event.error.message}]`);
      } else if (event.type === "started" && event.attempt > 1) {
        console.error(`[attempt ${event.attempt}]`, event.lastDetail ?? "");
      }
    },
  });
  const encoder = new TextEncoder();
  for await (const token of tokens) {
    await Deno.stdout.write(encoder.encode(token));
  }
  console.log();
}

if (import.meta.main) {
  await main().catch((error) => {
    console.error(`${error.name}: ${error.message}`);
    Deno.exit(1);
  });
}
