// Copyright 2026 the lazyinit authors. MIT license.

import { SCENARIOS } from "./_open_scenarios.ts";

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  Deno.test(name, scenario);
}
