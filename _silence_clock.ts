// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * One silence, one timer: the clock that runs while it is the producer's turn,
 * and reports a stall. It knows no streams; its owner calls it at each event.
 *
 * | phase | `attach()` | `detach()` | `onChunkArrived()` | `onChunkForwarded()`, the last that waits | a check | `stop()` |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | `detached`: there is no producer, and no timer | → `listening`, a new silence | | counts it | counts it | | → `ended` |
 * | `listening`: the producer's turn | a new silence | → `detached`, no timer | → `holding` | | `wait` or `confirm`: sets the timer; `stalled`: → `ended`, reports it; without a producer: → `detached` | → `ended`, no timer |
 * | `holding`: a chunk waits for the consumer | a new silence | → `detached`, no timer | counts it | → `listening`, the silence is new or goes on | sets no timer | → `ended`, no timer |
 * | `ended` | | | | | | |
 *
 * `suspend()` is `detach()`, but leaves a timer that is set for the next `attach()`;
 * until then the process does not wait for it, and it does not keep the clock.
 *
 * `attach()` while a chunk waits leads to `holding`. In all phases but `ended`,
 * `onProgress()` ends the first window: from then on `timeout` is the limit.
 * `beat()` is a sign of life that never waits: it begins a new silence, and
 * changes no phase.
 *
 * While the timer is set, a chunk, a beat or `attach()` neither sets nor clears one: a check
 * finds the silence that runs, and plans the next check by it.
 *
 * `onSilence` is called at the first check that finds a silence of `warnAfter`,
 * and once more when that silence ends, unless its producer is gone. Where `timeout` is infinite, no stall is
 * reported, and there is no timer from the first of these calls to the second.
 *
 * @module
 */

import { SilenceEvidence } from "./_evidence.ts";
import { MAX_DELAY_MS, OwnedTimer } from "./_timers.ts";

/** A silence that was too long. All durations are in milliseconds. */
export interface Stall {
  /** Which of the limits it passed. */
  limit: "first" | "silence";
  /** The limit. */
  timeout: number;
  /** How much of the silence counts. */
  elapsed: number;
}

/** A silence that is long, or that was long and has ended. */
export interface SilenceReport extends Stall {
  /** `"silent"` when it passes `warnAfter`, `"recovered"` at the sign of life that ends it. */
  type: "silent" | "recovered";
}

/** Options of a {@linkcode SilenceClock}. */
export interface SilenceClockOptions {
  /** The limit of a silence, in milliseconds. */
  timeout: number;
  /** The limit of a silence before the first progress, in milliseconds. */
  firstTimeout: number;
  /** Whether some chunks are not heartbeats: a silence goes on after them. */
  isSelective?: boolean;
  /**
   * Whether the timer keeps neither the process nor the clock while a chunk waits
   * for the consumer, who may be gone.
   */
  letsGo?: boolean;
  /** Asked at each check whether there is still a producer; by default there always is. */
  isAttached?: () => boolean;
  /** Called whenever the timer fires, first of all, with its delay in milliseconds. */
  onTimer?: ((delay: number) => void) | undefined;
  /** Called when a check finds that the producer is gone. */
  onDetached?: () => void;
  /** Called once, when the silence is too long. The clock has ended then. */
  onStall: (stall: Stall) => void;
  /** After how much silence `onSilence` is called, in milliseconds; half of the limit by default. */
  warnAfter?: number | undefined;
  /** Called when a silence is long, and when it ends. */
  onSilence?: ((report: SilenceReport) => void) | undefined;
  /**
   * Called with the length of each silence that a heartbeat ended, in milliseconds,
   * but for the first one and those with the limit of the first. It costs two looks
   * at the wall clock per heartbeat.
   */
  onGap?: ((gap: number) => void) | undefined;
  /** Called with the length of each other one, in milliseconds. */
  onFirstGap?: ((gap: number) => void) | undefined;
}

