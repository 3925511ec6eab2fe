// Copyright 2026 the heartbeat authors. MIT license.

import { deadline } from "@std/async/deadline";
import { guardFetch } from "../../fetch.ts";
import { HeartbeatTimeoutError } from "../../monitor.ts";
import { waitUntil } from "../_help.ts";
import { type Behaviour, startStallServer } from "../_stall_server.ts";
import type { Call, Client } from "./_clients.ts";
import { chunksOf, contentTypeOf } from "./_replies.ts";

/** The limits: far more than a pause between two chunks takes on a busy machine. */
export const TIMEOUT = 1_000;
/** One absence of this process may cost the silence a timeout, and must not make it the later verdict. */
export const PROGRESS_TIMEOUT = 2_500;
/** What nothing here takes, in milliseconds. */
export const LONG_MS = 30_000;

/** What a healthy reply says. */
export const ALL_WORDS = ["one", "two", "three", "four"];

/** What came of a call. */
export interface Outcome {
  words: string[];
  /** `undefined` if the reply ended as if complete. */
  error: unknown;
  requests: number;
}

/** What differs from the usual call. */
export interface Given extends Partial<Call> {
  /** Aborts with this reason: when the reply stalls, or when the request has arrived. */
  abortReason?: Error;
}

/** Calls a client against a server of its own. Resolves when the server has seen all connections close. */
export async function call(
  client: Client,
  behaviour: Behaviour,
  { abortReason, ...given }: Given = {},
): Promise<Outcome> {
  await using server = await startStallServer({
    chunks: chunksOf,
    contentType: contentTypeOf,
  });
  const words: string[] = [];
  const aborter = new AbortController();
  const call = {
    url: server.url(behaviour),
    fetch: guardFetch({ timeout: TIMEOUT, progressTimeout: PROGRESS_TIMEOUT }),
    signal: aborter.signal,
    retries: 0,
    ...given,
  };
  const replied = client(call, (word) => words.push(word));
  if (abortReason) {
    const arrived = behaviour === "no-headers" ? 0 : 2;
    await waitUntil(() => server.requests === 1 && words.length === arrived);
    aborter.abort(abortReason);
  }
  const error = await deadline(replied, LONG_MS).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { requests } = server;
  if (error !== undefined || abortReason) {
    await waitUntil(() => server.aborted === requests);
  }
  return { words, error, requests };
}

/** The error and its causes. */
function chainOf(error: unknown) {
  const chain: Error[] = [];
  for (let each = error; each instanceof Error; each = each.cause) {
    chain.push(each);
  }
  return chain;
}

/** The stall among the causes of an error. */
export function findStall(
  { error }: Outcome,
): HeartbeatTimeoutError | undefined {
  for (const each of chainOf(error)) {
    if (each instanceof HeartbeatTimeoutError) return each;
  }
}

/** The name of an error, or `undefined` for a clean end. */
export function nameError({ error }: Outcome): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { name } = error.constructor;
  return /^(Error|DOMException)$/.test(name) ? error.name : name;
}
