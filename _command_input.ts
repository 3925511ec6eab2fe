// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Writes a stream to a command's input until it ends or the command stops
 * reading, then cancels the one and closes the other.
 *
 * @param input The stream.
 * @param output The command's input.
 * @throws What the stream errors with, and a `TypeError` for a chunk that is
 * not bytes.
 */
export async function feedInput(
  input: ReadableStreamDefaultReader<Uint8Array>,
  output: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  try {
    for (;;) {
      const { done, value } = await input.read();
      if (done || !await tryWrite(output, value)) return;
    }
  } finally {
    input.cancel().catch(() => {});
    output.close().catch(() => {});
  }
}

/** Writes a chunk; returns false if the command has stopped reading. */
async function tryWrite(
  output: WritableStreamDefaultWriter<Uint8Array>,
  chunk: Uint8Array,
) {
  try {
    await output.write(chunk);
    return true;
  } catch (error) {
    if (error instanceof TypeError) throw error;
    return false;
  }
}
