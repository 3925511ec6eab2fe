// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The rules of NATS for subjects: parts, separated by dots. In a subscription, a
 * part `*` stands for any part, and `>` at the end for one or more.
 *
 * @module
 */

/** Whether the server accepts a subject, wildcards included. */
export function isSubject(subject: string): boolean {
  return !/^\.|\.\.|\.$|^$|(^|\.)>\.|\s/.test(subject);
}

/** Whether a part of the subject is a wildcard. */
export function hasWildcard(subject: string): boolean {
  return /(^|\.)[*>](\.|$)/.test(subject);
}

/** Whether a name can be one part of a subject that is published to. */
export function isSubjectPart(name: string): boolean {
  return isSubject(name) && !hasWildcard(name) && !name.includes(".");
}

/**
 * How to read the name of a worker from the subjects of a subscription: it is what
 * the wildcards stand for, with dots between.
 *
 * @param pattern The subject of the subscription.
 * @returns The reader; `undefined` for a pattern without wildcards, all messages
 * of which have the same subject.
 */
export function createNameReader(
  pattern: string,
): ((subject: string) => string) | undefined {
  const parts = pattern.split(".");
  const first = parts.findIndex(hasWildcard);
  if (first === -1) return undefined;
  if (parts.slice(first).every(hasWildcard)) {
    // as in `heartbeats.*`: all that follows the prefix
    const { length } = parts.slice(0, first).map((part) => `${part}.`).join("");
    return (subject) => subject.slice(length);
  }
  return (subject) =>
    subject.split(".").filter((_, i) => {
      const part = parts[i] ?? ">";
      return hasWildcard(part);
    }).join(".");
}

/** Whether a payload may name the worker like this: in full, or by its last part. */
export function isNameOf(claimed: string, name: string): boolean {
  return claimed === name ||
    claimed === name.slice(name.lastIndexOf(".") + 1);
}
