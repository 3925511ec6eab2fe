// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Readable } from "node:stream";
import {
  guardFetch,
  type GuardFetchOptions,
  type ServerSentEvent,
} from "../fetch.ts";
import { HeartbeatTimeoutError } from "../monitor.ts";
import {
  advance,
  countListeners,
  createSource,
  readAll,
  replaceGlobal,
} from "./_help.ts";

const URL_WITH_SECRETS = "https://user:pw@api.example.com:8443/v1/chat?key=1#x";
const REASON = new Error("that is enough");
const encoder = new TextEncoder();

/** A `fetch` whose response and body are controlled by the test. */
function createFetch(headers: HeadersInit = {}) {
  const source = createSource<Uint8Array>();
  const calls: { input: unknown; init: RequestInit }[] = [];
  let respond!: (response: Response) => void;
  let fail!: (error: unknown) => void;
  return {
    source,
    calls,
    get signal() {
      return calls[0]!.init.signal!;
    },
    respond: (response = new Response(source.stream, { headers })) =>
      respond(response),
    fail: (error: unknown) => fail(error),
    send: (text: string) => source.controller.enqueue(encoder.encode(text)),
    fetch: ((input: unknown, init: RequestInit) => {
      calls.push({ input, init });
      return new Promise<Response>((resolve, reject) => {
        respond = resolve;
        fail = reject;
      });
    }) as typeof fetch,
  };
}

/** Starts a guarded request; `seen` is what the caller gets. */
function startRequest(
  options: Omit<GuardFetchOptions, "fetch">,
  headers?: HeadersInit,
  init?: RequestInit,
) {
  const server = createFetch(headers);
  const guarded = guardFetch({ ...options, fetch: server.fetch });
  const seen: { response?: Response; error?: unknown } = {};
  guarded(URL_WITH_SECRETS, init).then(
    (response) => seen.response = response,
    (error) => seen.error = error,
  );
  return { server, seen };
}

/** Checks that an error is a stall, and returns it. */
function assertStall(error: unknown): HeartbeatTimeoutError {
  assertInstanceOf(error, HeartbeatTimeoutError);
  return error as HeartbeatTimeoutError;
}

const EVENTS = { "content-type": "text/event-stream; charset=utf-8" };

Deno.test("guardFetch rejects at firstTimeout when no headers come, and aborts the request", async () => {
  using time = new FakeTime();
  const { server, seen } = startRequest({
    timeout: 5_000,
    firstTimeout: 1_000,
  });
  await advance(time, 999, 333);
  assertEquals(seen.error, undefined);
  await advance(time, 1);
  const error = assertStall(seen.error);
  assertEquals(
    error.message,
    "No heartbeat from 'https://api.example.com:8443/v1/chat' for 1000 ms after 0 heartbeats: the first timeout is 1000 ms",
  );
  assertEquals([error.limit, error.count], ["first", 0]);
  assertStrictEquals(server.signal.reason, error);
  // an answer that is late is not read
  server.respond();
  await advance(time, 1);
  assertStrictEquals(server.source.cancelled, error);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch errors the body when the line goes silent, and aborts the request", async () => {
  using time = new FakeTime();
  const { server, seen } = startRequest({ timeout: 1_000 });
  await advance(time, 900);
  server.respond();
  await advance(time, 900);
  const body = readAll(seen.response!.body!);
  for (let i = 0; i < 3; i++) {
    await advance(time, 900);
    server.send("x");
  }
  await advance(time, 999);
  assertEquals([body.chunks.length, body.end], [3, undefined]);
  await advance(time, 1);
  const { limit, count } = assertStall(body.end);
  assertEquals([limit, count], ["silence", 3]);
  assertStrictEquals(server.source.cancelled, body.end);
  assertStrictEquals(server.signal.reason, body.end);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch errors a stream of events in which only pings come", async () => {
  using time = new FakeTime();
  const options = { timeout: 1_000, progressTimeout: 3_000 };
  const { server, seen } = startRequest(options, EVENTS);
  await advance(time, 1);
  server.respond();
  await advance(time, 1);
  const body = readAll(seen.response!.body!);
  const pings = [": ping\n\n", "event: ping\ndata: {}\n\n", "id: 1\ndata\n\n"];
  for (let token = 1; token <= 3; token++) {
    server.send(`data: token ${token}\n\n`);
    for (const ping of pings) {
      await advance(time, 700);
      server.send(ping);
    }
    await advance(time, 700);
  }
  assertEquals(body.end, undefined);
  server.send("data: half an event");
  await advance(time, 150);
  server.send(": no event either\n");
  await advance(time, 49, 7);
  assertEquals(body.end, undefined);
  await advance(time, 1);
  const error = assertStall(body.end);
  const { limit, count, message } = error;
  assertEquals([limit, count], ["progress", 3]);
  assertEquals((error.last as ServerSentEvent).data, "token 3");
  assert(message.endsWith(": the progress timeout is 3000 ms"), message);
});

