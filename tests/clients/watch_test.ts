// Copyright 2026 the heartbeat authors. MIT license.

// The one line for every SDK: `watch(({ signal }) => client.stream(…, { signal }), …)`.
// The request ends with the stall, and the loop gets the error, although some of
// these clients take their own abort for a clean end.

import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { assertEquals, assertRejects } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { streamText } from "ai";
import OpenAI from "openai";
import { HeartbeatTimeoutError, watch } from "../../monitor.ts";
import type { Work } from "../../worker.ts";
import { waitUntil } from "../_help.ts";
import { type Behaviour, startStallServer } from "../_stall_server.ts";
import { chunksOf, contentTypeOf } from "./_replies.ts";

const TIMEOUT = 1_000;
/** What nothing here takes, in milliseconds. */
const LONG_MS = 30_000;

const messages = [{ role: "user" as const, content: "Count." }];

/** Work that streams a reply from a URL, with the defaults of the client. */
const WORKS: Record<string, (url: string) => Work<unknown>> = {
  openai(url) {
    const client = new OpenAI({ apiKey: "key", baseURL: url });
    return ({ signal }) =>
      client.chat.completions.create(
        { model: "m", messages, stream: true },
        { signal },
      );
  },
  "@anthropic-ai/sdk"(url) {
    const client = new Anthropic({ apiKey: "key", baseURL: url });
    return ({ signal }) =>
      client.messages.create(
        { model: "m", messages, max_tokens: 10, stream: true },
        { signal },
      );
  },
  ai(url) {
    const { chat } = createOpenAI({ apiKey: "key", baseURL: url });
    return ({ signal }) =>
      streamText({ model: chat("m"), messages, abortSignal: signal })
        .textStream;
  },
  "@google/genai"(url) {
    const client = new GoogleGenAI({
      apiKey: "key",
      httpOptions: { baseUrl: url },
    });
    return ({ signal: abortSignal }) =>
      client.models.generateContentStream({
        model: "m",
        contents: "Count.",
        config: { abortSignal },
      });
  },
};

async function call(
  work: (url: string) => Work<unknown>,
  behaviour: Behaviour,
) {
  await using server = await startStallServer({
    chunks: chunksOf,
    contentType: contentTypeOf,
  });
  const parts: unknown[] = [];
  const reading = (async () => {
    const options = { timeout: TIMEOUT };
    for await (const part of watch(work(server.url(behaviour)), options)) {
      parts.push(part);
    }
  })();
  if (behaviour === "healthy") {
    await deadline(reading, LONG_MS);
  } else {
    await assertRejects(
      () => deadline(reading, LONG_MS),
      HeartbeatTimeoutError,
    );
    await waitUntil(() => server.aborted === 1);
  }
  assertEquals(server.requests, 1);
  return parts;
}

for (const [name, work] of Object.entries(WORKS)) {
  Deno.test(`watch() of ${name} in one line ends a request that stalls, and lets a healthy one end`, async () => {
    const [healthy, stalled, noBody, noHeaders] = await Promise.all([
      call(work, "healthy"),
      call(work, "stalls"),
      call(work, "no-body"),
      call(work, "no-headers"),
    ]);
    const texts = (parts: unknown[]) =>
      JSON.stringify(parts).match(/"(one|two|three|four)"/g);
    assertEquals(texts(healthy), ['"one"', '"two"', '"three"', '"four"']);
    assertEquals(texts(stalled), ['"one"', '"two"']);
    assertEquals([noBody, noHeaders], [[], []]);
  });
}
