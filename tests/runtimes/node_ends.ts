// Copyright 2026 the lazyinit authors. MIT license.

import { testEnds } from "./_ends.ts";

testEnds(["node@20", "node@22", "node@24", "node@26"], 18, "--expose-gc");
