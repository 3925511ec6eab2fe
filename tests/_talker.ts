// Copyright 2026 the heartbeat authors. MIT license.

/**
 * A command that prints `line 1`, `line 2` and so on, one every 50 ms, until the test
 * has seen enough, however slow the machine is.
 */
export class Talker {
  readonly #folder = Deno.makeTempDirSync();

  /**
   * The arguments for it.
   *
   * @param more What the shell runs after it.
   */
  command(more = ""): string[] {
    const script = 'i=0; until [ -e "$0" ]; do i=$((i+1)); echo line $i; ' +
      `sleep 0.05; done; ${more}`;
    return ["--", "sh", "-c", script, `${this.#folder}/end`];
  }

  /** Ends it. */
  end() {
    Deno.writeTextFileSync(`${this.#folder}/end`, "");
  }

  /** Ends it, and removes what it needs. */
  async [Symbol.asyncDispose]() {
    this.end();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
