// Copyright 2026 the heartbeat authors. MIT license.

import { BeatFeed } from "./_beat_feed.ts";
import { EventLog } from "./_event_log.ts";
import { toJsonFields } from "./_fleet_detail.ts";
import {
  type Blindness,
  type CheckedWorker,
  type CheckName,
  createCheckResponse,
} from "./_health_checks.ts";
import { HealthMetrics } from "./_health_metrics.ts";
import { createPageResponse } from "./_health_page.ts";
import { formatValue } from "./_validate.ts";

/** How often the clients are sent a comment, in milliseconds: `Bun.serve()` ends an answer that is silent for 10 s. */
const KEEP_ALIVE_MS = 5_000;

/** An event of a fleet, as far as it matters here. */
export interface HealthEvent {
  /** What happened. */
  type: string;
  /** To which worker, if it is about one. */
  worker?: string | undefined;
  /** When its last heartbeat came, if one did, in milliseconds since the epoch. */
  lastSeen?: number;
  /** How long a worker that recovered was silent, in milliseconds. */
  outage?: number;
  /**
   * Why a worker is down: `"failed"` if it said so, which is no stall. Or why nobody
   * is reported: `"share"` if too many are silent.
   */
  reason?: string;
}

/** A fleet, as far as it matters here. */
export interface HealthSource extends Iterable<CheckedWorker> {
  /** What happens to it. */
  readonly readable: ReadableStream<HealthEvent>;
  /** How many heartbeats were refused, if it counts them. */
  readonly refused?: number;
}

/** Whether a request is answered, or what it is answered with instead. */
export type Verdict = boolean | Response;

/** What a {@linkcode HealthServer} is given, checked. */
export interface HealthServerOptions {
  /** Whose silence fails the checks. */
  isEssential: (worker: string) => boolean;
  /** The names of those that must be seen, as far as they are known. */
  essentialNames: Iterable<string>;
  /** What happens to the fleet. */
  events: ReadableStream<HealthEvent>;
  /** The path before all others, without a slash at its end. */
  basePath: string;
  /** Says who may ask, or answers itself. */
  authorize: (request: Request) => Verdict | PromiseLike<Verdict>;
  /** Whether each worker gets a time series of its own. */
  hasWorkerLabels: boolean;
}

/** Answers requests about the health of a fleet. */
export class HealthServer {
  #fleet: HealthSource;
  #options: HealthServerOptions;
  /** The names of essential workers of which no heartbeat has come yet. */
  readonly #unseen: Set<string>;
  /** Why nobody is reported as down now, if that is so. */
  #blindness: Blindness | undefined;
  /** Why the fleet has ended, if it has. */
  #failure: string | undefined;
  #log: EventLog;
  #feed: BeatFeed;
  #metrics: HealthMetrics;
  #keepAlive: ReturnType<typeof setInterval> | undefined;
  #routes: Record<string, (request: Request) => Response | Promise<Response>>;

