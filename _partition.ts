// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

const encoder = new TextEncoder();

/** The hash FNV-1a, with 32 bits, of the text in UTF-8. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return hashBytes(encoder.encode(text));
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return hash >>> 0;
}

function hashBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Spreads a hash over all bits: that of two similar texts is similar in its upper ones. */
function mix(hash: number): number {
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return (hash ^ hash >>> 16) >>> 0;
}

/**
 * The partition of a worker, from 0. A NATS server computes the same for the
 * parts of the name with the mapping `partition(count, …)`.
 */
export function getPartition(worker: string, count: number): number {
  return hashText(worker.replaceAll(".", "")) % count;
}

/**
 * Which of the members a partition belongs to, by rendezvous hashing (Thaler and
 * Ravishankar): all members come to the same answer without talking, and a
 * member that comes or goes moves no partition between the others.
 */
export function getOwner(partition: number, members: Iterable<string>): string {
  let owner = "";
  let best = -1;
  for (const member of members) {
    const score = mix(hashText(`${member} ${partition}`));
    if (score < best || score === best && member > owner) continue;
    owner = member;
    best = score;
  }
  return owner;
}