Deno.test("guardFetch takes each mebibyte of an event without end for progress, and shows none", async () => {
  const part = "x".repeat(2 ** 18);
  const begins: Record<string, [begin: string, part: string]> = {
    "one line": ["data: ", part],
    "many lines": ["", `data: ${part}\n`],
  };
  for (const [name, [begin, part]] of Object.entries(begins)) {
    using time = new FakeTime();
    const seenEvents: ServerSentEvent[] = [];
    const { server, seen } = startRequest({
      timeout: 1_000,
      progressTimeout: 5_000,
      isProgress: (event) => !!seenEvents.push(event as ServerSentEvent),
    }, EVENTS);
    await advance(time, 1);
    server.respond();
    await advance(time, 1);
    const body = readAll(seen.response!.body!);
    server.send(begin);
    for (let i = 0; i < 20; i++) {
      server.send(part);
      await advance(time, 900);
    }
    server.send("\n\ndata: token\n\n");
    await advance(time, 900);
    assertEquals([name, body.end], [name, undefined]);
    // the rest of the long event has ended, and is not shown
    assertEquals(seenEvents.map(({ data }) => data), ["token"]);
    for (let i = 0; i < 4; i++) {
      server.send(": ping\n\n");
      await advance(time, 900);
    }
    assertEquals(body.end, undefined);
    server.send(": ping\n\n");
    await advance(time, 600, 100);
    const { limit, count } = assertStall(body.end);
    assertEquals([limit, count], ["progress", 1]);
    assertEquals(time.next(), false);
  }
});

Deno.test("guardFetch reads lines that are no fields about as fast as those that are", async () => {
  async function measure(line: string) {
    const guarded = guardFetch({ timeout: 60_000, progressTimeout: 60_000 });
    const text = line.repeat(50_000);
    let best = Infinity;
    for (let i = 0; i < 3; i++) {
      const response = await guarded(
        `data:text/event-stream,${encodeURIComponent(text)}`,
      );
      const start = performance.now();
      await response.arrayBuffer();
      best = Math.min(best, performance.now() - start);
    }
    return best;
  }
  const known = await measure("id\n");
  for (const line of ["a\n", "a:\n", "retry: a\n"]) {
    const ratio = await measure(line) / known;
    // 80 while an error with its stack was made of each, 1 since then
    assert(ratio < 10, `${JSON.stringify(line)}: ${ratio}`);
  }
});

Deno.test("guardFetch takes any byte of another body for progress, unless isProgress decides", async () => {
  for (const isProgress of [undefined, (part: unknown) => part === "never"]) {
    using time = new FakeTime();
    const { server, seen } = startRequest({
      timeout: 1_000,
      progressTimeout: 1_500,
      isProgress,
    });
    await advance(time, 1);
    server.respond();
    await advance(time, 1);
    const body = readAll(seen.response!.body!);
    for (let i = 0; i < 5 && !body.end; i++) {
      server.send("x");
      await advance(time, 500);
    }
    if (isProgress) assertEquals(assertStall(body.end).limit, "progress");
    else assertEquals(body.end, undefined);
    await body.cancel(REASON).catch(() => {});
    assertEquals(time.next(), false);
  }
});

