// Copyright 2026 the lazyinit authors. MIT license.

import { installSuite, SOURCE, testRuntime } from "./_driver.ts";

/** The first that misses no asynchronous wake-up. */
const OLDEST = "2.7.6";

testRuntime(
  `Deno ${OLDEST}`,
  `deno@${OLDEST}`,
  installSuite("web_main.ts", "web_worker.ts"),
  "run",
  "--allow-read",
  "web_main.js",
  SOURCE,
);
