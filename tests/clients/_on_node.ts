// Copyright 2026 the heartbeat authors. MIT license.

import { NPM_FLAGS } from "../_help.ts";
import { find } from "../runtimes/run.ts";

/** Node.js, if it is installed. */
export const node: string | undefined = await find("node");

/** Runs a program of this folder on Node.js, as a bundle. Returns the lines that it prints. */
export async function runOnNode(program: string): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "heartbeat" });
  const file = `${folder}/program.mjs`;
  try {
    await execute(Deno.execPath(), [
      "bundle",
      ...NPM_FLAGS,
      "--quiet",
      `--output=${file}`,
      `tests/clients/${program}`,
    ]);
    const text = await execute(node!, [file]);
    return text.trim().split("\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function execute(command: string, args: string[]) {
  const cwd = new URL("../../", import.meta.url);
  const output = await new Deno.Command(command, { args, cwd }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  ) as [string, string];
  if (output.code !== 0) throw new Error(`${command} failed:\n${stderr}`);
  return stdout;
}
