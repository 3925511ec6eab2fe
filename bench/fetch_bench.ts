// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The cost of a guarded `fetch`, compared with a plain one: a large body, and
 * many small ones, from a server on loopback.
 *
 * @module
 */

import { guardFetch } from "../fetch.ts";
import { candidate, compare, judgeRatio, type Outcome } from "./_measure.ts";

/** What the server sends, and what a unit of the large body is, in bytes. */
const UNIT = 2_048;
/** The share of the units for small responses. */
const SMALL = 0.02;
const GUARDED = "**`guardFetch`**";
const GUARD = { timeout: 30_000, totalTimeout: 600_000 };

const block = new Uint8Array(32 * UNIT);

/** Serves `/N`: a body of N units. */
function serve() {
  return Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => {
      let rest = Number(new URL(request.url).pathname.slice(1)) * UNIT;
      return new Response(
        new ReadableStream({
          pull(controller) {
            const chunk = block.subarray(0, Math.min(rest, block.length));
            if (chunk.length === 0) return controller.close();
            rest -= chunk.length;
            controller.enqueue(chunk);
          },
        }),
      );
    },
  );
}

/** Reads a body; resolves to the number of units. */
async function download(fetcher: typeof fetch, url: string) {
  const response = await fetcher(url);
  let size = 0;
  for await (const chunk of response.body!) size += chunk.length;
  return size / UNIT;
}

async function request(fetcher: typeof fetch, url: string, length: number) {
  let count = 0;
  while (count < length) count += await download(fetcher, url);
  return count;
}

/**
 * What one would write without a guard. A request that can be ended needs a
 * signal, and Deno's `fetch` itself takes longer with one.
 */
const fetchWithTimeout: typeof fetch = (input, init) =>
  fetch(input as string, { ...init, signal: AbortSignal.timeout(30_000) });

/**
 * The least that can end a body: a signal, a byte stream around the body, and a
 * response around that. It measures nothing.
 */
const fetchWithBody: typeof fetch = async (input, init) => {
  const { signal } = new AbortController();
  const response = await fetch(input as string, { ...init, signal });
  const { status, statusText, headers } = response;
  return new Response(wrapBody(response.body!), {
    status,
    statusText,
    headers,
  });
};

function wrapBody(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = body.getReader();
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      reader.read().then(({ done, value }) => {
        if (!done) return controller.enqueue(value);
        controller.close();
        controller.byobRequest?.respond(0);
      }, (error) => controller.error(error));
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

type Send = (fetcher: typeof fetch, length: number) => Promise<number>;

async function compareLarge(download: Send): Promise<Outcome> {
  const guarded = guardFetch(GUARD);
  const plain = candidate("plain `fetch`", (length) => download(fetch, length));
  const guard = candidate(GUARDED, (length) => download(guarded, length));
  return {
    rows: await compare("byte of a body", plain, [plain, guard]),
    targets: [judgeRatio(guard, plain, 1.1)],
  };
}

async function compareSmall(request: Send): Promise<Outcome> {
  function create(name: string, fetcher: typeof fetch) {
    return candidate(name, (length) => request(fetcher, length), SMALL);
  }
  const plain = create("plain `fetch`", fetch);
  const withTimeout = create(
    "`fetch` with `AbortSignal.timeout()`",
    fetchWithTimeout,
  );
  const withBody = create("`fetch` with a body around its own", fetchWithBody);
  const guard = create(GUARDED, guardFetch(GUARD));
  const candidates = [plain, withTimeout, withBody, guard];
  return {
    rows: await compare("small response", plain, candidates),
    targets: [
      judgeRatio(guard, plain, 1.15),
      judgeRatio(guard, withBody, 1.15),
    ],
  };
}

/** Runs the bench. */
export async function run(): Promise<Outcome> {
  await using server = serve();
  const url = `http://127.0.0.1:${server.addr.port}`;
  const large = await compareLarge((fetcher, length) =>
    download(fetcher, `${url}/${length}`)
  );
  const small = await compareSmall((fetcher, length) =>
    request(fetcher, `${url}/1`, length)
  );
  return {
    rows: [...large.rows, ...small.rows],
    targets: [...large.targets, ...small.targets],
  };
}
