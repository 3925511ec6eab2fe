// Copyright 2026 the heartbeat authors. MIT license.

// Real clients of HTTP, against a server that stalls in every way: those that
// take a `fetch`, under guardFetch(), and those that take a signal, in watch().

import { assert, assertEquals } from "@std/assert";
import { Agent, request } from "undici";
import { guardFetch } from "../../fetch.ts";
import type { Work } from "../../worker.ts";
import type { Behaviour } from "../_stall_server.ts";
import {
  ALL_WORDS,
  call,
  findStall,
  type Given,
  LONG_MS,
  nameError,
  TIMEOUT,
} from "./_call.ts";
import { createWatched, OURS, ROWS } from "./_http_clients.ts";

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
