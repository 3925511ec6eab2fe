// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The arguments of a call of `fetch`, some of which may be wrong. */
export type FetchArguments = Parameters<typeof fetch>;

/** What a guard needs to know about a call of `fetch`. */
export interface FetchCall {
  /** What is asked for; it may be no valid URL. */
  url: string;
  /** The signal that the platform would follow, if there is one. */
  signal: AbortSignal | null | undefined;
  /** The same arguments, with another signal. */
  withSignal(signal: AbortSignal): FetchArguments;
}

/** Reads the arguments of a call. What the platform refuses is left as it is: it says why. */
export function readArguments(args: FetchArguments): FetchCall {
  const [input, init] = args;
  // a `Request`, which may be of another implementation
  const { url = String(input), signal: ownSignal } = Object(input) as Request;
  const signal = init?.signal === undefined ? ownSignal : init.signal;
  const isAccepted = args.length > 0 && isObject(init) && canFollow(signal);
  if (!isAccepted) {
    return { url, signal: undefined, withSignal: () => args };
  }
  return {
    url,
    signal,
    withSignal: (another) => [input, replaceSignal(init, another)],
  };
}

function isObject(init: RequestInit | null | undefined): boolean {
  return init === undefined || init === null || Object(init) === init;
}

/** Whether it is a signal, which may be of another implementation, or none. */
function canFollow(signal: AbortSignal | null | undefined): boolean {
  return signal === undefined || signal === null ||
    typeof signal.addEventListener === "function";
}

/** The settings of a request with another signal. */
function replaceSignal(
  init: RequestInit | undefined,
  signal: AbortSignal,
): RequestInit {
  const settings = { ...init, signal };
  if (Object.getPrototypeOf(init ?? {}) === Object.prototype) return settings;
  // it inherits others, such as the getters of a `Request`
  const inherited = new Proxy(init!, {
    get: (init, key) => Reflect.get(init, key),
  });
  return Object.setPrototypeOf(settings, inherited);
}
