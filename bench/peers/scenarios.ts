// Copyright 2026 the heartbeat authors. MIT license.

import { delay } from "@std/async/delay";
import { headers, llmClient, pings, warning } from "./_request_scenarios.ts";
import { countAlarms, isCoarse, TRIALS } from "./blocked_loop.ts";
import {
  each,
  ENDS,
  LATEST,
  latest,
  NEVER,
  no,
  type Observed,
  read,
  type Rows,
  timed,
  TIMEOUT,
  verdict,
} from "./_observe.ts";
import type { Peer, Source } from "./peer.ts";

const MB = new Uint8Array(1 << 20);

/** Whether an error carries a value, up to a sensible depth. */
function mentions(error: unknown, value: Uint8Array, depth = 3): boolean {
  if (error instanceof Uint8Array) return error[0] === value[0];
  if (depth === 0 || typeof error !== "object" || error === null) return false;
  // getters, too
  const keys = [error, Object.getPrototypeOf(error) ?? {}]
    .flatMap((object) => Reflect.ownKeys(object));
  return keys.some((key) =>
    mentions(Reflect.get(error, key), value, depth - 1)
  );
}

/** A chunk, then silence: what the peer does, row by row. */
async function observeStall(peer: Peer, guard: Peer["guard"]) {
  const source = timed([0]);
  const seen = await read(
    guard(source.stream, { timeout: TIMEOUT }),
    latest(peer) + NEVER,
  );
  await delay(200); // an HTTP connection takes its time to close
  const took = seen.time - source.last;
  const error = verdict(
    seen.end === "error" && seen.bytes.join() === "1" && took <= latest(peer),
    ENDS[seen.end],
  );
  if (error.cell === "yes" && took > LATEST) {
    error.note =
      "a silence of 100 ms is reported after 1 s: its clock is coarse";
  }
  return {
    "A silence is an error": error,
    "The source is cancelled on a stall": verdict(
      source.cancelled,
      "the source is left waiting",
    ),
    "The error carries the last item": verdict(
      mentions(seen.error, Uint8Array.of(1)),
    ),
  };
}

async function stall(peers: Peer[]): Promise<Rows> {
  const rows: Rows = {};
  const all = await Promise.all(peers.map(async (peer) => {
    const { alternative = peer } = peer;
    const [best, other] = await Promise.all([
      observeStall(peer, peer.guard),
      observeStall(peer, alternative.guard),
    ]);
    for (const [title, one] of Object.entries(best)) {
      const { cell, note } = other[title as keyof typeof other];
      if (cell === one.cell) continue;
      one.note = `with ${alternative.name}, ${note}`;
      break; // what follows from that goes without saying
    }
    return best;
  }));
  for (const observed of all) {
    for (const [title, one] of Object.entries(observed)) {
      (rows[title] ??= []).push(one);
    }
  }
  return rows;
}

function firstItem(peers: Peer[]) {
  return each("A separate limit for the first item", peers, async (peer) => {
    const ms = latest(peer);
    const source = timed([ms * 1.5]);
    const seen = await read(
      peer.guard(source.stream, { timeout: TIMEOUT, first: ms * 3 }),
      ms * 3 + NEVER,
    );
    if (seen.bytes.length === 0) return no("one limit for all items");
    return verdict(
      seen.end === "error" && seen.time - source.last <= ms,
      "the other items have it, too",
    );
  });
}

function noLoss(peers: Peer[]) {
  return each(
    "What came before a stall is delivered, even late",
    peers,
    async (peer) => {
      const ms = latest(peer) + 200;
      const seen = await read(
        peer.guard(timed([0, 20, 20]).stream, { timeout: TIMEOUT }),
        4 * ms + NEVER,
        () => delay(ms),
      );
      return verdict(
        seen.bytes.join() === "1,2,3" && seen.end === "error",
        `${
          3 - seen.bytes.length
        } of 3 items were dropped, because the consumer was slow`,
      );
    },
  );
}

