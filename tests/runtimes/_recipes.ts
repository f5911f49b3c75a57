// Copyright 2026 the lazyinit authors. MIT license.

import { findRuntime, run } from "../_commands.ts";
import { assertPrinted, type Recipe } from "../_printed.ts";
import { install } from "./_packed.ts";

const RECIPES = new URL("../../examples/recipes/", import.meta.url);

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
  recipes: readonly Recipe[],
): void {
  Deno.test(`recipes in ${runtime}`, async (t) => {
    await using installation = await install(
      "@msgpack/msgpack@3.1.3",
      "apache-arrow@21.2.0",
      "gpt-tokenizer@4.0.0",
      "piscina@5.3.2",
    );
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
