// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Goodbyes, and whose they are. Two processes may use one name for a while: the
 * next one has started, and the one before says goodbye late. That must not take
 * down a worker that lives. Heartbeats carry no name of their process, but a
 * process counts them, and its goodbye directly follows its last heartbeat:
 *
 * | the goodbye, by its `seq` | no `seq` to compare with | expected, or up | down, or has left |
 * | --- | --- | --- | --- |
 * | directly follows the last heartbeat | certain | certain | certain |
 * | comes later: heartbeats between are lost, or it is of another process | certain | unsure | certain |
 * | is not after the last heartbeat: it is of another process | certain | unsure | ignored |
 *
 * An expected worker has sent nothing yet, so number 1 directly follows. A watcher
 * that starts again expects whoever its store knows: there, too, a process that
 * ends late takes down no worker that lives.
 *
 * A goodbye that is certain counts at once. One that is unsure is no sign of life,
 * and is void at the next heartbeat. If none comes, the worker is silent at last,
 * and the goodbye says what that means.
 *
 * @module
 */

/** The last heartbeat of a worker, which says how it ended. */
export interface Goodbye {
  /** How the work ended. */
  ended: "done" | "failed";
  /** When it came, by the wall clock. */
  lastSeen: number;
  /** Its number; NaN if it has none. */
  seq: number;
  /** Its detail, if it has one. */
  detail: unknown;
}

/** Whether a heartbeat is a goodbye; what came from elsewhere may hold anything. */
export function isGoodbye(ended: unknown): ended is Goodbye["ended"] {
  return ended === "done" || ended === "failed";
}

/**
 * What a goodbye is worth.
 *
 * @param seq Its number; NaN if it has none.
 * @param lastSeq That of the last heartbeat; 0 if the worker is expected, NaN if
 * there is nothing to compare with.
 * @param isWaitedFor Whether the worker is expected or up.
 */
export function judgeGoodbye(
  seq: number,
  lastSeq: number,
  isWaitedFor: boolean,
): "certain" | "unsure" | "ignored" {
  const step = seq - lastSeq;
  if (Number.isNaN(step) || step === 1) return "certain";
  if (isWaitedFor) return "unsure";
  return step > 1 ? "certain" : "ignored";
}
