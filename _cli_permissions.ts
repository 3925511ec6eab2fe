// Copyright 2026 the heartbeat authors. MIT license.

/** What the command line may do. Nobody is asked: a question in a terminal would stop the command. */

/** An environment variable; `undefined` if it is not set, or may not be read. */
export function readVariable(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/**
 * Checks a permission.
 *
 * @param descriptor What is needed.
 * @param flag The option of Deno that permits it.
 * @throws {Error} If it is not permitted.
 */
export async function requirePermission(
  descriptor: Deno.PermissionDescriptor,
  flag: string,
) {
  const { state } = await Deno.permissions.query(descriptor);
  if (state !== "granted") throw new Error(`it needs ${flag}`);
}

/** Whether the terminal understands no control sequences, as far as that may be known. */
export function isDumbTerminal(): boolean {
  return readVariable("TERM") === "dumb";
}
