// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The most bytes of a payload that is kept: that of a heartbeat without a detail, or a short one. */
export const MAX_KEPT_PAYLOAD = 124;
/** How much of the slab a payload has: its length, how many bytes are its head, and itself. */
const [STRIDE, LENGTH, HEAD, START] = [128, 0, 1, 2] as const;
/** For how many payloads there is room at first. */
const INITIAL_SIZE = 64;

const [ZERO, NINE] = [0x30, 0x39] as const;

function isDigit(byte: number | undefined): boolean {
  return byte! >= ZERO && byte! <= NINE;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** How the publisher of this library begins. A number of 15 digits is a safe integer. */
const BEGIN = /^(\{"worker":"[^"]*","seq":)\d{1,15},"time":\d{1,15}[,}]/;
/** The fields that are checked; each of them comes once. */
const FIELD = /"(worker|seq|time|ended|restarting)"/g;
/** How many of them there are: no goodbye, and no restart. */
const FIELDS = 3;

/**
 * How many bytes of a heartbeat name its worker, if other digits may change without
 * a closer look; 0 if they may not. It begins as the publisher of this library
 * writes it, and no field that is checked comes twice or in an odd form.
 */
export function measureHead(payload: Uint8Array): number {
  const text = decoder.decode(payload);
  const begin = BEGIN.exec(text);
  if (!begin || text.includes("\\")) return 0;
  if (text.match(FIELD)!.length !== FIELDS) return 0;
  return encoder.encode(begin[1]!).length;
}

/**
 * The last payloads of many workers, one after the other in one array: a million
 * arrays would keep the garbage collector busy, and a part of what came from the
 * network keeps all of it alive.
 *
 * Most heartbeats of a worker differ in the digits of some numbers only. If digits
 * take the place of digits, valid JSON stays so, unless a number then begins with a
 * zero. So such a payload is a heartbeat, and need not be parsed to know that.
 */
export class PayloadSlab {
  #bytes = new Uint8Array(INITIAL_SIZE * STRIDE);

  /** Keeps a payload that was parsed, and whose head was measured. */
  set(index: number, payload: Uint8Array, head: number) {
    while (this.#bytes.length < (index + 1) * STRIDE) {
      const old = this.#bytes;
      this.#bytes = new Uint8Array(2 * old.length);
      this.#bytes.set(old);
    }
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
    for (let i = length - 1; i >= 0; i--) {
      const byte = payload[i]!;
      if (byte === bytes[start + i]) continue;
      if (i < head || !isDigit(byte) || !isDigit(bytes[start + i])) {
        return false;
      }
      if (byte === ZERO && !isDigit(payload[i - 1])) return false;
      first = i;
    }
    for (let i = first; i < length; i++) bytes[start + i] = payload[i]!;
    return true;
  }

  /** Keeps nothing. */
  clear() {
    this.#bytes = new Uint8Array(INITIAL_SIZE * STRIDE);
  }
}