  constructor(fleet: HealthSource, options: HealthServerOptions) {
    this.#fleet = fleet;
    this.#options = options;
    this.#unseen = new Set(options.essentialNames);
    this.#noteSeen();
    const getBlindness = () => this.#blindness;
    this.#metrics = new HealthMetrics({
      getWorkers: () => this.#blindness === "ended" ? [] : fleet,
      getBlindness,
      getRefused: fleet.refused === undefined
        ? undefined
        : () => fleet.refused!,
      hasWorkerLabels: options.hasWorkerLabels,
    });
    this.#log = new EventLog(
      () => this.#createSnapshot(),
      () => this.#onNoClient(),
    );
    const log = this.#log;
    this.#feed = new BeatFeed({ getWorkers: () => fleet, getBlindness, log });
    this.#routes = {
      "/livez": (request) => this.#check("livez", request),
      "/readyz": (request) => this.#check("readyz", request),
      "/metrics": () => this.#metrics.createResponse(),
      "/events": (request) =>
        createEventStream(request, () => this.#connectToLog(request)),
      "/beats": (request) =>
        createEventStream(request, () => this.#feed.connect()),
      "/": () => createPageResponse(),
    };
    this.#readEvents().then(
      () => this.#onEnd("nobody is watched any more"),
      (error) =>
        this.#onEnd(
          error instanceof Error ? error.message : formatValue(error),
        ),
    );
  }

  /** Answers one request. */
  async handle(request: Request): Promise<Response> {
    // it begins with whatever the client gave for its Host
    if (!URL.canParse(request.url)) {
      return createTextResponse(400, "bad request");
    }
    const route = this.#findRoute(new URL(request.url).pathname);
    if (route === undefined) return createTextResponse(404, "not found");
    if (request.method !== "GET" && request.method !== "HEAD") {
      return createTextResponse(405, "use GET", { allow: "GET, HEAD" });
    }
    const verdict = await this.#options.authorize(request);
    if (verdict instanceof Response) return verdict;
    if (verdict !== true) return createTextResponse(403, "forbidden");
    return secure(await route(request));
  }

  /** A decision of a supervisor. */
  onSupervisorEvent({ type }: { type: string }) {
    if (type === "restarting") this.#metrics.countRestart();
    if (type === "stalled") this.#metrics.countStall("supervisor");
  }

  #findRoute(pathname: string) {
    const { basePath } = this.#options;
    if (!pathname.startsWith(basePath)) return;
    const path = pathname.slice(basePath.length) || "/";
    return Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
  }

  #check(check: CheckName, request: Request): Response {
    this.#noteSeen();
    const getWorkers = () => this.#listEssential();
    return createCheckResponse(
      { check, getWorkers, blindness: this.#blindness, failure: this.#failure },
      request,
    );
  }

  /** Events alone do not say who was seen: with a memory, a fleet does not repeat an `up`. */
  #noteSeen() {
    if (this.#unseen.size === 0) return;
    for (const { worker, state, lastSeen } of this.#fleet) {
      if (wasSeen(state, lastSeen)) this.#unseen.delete(worker);
    }
  }

  /** The essential workers of the fleet, and those that it should have. */
  *#listEssential(): Generator<CheckedWorker> {
    const { isEssential } = this.#options;
    const missing = new Set(this.#unseen);
    for (const worker of this.#fleet) {
      missing.delete(worker.worker);
      if (isEssential(worker.worker)) yield worker;
    }
    for (const worker of missing) yield { worker, state: "expected" };
  }

  #connectToLog(request: Request): ReadableStream<string> {
    this.#keepAlive ??= setInterval(
      () => this.#log.send(": keep-alive\n\n"),
      KEEP_ALIVE_MS,
    );
    const lastId = request.headers.get("last-event-id");
    const { searchParams } = new URL(request.url);
    const isRecentWanted = searchParams.has("recent");
    return this.#log.connect(lastId, isRecentWanted);
  }

  #onNoClient() {
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  #createSnapshot() {
    const blind = this.#blindness !== undefined;
    const data = { blind, workers: [...this.#fleet].map(toJsonFields) };
    return { type: "snapshot", data: JSON.stringify(data) };
  }

  async #readEvents() {
    for await (const event of this.#options.events) this.#onEvent(event);
  }

  #onEvent(event: HealthEvent) {
    const { type, worker = "", lastSeen } = event;
    if (wasSeen(type, lastSeen)) this.#unseen.delete(worker);
    switch (type) {
      case "down":
        if (event.reason === "failed") this.#metrics.countFailure();
        else this.#metrics.countStall("fleet");
        break;
      case "recovered":
        this.#metrics.observeSilence(event.outage ?? 0);
        break;
      case "blind":
        this.#blindness = event.reason === "share" ? "share" : "connection";
        break;
      case "sees":
        this.#blindness = undefined;
        break;
    }
    this.#log.add({ type, data: JSON.stringify(toJsonFields(event)) });
  }

  /** Nobody is watched any more, so no check can say that all is well, and no client waits for more. */
  #onEnd(failure: string) {
    this.#failure = failure;
    this.#blindness = "ended";
    this.#log.close();
    this.#feed.close();
  }
}

/** Whether a heartbeat came of a worker that is in this state, or had this event. */
function wasSeen(what: string, lastSeen: number | undefined): boolean {
  // one that never came is down, too, and perhaps forgotten
  return lastSeen !== undefined || ["up", "recovered", "left"].includes(what);
}

function createTextResponse(
  status: number,
  text: string,
  headers: Record<string, string> = {},
): Response {
  return secure(
    new Response(`${text}\n`, {
      status,
      headers: { "content-type": "text/plain; charset=utf-8", ...headers },
    }),
  );
}

function createEventStream(
  { method }: Request,
  connect: () => ReadableStream<string>,
): Response {
  // who reads no body would be a client for ever
  const events = method === "HEAD"
    ? new ReadableStream<string>({ start: (controller) => controller.close() })
    : connect();
  const headers = {
    "content-type": "text/event-stream; charset=utf-8",
    // nginx would keep events until there are some kilobytes of them
    "x-accel-buffering": "no",
  };
  return new Response(events.pipeThrough(new TextEncoderStream()), { headers });
}

/** Nothing is cached, guessed, embedded or read by another site. */
function secure(response: Response): Response {
  const { headers } = response;
  headers.set("cache-control", "no-store");
  headers.set("x-content-type-options", "nosniff");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-resource-policy", "same-origin");
  if (!headers.has("content-security-policy")) {
    headers.set(
      "content-security-policy",
      "default-src 'none'; frame-ancestors 'none'",
    );
  }
  return response;
}
