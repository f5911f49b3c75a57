// Copyright 2026 the lazyinit authors. MIT license.

import { findRuntime } from "../testdata/commands.ts";
import {
  installSuite,
  runCommand,
  testConformance,
  testLonelyWaits,
} from "../testdata/conformance.ts";

const BUN = "bun@1.4.5";

const directory = installSuite("web_main.ts", "web_worker.ts");

function testBun(name: string, library: string): void {
  testConformance(name, async (report) => {
    const bun = await findRuntime(BUN);
    await runCommand(bun, ["web_main.js", library], directory(), report);
  });
}

testBun("Bun", import.meta.resolve("../../mod.ts"));
testBun("Bun, packed", "@lazyinit/lazyinit");
testLonelyWaits("Bun", () => findRuntime(BUN));