/** A source that always has more, and a consumer that is slow with the first two chunks. */
async function slowConsumer(peers: Peer[]): Promise<Rows> {
  const chunks = 64;
  const all = await Promise.all(peers.map(async (peer) => {
    const ms = latest(peer) + 200;
    let pulled = 0;
    let ahead = 0;
    const source: Source = new ReadableStream({
      pull(controller) {
        if (pulled++ < chunks) controller.enqueue(MB);
        else controller.close();
      },
    }, { highWaterMark: 0 });
    const seen = await read(
      peer.guard(source, { timeout: TIMEOUT }),
      2 * ms + 5 * NEVER,
      async (count) => {
        if (count > 2) return;
        await delay(ms);
        ahead = Math.max(ahead, pulled);
      },
    );
    return [
      verdict(
        seen.end === "closed" && seen.size === chunks * MB.length,
        ENDS[seen.end],
      ),
      verdict(ahead < chunks, "meanwhile the whole source is read into memory"),
    ] as const;
  }));
  return {
    "A slow consumer is not silence": all.map(([alarm]) => alarm),
    "A slow consumer slows the source (backpressure)": all.map(([, b]) => b),
  };
}

function busyConsumer(peers: Peer[]) {
  return each(
    "A stall is detected while the consumer is busy",
    peers,
    async (peer) => {
      const source = timed([0]);
      const ms = latest(peer) + 200;
      let found = false;
      await read(
        peer.guard(source.stream, { timeout: TIMEOUT }),
        ms + NEVER,
        async () => {
          await delay(ms);
          found = source.cancelled;
        },
      );
      return verdict(found, "its clock starts when the next item is asked for");
    },
  );
}

/** A command that runs a script with the import map of this process. */
function script(args: string[]) {
  const npm = import.meta.resolve("@std/async/deadline").startsWith("jsr:")
    ? []
    : ["--import-map=import_map.npm.json", "--node-modules-dir=auto"];
  const [command, ...rest] = args;
  return new Deno.Command(Deno.execPath(), {
    args: [command!, ...npm, ...rest],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  });
}

function decode(bytes: Uint8Array) {
  return new TextDecoder().decode(bytes);
}

async function run(args: string[]) {
  const { stdout, stderr, success } = await script(args).output();
  if (!success) throw new Error(decode(stderr));
  return { stdout, ended: Date.now() };
}

/** Runs in this process; peers with a coarse clock need longer blocks and a process of their own. */
async function blockedLoop(peers: Peer[]): Promise<Rows> {
  const file = new URL("blocked_loop.ts", import.meta.url).href;
  const [fine, coarse] = await Promise.all([
    countAlarms(peers.filter((peer) => !isCoarse(peer)), 500, 1),
    run(["run", "-A", file]).then(({ stdout }) => JSON.parse(decode(stdout))),
  ]);
  const alarms = peers.map((peer) => (isCoarse(peer) ? coarse : fine).shift());
  const least = Math.min(...alarms.filter((count) => count > 0));
  const most = Math.max(...alarms);
  const range = least === most ? most : `${least} to ${most}`;
  const bad = `${range} of ${TRIALS} false alarms, while the event loop was ` +
    "blocked and a thread sent items";
  return {
    "A blocked event loop is not silence": alarms.map((count) =>
      verdict(count === 0, bad)
    ),
  };
}

function noTimerLeft(peers: Peer[]) {
  const file = new URL("timers.ts", import.meta.url).href;
  return each("No timer is left when a stream ends", peers, async (peer) => {
    const index = String(peers.indexOf(peer));
    const { stdout, ended } = await run(["run", "-A", file, index]);
    const { done, fired } = JSON.parse(decode(stdout));
    return fired > 0
      ? no(
        "a timer for each read is left, although it does not keep the process alive",
      )
      : verdict(
        ended - done < 1_500,
        "a timer for each read keeps the process alive until it is due",
      );
  });
}

