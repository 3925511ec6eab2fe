// Copyright 2026 the heartbeat authors. MIT license.

/** Bytes, as in HTTP bodies, so that undici can take part. */
export type Source = ReadableStream<Uint8Array<ArrayBuffer>>;

/** The limits of a guard; a peer without such an option ignores `first` or `fallback`. */
export interface GuardOptions {
  /** The longest silence between two chunks, in ms. */
  timeout: number;
  /** The longest silence before the first chunk, in ms, if it differs. */
  first?: number;
  /** The source to continue with after a silence. */
  fallback?: Source;
  /** Which chunks are keep-alive pings: they must not count. */
  isPing?: (chunk: Uint8Array) => boolean;
  /** Called when a silence is long, before it is an error. */
  warn?: () => void;
}

/** The title of a row that several peers have the same footnote for. */
export const PINGS = "Pings do not hide a dead stream";
/** That footnote. */
export const FILTERED = "if the caller filters them out before";

export type Chunks = AsyncIterable<Uint8Array>;

/** The footnote of a cell, by what the cell says. */
export interface Notes {
  yes?: string;
  no?: string;
}

/** What a library offers against silence, in the best configuration that its documentation describes. */
export interface Peer {
  /** The name in the table. */
  name: string;
  /** The packages and their versions. */
  version?: string;
  /** The file of the adapter, which exports its `guard()`. */
  file: string;
  guard(source: Source, options: GuardOptions): Chunks;
  /** Guards the body of a response, if the library treats it differently from other streams. */
  guardBody?(url: string, options: GuardOptions): Chunks;
  guardIterable?(iterable: Chunks, timeout: number): Chunks;
  guardPromise?<T>(promise: Promise<T>, timeout: number): Promise<T>;
  /** Sends a request, and guards it until its headers arrive. */
  guardRequest?(url: string, timeout: number): Promise<unknown>;
  /** A `fetch` for a client, whose responses are guarded. */
  createFetch?(timeout: number): typeof fetch;
  /** Another way that its documentation shows; a footnote says what it does worse. */
  alternative?: { name: string; guard: Peer["guard"] };
  /** By when (ms) it reports a silence of 100 ms, if that is late. */
  latest?: number;
  /** Footnotes, by the title of a row. */
  notes?: Record<string, Notes>;
}

/** What a caller puts in front of a guard that has no such option. */
export function withoutPings(
  source: Source,
  isPing: (chunk: Uint8Array) => boolean,
): Source {
  return source.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        if (!isPing(chunk)) controller.enqueue(chunk);
      },
    }),
  );
}