Deno.test("guardFetch errors the body with what isProgress throws", async () => {
  using time = new FakeTime();
  const { server, seen } = startRequest({
    timeout: 1_000,
    progressTimeout: 1_500,
    isProgress() {
      throw REASON;
    },
  }, EVENTS);
  await advance(time, 1);
  server.respond();
  await advance(time, 1);
  const body = readAll(seen.response!.body!);
  server.send("data: token\n\n");
  await advance(time, 1);
  assertStrictEquals(body.end, REASON);
  assertStrictEquals(server.source.cancelled, REASON);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch takes no slow consumer for silence", async () => {
  using time = new FakeTime();
  const options = { timeout: 1_000, progressTimeout: 1_000 };
  const { server, seen } = startRequest(options, EVENTS);
  await advance(time, 1);
  server.respond();
  await advance(time, 10_000);
  const reader = seen.response!.body!.getReader();
  for (let i = 0; i < 3; i++) {
    server.send("data: token\n\n");
    await reader.read();
    await advance(time, 10_000);
  }
  server.source.controller.close();
  assertEquals((await reader.read()).done, true);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch ends everything at totalTimeout, with a TimeoutError", async () => {
  for (const hasHeaders of [false, true]) {
    using time = new FakeTime();
    const options = { timeout: 1_000, totalTimeout: 2_500 };
    const { server, seen } = startRequest({
      ...options,
      ...(hasHeaders ? {} : { firstTimeout: Infinity }),
    });
    await advance(time, 500);
    let error = () => seen.error;
    if (hasHeaders) {
      server.respond();
      await advance(time, 1);
      const body = readAll(seen.response!.body!);
      error = () => body.end;
      for (let i = 0; i < 4; i++) {
        server.send("x");
        await advance(time, 500);
      }
    } else await advance(time, 1_999);
    if (!hasHeaders) assertEquals(error(), undefined);
    await advance(time, 1);
    assertInstanceOf(error(), DOMException);
    const timeout = error() as DOMException;
    assertEquals(
      [timeout.name, timeout.message],
      ["TimeoutError", "The request took longer than 2500 ms"],
    );
    assertStrictEquals(server.signal.reason, timeout);
    assertEquals(time.next(), false);
  }
});

Deno.test("guardFetch ends a request at totalTimeout exactly, wherever it stands", async () => {
  // one timer serves several limits, so each has to find the others
  for (const firstTimeout of [800, 1_000, 9_000, 20_000]) {
    for (const headersAt of [100, 700]) {
      for (const readAt of [100, 1_200, Infinity]) {
        using time = new FakeTime();
        const { server, seen } = startRequest({
          timeout: 1_000,
          firstTimeout,
          totalTimeout: 9_500,
        });
        await advance(time, headersAt);
        server.respond();
        const row = `${firstTimeout} ${headersAt} ${readAt}`;
        for (let at = headersAt; at < 9_500; at += 100) {
          assertEquals(server.signal.aborted, false, `${row} at ${at}`);
          server.send("x");
          await advance(time, 100);
          const { body } = seen.response!;
          if (at >= readAt && !body!.locked) readAll(body!);
        }
        assertEquals(server.signal.reason?.name, "TimeoutError", row);
        assertEquals(time.next(), false, row);
      }
    }
  }
});

Deno.test("guardFetch ends a request at a totalTimeout that is the shortest limit", async () => {
  for (const totalTimeout of [200, 1_000]) {
    using time = new FakeTime();
    const { server, seen } = startRequest({ timeout: 1_000, totalTimeout });
    await advance(time, totalTimeout - 1, 10);
    assertEquals(seen.error, undefined);
    await advance(time, 1);
    assertEquals((seen.error as Error).name, "TimeoutError");
    assertStrictEquals(server.signal.reason, seen.error);
    assertEquals(time.next(), false);
  }
});

Deno.test("guardFetch passes the caller's abort on with its own reason, in every phase", async () => {
  for (const phase of ["before", "connecting", "unread", "reading"]) {
    using time = new FakeTime();
    const { aborter, signal, listeners } = countListeners();
    if (phase === "before") aborter.abort(REASON);
    const { server, seen } = startRequest({ timeout: 1_000 }, {}, { signal });
    await advance(time, 10);
    let body: ReturnType<typeof readAll> | undefined;
    if (phase === "unread" || phase === "reading") {
      server.respond();
      await advance(time, 10);
      if (phase === "reading") body = readAll(seen.response!.body!);
      await advance(time, 10);
    }
    aborter.abort(REASON);
    await advance(time, 10);
    if (phase === "unread") body = readAll(seen.response!.body!);
    await advance(time, 10);
    assertStrictEquals(body ? body.end : seen.error, REASON, phase);
    assertEquals(server.calls.length, 1);
    assertStrictEquals(server.signal.reason, REASON);
    assertEquals([listeners.size, time.next()], [0, false]);
  }
});

