// Copyright 2026 the lazyinit authors. MIT license.

import { findRuntime } from "../testdata/commands.ts";
import {
  installSuite,
  PACKED,
  SOURCE,
  testLonelyWaits,
  testRuntime,
} from "../testdata/conformance.ts";

const BUN = "bun@1.4.5";

const directory = installSuite("web_main.ts", "web_worker.ts");

testRuntime("Bun", BUN, directory, "web_main.js", SOURCE);
testRuntime("Bun, packed", BUN, directory, "web_main.js", PACKED);
testLonelyWaits("Bun", () => findRuntime(BUN));
