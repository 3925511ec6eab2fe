// Copyright 2026 the heartbeat authors. MIT license.

import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { streamText } from "ai";
import ky from "ky";
import { Ollama } from "ollama";
import OpenAI from "openai";

/** How a client is called. */
export interface Call {
  /** Where the API is. */
  url: string;
  fetch: typeof fetch;
  signal: AbortSignal;
  /** How often the client itself tries again. */
  retries: number;
}

/** Streams a reply; the words are passed on as they come. */
export type Client = (
  call: Call,
  onWord: (word: string) => void,
) => Promise<void>;

/** Reads the words of a body; each of its chunks holds whole lines. */
export async function readWords(
  body: AsyncIterable<Uint8Array>,
  onWord: (word: string) => void,
) {
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    const text = decoder.decode(bytes, { stream: true });
    for (const [, word] of text.matchAll(/^data: (.*)$/gm)) onWord(word!);
  }
}

const messages = [{ role: "user" as const, content: "Count." }];

export const CLIENTS: Record<string, Client> = {
  async openai({ url, fetch, signal, retries }, onWord) {
    const client = new OpenAI({
      ...{ apiKey: "key", baseURL: url, fetch, maxRetries: retries },
    });
    const stream = await client.chat.completions.create(
      { model: "m", messages, stream: true },
      { signal },
    );
    for await (const { choices } of stream) {
      const word = choices[0]?.delta.content;
      if (word) onWord(word);
    }
  },

  async "@anthropic-ai/sdk"({ url, fetch, signal, retries }, onWord) {
    const client = new Anthropic({
      ...{ apiKey: "key", baseURL: url, fetch, maxRetries: retries },
    });
    const stream = await client.messages.create(
      { model: "m", messages, max_tokens: 10, stream: true },
      { signal },
    );
    for await (const event of stream) {
      if (event.type !== "content_block_delta") continue;
      if (event.delta.type === "text_delta") onWord(event.delta.text);
    }
  },

  async ai({ url, fetch, signal, retries }, onWord) {
    const provider = createOpenAI({ apiKey: "key", baseURL: url, fetch });
    const { fullStream } = streamText({
      model: provider.chat("m"),
      messages,
      maxRetries: retries,
      abortSignal: signal,
      onError() {},
    });
    for await (const part of fullStream) {
      if (part.type === "text-delta") onWord(part.text);
      if (part.type === "error") throw part.error;
      if (part.type === "abort") throw signal.reason;
    }
  },

  async "@google/genai"({ url, fetch, signal, retries }, onWord) {
    const client = new GoogleGenAI({
      apiKey: "key",
      httpOptions: {
        ...{ baseUrl: url, retryOptions: { attempts: retries + 1 } },
        fetch,
      },
    });
    const stream = await client.models.generateContentStream({
      model: "m",
      contents: "Count.",
      config: { abortSignal: signal },
    });
    for await (const { text } of stream) if (text) onWord(text);
  },

  async ollama({ url, fetch }, onWord) {
    const client = new Ollama({ host: url, fetch });
    const stream = await client.chat({ model: "m", messages, stream: true });
    for await (const { message } of stream) {
      if (message.content) onWord(message.content);
    }
  },

  async ky({ url, fetch, signal, retries }, onWord) {
    const response = await ky(`${url}/text`, {
      ...{ fetch, signal, retry: retries, timeout: false },
    });
    await readWords(response.body!, onWord);
  },
};
