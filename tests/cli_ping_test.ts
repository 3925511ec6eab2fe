// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { checkPingUrl, Pinger, type PingerOptions } from "../_cli_ping.ts";
import {
  advance,
  countListeners,
  NPM_FLAGS,
  skewClock,
  waitUntil,
} from "./_help.ts";

const NEVER = new AbortController().signal;

/** Answers pings, with a status of its own for the first ones. */
function serve(statuses: number[] = []) {
  const urls: string[] = [];
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const server = Deno.serve(options, ({ url }) => {
    urls.push(url.replace(/^.*?:\/\/[^/]+/, ""));
    return new Response("OK", { status: statuses.shift() ?? 200 });
  });
  const { port } = server.addr as Deno.NetAddr;
  return {
    urls,
    url: `http://127.0.0.1:${port}/ping/secret`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function createPinger(url: string, options: Partial<PingerOptions> = {}) {
  const failures: string[] = [];
  const pinger = new Pinger({
    url,
    every: 60_000,
    isPlain: false,
    pause: 0,
    onFailure: (message) => void failures.push(message),
    ...options,
  });
  return { pinger, failures };
}

Deno.test("checkPingUrl accepts web addresses only", () => {
  for (const url of ["https://hc-ping.com/a", "http://localhost:8000"]) {
    assertEquals(checkPingUrl(url), undefined, url);
  }
  for (const text of ["", "hc-ping.com/a", "file:///a", "ftp://a/b"]) {
    assertMatch(checkPingUrl(text)!, /must be a URL/, text);
  }
});

Deno.test("Pinger pings at the start, on progress and at the end, with the id of the run", async () => {
  await using server = serve();
  const { pinger, failures } = createPinger(`${server.url}/?a=b`);
  pinger.start();
  await pinger.end({ code: 3, killNow: NEVER });
  pinger.onProgress();
  await pinger.end({ code: 0, killNow: NEVER });
  const [, id] = /rid=(.*)$/.exec(server.urls[0]!)!;
  assertMatch(id!, /^[0-9a-f-]{36}$/);
  const query = `?a=b&rid=${id}`;
  assertEquals(
    server.urls,
    ["/start", "/3", "", "/0"].map((path) => `/ping/secret${path}${query}`),
  );
  assertEquals(failures, []);
});

Deno.test("Pinger only gets the one URL of a plain service, and not after a failure", async () => {
  await using server = serve();
  const { pinger } = createPinger(server.url, { isPlain: true });
  pinger.start();
  pinger.onProgress();
  await pinger.end({ code: 1, killNow: NEVER });
  assertEquals(server.urls, ["/ping/secret"]);
  await pinger.end({ code: 0, killNow: NEVER });
  assertEquals(server.urls, ["/ping/secret", "/ping/secret"]);
});

Deno.test("Pinger pings for progress at most once in a while, whatever the clock does", async () => {
  await using server = serve();
  using time = new FakeTime();
  using clock = skewClock(time);
  const { pinger } = createPinger(server.url, { every: 1_000, isPlain: true });
  for (const [now, count] of [[0, 1], [999, 1], [1_000, 2], [-5_000, 3]]) {
    clock.ahead = now!;
    pinger.onProgress();
    await pinger.end({ code: 1, killNow: NEVER });
    assertEquals(server.urls.length, count, `${now}`);
  }
});

Deno.test("Pinger does not queue pings for progress while one is on its way", async () => {
  await using server = serve();
  const { pinger } = createPinger(server.url, { every: 0, isPlain: true });
  for (let i = 0; i < 100; i++) pinger.onProgress();
  await pinger.end({ code: 1, killNow: NEVER });
  assertEquals(server.urls.length, 1);
});

Deno.test("Pinger tries a request three times, and reports a failure once", async () => {
  await using server = serve([500, 404, 200, 500, 500, 500, 503, 503, 503]);
  const { pinger, failures } = createPinger(server.url);
  for (const [count, reports] of [[3, 0], [6, 1], [9, 1], [10, 1]]) {
    await pinger.end({ code: 0, killNow: NEVER });
    assertEquals([server.urls.length, failures.length], [count, reports]);
  }
  const { host } = new URL(server.url);
  assertEquals(failures, [`cannot ping ${host}: the answer was 500`]);
});

Deno.test("Pinger reports a service that is away, without its URL", async () => {
  const { url } = await (async () => {
    await using server = serve();
    return server;
  })();
  const { pinger, failures } = createPinger(url);
  pinger.start();
  await pinger.end({ code: 0, killNow: NEVER });
  const { host } = new URL(url);
  assertEquals(failures.length, 1);
  assertMatch(
    failures[0]!,
    RegExp(`^cannot ping ${host}: .*refused`),
  );
  assert(!failures[0]!.includes("secret"), failures[0]);
});

Deno.test("Pinger waits a second before it tries a request again", async () => {
  await using server = serve([500, 500]);
  using time = new FakeTime();
  const { pinger } = createPinger(server.url, { pause: undefined! });
  const ended = pinger.end({ code: 0, killNow: NEVER });
  for (let tries = 1; tries <= 3; tries++) {
    while (server.urls.length < tries) await advance(time, 0);
    if (tries === 3) break;
    // the answer arrives
    for (let turns = 0; turns < 100; turns++) await advance(time, 0);
    await advance(time, 999);
    assertEquals(server.urls.length, tries);
    await advance(time, 1);
  }
  await ended;
});

/** A turn of the event loop, and what is due now. */
async function turn(time: FakeTime) {
  await advance(time, 0);
  time.tick(0);
}

/** A service that accepts connections, and never answers. */
function listen() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepted = (async () => {
    for await (const connection of listener) connections.push(connection);
  })().catch(() => {});
  const { port } = listener.addr as Deno.NetAddr;
  return {
    connections,
    url: `http://127.0.0.1:${port}/secret`,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of connections) connection.close();
      await accepted;
    },
  };
}

