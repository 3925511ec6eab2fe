// Copyright 2026 the heartbeat authors. MIT license.

const WORDS = ["one", "two", "three", "four"];

function events(data: (object | string)[], named = false) {
  return data.map((each) => {
    const text = typeof each === "string" ? each : JSON.stringify(each);
    const name = named ? `event: ${(each as { type: string }).type}\n` : "";
    return `${name}data: ${text}\n\n`;
  });
}

function openai() {
  const chunk = (delta: object, finish: string | null = null) => ({
    id: "c",
    object: "chat.completion.chunk",
    created: 0,
    model: "m",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  return events([
    ...WORDS.map((content) => chunk({ role: "assistant", content })),
    chunk({}, "stop"),
    "[DONE]",
  ]);
}

function anthropic() {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = {
    ...{ id: "m", type: "message", role: "assistant", model: "m", usage },
    ...{ content: [], stop_reason: null, stop_sequence: null },
  };
  const [start, ...rest] = events([
    { type: "message_start", message },
    {
      type: "content_block_start",
      index: 0,
      content_block: { type: "text", text: "" },
    },
    ...WORDS.map((text) => ({
      type: "content_block_delta",
      index: 0,
      delta: { type: "text_delta", text },
    })),
    { type: "content_block_stop", index: 0 },
    {
      type: "message_delta",
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage,
    },
    { type: "message_stop" },
  ], true);
  // the first two chunks of a response hold a word each, as elsewhere
  const [block, one, ...others] = rest;
  return [`${start}${block}${one}`, ...others];
}

function google() {
  return events(WORDS.map((text, index) => ({
    candidates: [{
      content: { role: "model", parts: [{ text }] },
      index: 0,
      ...(index === WORDS.length - 1 && { finishReason: "STOP" }),
    }],
  })));
}

function ollama() {
  return [...WORDS, ""].map((content) =>
    `${
      JSON.stringify({
        model: "m",
        created_at: "2026-01-01T00:00:00Z",
        message: { role: "assistant", content },
        done: content === "",
      })
    }\n`
  );
}

/** The chunks of a streamed reply, in the form of the API that the path belongs to. */
export function chunksOf(path: string): string[] {
  if (path.includes("/chat/completions")) return openai();
  if (path.includes("/messages")) return anthropic();
  if (path.includes("streamGenerateContent")) return google();
  if (path.includes("/api/chat")) return ollama();
  return events(WORDS);
}

export function contentTypeOf(path: string): string {
  return path.includes("/api/chat")
    ? "application/x-ndjson"
    : "text/event-stream";
}
