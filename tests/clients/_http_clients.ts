// Copyright 2026 the heartbeat authors. MIT license.

import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { FetchHttpHandler } from "@smithy/fetch-http-handler";
import axios, { type AxiosRequestConfig } from "axios";
import got from "got";
import { fetch as undiciFetch, request } from "undici";
import { guardFetch } from "../../fetch.ts";
import { watch } from "../../monitor.ts";
import type { Work } from "../../worker.ts";
import { type Given, PROGRESS_TIMEOUT, TIMEOUT } from "./_call.ts";
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

/** A client that takes a signal, in `watch()`. */
export function createWatched(
  open: (url: string) => Work<Uint8Array>,
  timeout = TIMEOUT,
): Client {
  return async ({ url, signal }, onWord) => {
    const body = watch(open(url), { timeout, signal });
    await readWords(body, onWord);
  };
}

/** A client, and what it does with a stall and an abort. */
export interface Row {
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

/** The name of our error. */
export const OURS = "HeartbeatTimeoutError";

/** The clients, by name. */
export const ROWS: Record<string, Row> = {
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
