// Copyright 2026 the lazyinit authors. MIT license.

import { findRuntime } from "../testdata/commands.ts";
import {
  installSuite,
  runCommand,
  testConformance,
} from "../testdata/conformance.ts";

/** The first that misses no asynchronous wake-up. */
const OLDEST = "2.7.6";

const directory = installSuite("web_main.ts", "web_worker.ts");

testConformance(`Deno ${OLDEST}`, async (report) => {
  const deno = await findRuntime(`deno@${OLDEST}`);
  const library = import.meta.resolve("../../mod.ts");
  const args = ["run", "--allow-read", "web_main.js", library];
  await runCommand(deno, args, directory(), report);
});
