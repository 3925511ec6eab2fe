// Copyright 2026 the heartbeat authors. MIT license.

// Deno as the first process of a PID namespace, as in a container.

import { waitUntil } from "../_help.ts";

const HANG_MS = 40_000;

/** Whether this machine has PID namespaces, and this user may make one. */
export const hasPidNamespaces = await canUnshare();
if (!hasPidNamespaces) {
  // deno-lint-ignore no-console
  console.log("no PID namespaces here: what needs one is not tested");
}

async function canUnshare() {
  if (Deno.build.os !== "linux") return false;
  try {
    const args = ["--pid", "--fork", "--mount-proc", "true"];
    return (await new Deno.Command("unshare", { args }).output()).success;
  } catch {
    return false;
  }
}

/** Starts Deno in a namespace of its own. Everything in it ends with it. */
export function startInNamespace(args: string[]) {
  const options = "--pid --fork --mount-proc --kill-child".split(" ");
  const child = new Deno.Command("unshare", {
    args: [...options, Deno.execPath(), ...args],
    cwd: new URL("../..", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), HANG_MS);
  const output = child.output().then(({ code, stdout, stderr }) => {
    const [out, err] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    ) as [string, string];
    return { code, stdout: out, stderr: err };
  });
  return {
    output,
    /** Signals the first process, whose id outside is another than 1. */
    async kill(signal: Deno.Signal) {
      const children = `/proc/${child.pid}/task/${child.pid}/children`;
      let id = 0;
      await waitUntil(async () => {
        id = parseInt(await Deno.readTextFile(children));
        return id > 0;
      });
      Deno.kill(id, signal);
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      try {
        child.kill("SIGKILL");
      } catch {
        // it has ended
      }
      await output;
    },
  };
}
