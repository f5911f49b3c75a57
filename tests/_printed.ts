// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";

/** What each recipe prints that has a console, in Deno, Node or Bun alike. */
const PRINTED = {
  "arrow.ts": ["Fetching the table", ...Array(4).fill("true 39")],
  "bun.ts": ["Filling the table", ...Array(4).fill(`${Math.SQRT2}`)],
  "codec.ts": ["1970-01-01T00:00:00.000Z epoch"],
  "deno.ts": [
    "Fetching the settings",
    ...Array(4).fill("Hello from shared memory"),
  ],
  "fallback.ts": ["Filling the table", ...Array(4).fill("2")],
  "file.ts": ["Reading the file", ...Array(4).fill("Copyright 2026")],
  "handles.ts": ["999000 1998"],
  "module.ts": ["Filling the table", ...Array(3).fill("144")],
  "memoize.ts": [
    "Hashing correct horse",
    "Hashing hunter2",
    ...Array(4).fill("correct horse 07a5fc62617df14f"),
    ...Array(4).fill("hunter2 6e58e81b6514728a"),
  ],
  "node.ts": ["Sieving", ...Array(4).fill("999983 is prime")],
  "reload.ts": Array(4).fill("Model 9"),
  // As gpt-tokenizer itself encodes it
  "tokenizer.ts": [
    "Loading the vocabulary",
    ...Array(8).fill("3198 25818 329 477 3259 286 262 5933 13"),
  ],
  "wasm.ts": ["Filling the table", ...Array(4).fill(`${Math.SQRT2}`)],
  // A random number, which both threads read
  "quick_start.mjs": ([number]: string[]) => [number, number],
};

/** A recipe that has a console. */
export type Recipe = keyof typeof PRINTED;

/** The recipes that run in every runtime with a console. */
export const PORTABLE_RECIPES = [
  "arrow.ts",
  "codec.ts",
  "fallback.ts",
  "file.ts",
  "handles.ts",
  "module.ts",
  "memoize.ts",
  "node.ts",
  "reload.ts",
  "wasm.ts",
  "quick_start.mjs",
] as const;

/** Asserts that a recipe prints its lines, which its workers do in any order. */
export function assertPrinted(recipe: Recipe, output: string) {
  const lines = output.trim().split(/\r?\n/).sort();
  const printed = PRINTED[recipe];
  const expected = typeof printed === "function" ? printed(lines) : printed;
  assertEquals(lines, expected.toSorted());
}
