// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { EventSourceParserStream } from "npm:eventsource-parser@4.1.3/stream";
import { guard, readTokens, RefusedError } from "../examples/sse/client.ts";
import { respond, TOKENS } from "../examples/sse/server.ts";
import {
  HeartbeatMonitor,
  HeartbeatTimeoutError,
  RestartLimitError,
  type SupervisorEvent,
} from "../mod.ts";
import { NPM_FLAGS, waitUntil } from "./_help.ts";

/** The time between two tokens, or pings. */
const PACE = 10;
const TIMEOUT = 300;
/** What nothing here takes, on any machine. */
const LONG = 60_000;

const CLOSED = "closed by the client";

/** A server on a free port, and what it saw. */
function serve(pace = PACE) {
  const lines: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => respond(request, { pace, log: (line) => lines.push(line) }),
  );
  const { port } = server.addr;
  return {
    lines,
    url: (query: string) => `http://127.0.0.1:${port}/?${query}`,
    /** Waits until it saw so many connections closed by the client. */
    async closed(count = 1) {
      const seen = () => lines.filter((line) => line === CLOSED).length;
      for (const end = performance.now() + LONG; seen() < count;) {
        assert(performance.now() < end, `not closed: ${lines}`);
        await delay(5);
      }
      assertEquals(seen(), count);
    },
    [Symbol.asyncDispose]: () => deadline(server.shutdown(), LONG),
  };
}

async function open(url: string) {
  return (await fetch(url)).body!;
}

function parse(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  return body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream());
}

/** Reads to the end, and keeps what came. */
async function drain<T>(stream: ReadableStream<T>, to: T[]) {
  for await (const chunk of stream) to.push(chunk);
}

/** What the monitor of a stall says, and what came before it. */
async function stall<T>(stream: ReadableStream<T>) {
  const seen: T[] = [];
  const error = await assertRejects(
    () => deadline(drain(stream, seen), LONG),
    HeartbeatTimeoutError,
  );
  return { seen, error };
}

Deno.test("HeartbeatMonitor ends the request when the body of a response goes silent", async () => {
  await using server = serve();
  const body = await open(server.url("mode=silent&after=5"));
  const { seen, error } = await stall(
    body.pipeThrough(new HeartbeatMonitor({ timeout: TIMEOUT })),
  );
  await server.closed();
  assertEquals(server.lines, ["a request", "silent after token 5", CLOSED]);
  assertEquals(error.count, seen.length);
  assert(error.elapsed >= TIMEOUT);
  const text = await new Blob(seen).text();
  assertEquals(
    text.match(/^id: .*$/gm),
    [1, 2, 3, 4, 5].map((n) => `id: ${n}`),
  );
});

Deno.test("HeartbeatMonitor ends the request when nothing follows the headers", async () => {
  await using server = serve();
  const body = await deadline(open(server.url("mode=silent&after=0")), LONG);
  const { error } = await stall(
    body.pipeThrough(new HeartbeatMonitor({ timeout: TIMEOUT })),
  );
  await server.closed();
  assertEquals(error.count, 0);
});

Deno.test("isHeartbeat distinguishes tokens from pings", async () => {
  await using server = serve();
  const body = await open(server.url("mode=pings&after=5"));
  const { seen, error } = await stall(guard(body, TIMEOUT));
  await server.closed();
  assertEquals(error.count, 5);
  assertEquals((error.last as { id: string }).id, "5");
  assertEquals(
    seen.flatMap(({ id }) => id ?? []),
    ["1", "2", "3", "4", "5"],
  );
  assert(seen.some(({ event }) => event === "ping"), "the pings pass, too");
});

Deno.test("pings hide a stall from a monitor without isHeartbeat", async () => {
  await using server = serve();
  for (const parsed of [false, true]) {
    const body = await open(server.url("mode=pings&after=2"));
    const monitor = new HeartbeatMonitor<unknown>({ timeout: TIMEOUT });
    const stream: ReadableStream = parsed ? parse(body) : body;
    const reader = stream.pipeThrough(monitor).getReader();
    const end = performance.now() + 3 * TIMEOUT;
    while (performance.now() < end) {
      assertEquals((await deadline(reader.read(), LONG)).done, false);
    }
    await reader.cancel();
  }
  await server.closed(2);
});

const HEALS: [query: string, requests: number[]][] = [
  ["mode=ok", [0]],
  ["mode=silent&after=5", [0, 5]],
  ["mode=silent&after=1&after=2&after=14", [0, 1, 2, 14]],
  ["mode=pings&after=5&after=9", [0, 5, 9]],
  ["mode=cut&after=5&after=6", [0, 5, 6]],
];

for (const [query, requests] of HEALS) {
  for (const reader of ["quick", "slow"]) {
    Deno.test(`readTokens delivers each token once, to a ${reader} reader: ${query}`, async () => {
      await using server = serve();
      const events: SupervisorEvent[] = [];
      const tokens = readTokens(server.url(query), {
        timeout: TIMEOUT,
        firstTimeout: 4 * TIMEOUT,
        backoff: { min: 0, max: 0 },
        onEvent: (event) => events.push(event),
      });
      const seen: string[] = [];
      await deadline(
        (async () => {
          for await (const token of tokens) {
            seen.push(token);
            if (reader === "quick") continue;
            // longer than the whole answer takes, and longer than a stall, once
            await delay(seen.length === 4 ? 2 * TIMEOUT : 2 * PACE);
          }
        })(),
        LONG,
      );

      assertEquals(seen, TOKENS);
      assertEquals(
        server.lines.filter((line) => line.startsWith("a request")),
        requests.map((from) =>
          from ? `a request, to go on behind token ${from}` : "a request"
        ),
      );
      const stalls = requests.length - 1;
      const type = query.startsWith("mode=cut") ? "failed" : "stalled";
      assertEquals(events.filter((e) => e.type === type).length, stalls);
      assertEquals(events.filter((e) => e.type === "unstopped"), []);
      if (type === "stalled") await server.closed(stalls);
    });
  }
}

