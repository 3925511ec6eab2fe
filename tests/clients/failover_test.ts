// Copyright 2026 the heartbeat authors. MIT license.

// Another model after a stall, as docs/llm_streams.md shows it: never once a token
// was shown, and never after the user's cancel.

import { assertEquals, assertRejects } from "@std/assert";
import { deadline } from "@std/async/deadline";
import OpenAI from "openai";
import { HeartbeatTimeoutError } from "../../monitor.ts";
import { RestartLimitError, supervise } from "../../supervisor.ts";
import { startWorker } from "../../worker.ts";
import { waitUntil } from "../_help.ts";
import { type Behaviour, startStallServer } from "../_stall_server.ts";
import { ALL_WORDS, LONG_MS, TIMEOUT } from "./_call.ts";
import { chunksOf, contentTypeOf } from "./_replies.ts";

/** Asks models of these behaviours, one after the other. */
async function ask(behaviours: Behaviour[], cancelAfter = Infinity) {
  await using server = await startStallServer({
    chunks: chunksOf,
    contentType: contentTypeOf,
  });
  const shown: string[] = [];
  const cancel = new AbortController();

  async function* answer(behaviour: Behaviour, signal: AbortSignal) {
    const client = new OpenAI({
      ...{ apiKey: "key", baseURL: server.url(behaviour), maxRetries: 0 },
    });
    const stream = await client.chat.completions.create({
      model: behaviour,
      messages: [{ role: "user", content: "Count." }],
      stream: true,
    }, { signal });
    for await (const { choices } of stream) {
      const word = choices[0]?.delta.content;
      if (word) yield word;
    }
  }

  const { results } = supervise(
    ({ attempt, signal }) =>
      startWorker(({ signal }) => answer(behaviours[attempt - 1]!, signal), {
        signal,
      }),
    {
      timeout: TIMEOUT,
      maxRestarts: behaviours.length - 1,
      backoff: { min: 0, max: 0 },
      shouldRestart: () => shown.length === 0,
      signal: cancel.signal,
    },
  );
  const reading = (async () => {
    for await (const word of results) shown.push(word);
  })();
  if (cancelAfter < Infinity) {
    await waitUntil(() => server.requests === cancelAfter);
    cancel.abort();
  }
  const error = await deadline(reading, LONG_MS).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { requests } = server;
  return { shown, error, requests };
}

Deno.test("supervise asks another model when the first one is silent", async () => {
  const { shown, error, requests } = await ask(["no-headers", "healthy"]);
  assertEquals([shown, error, requests], [ALL_WORDS, undefined, 2]);
});

Deno.test("supervise asks no other model once a token was shown", async () => {
  const { shown, error, requests } = await ask(["stalls", "healthy"]);
  assertEquals([shown, requests], [["one", "two"], 1]);
  await assertRejects(() => Promise.reject(error), HeartbeatTimeoutError);
});

Deno.test("supervise asks no other model after the user's cancel", async () => {
  const { shown, requests } = await ask(["no-headers", "healthy"], 1);
  assertEquals([shown, requests], [[], 1]);
});

Deno.test("supervise fails when every model was silent", async () => {
  const { error, requests } = await ask(["no-headers", "no-body"]);
  assertEquals(requests, 2);
  await assertRejects(() => Promise.reject(error), RestartLimitError);
});