type Phase = "detached" | "listening" | "holding" | "ended";

/** The clock. Its limits have been checked already. */
export class SilenceClock {
  #options: SilenceClockOptions;
  /** Whether each silence is measured when a chunk interrupts it. */
  #isMeasured: boolean;
  #phase: Phase = "detached";
  #limit: "first" | "silence";
  #evidence: SilenceEvidence;
  /** Chunks that arrived and were not forwarded yet. */
  #waiting = 0;
  /** Whether there was a heartbeat among those that were forwarded in this `holding`. */
  #hasHeartbeat = false;
  /** Whether the evidence was measured up to the beginning of this `holding`. */
  #isPaused = false;
  /** Whether this silence was reported to `onSilence`. */
  #hasWarned = false;
  /** Whether a heartbeat came from the producer that is attached. */
  #hasBeaten = false;
  #timer: OwnedTimer<SilenceClock> | undefined;
  /** When the timer is due. */
  #due = 0;

  constructor(options: SilenceClockOptions) {
    this.#options = options;
    const { firstTimeout, timeout, isSelective, onGap } = options;
    this.#isMeasured = isSelective === true || onGap !== undefined;
    // one limit for both is no limit of its own
    this.#limit = firstTimeout === timeout ? "silence" : "first";
    this.#evidence = this.#createEvidence();
  }

  /** The limit of the silence that runs, in milliseconds. */
  get timeout(): number {
    const { firstTimeout, timeout } = this.#options;
    return this.#limit === "first" ? firstTimeout : timeout;
  }

