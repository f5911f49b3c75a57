// Copyright 2026 the lazyinit authors. MIT license.

import { PORTABLE_RECIPES, testRecipes } from "../testdata/recipes.ts";

testRecipes("node@24", PORTABLE_RECIPES);
