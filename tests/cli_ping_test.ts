// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { checkPingUrl, Pinger, type PingerOptions } from "../_cli_ping.ts";
import { NPM_FLAGS, skewClock } from "./_help.ts";

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
  await pinger.end(3, NEVER);
  pinger.onProgress();
  await pinger.end(0, NEVER);
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
  await pinger.end(1, NEVER);
  assertEquals(server.urls, ["/ping/secret"]);
  await pinger.end(0, NEVER);
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
    await pinger.end(1, NEVER);
    assertEquals(server.urls.length, count, `${now}`);
  }
});

Deno.test("Pinger does not queue pings for progress while one is on its way", async () => {
  await using server = serve();
  const { pinger } = createPinger(server.url, { every: 0, isPlain: true });
  for (let i = 0; i < 100; i++) pinger.onProgress();
  await pinger.end(1, NEVER);
  assertEquals(server.urls.length, 1);
});

Deno.test("Pinger tries a request three times, and reports a failure once", async () => {
  await using server = serve([500, 404, 200, 500, 500, 500, 503, 503, 503]);
  const { pinger, failures } = createPinger(server.url);
  for (const [count, reports] of [[3, 0], [6, 1], [9, 1], [10, 1]]) {
    await pinger.end(0, NEVER);
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
  await pinger.end(0, NEVER);
  const { host } = new URL(url);
  assertEquals(failures, [`cannot ping ${host}: the request failed`]);
});

Deno.test("Pinger waits for no answer once it is to end at once", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepted = (async () => {
    for await (const connection of listener) connections.push(connection);
  })().catch(() => {});
  const { port } = listener.addr as Deno.NetAddr;
  const { pinger, failures } = createPinger(`http://127.0.0.1:${port}/a`);
  const killer = new AbortController();
  pinger.start();
  const ended = pinger.end(0, killer.signal);
  while (connections.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  killer.abort();
  await ended;
  await pinger.end(0, killer.signal);
  assertEquals([failures, connections.length], [[], 1]);
  listener.close();
  for (const connection of connections) connection.close();
  await accepted;
});

Deno.test("Pinger says which permission it needs", async () => {
  const url = new URL("../_cli_ping.ts", import.meta.url);
  const code = `
    import { Pinger } from "${url}";
    const onFailure = (message) => console.log(message);
    const options = { url: "http://127.0.0.1:8765/a", every: 1, onFailure };
    await new Pinger(options).end(0, new AbortController().signal);`;
  const script = `data:text/javascript,${encodeURIComponent(code)}`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", ...NPM_FLAGS, script],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(text, "cannot ping 127.0.0.1:8765: it needs --allow-net\n");
  assert(!text.includes("/a"));
});