  /** After how much silence it is reported that it is long, in milliseconds. */
  get #warnAfter(): number {
    const { warnAfter, onSilence } = this.#options;
    return onSilence === undefined ? Infinity : warnAfter ?? this.timeout / 2;
  }

  /** Whether anything is to be found: without a limit there is no timer. */
  get isNeeded(): boolean {
    return Math.min(this.timeout, this.#warnAfter) < Infinity;
  }

  /** Whether the clock has ended: by a stall, or because it was stopped. */
  get isEnded(): boolean {
    return this.#phase === "ended";
  }

  /** Whether the timer is set. */
  get isTimed(): boolean {
    return this.#timer !== undefined;
  }

  /** A producer is there, since `now` by the wall clock: its silence begins. */
  attach(now = Date.now()) {
    if (this.#phase === "ended") return;
    this.#evidence.begin(now);
    this.#hasHeartbeat = true;
    this.#hasWarned = this.#hasBeaten = false;
    this.#phase = this.#waiting > 0 ? "holding" : "listening";
    if (this.#timer === undefined) this.#plan(Date.now());
    else this.#timer.keep(this);
  }

  /** The producer is gone; another one may follow. */
  detach() {
    if (this.#phase === "ended") return;
    this.#phase = "detached";
    this.#clearTimer();
  }

  /** As `detach()`; a timer that is set is used by the producer that follows. */
  suspend() {
    if (this.#phase === "ended") return;
    this.#phase = "detached";
    this.#timer?.letGo(this);
  }

  /** A chunk arrived, and waits for the consumer: the producer need not send another one. */
  onChunkArrived() {
    if (this.#waiting++ > 0 || this.#phase !== "listening") return;
    this.#phase = "holding";
    if (this.#options.letsGo) this.#timer?.letGo(this);
    this.#hasHeartbeat = false;
    if (this.#isMeasured || this.#hasWarned) this.#pause();
  }

  /** The first of the chunks that wait was forwarded to the consumer. */
  onChunkForwarded(isHeartbeat: boolean) {
    if (isHeartbeat) this.#hasHeartbeat = true;
    if (--this.#waiting > 0 || this.#phase !== "holding") return;
    this.#phase = "listening";
    if (this.#options.letsGo) this.#timer?.keep(this);
    const now = Date.now();
    if (this.#isMeasured || this.#hasWarned) {
      if (this.#hasHeartbeat) this.#endSilence();
      if (this.#isPaused) this.#evidence.resume(now);
      this.#isPaused = false;
    }
    if (this.#hasHeartbeat) this.#evidence.begin(now);
    if (this.#timer === undefined) this.#plan(now);
  }

  /** A sign of life that waits for nobody. It costs one look at the wall clock. */
  beat() {
    const now = Date.now();
    if (this.#isMeasured || this.#hasWarned) {
      this.#endSilence();
      this.#isPaused = false;
    }
    this.#evidence.begin(now);
    if (this.#timer === undefined) this.#plan(now);
  }

  /** The work has made progress, by the heartbeat before: the first window is over. */
  onProgress() {
    if (this.#limit === "silence") return;
    this.#limit = "silence";
    this.#evidence = this.#createEvidence();
    this.#clearTimer();
    this.#plan(Date.now());
  }

  /** Ends the clock; no timer is left. */
  stop() {
    this.#phase = "ended";
    this.#clearTimer();
  }

  #clearTimer() {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Evidence by the limit that runs; an infinite one is never passed, so the scale is that of `warnAfter`. */
  #createEvidence(): SilenceEvidence {
    const { timeout } = this;
    const scale = timeout < Infinity ? timeout : 2 * this.#warnAfter;
    return new SilenceEvidence(scale, Date.now());
  }

  /** Measures the silence, which a chunk interrupts. */
  #pause() {
    const now = Date.now();
    // without a timer, no check can be late
    this.#evidence.pause(this.#timer === undefined ? now : this.#due, now);
    this.#isPaused = true;
  }

  #report(type: "silent" | "recovered") {
    const { timeout } = this;
    const { elapsed } = this.#evidence;
    this.#options.onSilence?.({ type, limit: this.#limit, timeout, elapsed });
  }

  /** A heartbeat ends the silence: its length is recorded, and its end reported, if that is wanted. */
  #endSilence() {
    const { onGap, onFirstGap } = this.#options;
    if (!this.#hasWarned && onGap === undefined) return;
    if (this.#phase === "detached" || this.#phase === "ended") return;
    if (!this.#isPaused) this.#pause();
    const { elapsed } = this.#evidence;
    // what another limit is for says nothing about `timeout`
    if (this.#hasBeaten && this.#limit === "silence") onGap?.(elapsed);
    else onFirstGap?.(elapsed);
    this.#hasBeaten = true;
    if (!this.#hasWarned) return;
    this.#hasWarned = false;
    this.#report("recovered");
  }

  /** Sets the timer, if it is the producer's turn and there is anything to be found. */
  #plan(now: number) {
    const isOver = this.timeout === Infinity && this.#hasWarned;
    if (!this.isNeeded || isOver || this.#phase !== "listening") return;
    const mark = this.#hasWarned ? Infinity : this.#warnAfter;
    const delay = Math.min(this.#evidence.plan(mark), MAX_DELAY_MS);
    this.#due = now + delay;
    // without `this`, which would keep the clock
    this.#timer = new OwnedTimer(this, (clock) => clock.#onTimer(delay), delay);
  }

  #onTimer(delay: number) {
    this.#timer = undefined;
    this.#options.onTimer?.(delay);
    this.#check();
  }

  #check() {
    if (this.#phase !== "listening") return;
    const { isAttached, onDetached, onStall } = this.#options;
    if (isAttached?.() === false) {
      this.detach();
      return onDetached?.();
    }
    const now = Date.now();
    const { timeout } = this;
    const verdict = this.#evidence.check(this.#due, now);
    const { elapsed } = this.#evidence;
    if (verdict === "stalled" && timeout < Infinity) {
      this.stop();
      return onStall({ limit: this.#limit, timeout, elapsed });
    }
    if (!this.#hasWarned && elapsed >= this.#warnAfter) {
      this.#hasWarned = true;
      this.#report("silent");
    }
    if (this.#timer === undefined) this.#plan(now);
  }
}