Deno.test("guardFetch cancels the request's body if it was aborted before, as fetch does", async () => {
  for (const send of [fetch, guardFetch({ timeout: 1_000 })]) {
    const upload = createSource<Uint8Array>();
    const init: RequestInit & { duplex: "half" } = {
      method: "POST",
      body: upload.stream,
      duplex: "half",
      signal: AbortSignal.abort(REASON),
    };
    // nothing is sent
    const error = await assertRejects(() => send("http://127.0.0.1:1", init));
    assertStrictEquals(error, REASON);
    assertStrictEquals(upload.cancelled, REASON);
  }
});

Deno.test("guardFetch leaves no timer and no listener when the body ends, however it ends", async () => {
  const ends: Record<
    string,
    (server: ReturnType<typeof createFetch>, response: Response) => void
  > = {
    "closes": (server) => server.source.controller.close(),
    "errors": (server) => server.source.controller.error(REASON),
    "is cancelled": (_, response) => void response.body!.cancel(REASON),
  };
  for (const [name, end] of Object.entries(ends)) {
    using time = new FakeTime();
    const { signal, listeners } = countListeners();
    const options = { timeout: 1_000, totalTimeout: 9_000 };
    const { server, seen } = startRequest(options, {}, { signal });
    await advance(time, 10);
    server.respond();
    await advance(time, 10);
    const body = name === "is cancelled"
      ? undefined
      : readAll(seen.response!.body!);
    await advance(time, 10);
    assertEquals(listeners.size, 1);
    end(server, seen.response!);
    await advance(time, 10);
    if (name === "errors") assertStrictEquals(body!.end, REASON);
    assertEquals([name, listeners.size, time.next()], [name, 0, false]);
  }
});

Deno.test("guardFetch passes on what fetch itself throws", async () => {
  using time = new FakeTime();
  const { signal, listeners } = countListeners();
  const { server, seen } = startRequest({ timeout: 1_000 }, {}, { signal });
  await advance(time, 10);
  server.fail(REASON);
  await advance(time, 10);
  assertStrictEquals(seen.error, REASON);
  assertEquals([listeners.size, time.next()], [0, false]);
  const broken = guardFetch({
    timeout: 1_000,
    fetch: () => {
      throw REASON;
    },
  });
  assertStrictEquals(await assertRejects(() => broken("data:,")), REASON);
});

Deno.test("guardFetch returns the response as it is when it has no body", async () => {
  for (const totalTimeout of [Infinity, 9_000]) {
    using time = new FakeTime();
    const { signal, listeners } = countListeners();
    const options = { timeout: 1_000, totalTimeout };
    const { server, seen } = startRequest(options, {}, { signal });
    const response = new Response(null, { status: 204 });
    await advance(time, 10);
    server.respond(response);
    await advance(time, 10);
    assertStrictEquals(seen.response, response);
    assertEquals([listeners.size, time.next()], [0, false]);
  }
});

Deno.test("guardFetch sets one timer until the headers come, if one is enough", async () => {
  const rows: [GuardFetchOptions, timers: number][] = [
    [{ timeout: 1_000 }, 1],
    // that of the silence starts that of `totalTimeout` when it fires
    [{ timeout: 1_000, totalTimeout: 9_000 }, 1],
    [{ timeout: 1_000, firstTimeout: 2_000, totalTimeout: 9_000 }, 2],
    [{ timeout: 1_000, totalTimeout: 500 }, 2],
  ];
  for (const [options, timers] of rows) {
    using time = new FakeTime();
    let count = 0;
    using _ = replaceGlobal(
      "setTimeout",
      (set) =>
        ((...args: Parameters<typeof set>) => {
          count++;
          return set(...args);
        }) as typeof set,
    );
    const { server, seen } = startRequest(options);
    await advance(time, 10);
    server.respond();
    await advance(time, 10);
    assertInstanceOf(seen.response, Response);
    assertEquals([options, count], [options, timers]);
  }
});

Deno.test("guardFetch has no timer while nobody reads the body, if there is no totalTimeout", async () => {
  for (const firstTimeout of [1_000, 2_000]) {
    using time = new FakeTime();
    const { server, seen } = startRequest({ timeout: 1_000, firstTimeout });
    await advance(time, 10);
    server.respond();
    await advance(time, 10);
    assertInstanceOf(seen.response, Response);
    assertEquals(time.next(), false);
  }
});

