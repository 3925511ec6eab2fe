// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { CommandSignal } from "./_command_types.ts";

/** What is known when a {@linkcode CommandError} is made. */
export interface CommandErrorOptions extends ErrorOptions {
  /** The exit code; 128 + n if a signal n ended it. */
  code: number;
  /** The signal that ended it, if one did. */
  signal?: CommandSignal | null | undefined;
}

/**
 * A command ended by itself with an exit code other than 0, or by a signal.
 *
 * @example Usage
 * ```ts
 * import { CommandError } from "@heartbeat/heartbeat/command";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new CommandError("make", { code: 2 });
 *
 * assertEquals(error.message, "Command 'make' ended with exit code 2");
 * assertEquals(error.signal, null);
 * ```
 */
export class CommandError extends Error {
  /** The name of the error, `"CommandError"`. */
  override readonly name = "CommandError";
  /** The exit code; 128 + n if a signal n ended the command. */
  readonly code: number;
  /** The signal that ended the command, `null` if none did. */
  readonly signal: CommandSignal | null;

  /**
   * Constructs a new instance.
   *
   * @param command The command that was run.
   * @param options How it ended.
   */
  constructor(command: string, options: CommandErrorOptions) {
    const { code, signal = null } = options;
    super(
      `Command '${command}' ended ${
        signal ? `by ${signal}` : `with exit code ${code}`
      }`,
      options,
    );
    this.code = code;
    this.signal = signal;
  }
}
