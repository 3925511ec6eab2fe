// Copyright 2026 the heartbeat authors. MIT license.

/**
 * Makes the npm path ready, for a machine that reaches npm but not JSR:
 * import_map.npm.json follows deno.json, and one broken name is linked.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import map from "../import_map.npm.json" with { type: "json" };

/** The map with every export and every npm package of deno.json. @std stays as it is. */
export function deriveImportMap() {
  const imports: Record<string, string> = {};
  for (const [key, file] of Object.entries(config.exports)) {
    imports[config.name + key.slice(1)] = file;
  }
  for (const [name, target] of Object.entries(map.imports)) {
    if (name.startsWith("@std/")) imports[name] = target;
  }
  for (const [name, target] of Object.entries(config.imports)) {
    if (target.startsWith("npm:")) imports[name] = target;
  }
  return { imports };
}

async function writeImportMap() {
  const text = JSON.stringify(deriveImportMap(), null, 2);
  if (text === JSON.stringify(map, null, 2)) return;
  const path = new URL("../import_map.npm.json", import.meta.url);
  await Deno.writeTextFile(path, `${text}\n`);
}

/** deno-std 1.3.1 imports its folder `data_structures` by the name `data-structures`. */
async function linkDataStructures() {
  const folder = "node_modules/deno-std";
  const target = await Deno.realPath(`${folder}/data_structures`);
  try {
    const type = "junction";
    await Deno.symlink(target, `${folder}/data-structures`, { type });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

if (import.meta.main) {
  await writeImportMap();
  await linkDataStructures();
}
