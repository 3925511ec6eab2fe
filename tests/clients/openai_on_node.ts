// Copyright 2026 the heartbeat authors. MIT license.

// Runs on Node.js, as a bundle: what becomes of a reply of OpenAI in each case.
// deno-lint-ignore-file no-console -- the lines are what the test reads

import OpenAI from "openai";
import { guardFetch } from "../../fetch.ts";
import { type Behaviour, startStallServer } from "../_stall_server.ts";
import { chunksOf, contentTypeOf } from "./_replies.ts";

const server = await startStallServer({
  chunks: chunksOf,
  contentType: contentTypeOf,
});
const fetch = guardFetch({ timeout: 1_000, progressTimeout: 1_500 });

async function read(behaviour: Behaviour) {
  const client = new OpenAI({
    ...{ apiKey: "sk-...", fetch, baseURL: server.url(behaviour) },
    maxRetries: 0,
  });
  const words: string[] = [];
  try {
    const stream = await client.chat.completions.create({
      model: "m",
      messages: [{ role: "user", content: "Count." }],
      stream: true,
    });
    for await (const { choices } of stream) {
      const word = choices[0]?.delta.content;
      if (word) words.push(word);
    }
    return `${words} end`;
  } catch (error) {
    return `${words} ${(error as Error).constructor.name}`;
  }
}

const behaviours = ["healthy", "stalls", "pings", "no-headers"] as const;
for (const behaviour of behaviours) {
  console.log(`${behaviour} ${await read(behaviour)}`);
}
await server[Symbol.asyncDispose]();
