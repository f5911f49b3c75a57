// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";

/** What each recipe prints that has a console, in Deno, Node or Bun alike. */
const PRINTED = {
  "bun.ts": ["Filling the table", ...Array(4).fill(`${Math.SQRT2}`)],
  "codec.ts": ["1970-01-01T00:00:00.000Z epoch"],
  "deno.ts": [
    "Fetching the settings",
    ...Array(4).fill("Hello from shared memory"),
  ],
  "handles.ts": ["999000 1998"],
  "memoize.ts": [
    "Hashing correct horse",
    "Hashing hunter2",
    ...Array(4).fill("correct horse 07a5fc62617df14f"),
    ...Array(4).fill("hunter2 6e58e81b6514728a"),
  ],
  "node.ts": ["Sieving", ...Array(4).fill("999983 is prime")],
  "wasm.ts": ["Filling the table", ...Array(4).fill(`${Math.SQRT2}`)],
};

/** A recipe that has a console. */
export type Recipe = keyof typeof PRINTED;

/** The recipes that run in every runtime with a console. */
export const PORTABLE_RECIPES = [
  "codec.ts",
  "handles.ts",
  "memoize.ts",
  "node.ts",
  "wasm.ts",
] as const;

/** Asserts that a recipe prints its lines, which its workers do in any order. */
export function assertPrinted(recipe: Recipe, output: string) {
  const lines = output.trim().split(/\r?\n/);
  assertEquals(lines.sort(), PRINTED[recipe].toSorted());
}
