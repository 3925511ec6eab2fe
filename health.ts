// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The health of a fleet over HTTP: probes for an orchestrator, metrics for
 * Prometheus, and a live page for people. {@linkcode createHealthHandler} is a
 * plain Fetch handler.
 *
 * @module
 */

import type { CheckedWorker } from "./_health_checks.ts";
import { HealthServer } from "./_health_server.ts";
import type { HealthEvent, HealthSource } from "./_health_server.ts";
import {
  checkFunction,
  checkOptions,
  checkStream,
  throwInvalid,
} from "./_validate.ts";

export type { CheckedWorker, HealthEvent, HealthSource };

/** Options of {@linkcode createHealthHandler}. */
export interface HealthOptions {
  /**
   * The workers whose silence fails `/livez` and `/readyz`: their names, or a
   * function that says so. `/readyz` fails until a heartbeat of each of these names
   * has come, even if the fleet has forgotten the name meanwhile; give only names that
   * this fleet watches. After that, a worker that the fleet has forgotten fails neither.
   *
   * @default {() => true}
   */
  essential?: Iterable<string> | ((worker: string) => boolean) | undefined;
  /**
   * What happens to the fleet, for `/events` and the counters. A fleet's own
   * events can be read once: if you read them, too, pass on a branch of `tee()`.
   *
   * @default {fleet.readable}
   */
  events?: ReadableStream<HealthEvent> | undefined;
  /**
   * The path before all others, such as `/health`: it begins with a slash and does
   * not end with one. It is written as in a URL: `/a%20b`.
   *
   * @default {""}
   */
  basePath?: string | undefined;
  /**
   * Says who may ask, for every path: `true`, or the answer to somebody who may not,
   * such as a 401 that asks for a password. Anything else is answered with 403, and
   * what it throws is left to the server. Where it is not given, everybody may: the
   * names and the last details of the workers are in the answers.
   *
   * @default {() => true}
   */
  authorize?:
    | ((
      request: Request,
    ) => boolean | Response | PromiseLike<boolean | Response>)
    | undefined;
  /**
   * Whether `/metrics` has a time series for each worker. With many workers that
   * come and go, that is too much for Prometheus.
   *
   * @default {false}
   */
  workerLabels?: boolean | undefined;
}

/** Answers requests about the health of a fleet. */
export interface HealthHandler {
  /** Answers one request. */
  (request: Request): Promise<Response>;
  /**
   * Counts the restarts and the stalls of a supervisor: pass it to `supervise()` as its
   * `onEvent`. A worker that is restarted at once is back before the fleet has missed it,
   * so `heartbeat_stalls_total` has one count of the fleet and one of the supervisors
   * (`seen_by`). A stall that both have seen is in both, so do not add them up.
   */
  readonly onEvent: (event: { type: string }) => void;
}