for (
  const query of ["mode=mute", "mode=silent&after=0", "mode=pings&after=0"]
) {
  Deno.test(`readTokens guards the wait for the first token: ${query}`, async () => {
    await using server = serve();
    const tokens = readTokens(server.url(query), {
      timeout: LONG,
      firstTimeout: 5 * TIMEOUT, // the request arrives in it, on a busy machine, too
      maxRestarts: 1,
      backoff: { min: 0, max: 0 },
    });
    const error = await assertRejects(
      () => deadline(drain(tokens, []), LONG),
      RestartLimitError,
    );
    assertInstanceOf(error.cause, HeartbeatTimeoutError);
    await server.closed(2);
  });
}

Deno.test("readTokens asks again for a token that was waiting when its attempt was given up", async () => {
  await using server = serve();
  const tokens = readTokens(server.url("mode=ok"), {
    timeout: LONG,
    firstTimeout: TIMEOUT,
    isHeartbeat: () => false, // gives up every attempt
    maxRestarts: Infinity,
    backoff: { min: 0, max: 0 },
  });
  const requests = () => server.lines.filter((line) => line.startsWith("a "));
  const seen: string[] = [];
  await deadline(
    (async () => {
      for await (const token of tokens) {
        seen.push(token);
        if (seen.length === 4) await waitUntil(() => requests().length > 1);
      }
    })(),
    LONG,
  );
  assertEquals(seen, TOKENS);
  assertEquals(requests()[1], "a request, to go on behind token 4");
});

Deno.test("readTokens lets the first token take longer than the others", async () => {
  await using server = serve(5 * TIMEOUT);
  const tokens = readTokens(server.url("mode=ok"), {
    timeout: TIMEOUT,
    firstTimeout: LONG,
    maxRestarts: 0,
  });
  const seen: string[] = [];
  const error = await assertRejects(
    () => deadline(drain(tokens, seen), LONG),
    RestartLimitError,
  );
  assertInstanceOf(error.cause, HeartbeatTimeoutError);
  assertEquals(seen, TOKENS.slice(0, 1));
  await server.closed();
});

Deno.test("readTokens does not ask again after an answer that would be the same", async () => {
  await using server = serve();
  const tokens = readTokens(server.url("mode=none"), {
    timeout: TIMEOUT,
    firstTimeout: TIMEOUT,
  });
  await assertRejects(
    () => deadline(drain(tokens, []), LONG),
    RefusedError,
    "400: mode is one of",
  );
  assertEquals(server.lines, []);
});

Deno.test("readTokens closes the connection when its reader leaves", async () => {
  await using server = serve();
  const tokens = readTokens(server.url("mode=silent&after=5"), {
    timeout: LONG,
    firstTimeout: LONG,
  });
  for await (const token of tokens) {
    if (token === TOKENS[4]) break;
  }
  await server.closed();
});

/** Starts an example as a child process. */
function startExample(file: string, ...args: string[]) {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "--allow-net", ...NPM_FLAGS],
      `examples/sse/${file}.ts`,
      ...args,
    ],
    cwd: new URL("..", import.meta.url),
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("the example heals, as two programs", async () => {
  const server = startExample("server", "--port", "0", "--pace", `${PACE}ms`);
  const children = [server];
  const timer = setTimeout(() => {
    for (const child of children) child.kill("SIGKILL");
  }, LONG);
  const serverErr = new Response(server.stderr).text();
  const reader = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const [url] = (await reader.read()).value!.split("\n");
  const query = "mode=pings&after=5";
  const args = ["--url", `${url}?${query}`, "--timeout", "2s"];
  const client = startExample("client", ...args);
  children.push(client);
  const { code, stdout, stderr } = await client.output();
  clearTimeout(timer);
  server.kill();
  await reader.cancel();
  await server.status;

  const [out, err] = [stdout, stderr].map((it) => new TextDecoder().decode(it));
  assertEquals(await serverErr, "");
  assertEquals(out, TOKENS.join("") + "\n");
  assertMatch(
    err!,
    /\[stalled: silent for \d+ ms\]\n\[attempt 2\] \{ lastEventId: "5" \}\n$/,
  );
  assertEquals(code, 0);
});

Deno.test("the example says in one line which option is wrong", async () => {
  const rows = [
    ["server", "--port", "x", "a port from 0 to 65535"],
    ["server", "--port", "65536", "a port from 0 to 65535"],
    ["server", "--pace", "5", "a duration such as 250ms, 3s or 1h"],
    ["client", "--timeout", "2000", "a duration such as 250ms, 3s or 1h"],
    ["client", "--url", "x", "a URL such as http://127.0.0.1:8099/"],
  ] as const;
  await Promise.all(rows.map(async ([file, option, value, accepted]) => {
    const example = startExample(file, option, value);
    const { code, stdout, stderr } = await example.output();
    assertEquals(new TextDecoder().decode(stdout), "");
    assertEquals(
      new TextDecoder().decode(stderr),
      `invalid value '${value}' for ${option}: ${accepted}\n`,
    );
    assertEquals(code, 2);
  }));
});
