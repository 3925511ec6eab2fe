// Copyright 2026 the heartbeat authors. MIT license.

import { CliOutput } from "../_cli_output.ts";

/** The output of the command line, as texts. */
export function createOutput() {
  const texts = { stdout: "", stderr: "" };
  const createStream = (name: keyof typeof texts) => ({
    isTerminal: () => false,
    write(bytes: Uint8Array) {
      texts[name] += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  });
  const output = new CliOutput({
    stdout: createStream("stdout"),
    stderr: createStream("stderr"),
  });
  return { output, texts };
}
