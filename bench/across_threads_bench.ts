// Copyright 2026 the lazyinit authors. MIT license.

import { suite } from "./across_threads.ts";
import { note, register } from "./suite.ts";

// To start workers takes it; `deno bench` at a terminal asks
const { state } = await Deno.permissions.request({ name: "read" });
if (state === "granted") await register(suite);
else note("What happens across threads is left out: it takes --allow-read");
