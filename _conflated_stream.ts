// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** What happens once the unread value has been delivered. */
type Ending = { type: "close" } | { type: "error"; error: unknown };

/**
 * A stream that never queues: the latest value wins, and waits for the reader.
 *
 * The end waits for the value that is unread, so the last value is never lost.
 *
 * | phase | `put` | `close`, `error` | the reader pulls | the reader cancels |
 * | --- | --- | --- | --- | --- |
 * | `open` | replaces the unread value | → `ending` if a value is unread, else → `ended` | delivers the unread value | → `ended` |
 * | `ending` | ignored | ignored | delivers the value, then → `ended` | → `ended` |
 * | `ended` | ignored | ignored | | |
 */
export class ConflatedStream<T> {
  /** The reader's side. */
  readonly readable: ReadableStream<T>;
  #phase: "open" | "ending" | "ended" = "open";
  #controller!: ReadableStreamDefaultController<T>;
  #unread: { value: T } | undefined;
  #isReadPending = false;
  #ending: Ending = { type: "close" };

  /**
   * @param onCancel Called when the reader cancels an open stream.
   */
  constructor(onCancel: (reason: unknown) => void) {
    this.readable = new ReadableStream<T>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#onPull(),
      cancel: (reason) => {
        this.#phase = "ended";
        onCancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** Replaces the unread value. */
  put(value: T) {
    if (this.#phase !== "open") return;
    this.#unread = { value };
    if (this.#isReadPending) this.#deliver();
  }

  /** Closes the stream, after the unread value. */
  close() {
    this.#endWith({ type: "close" });
  }

  /** Errors the stream, after the unread value. */
  error(error: unknown) {
    this.#endWith({ type: "error", error });
  }

  #endWith(ending: Ending) {
    if (this.#phase !== "open") return;
    this.#ending = ending;
    this.#phase = "ending";
    if (!this.#unread) this.#end();
  }

  #onPull() {
    this.#isReadPending = true;
    if (this.#unread) this.#deliver();
  }

  #deliver() {
    const { value } = this.#unread!;
    this.#unread = undefined;
    // before enqueue(), which asks for the next value at once if a read waits for it
    this.#isReadPending = false;
    this.#controller.enqueue(value);
    if (this.#phase === "ending") this.#end();
  }

  #end() {
    this.#phase = "ended";
    if (this.#ending.type === "close") this.#controller.close();
    else this.#controller.error(this.#ending.error);
  }
}
