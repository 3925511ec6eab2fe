// Copyright 2026 the heartbeat authors. MIT license.

/**
 * How long the command line takes to start, as a ratio to an empty program; and
 * what it would take if it loaded the client of NATS each time.
 *
 * @module
 */

import { NPM_FLAGS } from "../tests/_help.ts";
import { candidate, compare, judgeRatio, type Outcome } from "./_measure.ts";

const main = new URL("../main.ts", import.meta.url).href;
const CLIENT = ["--preload", "npm:@nats-io/transport-node@3.4.0"];

/** A program that is started once in a slice. */
function program(name: string, args: string[]) {
  const options: Deno.CommandOptions = {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--allow-run",
      ...NPM_FLAGS,
      ...args,
    ],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  };
  return candidate(name, async (length) => {
    for (let count = 0; count < length; count++) {
      const command = new Deno.Command(Deno.execPath(), options);
      const { code } = await command.output();
      if (code !== 0) throw new Error(`${name} ended with ${code}`);
    }
    return length;
  }, 1e-6);
}

/** Runs the bench. */
export async function run(): Promise<Outcome> {
  const empty = program("an empty program", ["data:text/javascript,"]);
  const help = program("`heartbeat --help`", [main, "--help"]);
  const guard = program("`heartbeat -- true`", [main, "--", "true"]);
  const helpWithClient = program(
    "`heartbeat --help`, with the client of NATS",
    [...CLIENT, main, "--help"],
  );
  const guardWithClient = program(
    "`heartbeat -- true`, with the client of NATS",
    [...CLIENT, main, "--", "true"],
  );
  const rows = await compare("start", empty, [
    ...[empty, help, helpWithClient, guard, guardWithClient],
  ]);
  return {
    rows: rows.map((row) =>
      /`$/.test(row.name) ? { ...row, name: `**${row.name}**` } : row
    ),
    targets: [judgeRatio(help, helpWithClient, 0.9)],
  };
}
