// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch } from "@std/assert";
import {
  validateAction,
  validateWorkflow,
} from "npm:@action-validator/core@0.6.0";
import { parse } from "npm:yaml@2.9.1";

const root = decodeURIComponent(new URL("../", import.meta.url).pathname);
const text = await Deno.readTextFile(`${root}action.yml`);

interface Action {
  inputs: Record<string, { description: string; default?: string }>;
  runs: { using: string; steps: Record<string, unknown>[] };
}

const { inputs, runs }: Action = parse(text);

/** Stands for `npx -y deno@VERSION`, with this Deno. */
async function createNpx(folder: string) {
  await Deno.writeTextFile(
    `${folder}/npx`,
    `#!/usr/bin/env bash
[[ "$1 $2" = "-y deno@"[0-9]* ]] || exit 99
exec "${Deno.execPath()}" "\${@:3}"
`,
    { mode: 0o755 },
  );
}

/** Starts the step of the action as GitHub does: with the inputs or their defaults, in a folder of its own. */
async function startAction(given: Record<string, string>) {
  const folder = await Deno.makeTempDir();
  await createNpx(folder);
  const [step] = runs.steps as [{ env: Record<string, string>; run: string }];
  const env: Record<string, string> = {};
  for (const [name, expression] of Object.entries(step.env)) {
    env[name] = expression
      .replace("${{ github.action_path }}", () => root.replace(/\/$/, ""))
      .replace(
        /\$\{\{ inputs\.(\w+) \}\}/,
        (_, input) => given[input] ?? inputs[input]!.default!,
      );
  }
  const file = `${folder}/step.sh`;
  await Deno.writeTextFile(file, step.run);
  const child = new Deno.Command("bash", {
    args: ["--noprofile", "--norc", "-eo", "pipefail", file],
    cwd: folder,
    env: {
      ...env,
      NO_COLOR: "1",
      RUNNER_TEMP: folder,
      PATH: `${folder}:${Deno.env.get("PATH")}`,
    },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return { child, folder };
}

/** Runs the step to its end. */
async function runAction(given: Record<string, string>) {
  const { child, folder } = await startAction(given);
  const { code, stdout, stderr } = await child.output();
  await Deno.remove(folder, { recursive: true });
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), err: decode(stderr) };
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
    const { code, out } = await runAction({ run });
    assertEquals([code, out], [1, "one  2\n"]);
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
  name: "action.yml takes nothing of its inputs for code, or for options",
  ignore,
  async fn() {
    const values = ['1m"; echo injected; "', "$(echo 1m)", "--version", ""];
    for (const timeout of values) {
      const { code, out, err } = await runAction({ run: "echo ran", timeout });
      assertEquals([code, out], [2, ""], timeout);
      assertMatch(err, /^heartbeat: invalid value .* for --timeout[^\n]*\n$/);
    }
  },
});

Deno.test({
  name: "action.yml refuses to run nothing",
  ignore,
  async fn() {
    for (const run of ["", " \n\t"]) {
      const { code, out, err } = await runAction({ run });
      assertEquals([code, out], [2, ""]);
      assertEquals(
        err,
        "heartbeat: the input 'run' is empty: it is the script to run\n",
      );
    }
  },
});

Deno.test({
  name:
    "action.yml passes the signals of a job that is cancelled on to the script",
  ignore,
  async fn() {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const run = `trap 'echo cleaned; exit' ${signal.slice(3)}
        echo up
        while :; do sleep 0.1; done`;
      const { child, folder } = await startAction({ run });
      let out = "";
      for await (
        const text of child.stdout.pipeThrough(new TextDecoderStream())
      ) {
        out += text;
        if (text === "up\n") child.kill(signal);
      }
      assertEquals(out, "up\ncleaned\n");
      assertEquals((await child.status).code, signal === "SIGINT" ? 130 : 143);
      await child.stderr.cancel();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
