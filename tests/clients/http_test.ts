// Copyright 2026 the heartbeat authors. MIT license.

// Real clients of HTTP, against a server that stalls in every way: those that
// take a `fetch`, under guardFetch(), and those that take a signal, in watch().

import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { FetchHttpHandler } from "@smithy/fetch-http-handler";
import { assert, assertEquals } from "@std/assert";
import axios, { type AxiosRequestConfig } from "axios";
import got from "got";
import { Agent, fetch as undiciFetch, request } from "undici";
import { guardFetch } from "../../fetch.ts";
import { watch } from "../../monitor.ts";
import type { Work } from "../../worker.ts";
import type { Behaviour } from "../_stall_server.ts";
import {
  ALL_WORDS,
  call,
  findStall,
  type Given,
  LONG_MS,
  nameError,
  PROGRESS_TIMEOUT,
  TIMEOUT,
} from "./_call.ts";
import { type Client, readWords } from "./_clients.ts";

const OBJECT = { Bucket: "bucket", Key: "key" };
const S3 = {
  region: "us-east-1",
  credentials: { accessKeyId: "id", secretAccessKey: "secret" },
  forcePathStyle: true,
};

function createAxios(options: AxiosRequestConfig): Client {
  return async ({ url, fetch, signal }, onWord) => {
    const client = axios.create({ adapter: "fetch", env: { fetch } });
    const { data } = await client.get(url, { ...options, signal });
    const body = typeof data === "string" ? new Blob([data]).stream() : data;
    await readWords(body, onWord);
  };
}

function createWatched(
  open: (url: string) => Work<Uint8Array>,
  timeout = TIMEOUT,
): Client {
  return async ({ url, signal }, onWord) => {
    const body = watch(open(url), { timeout, signal });
    await readWords(body, onWord);
  };
}

interface Row {
  client: Client;
  given?: Given;
  /** What it does with a stall before the headers and in the body. */
  stalls: [before: string, body: string];
  /** What it does with the user's abort before the headers and in the body; `undefined` is a clean end. */
  aborts: [before: string | undefined, body: string | undefined];
  /** Whether it takes a `fetch`, and so the limit of the progress applies, too. */
  takesFetch: boolean;
  /** Whether it hangs by itself when the connection is lost. */
  hangsWhenLost?: boolean;
}

const OURS = "HeartbeatTimeoutError";

const ROWS: Record<string, Row> = {
  "axios, which streams": {
    client: createAxios({ responseType: "stream" }),
    stalls: ["AxiosError", OURS],
    aborts: ["CanceledError", "CanceledError"],
    takesFetch: true,
  },
  "axios, which reads a text": {
    client: createAxios({}),
    stalls: ["AxiosError", "AxiosError"],
    aborts: ["CanceledError", "CanceledError"],
    takesFetch: true,
  },
  "@aws-sdk/client-s3, with a fetch": {
    async client({ url, fetch, signal, retries }, onWord) {
      const client = new S3Client({
        ...S3,
        endpoint: url,
        maxAttempts: retries + 1,
        requestHandler: new FetchHttpHandler({ customFetch: fetch }),
      });
      const { Body } = await client.send(new GetObjectCommand(OBJECT), {
        abortSignal: signal,
      });
      await readWords(Body!.transformToWebStream(), onWord);
    },
    stalls: [OURS, OURS],
    aborts: ["AbortError", "enough"],
    takesFetch: true,
  },
  "@aws-sdk/client-s3": {
    client: createWatched((endpoint) => {
      const client = new S3Client({ ...S3, endpoint });
      return async ({ signal: abortSignal }) => {
        const command = new GetObjectCommand(OBJECT);
        const { Body } = await client.send(command, { abortSignal });
        return Body!.transformToWebStream();
      };
    }),
    stalls: [OURS, OURS],
    aborts: [undefined, "Error"],
    takesFetch: false,
  },
  got: {
    client: createWatched((url) => ({ signal }) => got.stream(url, { signal })),
    stalls: [OURS, OURS],
    aborts: [undefined, undefined],
    takesFetch: false,
  },
  "the fetch of undici": {
    client: async ({ url, fetch, signal }, onWord) =>
      readWords((await fetch(url, { signal })).body!, onWord),
    given: {
      fetch: guardFetch({
        timeout: TIMEOUT,
        progressTimeout: PROGRESS_TIMEOUT,
        fetch: undiciFetch as unknown as typeof fetch,
      }),
    },
    stalls: [OURS, OURS],
    aborts: ["enough", "enough"],
    takesFetch: true,
    // on Deno 2.9
    hangsWhenLost: true,
  },
  undici: {
    client: createWatched((url) => async ({ signal }) =>
      (await request(url, { signal })).body
    ),
    stalls: [OURS, OURS],
    aborts: [undefined, undefined],
    takesFetch: false,
  },
};