Deno.test("guardFetch returns the response as it is when it may have no body, as on Chromium", async () => {
  for (const status of [101, 103, 204, 205, 304]) {
    using time = new FakeTime();
    const { server, seen } = startRequest({ timeout: 1_000 });
    const response = new Response("");
    Object.defineProperty(response, "status", { value: status });
    await advance(time, 10);
    server.respond(response);
    await advance(time, 10);
    assertStrictEquals(seen.response, response);
    assertEquals(time.next(), false);
  }
});

Deno.test("guardFetch returns a response as it is whose body was read or locked before", async () => {
  using time = new FakeTime();
  const read = new Response("alive");
  await read.text();
  const locked = new Response("alive");
  locked.body!.getReader();
  for (const response of [read, locked]) {
    const answer = () => Promise.resolve(response);
    const guarded = guardFetch({ timeout: 1_000, fetch: answer });
    assertStrictEquals(await guarded("https://a.example"), response);
    assertEquals(time.next(), false);
  }
});

Deno.test("guardFetch rejects if what fetch gives is no response", async () => {
  using time = new FakeTime();
  const { signal, listeners } = countListeners();
  const values: [unknown, string][] = [
    [undefined, "gives undefined"],
    [null, "gives null"],
    [{ body: 1 }, "has the body 1"],
    // as `node-fetch` gives it
    [{ body: Readable.from([]) }, "has the body [object Object]"],
  ];
  for (const [value, given] of values) {
    const answer = () => Promise.resolve(value as unknown as Response);
    const guarded = guardFetch({ timeout: 1_000, fetch: answer });
    await assertRejects(
      () => guarded("https://a.example", { signal }),
      TypeError,
      `Cannot guard fetch as 'fetch' must be a function that gives a Response whose body is a ReadableStream or null: current value is one that ${given}`,
    );
    assertEquals([listeners.size, time.next()], [0, false]);
    // later than the verdict, nobody hears of it
    const { server, seen } = startRequest({ timeout: 1_000 });
    await advance(time, 1_000, 250);
    server.respond(value as unknown as Response);
    await advance(time, 1);
    assertStall(seen.error);
  }
});

Deno.test("guardFetch keeps what a response is, and so do its clones", async () => {
  const headers = { "content-type": "application/json", "x-test": "1" };
  const original = new Response('{"alive":true}', {
    status: 404,
    statusText: "Not here",
    headers,
  });
  Object.defineProperties(original, {
    url: { value: "https://api.example.com/moved" },
    redirected: { value: true },
    type: { value: "cors" },
  });
  const guarded = guardFetch({
    timeout: 1_000,
    fetch: () => Promise.resolve(original),
  });
  const response = await guarded("https://api.example.com/");
  for (const one of [response.clone().clone(), response.clone(), response]) {
    assertInstanceOf(one, Response);
    const { url, redirected, type, status, statusText, ok } = one;
    assertEquals({ url, redirected, type, status, statusText, ok }, {
      url: "https://api.example.com/moved",
      redirected: true,
      type: "cors",
      status: 404,
      statusText: "Not here",
      ok: false,
    });
    assertStrictEquals(one.headers, original.headers);
    assertEquals(await one.json(), { alive: true });
    assertEquals(one.bodyUsed, true);
  }
});

Deno.test("guardFetch reads a body in each way of a response, and each rejects with the stall", async () => {
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const ways: Record<string, (value: never) => unknown> = {
    arrayBuffer: (value: ArrayBuffer) => new Uint8Array(value),
    blob: ({ size, type }: Blob) => ({ size, type }),
    bytes: (value: Uint8Array) => value,
    formData: (form: FormData) => [...form],
    json: (value: unknown) => value,
    text: (value: string) => value,
  };
  for (const [way, normalize] of Object.entries(ways)) {
    const name = way as "text";
    const answer = () => Promise.resolve(new Response("7", { headers }));
    const guarded = guardFetch({ timeout: 1_000, fetch: answer });
    const [plain, response] = [await answer(), await guarded("x:y")];
    const value = await response[name]();
    assertEquals(
      normalize(value as never),
      normalize(await plain[name]() as never),
    );

    using time = new FakeTime();
    const { server, seen } = startRequest({ timeout: 1_000 }, headers);
    await advance(time, 1);
    server.respond();
    await advance(time, 1);
    const rejected = assertRejects(() => seen.response![name]());
    await advance(time, 1_000, 250);
    assertStall(await rejected);
  }
});

