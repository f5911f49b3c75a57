// Copyright 2026 the lazyinit authors. MIT license.

import { testFaults } from "./_faults.ts";

testFaults("bun@1.4.5", { variable: "BUN_JSC_maxPerThreadStackUsage=400000" });
