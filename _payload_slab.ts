// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * How many bytes the entry of a subject has: two cache lines. The same bytes are seen
 * as integers of 4 bytes, as floats of 8 bytes, and as bytes. Each field has its
 * place in one of these views:
 *
 * | bytes | field | view |
 * | --- | --- | --- |
 * | 0 to 3 | NEXT: the entry that followed last time | integers |
 * | 4 to 7 | ROW: the row of its worker | integers |
 * | 8 to 15 | ID: the id of its worker | floats |
 * | 16 | LENGTH: how many bytes its payload has | bytes |
 * | 17 | HEAD: how many of these are the head | bytes |
 * | 18 | WATCH: the number of the fleet that watches its worker | bytes |
 * | 19 to 127 | from START: its last payload | bytes |
 */
const STRIDE = 128;
const [NEXT, ROW, INTS_PER_ENTRY] = [0, 1, STRIDE / 4] as const;
const [ID, FLOATS_PER_ENTRY] = [1, STRIDE / 8] as const;
const [LENGTH, HEAD, WATCH, START] = [16, 17, 18, 19] as const;
/** The most bytes of a payload that is kept: that of a heartbeat with a short detail, or none. */
export const MAX_KEPT_PAYLOAD = STRIDE - START;
/** For how many entries there is room at first. */
const INITIAL_SIZE = 64;

const [ZERO, NINE] = [0x30, 0x39] as const;

function isDigit(byte: number | undefined): boolean {
  return byte! >= ZERO && byte! <= NINE;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** How the publisher of this library begins. A number of 15 digits is a safe integer. */
const BEGIN = /^(\{"worker":"[^"]*","seq":)\d{1,15},"time":\d{1,15}[,}]/;
/** The fields that mean something here. */
const FIELD = /"(worker|seq|time|ended|restarting)"/g;
/** How many of them a plain heartbeat has: `worker`, `seq` and `time`, once each. */
const FIELDS = 3;

/**
 * Measures the head of a heartbeat: the bytes before its number, which name its worker.
 * After them, digits may change without a closer look. Returns 0 if they may not: if
 * it does not begin as the publisher of this library writes it, if it is a goodbye or
 * says that it restarts, or if it has a field twice or an escape.
 */
export function measureHead(payload: Uint8Array): number {
  const text = decoder.decode(payload);
  const begin = BEGIN.exec(text);
  if (!begin || text.includes("\\")) return 0;
  if (text.match(FIELD)!.length !== FIELDS) return 0;
  return encoder.encode(begin[1]!).length;
}

/** Where the worker of a subject is: its row and its id in a fleet, and the number of that. */
export interface Place {
  row: number;
  id: number;
  watch: number;
}

/**
 * What is known of the subjects of many workers, side by side in one array: a
 * million objects would keep the garbage collector busy, a part of what came from
 * the network keeps all of it alive, and each jump through the memory costs more
 * than all that is computed for a heartbeat.
 *
 * Most heartbeats of a worker differ in the digits of some numbers only. If digits
 * take the place of digits, valid JSON stays so, unless a number then begins with a
 * zero. So such a payload is a heartbeat, and need not be parsed to know that.
 */
export class PayloadSlab {
  #bytes!: Uint8Array;
  #ints!: Int32Array;
  #floats!: Float64Array;

  constructor() {
    this.clear();
  }

  /** Makes room for an entry. */
  reserve(index: number) {
    const old = this.#bytes;
    if (old.length >= (index + 1) * STRIDE) return;
    this.#allocate(2 * old.length);
    this.#bytes.set(old);
    this.reserve(index);
  }

  #allocate(length: number) {
    const buffer = new ArrayBuffer(length);
    this.#bytes = new Uint8Array(buffer);
    this.#ints = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
  }

  /** The entry that followed last time; 0 at first. */
  nextOf(index: number): number {
    return this.#ints[index * INTS_PER_ENTRY + NEXT]!;
  }

  setNext(index: number, next: number) {
    this.#ints[index * INTS_PER_ENTRY + NEXT] = next;
  }

  rowOf(index: number): number {
    return this.#ints[index * INTS_PER_ENTRY + ROW]!;
  }

  idOf(index: number): number {
    return this.#floats[index * FLOATS_PER_ENTRY + ID]!;
  }

  watchOf(index: number): number {
    return this.#bytes[index * STRIDE + WATCH]!;
  }

  setPlace(index: number, { row, id, watch }: Place) {
    this.#ints[index * INTS_PER_ENTRY + ROW] = row;
    this.#floats[index * FLOATS_PER_ENTRY + ID] = id;
    this.#bytes[index * STRIDE + WATCH] = watch;
  }

  /** Keeps a payload that was parsed, and whose head was measured. */
  set(index: number, payload: Uint8Array, head: number) {
    const at = index * STRIDE;
    this.#bytes[at + LENGTH] = payload.length;
    this.#bytes[at + HEAD] = head;
    this.#bytes.set(payload, at + START);
  }

  /** The payload that is kept. */
  get(index: number): Uint8Array {
    const at = index * STRIDE;
    const length = this.#bytes[at + LENGTH]!;
    return this.#bytes.subarray(at + START, at + START + length);
  }

  /** Keeps a payload in place of another one if they differ in digits only; returns whether they do. */
  update(index: number, payload: Uint8Array): boolean {
    const bytes = this.#bytes;
    const { length } = payload;
    const start = index * STRIDE + START;
    if (bytes[index * STRIDE + LENGTH] !== length) return false;
    const head = bytes[index * STRIDE + HEAD]!;
    let first = length;
    // from the end, so that `first` becomes the first byte that differs
    for (let i = length - 1; i >= 0; i--) {
      const byte = payload[i]!;
      if (byte === bytes[start + i]) continue;
      if (i < head || !isDigit(byte) || !isDigit(bytes[start + i])) {
        return false;
      }
      // it might be the first of several digits, which is no JSON
      if (byte === ZERO && !isDigit(payload[i - 1])) return false;
      first = i;
    }
    for (let i = first; i < length; i++) bytes[start + i] = payload[i]!;
    return true;
  }

  /** Keeps nothing. */
  clear() {
    this.#allocate(INITIAL_SIZE * STRIDE);
  }
}
