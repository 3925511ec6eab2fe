// Copyright 2026 the heartbeat authors. MIT license.

/** Standard input as a stream that uses its buffers again: a new one for each chunk is a quarter of the cost. */

/** What a pipe holds on Linux, so that one read empties it. */
const BUFFER_BYTES = 65_536;

/** Where bytes come from, such as `Deno.stdin`. */
export interface InputFile {
  /** Reads some bytes; resolves to how many, `null` at the end. */
  read(bytes: Uint8Array): Promise<number | null>;
  /** Ends the reading. */
  close(): void;
}

/** A file as a stream. Who has used a chunk gives it back with `release()`. */
export class InputSource {
  /** The chunks. One that was given back is overwritten by a later one. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #free: ArrayBuffer[] = [];

  /**
   * @param file Where the bytes come from.
   * @param onRead Called for each chunk before anybody can read it: what that takes
   * is the time of the source.
   */
  constructor(
    file: InputFile,
    onRead: (chunk: Uint8Array<ArrayBuffer>) => void = () => {},
  ) {
    this.readable = new ReadableStream({
      pull: async (controller) => {
        const buffer = this.#free.pop() ?? new ArrayBuffer(BUFFER_BYTES);
        const count = await file.read(new Uint8Array(buffer));
        if (count === null) return controller.close();
        const chunk = new Uint8Array(buffer, 0, count);
        onRead(chunk);
        controller.enqueue(chunk);
      },
      cancel: () => file.close(),
    }, { highWaterMark: 0 });
  }

  /** A chunk is not used any more. */
  release(chunk: Uint8Array<ArrayBuffer>) {
    this.#free.push(chunk.buffer);
  }
}
