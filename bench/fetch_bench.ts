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

/** Runs the bench. */
export async function run(): Promise<Outcome> {
  await using server = serve();
  const url = `http://127.0.0.1:${server.addr.port}`;
  const guarded = guardFetch(GUARD);
  const [plainLarge, guardedLarge] = [
    candidate("plain `fetch`", (length) => download(fetch, `${url}/${length}`)),
    candidate(
      "**`guardFetch`**",
      (length) => download(guarded, `${url}/${length}`),
    ),
  ] as const;
  const withTimeout = candidate(
    "`fetch` with `AbortSignal.timeout()`",
    (length) => request(fetchWithTimeout, `${url}/1`, length),
    SMALL,
  );
  const [plainSmall, guardedSmall] = [
    candidate(
      "plain `fetch`",
      (length) => request(fetch, `${url}/1`, length),
      SMALL,
    ),
    candidate(
      "**`guardFetch`**",
      (length) => request(guarded, `${url}/1`, length),
      SMALL,
    ),
  ] as const;
  return {
    rows: [
      ...await compare("byte of a body", plainLarge, [
        plainLarge,
        guardedLarge,
      ]),
      ...await compare("small response", plainSmall, [
        withTimeout,
        plainSmall,
        guardedSmall,
      ]),
    ],
    targets: [
      judgeRatio(guardedLarge, plainLarge, 1.1),
      judgeRatio(guardedSmall, plainSmall, 1.15),
      judgeRatio(guardedSmall, withTimeout, 1.15),
    ],
  };
}
