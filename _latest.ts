// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** A stream that never queues: an unread value is replaced by a newer one, and delivered before the end. */
export class LatestStream<T> {
  readonly readable: ReadableStream<T>;
  #controller!: ReadableStreamDefaultController<T>;
  #unread: { value: T } | undefined;
  #wanted = false;
  #end: (() => void) | undefined;

  constructor(cancel: (reason: unknown) => void) {
    this.readable = new ReadableStream<T>({
      start: (controller) => void (this.#controller = controller),
      pull: () => {
        this.#wanted = true;
        this.#flush();
      },
      cancel: (reason) => {
        this.#end = () => {};
        cancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  put(value: T) {
    if (this.#end) return;
    this.#unread = { value };
    this.#flush();
  }

  close() {
    this.#end ??= () => this.#controller.close();
    this.#flush();
  }

  error(error: unknown) {
    this.#end ??= () => this.#controller.error(error);
    this.#flush();
  }

  #flush() {
    const unread = this.#unread;
    if (unread) {
      if (!this.#wanted) return;
      // enqueue() asks for the next one at once, where one is waited for
      this.#unread = undefined;
      this.#wanted = false;
      this.#controller.enqueue(unread.value);
    }
    const end = this.#end;
    if (end) this.#end = () => {};
    end?.();
  }
}
