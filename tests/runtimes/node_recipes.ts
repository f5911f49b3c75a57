// Copyright 2026 the lazyinit authors. MIT license.

import { PORTABLE_RECIPES } from "../_printed.ts";
import { testRecipes } from "./_recipes.ts";

testRecipes("node@24", ["tokenizer.ts", ...PORTABLE_RECIPES]);
