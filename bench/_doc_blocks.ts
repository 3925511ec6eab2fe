// Copyright 2026 the heartbeat authors. MIT license.

/** A page under `docs/`, such as `"performance.md"`. */
function toUrl(page: string) {
  return new URL(`../docs/${page}`, import.meta.url);
}

/** Formats Markdown as `deno fmt` does. */
export async function format(markdown: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext=md", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = ReadableStream.from([markdown])
    .pipeThrough(new TextEncoderStream());
  const [{ stdout, success }] = await Promise.all([
    child.output(),
    input.pipeTo(child.stdin),
  ]);
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}

/** The text before, between and after the two markers of a block. */
function split(text: string, page: string, name: string) {
  const [before, rest] = text.split(`<!-- ${name} -->\n`);
  const [block, after] = rest?.split(`<!-- /${name} -->`) ?? [];
  if (after === undefined) {
    throw new Error(`docs/${page} has no block <!-- ${name} -->`);
  }
  return [before!, block!, after] as const;
}

/** Reads the text between the two markers of a block. */
export async function readBlock(page: string, name: string) {
  return split(await Deno.readTextFile(toUrl(page)), page, name)[1];
}

/** Replaces the text between the two markers of a block. */
export async function writeBlock(page: string, name: string, block: string) {
  const text = await Deno.readTextFile(toUrl(page));
  const [before, , after] = split(text, page, name);
  await Deno.writeTextFile(
    toUrl(page),
    `${before}<!-- ${name} -->\n\n${block}\n<!-- /${name} -->${after}`,
  );
}
