// Copyright 2026 the heartbeat authors. MIT license.

// The blocks of the recipes in docs/operations.md.

const root = new URL("../", import.meta.url);

/** A block of code of a page. */
export interface Block {
  /** The heading that it stands under. */
  heading: string;
  /** Its language. */
  language: string;
  code: string;
}

/** All blocks of a page. */
export async function readBlocks(path: string): Promise<Block[]> {
  const text = await Deno.readTextFile(new URL(path, root));
  const blocks: Block[] = [];
  let heading = "";
  const parts = /^#+ (.*)$|^ *```(\w*)[^\n]*\n([^]*?)^ *```$/gm;
  for (const [, title, language, code] of text.matchAll(parts)) {
    if (title !== undefined) heading = title;
    else blocks.push({ heading, language: language!, code: code! });
  }
  return blocks;
}

/** Whether a program is on the path. */
export async function hasProgram(name: string): Promise<boolean> {
  try {
    await new Deno.Command(name, { args: ["--version"] }).output();
    return true;
  } catch {
    return false;
  }
}
