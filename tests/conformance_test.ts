// Copyright 2026 the lazyinit authors. MIT license.

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
      spawn: (caseName) => spawnWebWorker(WORKER, LIBRARY, caseName),
    });
  });
}

testLonelyWaits(
  "Deno",
  () => Promise.resolve(Deno.execPath()),
  "run",
  "--no-config",
);