Deno.test("guardFetch passes a status on that a Response cannot be made with", async () => {
  const original = new Response("alive");
  const seen = { status: 999, statusText: "拒否", ok: false };
  for (const [name, value] of Object.entries(seen)) {
    Object.defineProperty(original, name, { value });
  }
  const answer = () => Promise.resolve(original);
  const guarded = guardFetch({ timeout: 1_000, fetch: answer });
  const response = await guarded("https://api.example.com/");
  for (const one of [response.clone(), response]) {
    const { status, statusText, ok } = one;
    assertEquals({ status, statusText, ok }, seen);
    assertEquals(await one.text(), "alive");
  }
});

Deno.test("guardFetch guards the body of a clone, too", async () => {
  using time = new FakeTime();
  const { server, seen } = startRequest({ timeout: 1_000 });
  await advance(time, 10);
  server.respond();
  await advance(time, 10);
  const bodies = [seen.response!.clone(), seen.response!]
    .map(({ body }) => readAll(body!));
  await advance(time, 1_000);
  assertInstanceOf(bodies[0]!.end, HeartbeatTimeoutError);
  assertStrictEquals(bodies[1]!.end, bodies[0]!.end);
});

Deno.test("guardFetch follows the signal that fetch would follow", async () => {
  const of = (signal: AbortSignal) =>
    new Request("https://a.example", { signal });
  const own = new AbortController();
  const other = new AbortController();
  own.abort(REASON);
  const cases: [RequestInfo, RequestInit | undefined, boolean][] = [
    [of(own.signal), undefined, true],
    [of(own.signal), { signal: other.signal }, false],
    [of(own.signal), { signal: null }, false],
    [of(other.signal), { signal: own.signal }, true],
    ["https://a.example", { signal: own.signal }, true],
    ["https://a.example", of(own.signal) as RequestInit, true],
    // of another implementation of `Request`
    [{ ...of(own.signal), signal: own.signal } as Request, undefined, true],
  ];
  const guarded = guardFetch({
    timeout: 1_000,
    fetch: () => Promise.resolve(new Response(null)),
  });
  for (const [input, init, isAborted] of cases) {
    const request = guarded(input, init);
    if (isAborted) await assertRejects(() => request, Error, REASON.message);
    else assertInstanceOf(await request, Response);
  }
});

Deno.test("guardFetch takes settings that are getters, as fetch does", async () => {
  class Settings implements RequestInit {
    get method() {
      return "PUT";
    }
    get body() {
      return "alive";
    }
  }
  let sent: Request | undefined;
  const guarded = guardFetch({
    timeout: 1_000,
    fetch(input, init) {
      sent = new Request(input, init);
      return Promise.reject(REASON);
    },
  });
  for (const settings of [new Settings(), Object.create(new Settings())]) {
    await assertRejects(() => guarded("https://a.example", settings));
    assertEquals([sent!.method, await sent!.text()], ["PUT", "alive"]);
    assertStrictEquals(sent!.signal.reason, REASON);
  }
});

Deno.test("guardFetch gives its signal to a fetch that copies the settings", async () => {
  class Settings implements RequestInit {
    method = "PUT";
    // as the getters of a `Request`, of this object only
    #body = "alive";
    get body() {
      return this.#body;
    }
  }
  class OwnSignal extends Settings {
    signal = new AbortController().signal;
  }
  let copy: RequestInit | undefined;
  let body: unknown;
  const guarded = guardFetch({
    timeout: 1_000,
    fetch(_input, init) {
      body = "body" in Object(init) ? init!.body : undefined;
      copy = { ...init };
      return Promise.reject(REASON);
    },
  });
  const cases = [new Settings(), new OwnSignal()];
  for (const settings of [...cases, ...cases.map(Object.freeze)]) {
    const request = () => guarded("https://a.example", settings as RequestInit);
    await assertRejects(request, Error, REASON.message);
    assertEquals([copy!.method, body], ["PUT", "alive"]);
    assertStrictEquals(copy!.signal!.reason, REASON);
  }
  for (const settings of [Object.create(null), null, undefined]) {
    await assertRejects(() => guarded("https://a.example", settings));
    assertStrictEquals(copy!.signal?.reason, REASON);
  }
});