Deno.test("Pinger waits for no answer once it is to end at once", async () => {
  await using service = listen();
  const { pinger, failures } = createPinger(service.url);
  const killer = new AbortController();
  pinger.start();
  const ended = pinger.end({ code: 0, killNow: killer.signal });
  await waitUntil(() => service.connections.length > 0);
  killer.abort();
  await ended;
  assertEquals([failures, service.connections.length], [[], 1]);
});

Deno.test("Pinger sends nothing when it is to end at once from the start", async () => {
  await using server = serve();
  const { pinger, failures } = createPinger(server.url);
  await pinger.end({ code: 0, killNow: AbortSignal.abort() });
  assertEquals([server.urls, failures], [[], []]);
});

Deno.test("Pinger waits five seconds for each of three answers", async () => {
  await using service = listen();
  using time = new FakeTime();
  const { pinger, failures } = createPinger(service.url);
  const { signal, listeners } = countListeners();
  const ended = pinger.end({ code: 0, killNow: signal });
  for (let tries = 1; tries <= 3; tries++) {
    // not in real time, or the next request would have a real timer
    while (service.connections.length < tries) await turn(time);
    await advance(time, 4_999);
    assertEquals([failures, service.connections.length], [[], tries]);
    await advance(time, 1);
  }
  await ended;
  const { host } = new URL(service.url);
  assertEquals(failures, [`cannot ping ${host}: no answer for 5 s`]);
  assertEquals(listeners.size, 0);
});

Deno.test("Pinger tries no earlier ping again once the command has ended", async () => {
  await using service = listen();
  using time = new FakeTime();
  const { pinger } = createPinger(service.url);
  pinger.start();
  let isOver = false;
  const ended = pinger.end({ code: 0, killNow: NEVER })
    .then(() => isOver = true);
  for (let tries = 1; !isOver; tries++) {
    while (service.connections.length < tries && !isOver) await turn(time);
    await advance(time, 5_000);
  }
  await ended;
  // one for the start and three for the end
  assertEquals(service.connections.length, 4);
});

Deno.test("Pinger does not wait to try an earlier ping again once the command has ended", async () => {
  await using server = serve([500, 500]);
  using time = new FakeTime();
  const { pinger, failures } = createPinger(server.url, { pause: 2_000 });
  pinger.start();
  // the answer arrives
  for (let turns = 0; turns < 500; turns++) await advance(time, 1);
  let isOver = false;
  const ended = pinger.end({ code: 0, killNow: NEVER })
    .then(() => isOver = true);
  // before that ping would be tried again
  for (let ms = 0; ms < 1_000 && server.urls.length < 2; ms++) {
    await advance(time, 1);
  }
  const paths = () => server.urls.map((url) => url.replace(/\?.*/, ""));
  assertEquals(paths(), ["/ping/secret/start", "/ping/secret/0"]);
  // the end is the latest news
  while (!isOver) await advance(time, 10);
  await ended;
  assertEquals(paths().slice(2), ["/ping/secret/0"]);
  assertEquals(failures.length, 1);
});

Deno.test("Pinger does not wait to try the end again once it is to end at once", async () => {
  await using server = serve([500]);
  const { pinger, failures } = createPinger(server.url, { pause: Infinity });
  const killer = new AbortController();
  const ended = pinger.end({ code: 0, killNow: killer.signal });
  await waitUntil(() => server.urls.length > 0);
  killer.abort();
  await ended;
  assertEquals([server.urls.length, failures], [1, []]);
});

Deno.test("Pinger says which permission it needs", async () => {
  const url = new URL("../_cli_ping.ts", import.meta.url);
  const code = `
    import { Pinger } from "${url}";
    const onFailure = (message) => console.log(message);
    const options = { url: "http://127.0.0.1:8765/a", every: 1, onFailure };
    await new Pinger(options).end({ code: 0, killNow: new AbortController().signal });`;
  const script = `data:text/javascript,${encodeURIComponent(code)}`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", ...NPM_FLAGS, script],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(text, "cannot ping 127.0.0.1:8765: it needs --allow-net\n");
  assert(!text.includes("/a"));
});
