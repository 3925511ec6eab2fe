// Copyright 2026 the heartbeat authors. MIT license.

// Real clients, against a server that stalls in every way. A stall never looks
// like success, and its error differs from that of the user's own abort.

import { createOpenAI } from "@ai-sdk/openai";
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { streamText } from "ai";
import { EventSource } from "eventsource";
import { guardFetch } from "../../fetch.ts";
import { waitUntil } from "../_help.ts";
import { startStallServer } from "../_stall_server.ts";
import {
  ALL_WORDS,
  call,
  findStall,
  LONG_MS,
  nameError,
  PROGRESS_TIMEOUT,
} from "./_call.ts";
import { type Client, CLIENTS } from "./_clients.ts";
import { node, runOnNode } from "./_on_node.ts";

for (const [name, client] of Object.entries(CLIENTS)) {
  Deno.test({
    name:
      `guardFetch lets ${name} read a healthy reply and a slow one to the end`,
    // it leaves the body open after the line that says `done`
    sanitizeResources: name !== "ollama",
    async fn() {
      const [healthy, slow] = await Promise.all([
        call(client, "healthy"),
        call(client, "slow"),
      ]);
      for (const { words, error } of [healthy, slow]) {
        assertEquals(error, undefined);
        assertEquals(words, ALL_WORDS);
      }
      // a timer of a body that nobody reads ends when it is due
      if (name === "ollama") await delay(2 * PROGRESS_TIMEOUT);
    },
  });

  Deno.test(`guardFetch makes a stall of the body an error of ${name}, never a clean end`, async () => {
    const [stalls, noBody, half, reset] = await Promise.all([
      call(client, "stalls"),
      call(client, "no-body"),
      call(client, "half-closes"),
      call(client, "resets"),
    ]);
    assertEquals(stalls.words, ["one", "two"]);
    assertEquals(findStall(stalls)?.limit, "silence");
    assertEquals(noBody.words, []);
    assertEquals(findStall(noBody)?.limit, "silence");
    for (const lost of [half, reset]) {
      assertEquals(lost.words, ["one", "two"]);
      assert(lost.error instanceof Error);
      assertEquals(findStall(lost), undefined);
    }
  });
}

for (const [name, client] of Object.entries(CLIENTS)) {
  // its replies are lines of JSON, which have no pings
  if (name === "ollama") continue;
  Deno.test(`guardFetch finds the stall behind the pings that ${name} ignores`, async () => {
    const outcome = await call(client, "pings");
    assertEquals(outcome.words, ["one", "two"]);
    assertEquals(findStall(outcome)?.limit, "progress");
  });
}

/** What a client makes of a stall before the headers, and how many requests it sends with one retry. */
const BEFORE_HEADERS: Record<string, { error: string; requests: number }> = {
  // it keeps our error as the cause
  openai: { error: "APIConnectionTimeoutError", requests: 2 },
  // it drops our error
  "@anthropic-ai/sdk": { error: "APIConnectionTimeoutError", requests: 2 },
  "ai": { error: "HeartbeatTimeoutError", requests: 1 },
  "@google/genai": { error: "HeartbeatTimeoutError", requests: 2 },
  "ollama": { error: "HeartbeatTimeoutError", requests: 1 },
  "ky": { error: "HeartbeatTimeoutError", requests: 1 },
};

for (const [name, expected] of Object.entries(BEFORE_HEADERS)) {
  const client = CLIENTS[name]!;
  Deno.test(`guardFetch makes silence before the headers an error of ${name}, with its own retries and without`, async () => {
    const [once, again] = await Promise.all([
      call(client, "no-headers"),
      call(client, "no-headers", { retries: 1 }),
    ]);
    for (const outcome of [once, again]) {
      assertEquals(outcome.words, []);
      assertEquals((outcome.error as Error).constructor.name, expected.error);
      const stall = findStall(outcome);
      if (name !== "@anthropic-ai/sdk") assertEquals(stall?.limit, "first");
    }
    assertEquals(once.requests, 1);
    assertEquals(again.requests, expected.requests);
  });
}

/**
 * What a client makes of the user's own abort while the reply stalls, and before
 * the headers. `undefined` is a clean end.
 */
const ABORTED: Record<string, [stalled: string | undefined, before: string]> = {
  openai: [undefined, "APIUserAbortError"],
  "@anthropic-ai/sdk": [undefined, "APIUserAbortError"],
  ai: ["enough", "enough"],
  "@google/genai": ["AbortError", "AbortError"],
  ky: ["enough", "enough"],
};

for (const [name, [stalled, before]] of Object.entries(ABORTED)) {
  const client = CLIENTS[name]!;
  Deno.test(`guardFetch lets ${name} report the user's abort as it does without a guard`, async () => {
    const enough = Object.assign(new Error("enough"), { name: "enough" });
    for (const fetch of [guardFetch({ timeout: LONG_MS }), globalThis.fetch]) {
      const outcomes = await Promise.all(
        (["stalls", "no-headers"] as const).map((behaviour) =>
          call(client, behaviour, { fetch, abortReason: enough })
        ),
      );
      assertEquals(outcomes.map(nameError), [stalled, before]);
      for (const outcome of outcomes) {
        assertEquals(findStall(outcome), undefined);
      }
    }
  });
}

Deno.test("guardFetch lets an EventSource connect again, which hangs for ever by itself", async () => {
  await Promise.all((["stalls", "no-headers"] as const).map(async (which) => {
    await using server = await startStallServer();
    const guarded = guardFetch({ timeout: 300 });
    const source = new EventSource(server.url(which), { fetch: guarded });
    const words: string[] = [];
    const errors: (string | undefined)[] = [];
    source.onmessage = ({ data }) => void words.push(data);
    source.onerror = ({ message }) => void errors.push(message);
    const expected = which === "stalls" ? ["one", "two", "one", "two"] : [];
    await waitUntil(() =>
      server.requests === 2 && words.length === expected.length
    );
    source.close();
    await waitUntil(() => server.aborted === server.requests);
    assertEquals(words, expected);
    assert(errors[0]?.startsWith("No heartbeat from "), errors[0]);
    assertEquals(server.requests, 2);
  }));
});

Deno.test({
  name: "guardFetch ends a stalled reply of openai on Node.js, too",
  ignore: node === undefined,
  async fn() {
    assertEquals(await runOnNode("openai_on_node.ts"), [
      "healthy one,two,three,four end",
      "stalls one,two HeartbeatTimeoutError",
      "pings one,two HeartbeatTimeoutError",
      "no-headers  APIConnectionTimeoutError",
    ]);
  },
});

/** The AI SDK with the limit of its own, far below that of the guard. */
const streamWithChunkLimit: Client = async ({ url, fetch }, onWord) => {
  const provider = createOpenAI({ apiKey: "key", baseURL: url, fetch });
  let failure: unknown;
  const { textStream } = streamText({
    model: provider.chat("m"),
    prompt: "Count.",
    maxRetries: 0,
    timeout: { chunkMs: 500 },
    onError: ({ error }) => void (failure = error),
  });
  for await (const word of textStream) onWord(word);
  if (failure) throw failure;
};

Deno.test("the AI SDK ends a stalled reply as if it were complete at its own chunkMs, and does not count before the first chunk", async () => {
  const outcomes = await Promise.all(
    (["stalls", "no-body"] as const).map((which) =>
      call(streamWithChunkLimit, which)
    ),
  );
  assertEquals(outcomes.map(({ words }) => words), [["one", "two"], []]);
  assertEquals(outcomes.map(nameError), [undefined, "APICallError"]);
  assertEquals(findStall(outcomes[1]!)?.limit, "silence");
});
