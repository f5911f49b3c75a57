// Copyright 2026 the lazyinit authors. MIT license.

import { PORTABLE_RECIPES, testRecipes } from "../testdata/recipes.ts";

testRecipes("bun@1.4.5", ["bun.ts", ...PORTABLE_RECIPES]);