for (const [name, row] of Object.entries(ROWS)) {
  const { client, given, takesFetch, stalls: [before, inBody] } = row;
  // undici has one clock for all requests, which goes on for a while
  const isSanitized = !name.endsWith("undici");
  const options = { sanitizeOps: isSanitized, sanitizeResources: isSanitized };
  const ask = (behaviour: Behaviour, more?: Given) =>
    call(client, behaviour, { ...given, ...more });

  Deno.test(
    `${name}: a healthy reply and a slow one are read to the end`,
    options,
    async () => {
      for (
        const { words, error } of [await ask("healthy"), await ask("slow")]
      ) {
        assertEquals([words, error], [ALL_WORDS, undefined]);
      }
    },
  );

  Deno.test(
    `${name}: each stall is an error, and the connection is closed`,
    options,
    async () => {
      const limits: [Behaviour, string][] = [
        ["no-headers", takesFetch ? "first" : "silence"],
        ["no-body", "silence"],
        ["stalls", "silence"],
      ];
      if (takesFetch) limits.push(["pings", "progress"]);
      await Promise.all(limits.map(async ([behaviour, limit]) => {
        // no client tries again by itself
        const outcome = await ask(behaviour, { retries: 2 });
        assertEquals(
          [behaviour, nameError(outcome), findStall(outcome)?.limit],
          [behaviour, behaviour === "no-headers" ? before : inBody, limit],
        );
        assertEquals(outcome.requests, 1);
      }));
    },
  );

  Deno.test(
    `${name}: a connection that is lost is an error`,
    options,
    async () => {
      for (const behaviour of ["half-closes", "resets"] as const) {
        const outcome = await ask(behaviour);
        assert(outcome.error instanceof Error);
        if (!row.hangsWhenLost) assertEquals(findStall(outcome), undefined);
      }
    },
  );

  Deno.test(
    `${name}: the user's own abort is no stall`,
    options,
    async () => {
      const abortReason = Object.assign(new Error("enough"), {
        name: "enough",
      });
      const fetch = guardFetch({ timeout: LONG_MS });
      const more = { fetch, ...given, abortReason };
      // the abort of a text comes before any of it is seen
      const behaviours = name.endsWith("text")
        ? ["no-headers"] as const
        : ["no-headers", "stalls"] as const;
      const outcomes = await Promise.all(
        behaviours.map((behaviour) => ask(behaviour, more)),
      );
      assertEquals(
        outcomes.map(nameError),
        row.aborts.slice(0, behaviours.length),
      );
      for (const outcome of outcomes) {
        assertEquals(findStall(outcome), undefined);
      }
    },
  );
}

Deno.test(
  "undici has a limit of its own for the headers and for the body, which its Agent lifts",
  {
    sanitizeOps: false,
    sanitizeResources: false,
  },
  async () => {
    const createClient = (limit: number, timeout: number) => {
      const options = { headersTimeout: limit, bodyTimeout: limit };
      const dispatcher = new Agent(options);
      const open = (url: string): Work<Uint8Array> => async ({ signal }) =>
        (await request(url, { signal, dispatcher })).body;
      return createWatched(open, timeout);
    };
    await Promise.all((["no-headers", "stalls"] as const).map(async (which) => {
      const [own, lifted] = await Promise.all([
        call(createClient(1, LONG_MS), which),
        call(createClient(0, TIMEOUT), which),
      ]);
      const expected = which === "stalls"
        ? "BodyTimeoutError"
        : "HeadersTimeoutError";
      assertEquals([nameError(own), nameError(lifted)], [expected, OURS]);
    }));
  },
);
