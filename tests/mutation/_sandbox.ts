// Copyright 2026 the heartbeat authors. MIT license.

import { NPM_FLAGS } from "../_help.ts";

const ROOT = new URL("../../", import.meta.url);

/** A copy of the working tree in a temporary folder. */
export interface Sandbox extends AsyncDisposable {
  folder: string;
}

async function copy(path: string, folder: string) {
  const parent = path.replace(/[^/]*$/, "");
  await Deno.mkdir(folder + parent, { recursive: true });
  await Deno.copyFile(new URL(path, ROOT), folder + path);
}

/** Copies what git tracks or would track; the npm packages are linked. */
export async function createSandbox(): Promise<Sandbox> {
  const folder = `${await Deno.makeTempDir({ prefix: "mutation-" })}/`;
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: ROOT,
  }).output();
  for (const path of new TextDecoder().decode(stdout).split("\0")) {
    if (path !== "") await copy(path, folder);
  }
  if (NPM_FLAGS.length > 0) {
    const packages = await Deno.realPath(new URL("node_modules", ROOT));
    await Deno.symlink(packages, `${folder}node_modules`);
  }
  return {
    folder,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Ends what a test run started and left behind, such as a broker. */
function killGroup(leader: number) {
  try {
    Deno.kill(-leader, "SIGKILL");
  } catch {
    // nothing was left
  }
}

/** Runs tests in the sandbox; the result is undefined if they took too long. */
export async function runTests(
  { folder }: Sandbox,
  files: string[],
  env: Record<string, string>,
  timeout: number,
) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--no-check", "--no-prompt", "--fail-fast"],
      ...["--v8-flags=--max-old-space-size=2048", ...NPM_FLAGS, ...files],
    ],
    cwd: folder,
    env: { ...env, NO_COLOR: "1" },
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeout);
  const output = child.output();
  const { success } = await child.status;
  clearTimeout(timer);
  killGroup(child.pid);
  const { stdout, stderr } = await output;
  if (isLate) return undefined;
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { success, text: decode(stdout) + decode(stderr) };
}
