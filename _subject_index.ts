// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** For how many subjects there is room at first: a power of two. */
const INITIAL_SIZE = 64;
/** How many slots there are for each subject, at least. */
const SLOTS_PER_SUBJECT = 2;

/**
 * Numbers for subjects, in the order in which they were added. Each message has its
 * subject as a new string, for which a `Map` costs more than all else that is done
 * with a heartbeat: it computes a hash, and jumps through the memory. This is a hash
 * table with open addressing (Knuth, volume 3, section 6.4), in two flat arrays.
 *
 * Whoever sends for several workers tends to do so in the same order each time. So
 * the subject that followed last time is tried first.
 */
export class SubjectIndex {
  #subjects: string[] = [];
  /** The hash and the number + 1 of a subject, by slot. */
  #slots = new Int32Array(2 * INITIAL_SIZE * SLOTS_PER_SUBJECT);
  /** The subject that followed last time, by number. */
  #next = new Int32Array(INITIAL_SIZE);
  #last = 0;
  /** Names come from a network: nobody can choose names that have the same hash. */
  #seed = crypto.getRandomValues(new Int32Array(1))[0]!;

  /** How many subjects there are. */
  get size(): number {
    return this.#subjects.length;
  }

  /** The number of a subject; -1 if it was not added. */
  find(subject: string): number {
    const subjects = this.#subjects;
    const next = this.#next[this.#last]!;
    if (subjects[next] === subject) return this.#last = next;
    const hash = this.#hash(subject);
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    for (let slot = hash & mask;; slot = slot + 1 & mask) {
      const number = slots[2 * slot + 1]! - 1;
      if (number < 0) return -1;
      if (slots[2 * slot] !== hash || subjects[number] !== subject) continue;
      this.#next[this.#last] = number;
      return this.#last = number;
    }
  }

  /** Adds a subject that is not there, and returns its number. */
  add(subject: string): number {
    const number = this.#subjects.push(subject) - 1;
    if (number === this.#next.length) this.#grow();
    this.#insert(this.#hash(subject), number);
    return number;
  }

  /** Removes all subjects. */
  clear() {
    this.#subjects = [];
    this.#slots = new Int32Array(2 * INITIAL_SIZE * SLOTS_PER_SUBJECT);
    this.#next = new Int32Array(INITIAL_SIZE);
    this.#last = 0;
  }

  #grow() {
    const next = new Int32Array(2 * this.#next.length);
    next.set(this.#next);
    this.#next = next;
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