Deno.test("guardFetch leaves it to fetch to refuse what it is given", async () => {
  const url = "data:,alive";
  const unprintable = { toString: () => Symbol() } as unknown as string;
  const cases: unknown[][] = [
    [],
    [undefined],
    [unprintable],
    ["no url"],
    [url, 5],
    [url, "settings"],
    ...[{}, 5, "", 0, false].map((signal) => [url, { signal }]),
  ];
  const guarded = guardFetch({ timeout: 60_000 });
  for (const args of cases) {
    const ask = (fetch: unknown) =>
      (fetch as typeof globalThis.fetch)(
        ...args as [string],
      );
    const plain = await assertRejects(() => ask(fetch), TypeError);
    await assertRejects(() => ask(guarded), TypeError, plain.message);
  }
  for (const init of [undefined, null, {}, { signal: null }, () => {}]) {
    const response = await guarded(url, init as RequestInit);
    assertEquals(await response.text(), "alive");
  }
});

Deno.test("guardFetch guards what ignores a signal that is none", async () => {
  using time = new FakeTime();
  const guarded = guardFetch({
    timeout: 100,
    fetch: () => new Promise(() => {}),
  });
  const init = { signal: {} as AbortSignal };
  const rejected = assertRejects(() => guarded("data:,", init));
  await advance(time, 100, 25);
  assertStall(await rejected);
});

Deno.test("guardFetch names the URL without its secrets", async () => {
  const urls: [string | URL, string | undefined][] = [
    [URL_WITH_SECRETS, "https://api.example.com:8443/v1/chat"],
    [new URL(URL_WITH_SECRETS), "https://api.example.com:8443/v1/chat"],
    // of another implementation of `Request`
    [
      { url: URL_WITH_SECRETS } as unknown as URL,
      "https://api.example.com:8443/v1/chat",
    ],
    ["data:text/plain,secret", "data:"],
    ["no url", undefined],
  ];
  for (const [url, source] of urls) {
    using time = new FakeTime();
    const guarded = guardFetch({
      timeout: 100,
      fetch: () => new Promise(() => {}),
    });
    const rejected = assertRejects(() => guarded(url), HeartbeatTimeoutError);
    await advance(time, 100, 25);
    assertEquals((await rejected).source, source);
  }
});

Deno.test("guardFetch refuses bad options", () => {
  const message = "Cannot guard fetch as";
  const cases: [unknown, ErrorConstructor, string][] = [
    [undefined, TypeError, `${message} 'options' must be an object`],
    [{}, TypeError, `${message} 'timeout' must be a positive number`],
    [{ timeout: 0 }, RangeError, `${message} 'timeout' must be`],
    [{ timeout: 1, firstTimeout: -1 }, RangeError, "'firstTimeout'"],
    [{ timeout: 1, progressTimeout: NaN }, RangeError, "'progressTimeout'"],
    [{ timeout: 1, totalTimeout: "1" }, TypeError, "'totalTimeout'"],
    [
      { timeout: 1, progressTimeout: 1, isProgress: 1 },
      TypeError,
      "isProgress",
    ],
    [
      { timeout: 1, isProgress: () => true },
      RangeError,
      "'progressTimeout' must be finite where 'isProgress' is given: current value is Infinity",
    ],
    [{ timeout: 1, fetch: 1 }, TypeError, "'fetch' must be a function"],
  ];
  for (const [options, kind, text] of cases) {
    assertThrows(() => guardFetch(options as GuardFetchOptions), kind, text);
  }
});

Deno.test("isProgress that takes only one kind of part does not compile", () => {
  const limits = { timeout: 1, progressTimeout: 1 };
  // @ts-expect-error chunks of other bodies come, too
  guardFetch({ ...limits, isProgress: (event: ServerSentEvent) => !event.id });
  // @ts-expect-error events come, too
  guardFetch({ ...limits, isProgress: (chunk: Uint8Array) => chunk[0] === 1 });
  // @ts-expect-error it says yes or no
  guardFetch({ ...limits, isProgress: () => "yes" });
  guardFetch({
    ...limits,
    isProgress: (part) => !(part instanceof Uint8Array),
  });
});

