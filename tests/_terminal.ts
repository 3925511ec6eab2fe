// Copyright 2026 the heartbeat authors. MIT license.

// The command line in a real terminal, by `script` of util-linux.

import { assert } from "@std/assert";
import { delay } from "@std/async/delay";
import { NPM_FLAGS } from "./_help.ts";

async function hasScript() {
  try {
    const args = ["--version"];
    const { stdout } = await new Deno.Command("script", { args }).output();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch {
    return false;
  }
}

/** Whether there is no `script` that has the options of util-linux. */
export const hasNoTerminal = !await hasScript();

/** How the command line is called in a script of the shell. */
const HEARTBEAT = [
  ...[Deno.execPath(), "run", "--quiet", "--no-check", "--no-prompt"],
  ...["--allow-net=127.0.0.1", "--allow-env=TERM", ...NPM_FLAGS, "main.ts"],
].join(" ");

/** Runs a script of the shell in a terminal; `$HEARTBEAT` is the command line. */
export function startInTerminal(
  script: string,
  env: Record<string, string> = {},
) {
  // the tests themselves may run without colours
  const unset = "NO_COLOR" in env ? "" : "unset NO_COLOR; ";
  const child = new Deno.Command("script", {
    args: ["-qefc", unset + script, "/dev/null"],
    cwd: new URL("..", import.meta.url),
    env: { SHELL: "/bin/sh", TERM: "xterm-256color", HEARTBEAT, ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  let text = "";
  const read = (async () => {
    for await (
      const part of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      text += part;
    }
  })();
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  return {
    /** All that was written to the terminal. */
    get text() {
      return text;
    },
    press: (keys: string) => writer.write(new TextEncoder().encode(keys)),
    async waitFor(found: (text: string) => boolean) {
      for (let tries = 0; !found(text); tries++) {
        assert(tries < 3_000 && !hasEnded, JSON.stringify(text.slice(-4_000)));
        await delay(20);
      }
    },
    /** Its exit code, once it has ended. */
    async end() {
      const { code } = await child.status;
      await read;
      await writer.close().catch(() => {});
      return code;
    },
  };
}

// deno-lint-ignore no-control-regex
const COLOURS = /\x1b\[[\d;]*m/g;

/** Whether text has colours. */
export function hasColours(text: string): boolean {
  return text.search(COLOURS) >= 0;
}

/** The lines of the last frame that `Terminal` has drawn, without colours. */
export function readFrame(text: string): string[] {
  const [frame = ""] = text.split("\x1b[H").slice(1).at(-1)
    ?.split("\x1b[?7h") ?? [];
  return frame.replaceAll(COLOURS, "").split("\r\n")
    .map((line) => line.replace("\x1b[2K", "").trimEnd());
}
