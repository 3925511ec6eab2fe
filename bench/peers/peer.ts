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
}

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
  /** Another way that its documentation shows; a footnote says what it does worse. */
  alternative?: { name: string; guard: Peer["guard"] };
  /** By when (ms) it reports a silence of 100 ms, if that is late. */
  latest?: number;
  /** Footnotes, by the title of a row. */
  notes?: Record<string, Notes>;
}
