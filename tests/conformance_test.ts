// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import "./_sleepers.ts";
import * as library from "../mod.ts";
import { testLonelyWaits } from "./_lonely_waits.ts";
import { FATES } from "./conformance/ends.ts";
import { CASES, runCase } from "./conformance/suite.ts";
import { spawnWebWorker } from "./conformance/web.ts";

const WORKER = new URL("./conformance/web_worker.ts", import.meta.url);
const LIBRARY = import.meta.resolve("../mod.ts");

for (const it of CASES) {
  Deno.test(`${it.name} (Deno)`, async () => {
    await runCase(it, {
      library,
      fates: FATES.Deno,
      hasAsyncContext: true,
      inspect: Deno.inspect,
      spawn: (caseName, sleepers) =>
        spawnWebWorker(WORKER, LIBRARY, caseName, sleepers),
    });
  });
}

testLonelyWaits(
  "Deno",
  () => Promise.resolve(Deno.execPath()),
  "run",
  "--no-config",
);
