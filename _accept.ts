// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** A weight between 0 and 1, as RFC 9110 writes it. */
const WEIGHT = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/;

/** The media ranges of an `Accept` header, and their weights; the last one of a name counts. */
function parseAccept(accept: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const part of accept.toLowerCase().split(",")) {
    const [range, ...parameters] = part.split(";").map((text) => text.trim());
    const weight = parameters.find((each) => each.startsWith("q="))?.slice(2);
    const isValid = weight === undefined || WEIGHT.test(weight);
    weights.set(range!, isValid ? Number(weight ?? 1) : 0);
  }
  return weights;
}

/**
 * Whether a client that sends this `Accept` header would rather have JSON than plain
 * text (RFC 9110, section 12.5.1). Of two that it likes as much, it gets JSON if it
 * names that.
 */
export function prefersJson(accept: string): boolean {
  const weights = parseAccept(accept);
  const any = weights.get("*/*") ?? 0;
  const named = weights.get("application/json");
  const json = named ?? weights.get("application/*") ?? any;
  const text = weights.get("text/plain") ?? weights.get("text/*") ?? any;
  return json > text || (named !== undefined && json > 0 && json === text);
}
