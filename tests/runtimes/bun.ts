// Copyright 2026 the lazyinit authors. MIT license.

import { findRuntime } from "../_commands.ts";
import { testLonelyWaits } from "../_lonely_waits.ts";
import { installSuite, PACKED, SOURCE, testRuntime } from "./_driver.ts";

const BUN = "bun@1.4.5";

const directory = installSuite("web_main.ts", "web_worker.ts");

testRuntime("Bun", BUN, directory, "web_main.js", SOURCE);
testRuntime("Bun, packed", BUN, directory, "web_main.js", PACKED);
testLonelyWaits("Bun", () => findRuntime(BUN));
