// Copyright 2026 the lazyinit authors. MIT license.

import { suite } from "./read_path.ts";
import { register } from "./suite.ts";

await register(suite);
