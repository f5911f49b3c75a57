// Copyright 2026 the lazyinit authors. MIT license.

import { suite } from "./first_use.ts";
import { register } from "./suite.ts";

await register(suite);