/**
 * Makes a handler for requests about the health of a fleet. A process often stays
 * alive while its loops are dead: then `/livez` answers 503.
 *
 * | path | answer |
 * | --- | --- |
 * | `/livez` | 200, or 503 if an essential worker is down |
 * | `/readyz` | 200, or 503 until all essential workers are up |
 * | `/metrics` | the text format of Prometheus |
 * | `/events` | the events of the fleet as server-sent events; resumes by `Last-Event-ID`, and begins with a snapshot otherwise, or with `?recent` with the last events |
 * | `/beats` | the heartbeats and the events, for the page: four frames a second, with what has changed; with many workers, most of them are empty |
 * | `/` | the live page |
 *
 * The probes answer in text; with `?verbose`, or if they fail, with a line for each
 * worker in the form of Kubernetes; in JSON if the client would rather have that. A connection
 * that is lost (`blind`) is not a stall of a worker, and fails no probe; nor does a
 * worker that has left as planned.
 *
 * Only GET and HEAD are answered. A browser lets no other site read or embed an
 * answer, the page loads nothing from elsewhere, and no text of a worker is taken for
 * HTML. A detail that has no form in JSON, such as a bigint, is shown as `[not JSON]`.
 *
 * Bind the server to loopback or set `authorize` if the names and details are not
 * for everybody. On loopback, look at the host, too, as the second example does: another
 * site can have its own name resolved to this machine (DNS rebinding), and then reads
 * all answers. `--health` of the command line does that.
 *
 * There is no timer unless a client is connected to `/events` or `/beats`. When the
 * events end, those streams close. Whether the fleet was closed or has errored, nobody
 * is watched any more, so both probes answer 503 from then on, and `/metrics` counts no
 * worker. Pipe heartbeats into a `FleetMonitor` with `{ preventClose: true }` if it shall
 * outlive their worker.
 *
 * @param fleet The fleet, such as a `FleetMonitor`.
 * @param options Who is essential, and who may ask.
 * @returns The handler: `Deno.serve(handler)`, `Bun.serve({ fetch: handler })`,
 * `app.mount("/health", handler)` of Hono, `serve({ fetch: handler })` of
 * `@hono/node-server`.
 * @throws {TypeError} If an option is of the wrong kind, or the events are read by
 * somebody else.
 * @throws {RangeError} If `basePath` does not begin with a slash, ends with one, or is not
 * written as in a URL.
 *
 * @example Usage
 * ```ts
 * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
 * import { createHealthHandler } from "@heartbeat/heartbeat/health";
 * import { assertEquals } from "@std/assert";
 *
 * const fleet = new FleetMonitor({ timeout: 3_000 });
 * const handler = createHealthHandler(fleet); // Deno.serve(handler)
 * fleet.expect(["alpha"]);
 *
 * const ask = async (path: string) => {
 *   const response = await handler(new Request(`http://localhost${path}`));
 *   return `${response.status} ${await response.text()}`;
 * };
 * assertEquals(await ask("/livez"), "200 ok\n");
 * assertEquals(await ask("/readyz"), "503 [-]alpha not seen yet\nreadyz check failed\n");
 * fleet.beat("alpha");
 * assertEquals(await ask("/readyz?verbose"), "200 [+]alpha ok\nreadyz check passed\n");
 * fleet.remove("alpha");
 * ```
 *
 * @example For this machine only
 * ```ts
 * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
 * import { createHealthHandler } from "@heartbeat/heartbeat/health";
 * import { assertEquals } from "@std/assert";
 *
 * const names = ["localhost", "127.0.0.1", "[::1]"];
 * const handler = createHealthHandler(new FleetMonitor({ timeout: 3_000 }), {
 *   authorize: ({ url }) => names.includes(new URL(url).hostname),
 * }); // Deno.serve({ hostname: "127.0.0.1" }, handler)
 *
 * const { status } = await handler(new Request("http://evil.example:8000/livez"));
 * assertEquals(status, 403);
 * ```
 */
export function createHealthHandler(
  fleet: HealthSource,
  options: HealthOptions = {},
): HealthHandler {
  const action = "create health handler";
  if (typeof Object(fleet)[Symbol.iterator] !== "function") {
    throwInvalid(TypeError, action, "fleet", "a fleet", fleet);
  }
  const server = new HealthServer(fleet, readOptions(action, fleet, options));
  return Object.assign((request: Request) => server.handle(request), {
    onEvent: (event: { type: string }) => server.onSupervisorEvent(event),
  });
}

function readOptions(
  action: string,
  fleet: HealthSource,
  options: HealthOptions,
) {
  checkOptions(action, options);
  const {
    essential = () => true,
    events = fleet.readable,
    basePath = "",
    authorize = () => true,
    workerLabels = false,
  } = options;
  checkStream(action, "events", events);
  checkFunction(action, "authorize", authorize);
  if (typeof workerLabels !== "boolean") {
    throwInvalid(TypeError, action, "workerLabels", "a boolean", workerLabels);
  }
  checkBasePath(action, basePath);
  return {
    ...readEssential(action, essential),
    events,
    basePath,
    authorize,
    hasWorkerLabels: workerLabels,
  };
}

function checkBasePath(action: string, basePath: string) {
  const accepted =
    "a path as in a URL that begins with a slash and does not end with one";
  if (typeof basePath !== "string") {
    throwInvalid(TypeError, action, "basePath", accepted, basePath);
  }
  if (basePath === "") return;
  // any other one is never that of a request
  const isPath = basePath.startsWith("/") && !basePath.endsWith("/") &&
    new URL(`http://localhost${basePath}`).pathname === basePath;
  if (!isPath) {
    throwInvalid(RangeError, action, "basePath", accepted, basePath);
  }
}

function readEssential(
  action: string,
  essential: Iterable<string> | ((worker: string) => boolean),
) {
  if (typeof essential === "function") {
    return { isEssential: essential, essentialNames: [] };
  }
  const accepted = "names of workers, or a function";
  const isIterable = typeof Object(essential)[Symbol.iterator] === "function";
  const names = [...isIterable ? essential : []];
  if (
    typeof essential === "string" || !isIterable ||
    names.some((name) => typeof name !== "string")
  ) {
    throwInvalid(TypeError, action, "essential", accepted, essential);
  }
  const essentialNames = new Set(names);
  return {
    isEssential: (worker: string) => essentialNames.has(worker),
    essentialNames,
  };
}
