// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { PayloadSlab } from "./_payload_slab.ts";

/** For how many subjects there is room at first: a power of two. */
const INITIAL_SIZE = 64;
/** How many slots there are for each subject, at least. */
const SLOTS_PER_SUBJECT = 2;
/** How far it trusts that the order is kept: at most, after no try for a while, and before that. */
const [MOST_TRUST, FIRST_TRUST, LEAST_TRUST] = [16, 2, -64] as const;

/**
 * Numbers for subjects, in the order in which they were added. Each message has its
 * subject as a new string, for which a `Map` costs more than all else that is done
 * with a heartbeat: it computes a hash, and jumps through the memory. This is a hash
 * table with open addressing (Knuth, volume 3, section 6.4), in two flat arrays.
 *
 * Whoever sends for several workers tends to do so in the same order each time. So
 * the subject that followed last time is tried first, as long as that is often
 * right, and now and then otherwise.
 */
export class SubjectIndex {
  #subjects: string[] = [];
  /** The hash and the number + 1 of a subject, by slot. */
  #slots = new Int32Array(2 * INITIAL_SIZE * SLOTS_PER_SUBJECT);
  /** Has the subject that followed last time, by number. */
  readonly #entries: PayloadSlab;
  #last = 0;
  /** Grows when the subject that was tried is right; it is tried while this is positive. */
  #trust: number = MOST_TRUST;
  /** Names come from a network: nobody can choose names that have the same hash. */
  #seed = crypto.getRandomValues(new Int32Array(1))[0]!;

  /** @param entries What is known of the subjects, by their numbers. */
  constructor(entries: PayloadSlab) {
    this.#entries = entries;
  }

  /** How many subjects there are. */
  get size(): number {
    return this.#subjects.length;
  }

  /** The number of a subject; -1 if it was not added. */
  find(subject: string): number {
    const subjects = this.#subjects;
    if (this.#trust > 0) {
      const next = this.#entries.nextOf(this.#last);
      if (subjects[next] === subject) {
        if (this.#trust < MOST_TRUST) this.#trust++;
        return this.#last = next;
      }
    }
    // where the order is not kept, a try is a waste: few are made after many errors
    if (--this.#trust < LEAST_TRUST) this.#trust = FIRST_TRUST;
    const hash = this.#hash(subject);
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    for (let slot = hash & mask;; slot = slot + 1 & mask) {
      const number = slots[2 * slot + 1]! - 1;
      if (number < 0) return -1;
      if (slots[2 * slot] !== hash || subjects[number] !== subject) continue;
      this.#entries.setNext(this.#last, number);
      return this.#last = number;
    }
  }

  /** Adds a subject that is not there, and returns its number. */
  add(subject: string): number {
    const number = this.#subjects.push(subject) - 1;
    this.#entries.reserve(number);
    if (SLOTS_PER_SUBJECT * number === this.#slots.length / 2) this.#grow();
    this.#insert(this.#hash(subject), number);
    return number;
  }

  /** Removes all subjects. */
  clear() {
    this.#subjects = [];
    this.#slots = new Int32Array(2 * INITIAL_SIZE * SLOTS_PER_SUBJECT);
    this.#last = 0;
  }

  #grow() {
    const old = this.#slots;
    this.#slots = new Int32Array(2 * old.length);
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1]! > 0) this.#insert(old[at]!, old[at + 1]! - 1);
    }
  }

  #insert(hash: number, number: number) {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    let slot = hash & mask;
    while (slots[2 * slot + 1] !== 0) slot = slot + 1 & mask;
    slots[2 * slot] = hash;
    slots[2 * slot + 1] = number + 1;
  }

  /** FNV-1a of the code units, from a random start. */
  #hash(text: string): number {
    let hash = this.#seed;
    for (let i = 0; i < text.length; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
    return hash ^ hash >>> 15;
  }
}
