// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Why a request failed, without its URL, which may be a secret: the innermost
 * cause knows, in the last part of its message.
 */
export function describeRequestFailure(error: unknown): string {
  let { message, cause } = error as Error;
  while (cause instanceof Error) ({ message, cause } = cause);
  const why = message.split(": ").at(-1)!;
  return /:\/\/| url \(/.test(why) ? "the request failed" : why;
}
