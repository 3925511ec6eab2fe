// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import ts from "npm:typescript@6.0.3";
import types from "npm:@types/node@24.19.2/package.json" with {
  type: "json",
};
import { NPM_FLAGS } from "./_help.ts";

const root = decodeURIComponent(new URL("../", import.meta.url).pathname);

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: [
    "lib.esnext.d.ts",
    "lib.dom.d.ts",
    "lib.dom.iterable.d.ts",
    "lib.dom.asynciterable.d.ts",
  ],
  types: ["node"],
  typeRoots: [`${root}node_modules/@types`],
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
};

/** Compiles a program with the types of the DOM and of Node.js; returns what is wrong with it. */
function compile(text: string) {
  const file = `${root}tests/types_of_node.ts`; // it is nowhere on the disk
  const host = ts.createCompilerHost(OPTIONS);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === file || fileExists(path);
  host.getSourceFile = (path, language, ...rest) =>
    path === file
      ? ts.createSourceFile(path, text, language)
      : getSourceFile(path, language, ...rest);
  const program = ts.createProgram([file], OPTIONS, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) =>
    `${file?.fileName.replace(root, "")}: ${
      ts.flattenDiagnosticMessageText(messageText, "\n")
    }`
  );
}

Deno.test({
  name:
    `streams of Node.js pass a monitor with one cast on each side (@types/node ${types.version}, TypeScript ${ts.version})`,
  ignore: NPM_FLAGS.length === 0, // it needs the folder node_modules
  fn() {
    const diagnostics = compile(`
      import { Readable } from "node:stream";
      import type { ReadableStream as NodeStream } from "node:stream/web";
      import { HeartbeatMonitor, watch } from "../mod.ts";

      const source = Readable.from(["a"]);
      const monitor = new HeartbeatMonitor<string>({ timeout: 1000 });
      const guarded = (Readable.toWeb(source) as ReadableStream<string>)
        .pipeThrough(monitor);
      const back: Readable = Readable.fromWeb(guarded as NodeStream<string>);
      const web = Readable.toWeb(back) as ReadableStream<string>;
      export const watched: ReadableStream<string> = watch(web, { timeout: 1 });
      // @ts-expect-error without the cast: these types are not the DOM's
      Readable.toWeb(source).pipeThrough(monitor);
    `);
    assertEquals(diagnostics, []);
  },
});
