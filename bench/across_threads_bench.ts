// Copyright 2026 the lazyinit authors. MIT license.

import { suite } from "./across_threads.ts";
import { register } from "./suite.ts";

await register(suite);
