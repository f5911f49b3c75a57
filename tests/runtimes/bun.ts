// Copyright 2026 the lazyinit authors. MIT license.

import {
  installSuite,
  runCommand,
  testConformance,
  testLonelyWaits,
} from "../testdata/conformance.ts";

const directory = installSuite("bun.ts", "web_worker.ts");

function testBun(name: string, library: string): void {
  testConformance(name, async (report) => {
    const args = ["-y", "bun@1.4.5", "bun.js", library];
    await runCommand("npx", args, directory(), report);
  });
}

testBun("Bun", import.meta.resolve("../../mod.ts"));
testBun("Bun, packed", "@lazyinit/lazyinit");

testLonelyWaits("Bun", "npx", "-y", "bun@1.4.5");
