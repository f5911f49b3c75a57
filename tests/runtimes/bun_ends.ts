// Copyright 2026 the lazyinit authors. MIT license.

import { testEnds } from "./_ends.ts";

// Bun knows no limits of the memory of a worker
testEnds(["bun@1.4.5"], 13);
