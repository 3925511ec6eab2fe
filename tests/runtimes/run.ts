// Copyright 2026 the heartbeat authors. MIT license.

// Bundles behaviour.ts, runs it on other runtimes, and prints what each has:
//
//   run.ts deno node@20.0.0 node bun chromium
//
// A name is a command on the PATH; with a version it is a package of npm. Without
// arguments it runs on those that HEARTBEAT_RUNTIMES lists, else on what it finds.
// deno-lint-ignore-file no-console

import { NPM_FLAGS } from "../_help.ts";

const ROOT = new URL("../../", import.meta.url);
/** The longest that a runtime may take (ms), whatever it hangs in. */
const HANG = 60_000;
/** The names by which a runtime may be installed. */
const COMMANDS: Record<string, string[]> = {
  deno: [Deno.execPath()],
  node: ["node"],
  bun: ["bun"],
  chromium: ["chromium", "chromium-browser", "google-chrome"],
};

/** How Chromium is started: headless, and asking no other host for anything. */
export const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The runtimes that must be there, if they are named. */
export const WANTED: string[] | undefined = Deno.env.get("HEARTBEAT_RUNTIMES")
  ?.split(",");
/** The runtimes to run on. */
export const RUNTIMES: string[] = WANTED ?? Object.keys(COMMANDS);

async function execute(command: string, args: string[]) {
  const child = new Deno.Command(command, {
    args,
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), HANG);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const [out, rest] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  ) as [string, string];
  if (signal === "SIGKILL") return { code, out, rest: `${rest}\nit hung` };
  return { code, out, rest };
}

async function onPath(name: string) {
  const [between, ending] = Deno.build.os === "windows"
    ? [";", ".exe"]
    : [":", ""];
  for (const folder of (Deno.env.get("PATH") ?? "").split(between)) {
    const path = `${folder}/${name}${ending}`;
    if ((await Deno.stat(path).catch(() => null))?.isFile) return path;
  }
}

/** The executable of a runtime, `undefined` if it is not installed. */
export async function find(runtime: string): Promise<string | undefined> {
  const [name, version] = runtime.split("@") as [string, string?];
  if (version === undefined) {
    for (const command of COMMANDS[name] ?? []) {
      const path = command === Deno.execPath()
        ? command
        : await onPath(command);
      if (path !== undefined) return path;
    }
  } else {
    const npx = Deno.build.os === "windows" ? "npx.cmd" : "npx";
    // its own path, for what npx starts outlives it when it is killed
    const { out } = await execute(npx, [
      "-y",
      runtime,
      "-p",
      "process.execPath",
    ]);
    return out.trim() || undefined;
  }
}

/** Makes a folder with the behaviours in JavaScript. */
export async function bundle(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "heartbeat" });
  // or an old Node.js takes them for CommonJS
  await Deno.writeTextFile(`${folder}/package.json`, '{"type":"module"}');
  const { code, rest } = await execute(Deno.execPath(), [
    "bundle",
    ...NPM_FLAGS,
    "--quiet",
    "--platform=browser",
    `--outdir=${folder}`,
    "tests/runtimes/behaviour.ts",
    "tests/runtimes/inherit.ts",
    "tests/runtimes/thread.ts",
  ]);
  if (code !== 0) throw new Error(`Cannot bundle the behaviours:\n${rest}`);
  return folder;
}

/** Runs the behaviours on a runtime. */
export async function run(
  runtime: string,
  executable: string,
  folder: string,
): Promise<{ ok: boolean; out: string; rest: string }> {
  const file = `${folder}/behaviour.js`;
  const args = runtime === "chromium"
    ? [
      "run",
      "-A",
      ...NPM_FLAGS,
      "tests/runtimes/chromium.ts",
      folder,
      executable,
    ]
    // the core needs no permissions; a thread's module is read, and commands are run
    : runtime === "deno"
    ? ["run", "--no-prompt", `--allow-read=${folder}`, "--allow-run", file]
    : [file];
  const command = runtime === "chromium" ? Deno.execPath() : executable;
  const { code, out, rest } = await execute(command, args);
  const ok = code === 0 && /^\d+ ok, 0 failed, .*$/m.test(out);
  return { ok, out, rest };
}

/** Prints a table of what was seen, a column each. */
function print(seen: Map<string, string>) {
  const columns = [...seen];
  const rows = new Set<string>();
  const cells = columns.map(([, out]) => {
    const cell: Record<string, string> = {};
    for (const [, what, yes] of out.matchAll(/^(?:has|saw) (.*): (\w+)$/gm)) {
      rows.add(what!);
      cell[what!] = yes!;
    }
    const [, ok = "none", failed = "?", skipped = "?"] =
      /^(\d+) ok, (\d+) failed, (\d+) skipped/m.exec(out) ?? [];
    cell["behaviours"] = `${ok} ok, ${failed} failed, ${skipped} skipped`;
    return cell;
  });
  const lines = [
    ["", ...seen.keys()],
    ["---", ...columns.map(() => "---")],
    ...[...rows, "behaviours"].map((row) => [
      row,
      ...cells.map((cell) => cell[row] ?? ""),
    ]),
  ];
  for (const line of lines) console.log(`| ${line.join(" | ")} |`);
}

async function version(executable: string) {
  const { out } = await execute(executable, ["--version"]);
  return /\d+\.\d+[.\d]*/.exec(out)?.[0] ?? "";
}

if (import.meta.main) {
  const named = Deno.args.length > 0 ? Deno.args : WANTED;
  const folder = await bundle();
  const seen = new Map<string, string>();
  for (const runtime of named ?? RUNTIMES) {
    const executable = await find(runtime);
    if (executable === undefined) {
      console.error(`${runtime} is not installed`);
      if (named) Deno.exitCode = 1;
      continue;
    }
    const { ok, out, rest } = await run(runtime, executable, folder);
    if (!ok) {
      console.error(`${runtime}:\n${out}${rest}`);
      Deno.exitCode = 1;
    }
    const [name] = runtime.split("@");
    seen.set(`${name} ${await version(executable)}`, out);
  }
  await Deno.remove(folder, { recursive: true });
  print(seen);
}
