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
