// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Runs the suite where workers are those of the web but no Web Lock tells of their end:
 * in Bun, and in Deno before 2.9. Prints a line of JSON for each case:
 * `bun web_main.js LIBRARY`.
 */

import process from "node:process";
import { inspect } from "node:util";
import { FATES } from "./ends.ts";
import { type Library, runSuite } from "./suite.ts";
import { spawnWebWorker } from "./web.ts";

const specifier = process.argv[2]!;
const library: Library = await import(specifier);
const url = new URL("./web_worker.js", import.meta.url);

await runSuite({
  library,
  fates: "Deno" in globalThis ? FATES["older Deno"] : FATES.Bun,
  hasAsyncContext: true,
  cannotOpen: "has no Web Locks",
  inspect,
  spawn: (caseName, sleepers) =>
    spawnWebWorker(url, specifier, caseName, sleepers),
}, (result) => process.stdout.write(`${JSON.stringify(result)}\n`));
// What a case has left waiting would keep the process alive
process.exit();
