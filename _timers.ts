// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The longest delay (ms) of a platform timer; `setTimeout()` fires at once for a longer one. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** Cancels a timer. Calling it again does nothing. */
export type CancelTimer = () => void;

/** What `setTimeout()` returns. */
export type Timer = ReturnType<typeof setTimeout>;

/** Lets the process end although the timer is set. A page has no such thing. */
export function unrefTimer(timer: Timer | undefined) {
  (timer as { unref?(): void } | undefined)?.unref?.();
}

/** Undoes {@linkcode unrefTimer}. */
function refTimer(timer: Timer | undefined) {
  (timer as { ref?(): void } | undefined)?.ref?.();
}

/** As `setTimeout()`, for a delay of any length. */
export class LongTimer {
  #timer: Timer | undefined;
  #isWaitedFor = true;

  /**
   * Starts the timer.
   *
   * @param callback Called once, after the delay.
   * @param delay In milliseconds; `Infinity` never calls.
   */
  constructor(callback: () => void, delay: number) {
    if (delay < Infinity) this.#start(callback, delay);
  }

  /** Whether the process stays alive until it is due. */
  set isWaitedFor(isWaitedFor: boolean) {
    this.#isWaitedFor = isWaitedFor;
    if (isWaitedFor) refTimer(this.#timer);
    else unrefTimer(this.#timer);
  }

  /** Cancels it. Calling it again does nothing. */
  cancel() {
    clearTimeout(this.#timer);
  }

  #start(callback: () => void, rest: number) {
    const step = Math.min(rest, MAX_DELAY_MS);
    this.#timer = setTimeout(
      () => rest > step ? this.#start(callback, rest - step) : callback(),
      Math.ceil(step),
    );
    if (!this.#isWaitedFor) unrefTimer(this.#timer);
  }
}

/**
 * Starts a {@linkcode LongTimer}.
 *
 * @param callback Called once, after the delay.
 * @param delay In milliseconds; `Infinity` never calls.
 * @returns Cancels the timer.
 */
export function startTimer(callback: () => void, delay: number): CancelTimer {
  const timer = new LongTimer(callback, delay);
  return () => timer.cancel();
}

/**
 * A timer of an object. At first it keeps the object and the process alive. After
 * {@linkcode OwnedTimer.letGo} it keeps neither.
 */
export class OwnedTimer<T extends WeakKey> {
  #timer: LongTimer;
  #owner: T | undefined;
  #weak: WeakRef<T> | undefined;

  /**
   * Starts the timer. It keeps the owner.
   *
   * @param owner The object.
   * @param callback Called once, after the delay, if the owner is still there.
   * @param delay In milliseconds; `Infinity` never calls.
   */
  constructor(owner: T, callback: (owner: T) => void, delay: number) {
    this.#owner = owner;
    this.#timer = new LongTimer(() => {
      const owner = this.#owner ?? this.#weak?.deref();
      if (owner !== undefined) callback(owner);
    }, delay);
  }

  /** Keeps the owner and the process. */
  keep(owner: T) {
    this.#owner = owner;
    this.#timer.isWaitedFor = true;
  }

  /** Keeps neither any more. */
  letGo(owner: T) {
    this.#weak ??= new WeakRef(owner);
    this.#owner = undefined;
    this.#timer.isWaitedFor = false;
  }

  /** Cancels it. Calling it again does nothing. */
  cancel() {
    this.#timer.cancel();
  }
}

/**
 * Waits until the promise resolves or rejects, or the delay is over. It never rejects.
 *
 * @param promise What is waited for.
 * @param delay In milliseconds, of any length.
 */
export async function waitAtMost(promise: Promise<unknown>, delay: number) {
  const limit = new AbortController();
  await Promise.race([promise.catch(() => {}), sleep(delay, limit.signal)]);
  limit.abort();
}

/**
 * Resolves after the delay, or as soon as `signal` aborts. It never rejects.
 *
 * @param delay In milliseconds, of any length; `Infinity` waits for the abort.
 * @param signal Ends the wait early.
 */
export function sleep(delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    function end() {
      cancelTimer();
      signal.removeEventListener("abort", end);
      resolve();
    }
    const cancelTimer = startTimer(end, delay);
    signal.addEventListener("abort", end, { once: true });
  });
}

/**
 * A signal for what may take so long, and no longer than until `signal` aborts.
 * `AbortSignal.any()` is missing in Node.js 20.0, and each use of it leaves something
 * behind with a signal that lives long.
 *
 * @param delay In milliseconds, of any length.
 * @param signal Aborts it early.
 * @returns The signal, and what has to be called at the end: it aborts it, and leaves
 * no timer and no listener.
 */
export function limitTime(
  delay: number,
  signal?: AbortSignal,
): { signal: AbortSignal; end: () => void } {
  const limit = new AbortController();
  function end() {
    cancelTimer();
    signal?.removeEventListener("abort", end);
    limit.abort();
  }
  const cancelTimer = startTimer(end, delay);
  if (signal?.aborted) end();
  else signal?.addEventListener("abort", end, { once: true });
  return { signal: limit.signal, end };
}
