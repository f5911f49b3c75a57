// Copyright 2026 the lazyinit authors. MIT license.

import { install } from "../testdata/packed.ts";
import { PORTABLE_RECIPES, runRecipe } from "../testdata/recipes.ts";

Deno.test("recipes in Node", async (t) => {
  await using installation = await install("@msgpack/msgpack@^3.1.3");
  const options = { runtime: "node@24.21.0", path: installation.path };
  for (const recipe of PORTABLE_RECIPES) {
    await t.step(
      `recipes/${recipe} prints what was read from shared memory`,
      () => runRecipe(recipe, options),
    );
  }
});
