// Copyright 2026 the lazyinit authors. MIT license.

import { PORTABLE_RECIPES } from "../_printed.ts";
import { testRecipes } from "./_recipes.ts";

testRecipes("bun@1.4.5", ["bun.ts", "tokenizer.ts", ...PORTABLE_RECIPES]);
