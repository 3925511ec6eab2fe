// Copyright 2026 the heartbeat authors. MIT license.

// deno-std 1.3.1 imports its folder `data_structures` by the name `data-structures`: make the link.

const folder = "node_modules/deno-std";
const target = await Deno.realPath(`${folder}/data_structures`);
try {
  await Deno.symlink(target, `${folder}/data-structures`, { type: "junction" });
} catch (error) {
  if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
}
