// Copyright 2026 the heartbeat authors. MIT license.

// The systemd units of the examples and of the documentation, checked by systemd.

import { assert, assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

async function hasSystemd() {
  try {
    const args = ["--version"];
    await new Deno.Command("systemd-analyze", { args }).output();
    return true;
  } catch {
    return false;
  }
}

/** The units, by a name for each. */
async function readUnits() {
  const units = new Map<string, string>();
  const folder = new URL("examples/systemd/", root);
  for await (const { name } of Deno.readDir(folder)) {
    units.set(name, await Deno.readTextFile(new URL(name, folder)));
  }
  const page = await Deno.readTextFile(new URL("docs/operations.md", root));
  for (const [, unit] of page.matchAll(/^```ini\n([^]*?)^```$/gm)) {
    units.set(`operations-${units.size}.service`, unit!);
  }
  return units;
}

/** What `systemd-analyze verify` says of a unit, whose commands are there. */
async function verify(name: string, unit: string) {
  const folder = await Deno.makeTempDir();
  const commands = new Set(
    [...unit.matchAll(/\/usr\/local\/bin\/([\w-]+)/g)].map(([, name]) => name!),
  );
  for (const command of commands) {
    await Deno.writeTextFile(`${folder}/${command}`, "#!/bin/sh\n", {
      mode: 0o755,
    });
  }
  const path = `${folder}/${name}`;
  await Deno.writeTextFile(path, unit.replaceAll("/usr/local/bin", folder));
  const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", {
    args: ["verify", "--man=no", path],
  }).output();
  await Deno.remove(folder, { recursive: true });
  const decoder = new TextDecoder();
  // it also speaks of other units of this machine
  const lines = (decoder.decode(stdout) + decoder.decode(stderr)).split("\n")
    .filter((line) => line.includes(name));
  return { code, lines };
}

const isThere = await hasSystemd();

Deno.test({
  name: `systemd accepts the units of the examples and of the documentation${
    isThere ? "" : " (ignored: there is no systemd-analyze)"
  }`,
  ignore: !isThere,
  async fn() {
    const units = await readUnits();
    assert(units.size >= 2);
    for (const [name, unit] of units) {
      // a dynamic user has no home, so Deno would have no cache
      const cache = unit.match(/^CacheDirectory=(.*)$/m)?.[1];
      assert(unit.includes(`DENO_DIR=%C/${cache}\n`), name);
      assertEquals(await verify(name, unit), { code: 0, lines: [] }, name);
    }
    const wrong = await verify("wrong.service", "[Service]\nExecStarr=/x\n");
    assert(wrong.lines.length > 0, "it would complain");
  },
});
