// Copyright 2026 the lazyinit authors. MIT license.

import { testFaults } from "./_faults.ts";

testFaults("node@24", { flag: "--stack-size=120" });
