// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };

/*
 * What `deno doc --json` tells of public symbols, as far as it is looked at here.
 */

interface Tag {
  kind: string;
  name?: string;
  doc?: string;
  tsType?: unknown;
}

interface Documented {
  jsDoc?: { doc?: string; tags?: Tag[] };
}

interface Signature {
  params?: {
    name?: string;
    left?: { name: string };
    arg?: { name: string };
  }[];
  typeParams?: { name: string }[];
  returnType?: { repr: string };
}

interface Member extends Documented, Signature {
  name: string;
  accessibility?: string;
  functionDef?: Signature;
}

interface Declaration extends Documented {
  kind: string;
  /** Private ones are told, too, if a private constructor refers to them. */
  declarationKind: string;
  def: Signature & {
    constructors?: Member[];
    properties?: Member[];
    methods?: Member[];
  };
}

interface Module {
  "module_doc"?: { doc?: string };
  symbols: { name: string; declarations: Declaration[] }[];
}

const ENTRY_POINTS = Object.entries(config.exports).map(([name, path]) => ({
  specifier: name.replace(".", config.name),
  url: new URL(path, new URL("../", import.meta.url)).href,
}));

const { success, stdout } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--json", ...ENTRY_POINTS.map(({ url }) => url)],
  stderr: "inherit",
}).output();
assert(success);
const modules: Record<string, Module> =
  JSON.parse(new TextDecoder().decode(stdout)).nodes;
/** What the module at `url` exports. */
function symbolsOf(url: string): Module["symbols"] {
  return modules[url]!.symbols.filter(({ declarations }) =>
    declarations.some(({ declarationKind }) => declarationKind !== "private")
  );
}

// It re-exports the others, so what they have in common is told once
const main = symbolsOf(import.meta.resolve("../mod.ts"));
const names = new Set(main.map(({ name }) => name));
/** Those that are not part of it. */
const APART = /\/cluster\b/;
const apart = ENTRY_POINTS.filter(({ specifier }) => APART.test(specifier))
  .flatMap(({ url }) => symbolsOf(url)).filter(({ name }) => !names.has(name));

function hasTag(
  { jsDoc }: Documented,
  kind: string,
  name?: string,
): boolean {
  return jsDoc?.tags?.some((tag) =>
    tag.kind === kind && tag.name === name && tag.doc !== undefined
  ) ?? false;
}

/** Matches code in which a symbol is used; what has no name, such as `[Symbol.dispose]`, is used unseen. */
function mentionOf(name: string): RegExp | undefined {
  return /^\w+$/.test(name) ? new RegExp(`\\b${name}\\b`) : undefined;
}

/** Yields what a text lacks, if all of its code must be runnable and assert something. */
function* faultsOfCode(text: string, mentioned?: RegExp): Generator<string> {
  const blocks = [...text.matchAll(/^```(.*)\n([^]*?)^```/gm)];
  if (blocks.length === 0) yield "has no code";
  for (const [, language, code] of blocks) {
    if (language !== "ts") yield `has code that does not run: ${language}`;
    const specifiers = [...code!.matchAll(/ from "(.+)";$/gm)].map(
      ([, specifier]) => specifier!,
    );
    const { length } = specifiers.filter((specifier) =>
      ENTRY_POINTS.some((entryPoint) => entryPoint.specifier === specifier)
    );
    if (length === 0) yield "has code that imports no entry point";
    if (!specifiers.includes("@std/assert") || !/\bassert\w*\(/.test(code!)) {
      yield "has code that asserts nothing";
    }
    if (mentioned && !mentioned.test(code!)) {
      yield `has code without ${mentioned}`;
    }
  }
}

function* faultsOfExamples(
  { jsDoc }: Documented,
  mentioned?: RegExp,
): Generator<string> {
  const examples = jsDoc?.tags?.filter(({ kind }) => kind === "example") ?? [];
  if (examples.length === 0) yield "has no example";
  for (const { doc = "" } of examples) {
    if (!/^\w/.test(doc)) yield "has an example without a title";
    yield* faultsOfCode(doc, mentioned);
  }
}

function* faultsOfText({ jsDoc }: Documented): Generator<string> {
  if (!jsDoc?.doc) yield "has no summary";
  for (const { kind, doc, tsType } of jsDoc?.tags ?? []) {
    if (kind === "throws" && (!doc || !tsType)) {
      yield "does not tell what it throws, or when";
    }
  }
}

/** What the checks of `@std` demand of whatever is called. */
function* faultsOfSignature(
  documented: Documented,
  { params = [], typeParams = [], returnType }: Signature,
): Generator<string> {
  const names = params
    .map(({ name, left, arg }) => name ?? left?.name ?? arg?.name)
    .filter((name) => name !== "this");
  for (const name of names) {
    if (!hasTag(documented, "param", name)) yield `has no @param ${name}`;
  }
  for (const { kind, name } of documented.jsDoc?.tags ?? []) {
    if (kind === "param" && !names.includes(name)) {
      yield `has a @param ${name} too many`;
    }
  }
  for (const { name } of typeParams) {
    if (!hasTag(documented, "template", name)) {
      yield `has no @typeParam ${name}`;
    }
  }
  if (
    returnType && returnType.repr !== "void" && !hasTag(documented, "return")
  ) yield "has no @returns";
}

function* faultsOfMember(kind: string, member: Member): Generator<string> {
  yield* faultsOfText(member);
  yield* faultsOfSignature(member, member.functionDef ?? member);
  // Of interfaces and constructors, the example is that of the whole
  if (kind !== "class" || member.name === "constructor") return;
  yield* faultsOfExamples(member, mentionOf(member.name));
}

function* faultsOfSymbol(
  name: string,
  declaration: Declaration,
): Generator<string> {
  const { kind, def } = declaration;
  const faults = [
    ...faultsOfText(declaration),
    ...faultsOfSignature(declaration, def),
    ...faultsOfExamples(declaration, mentionOf(name)),
  ];
  yield* faults.map((fault) => `${name} ${fault}`);
  const { constructors = [], properties = [], methods = [] } = def;
  for (const member of [...constructors, ...properties, ...methods]) {
    const { accessibility } = member;
    if (accessibility === "private") continue;
    // Of what only the package itself extends, a line says enough
    const faults = accessibility === "protected"
      ? faultsOfText(member)
      : faultsOfMember(kind, member);
    for (const fault of faults) {
      yield `${name}.${member.name} ${fault}`;
    }
  }
}

Deno.test("every public symbol has a summary, its tags, and examples that assert", () => {
  const faults = [...main, ...apart].flatMap(({ name, declarations }) =>
    declarations.flatMap((declaration) => [
      ...faultsOfSymbol(name, declaration),
    ])
  );
  assertEquals(faults, []);
});

for (const { specifier, url } of ENTRY_POINTS) {
  Deno.test(`${specifier} has module docs with code that imports it and asserts`, () => {
    const { doc = "" } = modules[url]!.module_doc ?? {};
    const faults = [...faultsOfCode(doc, new RegExp(`from "${specifier}"`))];
    assertEquals(faults, []);
  });

  if (APART.test(specifier)) continue;

  Deno.test(`${specifier} exports nothing that mod.ts does not`, async () => {
    const exported = [
      ...symbolsOf(url).map(({ name }) => name),
      ...Object.keys(await import(url)),
    ];
    assertNotEquals(exported, []);
    assertEquals(exported.filter((name) => !names.has(name)), []);
  });
}
