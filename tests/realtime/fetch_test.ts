// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { guardFetch, type GuardFetchOptions } from "../../fetch.ts";
import { HeartbeatTimeoutError } from "../../monitor.ts";
import { collectGarbage } from "../_heap.ts";
import { countListeners, NPM_FLAGS, waitUntil } from "../_help.ts";
import {
  type Behaviour,
  type StallServerOptions,
  startStallServer,
} from "../_stall_server.ts";

/** Far more than what is alive needs, far less than what hangs. */
const TIMEOUT = 500;
const LIMITS = { timeout: TIMEOUT, progressTimeout: 2 * TIMEOUT };

/** What the caller gets: the text that arrived, and how it ended. */
interface Outcome {
  text: string;
  error?: unknown;
}

async function request(
  url: string,
  options: GuardFetchOptions,
  init?: RequestInit,
): Promise<Outcome> {
  const outcome: Outcome = { text: "" };
  try {
    const response = await guardFetch(options)(url, init);
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) {
      outcome.text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    outcome.error = error;
  }
  return outcome;
}

/** What ends each behaviour of the server: a limit, an error of the platform, or nothing. */
const EXPECTED: Record<Behaviour, "first" | "silence" | "progress" | "" | 0> = {
  "healthy": "",
  "slow": "",
  "no-headers": "first",
  "no-body": "silence",
  "stalls": "silence",
  "pings": "progress",
  "drips": "progress",
  "half-closes": 0,
  "resets": 0,
};

async function checkBehaviours(options: StallServerOptions) {
  await using server = await startStallServer(options);
  const { signal, listeners } = countListeners();
  const init = { method: "POST", body: "{}", signal };
  let stalls = 0;
  for (const [name, expected] of Object.entries(EXPECTED)) {
    const behaviour = name as Behaviour;
    const { text, error } = await request(server.url(behaviour), LIMITS, init);
    if (expected === "") assertEquals([name, error], [name, undefined]);
    else if (expected === 0) {
      // the platform sees these by itself
      assert(!(error instanceof HeartbeatTimeoutError), name);
      assertInstanceOf(error, TypeError);
      stalls++;
    } else {
      assertInstanceOf(error, HeartbeatTimeoutError, `${name}: ${error}`);
      const { limit, source } = error as HeartbeatTimeoutError;
      assertEquals([name, limit], [name, expected]);
      assertEquals(source, server.url(behaviour));
      stalls++;
    }
    const hasText = !["no-headers", "no-body"].includes(name);
    assertEquals([name, text.includes("data: two")], [name, hasText]);
    // the server sees that the connection is closed
    await waitUntil(() => server.aborted === stalls, `${name}: still open`);
    assertEquals([name, listeners.size], [name, 0]);
  }
}

Deno.test("guardFetch ends what a server leaves hanging, and nothing else", () =>
  checkBehaviours({}));

Deno.test("guardFetch ends what a server leaves hanging in a compressed body", () =>
  checkBehaviours({ gzip: true }));

Deno.test("guardFetch leaves a connection alive that was used well", async () => {
  await using server = await startStallServer();
  for (let i = 0; i < 3; i++) {
    const { error } = await request(server.url("healthy"), LIMITS);
    assertEquals(error, undefined);
    // the connection is back in the pool some turns after the end
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assertEquals([server.requests, server.open], [3, 1]);
});

Deno.test("guardFetch has no unhandled rejection when nobody reads the body", async () => {
  await using server = await startStallServer();
  const aborter = new AbortController();
  const guarded = guardFetch({ ...LIMITS, totalTimeout: TIMEOUT });
  const responses = [
    await guarded(server.url("stalls")),
    await guarded(server.url("stalls"), { signal: aborter.signal }),
  ];
  aborter.abort();
  await waitUntil(() => server.aborted === 2);
  for (const response of responses) {
    await response.body!.cancel().catch(() => {});
  }
});

/** What a process prints that runs a program with `guardFetch`, if it ends soon. */
async function runProgram(program: string) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["eval", ...NPM_FLAGS, "--quiet"],
      `import { guardFetch } from "./fetch.ts"; ${program}`,
    ],
    cwd: new URL("../../", import.meta.url),
    signal: AbortSignal.timeout(20_000),
  }).output();
  const [text, errors] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  assertEquals(code, 0, `it did not end: ${errors}`);
  return text!.trim();
}

Deno.test("guardFetch keeps a process alive while a body is read, and not while nobody reads it", async () => {
  await using server = await startStallServer();
  const unread = "";
  const readInPart = "await response.body.getReader().read();";
  for (
    const [timeout, firstTimeout, use] of [
      [60_000, 60_000, unread],
      [60_000, 30_000, unread],
      [120_000, 120_000, readInPart],
      [120_000, 60_000, readInPart],
    ] as const
  ) {
    const limits = { timeout, firstTimeout, totalTimeout: 600_000 };
    const status = await runProgram(`
      const fetch = guardFetch(${JSON.stringify(limits)});
      const response = await fetch("${server.url("healthy")}");
      ${use}
      console.log(response.status);
    `);
    assertEquals(status, "200");
  }
  const fetches = {
    "before the headers": "fetch: () => new Promise(() => {})",
    "in the body": "fetch: async () => new Response(new ReadableStream())",
  };
  const ends = {
    "timeout: Infinity, totalTimeout: 300": "TimeoutError",
    "timeout: 300, totalTimeout: 60_000": "HeartbeatTimeoutError",
  };
  for (const [where, fetch] of Object.entries(fetches)) {
    for (const [limits, name] of Object.entries(ends)) {
      const end = await runProgram(`
        const fetch = guardFetch({ ${limits}, ${fetch} });
        // without await, which would wait for any timer
        fetch("https://example.com").then((response) => response.text())
          .catch((error) => console.log(error.name));
      `);
      assertEquals(end, name, `${where}: ${limits}`);
    }
  }
  // the timer of `totalTimeout` is started while nobody reads
  const waited = await runProgram(`
    const fetch = guardFetch({ timeout: 100, totalTimeout: 600_000 });
    globalThis.response = await fetch("${server.url("healthy")}");
    setTimeout(() => console.log(response.bodyUsed), 300);
  `);
  assertEquals(waited, "false");
});

Deno.test("guardFetch lets the platform's byte streams be read into buffers", async () => {
  await using server = await startStallServer();
  const response = await guardFetch(LIMITS)(server.url("healthy"));
  const reader = response.body!.getReader({ mode: "byob" });
  let text = "";
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(7));
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  assert(text.startsWith("data: one\n\ndata: two"), text);
});

Deno.test("guardFetch closes the connection although only the body is kept", async () => {
  await using server = await startStallServer();
  const aborter = new AbortController();
  async function open() {
    const { body } = await guardFetch({ timeout: 60_000 })(
      server.url("pings"),
      { signal: aborter.signal },
    );
    return body!.getReader();
  }
  const reader = await open();
  await reader.read();
  collectGarbage();
  await new Promise((resolve) => setTimeout(resolve, 100));
  collectGarbage();
  aborter.abort();
  await waitUntil(() => server.aborted === 1);
  await reader.cancel().catch(() => {});
});

Deno.test("guardFetch gives a response that a server can pass on", async () => {
  await using server = await startStallServer();
  const guarded = guardFetch(LIMITS);
  await using proxy = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => guarded(server.url("healthy")),
  );
  const response = await fetch(`http://127.0.0.1:${proxy.addr.port}`);
  const { status, headers } = response;
  assertEquals([status, headers.get("content-type")], [
    200,
    "text/event-stream",
  ]);
  assert((await response.text()).startsWith("data: one\n\ndata: two"));
});
