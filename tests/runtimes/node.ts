// Copyright 2026 the lazyinit authors. MIT license.

import { findRuntime } from "../testdata/commands.ts";
import {
  installSuite,
  runCommand,
  testConformance,
  testLonelyWaits,
} from "../testdata/conformance.ts";

const directory = installSuite("node.ts");

/** They strip types, so they take the modules as they are. */
const STRIPPING = ["22", "24", "26"];
/** As a user of npm gets the modules; Node 20 takes no others. */
const PACKED = ["20", "24"];

function testNode(name: string, version: string, library: string): void {
  testConformance(name, async (report) => {
    const node = await findRuntime(`node@${version}`);
    await runCommand(node, ["node.js", library], directory(), report);
  });
}

for (const version of STRIPPING) {
  testNode(`Node ${version}`, version, import.meta.resolve("../../mod.ts"));
  testLonelyWaits(`Node ${version}`, () => findRuntime(`node@${version}`));
}
for (const version of PACKED) {
  testNode(`Node ${version}, packed`, version, "@lazyinit/lazyinit");
}