async function fetchBody(peers: Peer[]): Promise<Rows> {
  const closed = new Set<string>();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, ({ url }) => {
    const { stream } = timed([0, 20]);
    const reader = stream.getReader();
    return new Response(
      new ReadableStream({
        async pull(controller) {
          controller.enqueue((await reader.read()).value);
        },
        cancel: () => void closed.add(new URL(url).pathname),
      }),
    );
  });
  const rows = await each("Works on an HTTP body", peers, async (peer) => {
    const path = `/${peers.indexOf(peer)}`;
    const url = `http://127.0.0.1:${server.addr.port}${path}`;
    const options = { timeout: TIMEOUT };
    const seen = await read(
      peer.guardBody?.(url, options) ??
        peer.guard((await fetch(url)).body!, options),
      latest(peer) + NEVER,
    );
    for (let left = 20; left > 0 && !closed.has(path); left--) await delay(50);
    return verdict(
      seen.end === "error" && closed.has(path),
      "the request goes on",
    );
  });
  server.shutdown();
  return rows;
}

function hungGenerator(peers: Peer[]) {
  return each("Detects a hung async generator", peers, async (peer) => {
    if (!peer.guardIterable) return no();
    async function* hang() {
      yield Uint8Array.of(1);
      await new Promise(() => {});
    }
    const seen = await read(
      peer.guardIterable(hang(), TIMEOUT),
      LATEST + NEVER,
    );
    return verdict(
      seen.end === "error" && seen.bytes.join() === "1",
      seen.end === "pending" ? "the silence is never reported" : ENDS[seen.end],
    );
  });
}

function fallback(peers: Peer[]) {
  return each(
    "Can continue with another source after a stall",
    peers,
    async (peer) => {
      const source = timed([0]);
      const seen = await read(
        peer.guard(source.stream, {
          timeout: TIMEOUT,
          fallback: new ReadableStream({
            start(controller) {
              controller.enqueue(Uint8Array.of(9));
              controller.close();
            },
          }),
        }),
        latest(peer) + NEVER,
      );
      return verdict(seen.bytes.join() === "1,9" && seen.end === "closed");
    },
  );
}

function plainPromise(peers: Peer[]) {
  return each("Takes a promise as it is", peers, async (peer) => {
    if (!peer.guardPromise) return no();
    const guarded = peer.guardPromise(new Promise(() => {}), TIMEOUT);
    const outcome = await Promise.race([
      guarded.then(() => "value", () => "error"),
      delay(LATEST + NEVER).then(() => "pending"),
    ]);
    return verdict(outcome === "error", "the silence is never reported");
  });
}

/** The size of an adapter's `guard()` with all its dependencies. */
async function size(peers: Peer[]): Promise<Rows> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  const cells: Observed[] = [];
  try {
    for (const { file } of peers) {
      const { href } = new URL(file, import.meta.url);
      await Deno.writeTextFile(entry, `export { guard } from "${href}";`);
      const flags = ["--minify", "--platform=browser", "--quiet"];
      const { stdout } = await run(["bundle", ...flags, entry]);
      const zipped = new Blob([stdout]).stream()
        .pipeThrough(new CompressionStream("gzip"));
      const { byteLength } = await new Response(zipped).arrayBuffer();
      cells.push({ cell: `${(byteLength / 1_000).toFixed(1)} KB` });
    }
  } finally {
    await Deno.remove(entry);
  }
  return { "Size, minified and gzipped": cells };
}

export const scenarios = [
  stall,
  firstItem,
  slowConsumer,
  busyConsumer,
  noLoss,
  blockedLoop,
  noTimerLeft,
  fetchBody,
  hungGenerator,
  fallback,
  plainPromise,
  headers,
  pings,
  llmClient,
  warning,
  size,
];
