// Copyright 2026 the heartbeat authors. MIT license.

// Answers with the gaps that gateways of language models report: the first token
// of 6 % of the healthy answers comes later than after 15 s, of 1 % later than after 94 s,
// and the longest gap between two tokens of a healthy answer is 57 s.

import { assert, assertEquals } from "@std/assert";
import { guardFetch, type GuardFetchOptions } from "../../fetch.ts";
import { HeartbeatTimeoutError } from "../../monitor.ts";
import { Random } from "../_random.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** `SCHEDULES=100000` takes about ten times as long. */
const ANSWERS = Number(Deno.env.get("SCHEDULES") ?? 10_000);
const SEED = Number(Deno.env.get("SEED") ?? Date.now());

const SECOND = 1_000;
const PING_MS = 15 * SECOND;
/** By when a stall is to be reported, from the last token, the headers or the call on. */
const REPORTED_BY_MS = 120 * SECOND;

interface Gateway {
  pings: boolean;
  options: GuardFetchOptions;
}

/** The gateways, each with the settings that docs/llm_streams.md names for it. */
const GATEWAYS: Record<string, Gateway> = {
  "pings while it thinks": {
    pings: true,
    options: {
      firstTimeout: 60 * SECOND,
      timeout: 30 * SECOND,
      progressTimeout: 120 * SECOND,
    },
  },
  "sends tokens only": {
    pings: false,
    options: { timeout: 120 * SECOND },
  },
};

/** What a server does: after each delay, a chunk. A stall is silence behind the last one. */
interface Answer {
  /** Until the headers; `undefined` if they never come. */
  headers: number | undefined;
  tokens: number[];
  stalls: boolean;
  /** Whether pings go on, in a stall, too. */
  pings: boolean;
}

/** Until the first token. */
function firstDelay(random: Random) {
  const share = random.next();
  const between = (from: number, to: number) =>
    (from + random.next() * (to - from)) * SECOND;
  if (share < 0.94) return between(0.2, 15);
  return share < 0.99 ? between(15, 94) : between(94, 110);
}

/** Between two tokens. */
function gap(random: Random) {
  return random.chance(0.98)
    ? random.below(SECOND)
    : random.below(57 * SECOND + 1);
}

function createAnswer(random: Random, gateway: Gateway): Answer {
  const stalls = random.chance(0.2);
  const tokens = Array.from(
    { length: 1 + random.below(10) },
    () => gap(random),
  );
  tokens[0] = firstDelay(random);
  const pings = gateway.pings && !(stalls && random.chance(0.5));
  const answer = { headers: random.below(SECOND), tokens, stalls, pings };
  if (!stalls) return answer;
  if (random.chance(0.2)) return { ...answer, headers: undefined, tokens: [] };
  return { ...answer, tokens: tokens.slice(0, random.below(tokens.length)) };
}

/** A `fetch` that gives this answer. */
function createServer(answer: Answer) {
  const encoder = new TextEncoder();
  const state = { lastProgress: Date.now(), closed: false };
  const wait = (ms: number) =>
    new Promise<void>((resolve) => setTimeout(resolve, ms));

  async function send(controller: ReadableStreamDefaultController<Uint8Array>) {
    const write = (text: string) => {
      if (!state.closed) controller.enqueue(encoder.encode(text));
    };
    const ping = setInterval(() => {
      if (state.closed) clearInterval(ping);
      else if (answer.pings) write(": ping\n\n");
    }, PING_MS);
    for (const delay of answer.tokens) {
      await wait(delay);
      if (state.closed) return;
      state.lastProgress = Date.now();
      write("data: token\n\n");
    }
    if (answer.stalls) return;
    state.closed = true;
    clearInterval(ping);
    controller.close();
  }

  const fetch = async (_: unknown, init?: RequestInit) => {
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    aborted.catch(() => {});
    const { signal } = init!;
    signal!.addEventListener("abort", () => {
      state.closed = true;
      reject(signal!.reason);
    });
    if (answer.headers === undefined) return await aborted;
    await wait(answer.headers);
    state.lastProgress = Date.now();
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => void send(controller),
      cancel: () => void (state.closed = true),
    });
    const headers = { "content-type": "text/event-stream" };
    return new Response(body, { headers });
  };
  return { state, fetch: fetch as typeof globalThis.fetch };
}

/** Asks once, and compares what comes with what the server does. */
async function play(time: VirtualTime, answer: Answer, gateway: Gateway) {
  const { state, fetch } = createServer(answer);
  const guarded = guardFetch({ ...gateway.options, fetch });
  let outcome: unknown;
  let end = 0;
  const read = async () => {
    const text = await (await guarded("https://api.example.com/")).text();
    return text.match(/token/g)?.length ?? 0;
  };
  read().catch((error) => error).then((result) => {
    outcome = result;
    end = Date.now();
  });
  await time.runUntil(Infinity, () => outcome !== undefined);
  if (!answer.stalls) return assertEquals(outcome, answer.tokens.length);
  assert(outcome instanceof HeartbeatTimeoutError, String(outcome));
  const elapsed = end - state.lastProgress;
  assert(elapsed <= REPORTED_BY_MS, `reported after ${elapsed} ms`);
  assert(state.closed, "the request is open");
}

for (const [what, gateway] of Object.entries(GATEWAYS)) {
  Deno.test(`guardFetch ends every stalled answer by 120 s and no healthy one, of a gateway that ${what}`, async () => {
    const random = new Random(SEED);
    for (let n = 0; n < ANSWERS; n++) {
      const answer = createAnswer(random, gateway);
      using time = new VirtualTime();
      try {
        await play(time, answer, gateway);
      } catch (error) {
        throw new Error(`SEED=${SEED}, ${n}: ${JSON.stringify(answer)}`, {
          cause: error,
        });
      }
    }
  });
}
