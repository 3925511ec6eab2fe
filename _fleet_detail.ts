// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** Subtracts from a budget of characters what a value takes as JSON or so; negative if it takes more, or is no plain data. */
function spend(budget: number, value: unknown): number {
  if (typeof value === "bigint" || typeof value === "function") return -1;
  if (typeof value === "string") return budget - value.length - 2;
  if (typeof value !== "object" || value === null) return budget - 8;
  const proto = Object.getPrototypeOf(value);
  // anything else may hold any amount of data in a private place
  if (proto !== Object.prototype && proto !== null && !Array.isArray(value)) {
    return -1;
  }
  budget -= 8;
  for (const key in value) {
    if (budget < 0) break;
    budget = spend(budget - key.length - 4, value[key as never]);
  }
  return budget;
}

/** Whether a detail is plain data of up to `limit` characters; looks at no more of it than that. */
export function isSmallDetail(detail: unknown, limit: number): boolean {
  try {
    return spend(limit, detail) >= 0;
  } catch {
    return false; // a getter threw
  }
}

/** What stands for a detail that has no form in JSON. */
const NOT_JSON = "[not JSON]";

/** The JSON of a detail, or what stands for it if it has none; never throws. */
export function formatDetail(detail: unknown): string {
  try {
    return JSON.stringify(detail) ?? NOT_JSON;
  } catch {
    return NOT_JSON; // a bigint, a cycle, or a getter that threw
  }
}

/** The fields of an event or a worker, with words for those that have no form in JSON. */
export function toJsonFields<T extends object>(fields: T): T {
  const entries = Object.entries(fields).map(([key, field]) => {
    const hasForm = field === undefined || formatDetail(field) !== NOT_JSON;
    return [key, hasForm ? field : NOT_JSON];
  });
  return Object.fromEntries(entries) as T;
}