Deno.test("guardFetch reports long silences of each limit, and ends none without a limit", async () => {
  using time = new FakeTime();
  const events: string[] = [];
  const { server, seen } = startRequest({
    timeout: Infinity,
    firstTimeout: 60_000,
    progressTimeout: 4_000,
    warnAfter: 1_000,
    onSilence: ({ type, limit, source, elapsed, count }) =>
      events.push(`${type} ${limit} ${elapsed} ${count} ${source}`),
  }, EVENTS);
  await advance(time, 1_500);
  server.respond();
  await advance(time, 1);
  const body = readAll(seen.response!.body!);
  await advance(time, 1_200);
  server.send("data: token\n\n");
  await advance(time, 1);
  assertEquals(body.end, undefined);
  await body.cancel(REASON);
  const source = "https://api.example.com:8443/v1/chat";
  assertEquals(events, [
    `silent first 1000 0 ${source}`,
    `recovered first 1500 0 ${source}`,
    `silent progress 1000 0 ${source}`,
    `silent silence 1000 0 ${source}`,
    `recovered silence 1200 1 ${source}`,
    `recovered progress 1200 1 ${source}`,
  ]);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch ends a request with what onSilence throws", async () => {
  using time = new FakeTime();
  const { server, seen } = startRequest({
    timeout: 1_000,
    onSilence() {
      throw REASON;
    },
  });
  await advance(time, 500);
  assertStrictEquals(seen.error, REASON);
  assertStrictEquals(server.signal.reason, REASON);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch ends a request with what onSilence throws when the headers come", async () => {
  using time = new FakeTime();
  const { server, seen } = startRequest({
    timeout: 1_000,
    onSilence({ type }) {
      if (type === "recovered") throw REASON;
    },
  });
  await advance(time, 600);
  server.respond();
  await advance(time, 1);
  assertStrictEquals(seen.error, REASON);
  assertStrictEquals(server.signal.reason, REASON);
  assertStrictEquals(server.source.cancelled, REASON);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch observes the silences of each limit", async () => {
  using time = new FakeTime();
  const server = createFetch(EVENTS);
  const limits = { timeout: Infinity, progressTimeout: 60_000 };
  const guarded = guardFetch({ ...limits, observe: true, fetch: server.fetch });
  const asked = guarded(URL_WITH_SECRETS);
  await advance(time, 700);
  server.respond();
  const body = readAll((await asked).body!);
  await advance(time, 100);
  for (const pause of [200, 300, 100]) {
    server.send("data: token\n\n");
    await advance(time, pause, 10);
    server.send(": ping\n\n");
    await advance(time, pause, 10);
  }
  server.send("data: token\n\n");
  await advance(time, 10);
  await body.cancel(REASON);
  const { first, silence, progress } = guarded.gaps!;
  assertEquals(
    [first, silence, progress].map(({ count, longest }) => [count, longest]),
    [[1, 700], [6, 300], [3, 600]],
  );
  assertEquals([first.first, silence.first, progress.first], [700, 100, 100]);
  assertEquals(guardFetch(limits).gaps, undefined);
  assertEquals(time.next(), false);
});

Deno.test("guardFetch observes no progress where it has no limit", async () => {
  using time = new FakeTime();
  const server = createFetch(EVENTS);
  const limits = { timeout: 1_000, observe: true, fetch: server.fetch };
  const guarded = guardFetch(limits);
  const asked = guarded(URL_WITH_SECRETS);
  await advance(time, 10);
  server.respond();
  const body = readAll((await asked).body!);
  for (let i = 0; i < 3; i++) {
    server.send("data: token\n\n");
    await advance(time, 100);
  }
  await body.cancel(REASON);
  const { silence, progress } = guarded.gaps!;
  assertEquals([silence.count, progress.count], [2, 0]);
  assertEquals(progress.first, undefined);
});

Deno.test("guardFetch aborts no request that onSilence has ended", async () => {
  using time = new FakeTime();
  const { server, seen } = startRequest({
    timeout: 1_000,
    onSilence() {
      void reader.cancel("enough");
      throw REASON;
    },
  });
  await advance(time, 10);
  server.respond();
  await advance(time, 10);
  const reader = seen.response!.body!.getReader();
  const read = reader.read();
  await advance(time, 500);
  assertEquals((await read).done, true);
  assertEquals(server.source.cancelled, "enough");
  assertEquals([server.signal.aborted, time.next()], [false, false]);
});
