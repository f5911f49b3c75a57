// Copyright 2026 the lazyinit authors. MIT license.

import { findRuntime } from "../_commands.ts";
import { testLonelyWaits } from "../_lonely_waits.ts";
import { installSuite, PACKED, SOURCE, testRuntime } from "./_driver.ts";

const directory = installSuite("node_main.ts");

// They strip types, so they take the modules as they are
for (const version of ["22", "24", "26"]) {
  const node = `node@${version}`;
  testRuntime(`Node ${version}`, node, directory, "node_main.js", SOURCE);
  testLonelyWaits(`Node ${version}`, () => findRuntime(node));
}
// Node 20 takes no others
for (const version of ["20", "24"]) {
  const node = `node@${version}`;
  testRuntime(
    `Node ${version}, packed`,
    node,
    directory,
    "node_main.js",
    PACKED,
  );
}
