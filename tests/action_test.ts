// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import {
  validateAction,
  validateWorkflow,
} from "npm:@action-validator/core@0.6.0";
import { parse } from "npm:yaml@2.9.1";
import { NPM_FLAGS } from "./_help.ts";

const root = decodeURIComponent(new URL("../", import.meta.url).pathname);
const text = await Deno.readTextFile(`${root}action.yml`);

interface Action {
  inputs: Record<string, { description: string; default?: string }>;
  runs: { using: string; steps: Record<string, unknown>[] };
}

const { inputs, runs }: Action = parse(text);

/** Stands for `npx -y deno@VERSION`, with this Deno and its import map. */
async function createNpx(folder: string) {
  // the script runs in another folder
  const flags = NPM_FLAGS.map((flag) =>
    flag.replace(/=(import_map|deno\.lock)/, `=${root}$1`)
  );
  await Deno.writeTextFile(
    `${folder}/npx`,
    `#!/usr/bin/env bash
[[ "$1 $2" = "-y deno@"[0-9]* && "$3" = run ]] || exit 99
exec "${Deno.execPath()}" run ${flags.join(" ")} "\${@:4}"
`,
    { mode: 0o755 },
  );
}

/** Runs the step of the action as GitHub does: with the inputs or their defaults, in a folder of its own. */
async function runAction(given: Record<string, string>) {
  const folder = await Deno.makeTempDir();
  await createNpx(folder);
  const [step] = runs.steps as [{ env: Record<string, string>; run: string }];
  const env: Record<string, string> = {};
  for (const [name, expression] of Object.entries(step.env)) {
    env[name] = expression
      .replace("${{ github.action_path }}", root.replace(/\/$/, ""))
      .replace(
        /\$\{\{ inputs\.(\w+) \}\}/,
        (_, input) => given[input] ?? inputs[input]!.default!,
      );
  }
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["--noprofile", "--norc", "-eo", "pipefail", "-c", step.run],
    cwd: folder,
    env: {
      ...env,
      NO_COLOR: "1",
      RUNNER_TEMP: folder,
      PATH: `${folder}:${Deno.env.get("PATH")}`,
    },
  }).output();
  const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
  await Deno.remove(folder, { recursive: true });
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), err: decode(stderr), left };
}

Deno.test("action.yml and the workflows are valid by GitHub's schemas", async () => {
  assertEquals(validateAction(text).errors, []);
  for (const name of ["ci", "publish"]) {
    const workflow = await Deno.readTextFile(
      `${root}.github/workflows/${name}.yml`,
    );
    assertEquals(validateWorkflow(workflow).errors, [], name);
  }
});

Deno.test("action.yml documents each input, and gives it to its script by the environment only", () => {
  assertEquals(Object.keys(inputs), [
    "run",
    "timeout",
    "runtime",
    "retries",
    "working-directory",
  ]);
  for (const [name, { description, ...rest }] of Object.entries(inputs)) {
    assertMatch(description, /\.$/);
    assertEquals("default" in rest, name !== "run", name);
  }
  assertEquals(runs.using, "composite");
  for (const { run } of runs.steps) {
    assertEquals(/\$\{\{/.test(`${run}`), false);
  }
});

const ignore = Deno.build.os === "windows"; // a fake npx cannot stand on its PATH

Deno.test({
  name:
    "action.yml runs a script of several lines, and passes its output and exit code on",
  ignore,
  async fn() {
    const run = 'echo "one  $((1 + 1))"\nfalse | cat\necho never';
    const { code, out, left } = await runAction({ run });
    assertEquals([code, out, left], [1, "one  2\n", ["npx"]]);
  },
});

Deno.test({
  name:
    "action.yml ends a script that goes silent, and starts it again as often as it says",
  ignore,
  async fn() {
    const given = { run: "echo up; sleep 60", timeout: "2s", retries: "1" };
    const { code, out, err } = await runAction(given);
    assertEquals([code, out], [124, "up\nup\n"]);
    assertMatch(err, /silent/);
  },
});

Deno.test({
  name: "action.yml takes nothing of its inputs for code",
  ignore,
  async fn() {
    const { code, out, err } = await runAction({
      run: "echo ran",
      timeout: '1m"; echo injected; "',
    });
    assertEquals([code, out], [2, ""]);
    assertMatch(err, /invalid value/);
  },
});
