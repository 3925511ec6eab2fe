// Copyright 2026 the heartbeat authors. MIT license.

const README = new URL("../README.md", import.meta.url);

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

function split(readme: string, name: string) {
  const [before, rest] = readme.split(`<!-- ${name} -->\n`);
  const [block, after] = rest?.split(`<!-- /${name} -->`) ?? [];
  if (after === undefined) throw new Error(`README.md has no <!-- ${name} -->`);
  return [before!, block!, after] as const;
}

/** What stands in the README between two marks. */
export async function readBlock(name: string) {
  return split(await Deno.readTextFile(README), name)[1];
}

/** Puts it into the README between two marks. */
export async function writeBlock(name: string, block: string) {
  const [before, , after] = split(await Deno.readTextFile(README), name);
  await Deno.writeTextFile(
    README,
    `${before}<!-- ${name} -->\n\n${block}\n<!-- /${name} -->${after}`,
  );
}
