// Copyright 2026 the lazyinit authors. MIT license.

import { testAgentsOfNode } from "../testdata/agents_of_node.ts";

testAgentsOfNode("bun@1.4.5");
