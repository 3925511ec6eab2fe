// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import ts from "npm:typescript@6.0.3";

/** Lines that are neither blank nor a comment. */
const LIMITS = { functionLines: 50, moduleLines: 260, lets: 5 };

const root = new URL("../", import.meta.url);

async function* walk(folder = ""): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(`./${folder}`, root))) {
    const path = folder + entry.name;
    if (entry.isDirectory) {
      if (!/^(\.|node_modules$|coverage$)/.test(entry.name)) {
        yield* walk(`${path}/`);
      }
    } else if (path.endsWith(".ts")) yield path;
  }
}

async function parse(path: string) {
  const text = await Deno.readTextFile(new URL(path, root));
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

const files: ts.SourceFile[] = [];
for await (const path of walk()) files.push(await parse(path));
files.sort((a, b) => a.fileName.localeCompare(b.fileName));

/** The public modules and their private parts. */
const modules = files.filter(({ fileName }) => !fileName.includes("/"));

function lineOf(file: ts.SourceFile, position: number) {
  return file.getLineAndCharacterOfPosition(position).line;
}

/** The lines of a node on which there is code. */
function linesOfCode(node: ts.Node) {
  const file = node.getSourceFile();
  const lines = new Set<number>();
  const visit = (each: ts.Node) => {
    const children = each.getChildren(file).filter((child) =>
      !ts.isJSDoc(child)
    );
    if (children.length > 0) return children.forEach(visit);
    if (each.getWidth(file) === 0) return;
    const last = lineOf(file, each.getEnd());
    for (let line = lineOf(file, each.getStart(file)); line <= last; line++) {
      lines.add(line);
    }
  };
  visit(node);
  return lines.size;
}

function nameOf(node: ts.Node): string {
  const { name } = node as { name?: ts.Node };
  if (name) return name.getText();
  if (ts.isConstructorDeclaration(node)) return "constructor";
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) {
    return parent.name.getText();
  }
  return "anonymous function";
}

/** The bindings that a function or a module declares with `let`, without those of functions inside. */
function countLets(owner: ts.Node) {
  let count = 0;
  const countBindings = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) count++;
    else {
      for (const element of name.elements) {
        if (ts.isBindingElement(element)) countBindings(element.name);
      }
    }
  };
  const visit = (node: ts.Node) => {
    if (node !== owner && ts.isFunctionLike(node)) return;
    if (ts.isVariableDeclarationList(node) && node.flags & ts.NodeFlags.Let) {
      node.declarations.forEach(({ name }) => countBindings(name));
    }
    ts.forEachChild(node, visit);
  };
  visit(owner);
  return count;
}

/** The module and every function in it. */
function ownersOf(file: ts.SourceFile) {
  const owners: ts.Node[] = [file];
  const visit = (node: ts.Node) => {
    if (ts.isFunctionLike(node) && "body" in node && node.body) {
      owners.push(node);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return owners;
}

/** What is too large, as `file:line name: figure`. */
function tooLarge(
  files: ts.SourceFile[],
  limit: number,
  measure: (node: ts.Node) => number,
) {
  return files.flatMap((file) =>
    ownersOf(file).flatMap((node) => {
      const figure = measure(node);
      if (figure <= limit) return [];
      const line = lineOf(file, node.getStart(file)) + 1;
      const name = node === file ? "module" : nameOf(node);
      return [`${file.fileName}:${line} ${name}: ${figure}`];
    })
  );
}

/** Imports and exports of a file that are there at run time. */
function runtimeImports(file: ts.SourceFile) {
  const specifiers: string[] = [];
  const add = (node: ts.Expression | undefined) => {
    if (node && ts.isStringLiteral(node)) specifiers.push(node.text);
  };
  const visit = (node: ts.Node) => {
    if (ts.isImportDeclaration(node)) {
      const clause = node.importClause;
      const names = clause?.namedBindings;
      const isTypeOnly = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword ||
        clause && !clause.name && names && ts.isNamedImports(names) &&
          names.elements.every(({ isTypeOnly }) => isTypeOnly);
      if (!isTypeOnly) add(node.moduleSpecifier);
    } else if (ts.isExportDeclaration(node)) {
      if (!node.isTypeOnly) add(node.moduleSpecifier);
    } else if (
      ts.isCallExpression(node) &&
      node.expression.kind === ts.SyntaxKind.ImportKeyword
    ) {
      add(node.arguments[0]);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return specifiers;
}

Deno.test(`no function has over ${LIMITS.functionLines} lines of code`, () => {
  const measure = (node: ts.Node) =>
    ts.isSourceFile(node) ? 0 : linesOfCode(node);
  assertEquals(tooLarge(files, LIMITS.functionLines, measure), []);
});

Deno.test(`no function and no module has over ${LIMITS.lets} let bindings`, () => {
  assertEquals(tooLarge(files, LIMITS.lets, countLets), []);
});

Deno.test(`no module has over ${LIMITS.moduleLines} lines of code`, () => {
  const measure = (node: ts.Node) =>
    ts.isSourceFile(node) ? linesOfCode(node) : 0;
  assertEquals(tooLarge(modules, LIMITS.moduleLines, measure), []);
});

Deno.test("no private part imports a public module at run time; types are free", () => {
  const arrows = modules
    .filter(({ fileName }) => fileName.startsWith("_"))
    .flatMap((file) =>
      runtimeImports(file)
        .filter((specifier) => /^\.\/(?!_).*\.ts$/.test(specifier))
        .map((specifier) => `${file.fileName} -> ${specifier}`)
    );
  assertEquals(arrows, []);
});

Deno.test("examples import public modules only", () => {
  const arrows = files
    .filter(({ fileName }) => fileName.startsWith("examples/"))
    .flatMap((file) =>
      runtimeImports(file)
        .filter((specifier) => /^(\.\.\/)+_/.test(specifier))
        .map((specifier) => `${file.fileName} -> ${specifier}`)
    );
  assertEquals(arrows, []);
});

Deno.test("no test changes what all share that run in parallel: the environment and the folder of the process", () => {
  const calls = files
    .filter(({ fileName }) => fileName.startsWith("tests/"))
    .flatMap((file) =>
      [...file.text.matchAll(
        /^(?!.*Deno\.test).*Deno\.(env\.(set|delete)|chdir)\(/gm,
      )]
        .map(([line]) => `${file.fileName}: ${line.trim()}`)
    )
    .filter((call) => !call.startsWith("tests/house_test.ts"));
  assertEquals(calls, []);
});
