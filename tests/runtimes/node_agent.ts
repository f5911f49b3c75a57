// Copyright 2026 the lazyinit authors. MIT license.

import { testAgentsOfNode } from "../testdata/agents_of_node.ts";

// Node 20 takes no TypeScript
for (const version of ["22", "24", "26"]) {
  testAgentsOfNode(`node@${version}`, "--expose-gc");
}
