// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { prefersJson } from "./_accept.ts";
import { escapeText } from "./_escape_text.ts";
import { formatDetail, toJsonFields } from "./_fleet_detail.ts";

/** What a check needs to know about a worker. */
export interface CheckedWorker {
  /** Its name. */
  worker: string;
  /** What it is. */
  state: "expected" | "up" | "down" | "left";
  /** When its last heartbeat came, in milliseconds since the epoch. */
  lastSeen?: number;
  /** The detail of that heartbeat. */
  detail?: unknown;
}

/** The result of a check for one worker. */
export interface WorkerCheck extends CheckedWorker {
  /** Whether it passed. */
  ok: boolean;
  /** Milliseconds since the last heartbeat; absent if none came. */
  silence?: number;
}

/** Which check it is. */
export type CheckName = "livez" | "readyz";

/**
 * Whether a worker passes a check: it lives unless it is down; it is ready once it
 * is up. One that has left as planned fails neither.
 */
function passes(check: CheckName, { state }: CheckedWorker): boolean {
  if (state === "left") return true;
  return check === "livez" ? state !== "down" : state === "up";
}

/** The result of a check for a worker. */
function toResult(check: CheckName, worker: CheckedWorker): WorkerCheck {
  const { lastSeen } = worker;
  return {
    ...worker,
    ok: passes(check, worker),
    ...(lastSeen !== undefined && {
      silence: Math.max(Date.now() - lastSeen, 0),
    }),
  };
}

/** Why nobody can be reported as down: nothing is heard, too many are silent at once, or the fleet has ended. */
export type Blindness = "connection" | "share" | "ended";

const BLINDNESS: Record<Exclude<Blindness, "ended">, string> = {
  connection: "no heartbeat can be heard",
  share: "too many workers are silent at once to be believed",
};

/** What a check answers. */
export interface CheckReport {
  /** Which check it is. */
  check: CheckName;
  /** The workers that are essential: up to a million of them. */
  getWorkers: () => Iterable<CheckedWorker>;
  /** Why no new verdict is possible, if that is so. */
  blindness: Blindness | undefined;
  /** Why the fleet has ended, if it has. */
  failure: string | undefined;
}

function allPass(check: CheckName, workers: Iterable<CheckedWorker>): boolean {
  for (const worker of workers) if (!passes(check, worker)) return false;
  return true;
}

/** The answer to a check, in the format that the client accepts. */
export function createCheckResponse(
  report: CheckReport,
  request: Request,
): Response {
  const { check, getWorkers, blindness, failure } = report;
  const ok = blindness !== "ended" && allPass(check, getWorkers());
  const status = ok ? 200 : 503;
  if (prefersJson(request.headers.get("accept") ?? "")) {
    const blind = blindness !== undefined;
    const workers = Array.from(
      getWorkers(),
      (worker) => toJsonFields(toResult(check, worker)),
    );
    const answer = { check, ok, blind, failure, workers };
    return Response.json(answer, { status });
  }
  const isVerbose = !ok || new URL(request.url).searchParams.has("verbose");
  return new Response(isVerbose ? formatReport(report, ok) : "ok\n", {
    status,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

/** In the form of the Kubernetes API server: a line for each worker, then the verdict. */
function formatReport(
  { check, getWorkers, blindness, failure }: CheckReport,
  ok: boolean,
): string {
  const lines = Array.from(
    getWorkers(),
    (worker) => formatWorker(toResult(check, worker)),
  );
  if (blindness === "ended") {
    lines.push(`[-]fleet ended: ${escapeText(failure ?? "")}`);
  } else if (blindness !== undefined) {
    lines.push(`[~]blind: ${BLINDNESS[blindness]}`);
  }
  lines.push(`${check} check ${ok ? "passed" : "failed"}`);
  return `${lines.join("\n")}\n`;
}

function formatWorker({ ok, worker, state, silence, detail }: WorkerCheck) {
  const name = escapeText(worker);
  if (state === "expected") return `[${ok ? "+" : "-"}]${name} not seen yet`;
  if (ok) return `[+]${name} ${state === "left" ? "left" : "ok"}`;
  const time = silence === undefined
    ? " and never seen"
    : ` for ${formatSeconds(silence)}`;
  const last = detail === undefined
    ? ""
    : `; last at ${escapeText(formatDetail(detail))}`;
  return `[-]${name} down${time}${last}`;
}

/** A time in seconds, as it is shown: `5.0 s`, `12 s`. */
export function formatSeconds(ms: number): string {
  return ms < 10_000
    ? `${(ms / 1_000).toFixed(1)} s`
    : `${Math.round(ms / 1_000)} s`;
}
