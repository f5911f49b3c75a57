// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import { findRuntime, run } from "./commands.ts";
import { install } from "./packed.ts";

const RECIPES = new URL("../../examples/recipes/", import.meta.url);

/** What each recipe prints that has a console, in Deno, Node or Bun alike. */
const PRINTED = {
  "bun.ts": ["Filling the table", ...Array(4).fill(`${Math.SQRT2}`)],
  "codec.ts": ["1970-01-01T00:00:00.000Z epoch"],
  "deno.ts": [
    "Fetching the settings",
    ...Array(4).fill("Hello from shared memory"),
  ],
  "handles.ts": ["999000 1998"],
  "node.ts": ["Sieving", ...Array(4).fill("999983 is prime")],
  "wasm.ts": ["Filling the table", ...Array(4).fill(`${Math.SQRT2}`)],
};

/** The recipes that run in every runtime with a console. */
export const PORTABLE_RECIPES = [
  "codec.ts",
  "handles.ts",
  "node.ts",
  "wasm.ts",
] as const;

/** Asserts that a recipe prints its lines, which its workers do in any order. */
export function assertPrinted(recipe: keyof typeof PRINTED, output: string) {
  const lines = output.trim().split(/\r?\n/);
  assertEquals(lines.sort(), PRINTED[recipe].toSorted());
}

/** Copies a recipe, or the files of its folder, to where the package is installed. */
export async function copyRecipe(recipe: string, path: string): Promise<void> {
  const source = new URL(recipe, RECIPES);
  if (!recipe.endsWith("/")) {
    return await Deno.copyFile(source, `${path}/${recipe}`);
  }
  for await (const { name } of Deno.readDir(source)) {
    await Deno.copyFile(new URL(name, source), `${path}/${name}`);
  }
}

/** Tests recipes where the package is installed, in a runtime that npx brings. */
export function testRecipes(
  runtime: string,
  recipes: readonly (keyof typeof PRINTED)[],
): void {
  Deno.test(`recipes in ${runtime}`, async (t) => {
    await using installation = await install("@msgpack/msgpack@3.1.3");
    const { path } = installation;
    for (const recipe of recipes) {
      await t.step(
        `recipes/${recipe} prints what was read from shared memory`,
        async () => {
          await copyRecipe(recipe, path);
          const output = await run(await findRuntime(runtime), [recipe], path);
          assertPrinted(recipe, output);
        },
      );
    }
  });
}
